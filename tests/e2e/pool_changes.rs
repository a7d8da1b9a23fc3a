//! The operator adds, drains and removes nodes while calls run.

use crate::lab::wait_until;
use crate::stage::{SOON, Stage};
use std::time::{Duration, Instant};

#[test]
fn a_node_added_while_calls_run_carries_calls() {
    let stage = Stage::of(2);
    let running = stage.lab.calls("100").count(400).rate(20.0).until_hung_up().start();
    wait_until("calls to flow", SOON, || running.so_far().answered() >= 20);

    let new = stage.lab.node(3);
    let password = stage.lab.directory().join("ari-password");
    let sip = new.sip_uri();
    let ari = format!("http://{}:8088", new.address);
    let added = Instant::now();
    stage
        .kamari
        .cli(&[
            "node",
            "add",
            "node3",
            "--ari",
            &ari,
            "--sip",
            &sip,
            "--capacity",
            "100",
            "--username",
            "kamari",
            "--password-file",
            &password.to_string_lossy(),
        ])
        .expect("the node is taken");
    wait_until("the new node to carry calls", Duration::from_secs(10), || {
        running.so_far().by_node().contains_key(&new.address)
    });
    println!("node3 carried a call {:?} after it was added", added.elapsed());
    running.wait().assert_all_answered();
    for node in stage.nodes.iter().chain([&new]) {
        wait_until("the node's CPU to be read", SOON, || stage.node_field(&node.name(), "cpu") != "null");
    }
    stage.assert_nothing_left();
}

#[test]
fn a_drained_node_finishes_its_calls_and_takes_no_other() {
    let stage = Stage::of(2);
    let node = &stage.nodes[0];
    // Calls of 13 s, some of them on the node when it is drained.
    let running = stage.lab.calls("101").count(60).rate(10.0).until_hung_up().start();
    wait_until("the node to be in use", SOON, || running.so_far().by_node().contains_key(&node.address));
    stage.kamari.cli(&["node", "drain", &node.name()]).expect("drained");
    let drained_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    wait_until("the node to report drained", Duration::from_mins(1), || {
        stage.node_field(&node.name(), "drained") == "true"
    });

    let report = running.wait();
    report.assert_all_answered();
    let late: Vec<_> =
        report.calls.iter().filter(|c| c.placed_at > drained_at && c.answered_by == Some(node.address)).collect();
    assert!(late.is_empty(), "calls reached a drained node: {late:?}");
    assert!(report.calls.iter().any(|c| c.placed_at > drained_at), "calls were placed after the drain");

    stage.kamari.cli(&["node", "undrain", &node.name()]).expect("undrained");
    let again = stage.lab.calls("100").count(40).rate(10.0).until_hung_up().run();
    again.assert_all_answered();
    assert!(again.by_node().contains_key(&node.address), "{:?}", again.by_node());
    stage.assert_nothing_left();
}

#[test]
fn a_removed_node_stays_away_after_a_restart() {
    let stage = Stage::of(2);
    let gone = stage.nodes[1].name();
    stage.kamari.cli(&["node", "remove", &gone]).expect("removed");
    let names = || {
        let list = stage.kamari.get("/v1/nodes");
        let nodes = list.as_array().expect("a list of nodes").clone();
        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["node1"]);
    stage.kamari.terminate();
    stage.kamari.restart();
    assert_eq!(names(), ["node1"]);
    stage.lab.calls("100").count(10).rate(10.0).until_hung_up().run().assert_all_answered();
    stage.assert_nothing_left();
}
