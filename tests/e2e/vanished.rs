//! A phone that vanishes without BYE does not stay on its node for ever, and those who are only quiet do.

use crate::lab::{Node, wait_until};
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// Replaces a line of the node's pjsip.conf, in the lab's copy, and has Asterisk read it.
fn set(stage: &Stage, node: &Node, was: &str, now: &str) {
    let file = stage.lab.directory().join(format!("{}/etc/pjsip.conf", node.name()));
    let text = std::fs::read_to_string(&file).expect("the lab wrote it");
    assert!(text.contains(was), "pjsip.conf says {was}");
    std::fs::write(&file, text.replace(was, now)).expect("the run directory can be written");
    node.cli("module reload res_pjsip.so");
    wait_until("Asterisk to read pjsip.conf", SOON, || {
        let shown = node.cli("pjsip show endpoint kamailio");
        let (setting, value) = now.split_once(" = ").expect("a setting");
        shown.lines().any(|line| {
            line.split_once(':').is_some_and(|(name, found)| name.trim() == setting && found.trim() == value)
        })
    });
}

/// Calls go to this node alone.
fn only(stage: &Stage, node: &str, other: &str) {
    stage.kamari.cli(&["node", "undrain", node]).expect("undrained");
    stage.kamari.cli(&["node", "drain", other]).expect("drained");
}

/// How many calls this node has.
fn calls_on(stage: &Stage, node: &Node) -> usize {
    let calls = stage.kamari.get("/v1/calls");
    calls.as_array().expect("a list of calls").iter().filter(|call| call["node"] == node.name().as_str()).count()
}

/// Four calls: on a node as it is, but for a shorter time, one phone vanishes, one is on hold and one is muted; on a node
/// that knows no time, the twin, another phone vanishes.
#[test]
fn a_phone_that_vanished_is_given_up_and_a_quiet_one_is_not() {
    let stage = Stage::of(2);
    let [waits, twin] = &stage.nodes[..] else { unreachable!("two nodes") };
    set(&stage, waits, "rtp_timeout = 120", "rtp_timeout = 5");
    set(&stage, twin, "rtp_timeout = 120", "rtp_timeout = 0");
    only(&stage, "node1", "node2");
    let gone = stage.lab.phone(1).tone(440.0).call("110");
    let mut held = stage.lab.phone(2).tone(440.0).call("110");
    let mut muted = stage.lab.phone(3).tone(440.0).call("110");
    only(&stage, "node2", "node1");
    let gone_too = stage.lab.phone(4).tone(440.0).call("110");
    wait_until("four calls to be up", SOON, || stage.calls() == 4);
    held.hold();
    muted.mute();
    gone.vanish();
    gone_too.vanish();
    wait_until("the vanished phone's call to end", SOON, || calls_on(&stage, waits) == 2);
    assert_eq!(calls_on(&stage, twin), 1, "without the setting its call stays");
    // Twice the limit, by what the muted phone hears: the quiet ones were not merely later.
    muted.listen(Duration::from_secs(10));
    assert_eq!((calls_on(&stage, waits), calls_on(&stage, twin)), (2, 1));
    held.hang_up();
    muted.hang_up();
    wait_until("the twin's call alone to be left", SOON, || stage.calls() == 1);
    let calls = stage.kamari.get("/v1/calls");
    let id = calls[0]["id"].as_str().expect("an id");
    stage.kamari.cli(&["call", "hangup", id]).expect("ended by the operator");
    stage.assert_nothing_left();
}
