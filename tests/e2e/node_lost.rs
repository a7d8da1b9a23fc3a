//! A node dies with calls on it: no later call fails.

use crate::lab::wait_until;
use crate::stage::{SOON, Stage};
use std::time::Duration;

#[test]
fn no_call_is_lost_after_a_node_is_killed() {
    let stage = Stage::of(3);
    let lost = &stage.nodes[1];
    let running = stage.lab.calls("101").count(300).rate(20.0).hold(Duration::from_secs(2)).start();
    wait_until("the node to be in use", SOON, || running.so_far().by_node().contains_key(&lost.address));
    lost.kill9();
    let report = running.wait();

    // Whoever was connected to the dead node had his answer before; everybody else, also those who were just being
    // offered to it, must have got one.
    assert_eq!(report.codes().keys().copied().collect::<Vec<_>>(), [200], "{:?}", report.codes());
    assert_eq!(report.calls.len(), 300);
    stage.wait_for_node(&lost.name(), "down");

    // Later calls are not even offered to it.
    let failed_over = stage.metric("kamari_outcome_reports_total") as u64;
    let after = stage.lab.calls("100").count(40).rate(20.0).until_hung_up().run();
    after.assert_all_answered();
    assert_eq!(stage.metric("kamari_outcome_reports_total") as u64, failed_over, "a dead node was offered a call");
    assert!(!after.by_node().contains_key(&lost.address));
    stage.assert_nothing_left();
}

/// The twin: without Kamailio's failover and kamari's choice, a call for that node is lost.
#[test]
fn a_call_sent_straight_to_a_killed_node_is_lost() {
    let stage = Stage::of(1);
    stage.nodes[0].kill9();
    let report = stage.lab.calls("100").to(stage.nodes[0].address).run();
    assert_eq!(report.answered(), 0);
}

#[test]
fn a_node_that_comes_back_takes_calls_again() {
    let stage = Stage::of(2);
    let node = &stage.nodes[0];
    node.kill9();
    stage.wait_for_node(&node.name(), "down");
    node.restart();
    stage.wait_for_node(&node.name(), "up");
    let report = stage.lab.calls("100").count(60).rate(10.0).until_hung_up().run();
    report.assert_all_answered();
    assert!(report.by_node().contains_key(&node.address), "{:?}", report.by_node());
    stage.assert_nothing_left();
}
