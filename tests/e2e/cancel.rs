//! A caller who gives up before the answer leaves nothing behind.

use crate::lab::wait_until;
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// The node is frozen between the lookup and its answer, the caller cancels, the node thaws and works off what came.
#[test]
fn a_caller_who_cancels_before_the_answer_leaves_nothing() {
    let stage = Stage::of(1);
    stage.nodes[0].stop();
    let running = stage.lab.calls("100").count(5).rate(20.0).cancel_after(Duration::from_millis(300)).start();
    wait_until("the calls to be reserved", SOON, || stage.metric("kamari_lookups_total") >= 5.0);
    let report = running.wait();
    stage.nodes[0].cont();
    assert_eq!(report.codes().keys().copied().collect::<Vec<_>>(), [487], "{:?}\n{}", report.codes(), report.errors);
    stage.wait_for_node("node1", "up");
    stage.assert_nothing_left();
}
