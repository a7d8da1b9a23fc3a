//! Calls are spread over equal nodes evenly, whatever Kamailio's version and however it asks.

use crate::lab::KamailioVersion;
use crate::stage::Stage;

const CALLS: u32 = 400;

/// Places 400 calls at 20 a second to `playback`; all must be answered, and evenly.
fn spreads_evenly(stage: &Stage) {
    let report = stage.lab.calls("100").count(CALLS).rate(20.0).until_hung_up().run();
    report.assert_all_answered();
    let shares = report.by_node();
    let fair = f64::from(CALLS) / stage.nodes.len() as f64;
    for node in &stage.nodes {
        let share = shares.get(&node.address).copied().unwrap_or(0) as f64;
        assert!((share / fair - 1.0).abs() <= 0.10, "{} took {share} of a fair {fair}: {shares:?}", node.name());
    }
    assert!(
        stage.metric("kamari_lookups_total") >= f64::from(CALLS),
        "the lookups were kamari's, not the dispatcher's"
    );
    for waited in ["kamari_setup_seconds_count", "kamari_answer_seconds_count"] {
        assert!(stage.metric(waited) >= f64::from(CALLS), "{waited}: {}", stage.metric(waited));
    }
    stage.assert_nothing_left();
}

#[test]
fn four_hundred_calls_through_kamailio_6_1() {
    spreads_evenly(&Stage::of(3));
}

#[test]
fn four_hundred_calls_through_kamailio_5_6() {
    spreads_evenly(&Stage::with(3, KamailioVersion::V5_6, &[]));
}

#[test]
fn four_hundred_calls_asked_asynchronously() {
    spreads_evenly(&Stage::with(3, KamailioVersion::V6_1, &["WITH_ASYNC"]));
}
