//! kamari is away for a moment: Kamailio routes by its dispatcher, the nodes hold the calls, and kamari, back again,
//! answers them.

use crate::lab::wait_until;
use crate::stage::{SOON, Stage};

#[test]
fn calls_are_held_while_kamari_restarts() {
    let stage = Stage::of(3);
    let running = stage.lab.calls("100").count(80).rate(10.0).until_hung_up().start();
    wait_until("calls to flow", SOON, || running.so_far().answered() >= 20);
    stage.kamari.kill9();
    let placed_then = running.so_far().calls.len();
    wait_until("calls to be placed without kamari", SOON, || running.so_far().calls.len() >= placed_then + 15);
    stage.kamari.restart();
    let report = running.wait();
    assert_eq!(report.codes().keys().copied().collect::<Vec<_>>(), [200], "{:?}", report.codes());
    stage.assert_nothing_left();
}

/// The twin: kamari that stays away for longer than the nodes hold a call. The caller is told 503 and may come again.
#[test]
fn calls_are_refused_when_kamari_stays_away() {
    let stage = Stage::of(1);
    stage.kamari.terminate();
    let report = stage.lab.calls("100").count(3).rate(10.0).run();
    assert_eq!(report.codes().keys().copied().collect::<Vec<_>>(), [503], "{:?}", report.codes());
    stage.lab.assert_nodes_empty();
}

/// A call that was up when kamari was killed is still up, and owned again, when it comes back.
#[test]
fn an_established_call_outlives_kamari() {
    let stage = Stage::of(1);
    let caller = stage.lab.phone(1).tone(440.0).call("110");
    stage.kamari.kill9();
    stage.kamari.restart();
    stage.wait_for_node(&stage.nodes[0].name(), "up");
    wait_until("the call to be owned again", SOON, || stage.calls() == 1);
    let heard = caller.listen(std::time::Duration::from_secs(2));
    let level = crate::lab::audio::mean_level_dbfs(&heard, 440.0);
    assert!(level > -25.0, "the echo goes on: {level} dBFS");
    caller.hang_up();
    stage.assert_nothing_left();
}
