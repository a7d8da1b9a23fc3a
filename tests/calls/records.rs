//! The record of a call: one for each, whatever happens to the call, to its node or to kamari, and what it says.

use std::sync::Arc;

use kamari::cdr::Cdr;
use serde_json::json;

use crate::support::fake_node::{Behaviour, FakeNode, Lie};
use crate::world::{World, call_in, until, within};

async fn node() -> FakeNode {
    FakeNode::start_with(Behaviour { measures: true, ..Behaviour::default() }).await
}

/// The record of the only call so far.
async fn only_record(world: &World) -> Arc<Cdr> {
    world.one_record_each(1).await;
    Arc::clone(&world.records.lock().expect("whole")[0])
}

#[tokio::test]
async fn a_record_says_what_the_call_was() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "700");
    within("an answer", nodes[0].answered(&channel)).await;
    let call = world.call(&channel, |call| call.app.is_some()).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    let record = only_record(&world).await;
    assert_eq!((&record.id, record.node.as_str(), &*record.extension), (&call.id, "n0", "700"));
    assert_eq!(record.call_id.as_deref(), call.call_id.as_ref().map(kamari::pool::CallId::as_str));
    assert_eq!((record.tenant.as_deref(), record.app.as_deref()), (Some("example"), Some("echo")));
    assert_eq!((record.ended_by, record.cause, record.sip), ("caller", Some(16), Some(200)));
    let answered = record.answered_at.expect("answered");
    assert!(record.started_at <= answered && answered <= record.ended_at);
    assert_eq!((record.setup_ms, record.talk_ms), (Some(answered - record.started_at), record.ended_at - answered));
    let media = record.media.expect("the node says it before the channel ends");
    assert_eq!((media.rx_packets, media.rx_lost, media.tx_packets, media.tx_lost), (150, 2, 148, 1));
    assert_eq!((media.rx_jitter_ms, media.rtt_ms), (0.125, 30.5));
    assert!(!record.adopted && record.former_ids.is_empty());
}

/// The twin of the first test: a node whose `ari.conf` has no `channelvars`.
#[tokio::test]
async fn a_node_that_tells_less_is_asked_what_was_called_and_its_records_lack_the_quality() {
    let behaviour = Behaviour { measures: true, channelvars: false, ..Behaviour::default() };
    let nodes = [FakeNode::start_with(behaviour).await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "700");
    within("an answer", nodes[0].answered(&channel)).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    let record = only_record(&world).await;
    assert_eq!((record.tenant.as_deref(), record.app.as_deref()), (Some("example"), Some("echo")));
    assert!(record.media.is_none());
}

#[tokio::test]
async fn every_way_to_end_is_told() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    // Dialled, who ended it, cause, response, whether it was answered.
    let ways = [
        ("800", "app", Some(16), Some(200)),
        ("900", "refused", Some(17), Some(486)),
        ("nobody", "refused", Some(1), Some(404)),
        ("panic", "failed", Some(38), Some(200)),
        ("error", "failed", Some(38), Some(200)),
    ];
    for (exten, by, cause, sip) in ways {
        world.records.lock().expect("whole").clear();
        within("its end", nodes[0].gone(&call_in(&nodes[0], exten))).await;
        let record = only_record(&world).await;
        assert_eq!((record.ended_by, record.cause, record.sip), (by, cause, sip), "{exten}");
        assert_eq!(record.answered_at.is_some(), sip == Some(200), "{exten}");
        assert_eq!(record.media.is_some(), sip == Some(200), "{exten}: also when kamari hung up");
        assert_eq!(record.reason.is_some(), by == "failed", "{exten}");
    }
    world.records.lock().expect("whole").clear();
    let channel = call_in(&nodes[0], "patient");
    let call = world.call(&channel, |call| call.answered_ms.is_some()).await;
    world.runtime.end(&call.id);
    assert_eq!(only_record(&world).await.ended_by, "operator");
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn what_an_app_notes_is_bounded() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    within("its end", nodes[0].gone(&call_in(&nodes[0], "notes"))).await;
    let record = only_record(&world).await;
    assert_eq!((&record.notes["queue"], &record.notes["waited_s"]), (&json!("sales"), &json!(7)));
    assert_eq!(record.notes["long"].as_str().map(str::len), Some(200));
    assert_eq!(record.notes.len(), 16, "the rest found no room");
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_call_that_kamari_did_not_see_begin_has_one_record() {
    let nodes = [node().await];
    let before = World::over(&nodes).await;
    let channels = [call_in(&nodes[0], "700"), call_in(&nodes[0], "patient")];
    let mut first = Vec::new();
    for channel in &channels {
        within("an answer", nodes[0].answered(channel)).await;
        first.push(before.call(channel, |call| call.answered_ms.is_some()).await);
    }
    until("the echo has saved its state", || nodes[0].channel_variable(&channels[0], "KAMARI_STATE").is_some()).await;
    let records = Arc::clone(&before.records);
    before.vanish().await;
    assert!(records.lock().expect("whole").is_empty(), "a kamari that goes ends no call");

    let after = World::over(&nodes).await;
    for channel in &channels {
        after.call(channel, |call| call.app.is_some()).await;
        nodes[0].far_end_hangs_up(channel);
    }
    after.nothing_left(&nodes).await;
    after.one_record_each(2).await;
    let records = after.records.lock().expect("whole").clone();
    let of = |app: &str| records.iter().find(|record| record.app.as_deref() == Some(app)).expect("a record");
    // What an app saved knows when the call was answered, and what it was called.
    let echo = of("echo");
    assert_eq!((echo.adopted, echo.answered_at), (true, first[0].answered_ms));
    assert_eq!((&echo.former_ids, &echo.apps), (&vec![Arc::clone(&first[0].id)], &vec![Arc::from("echo")]));
    // An app that saved nothing: what the node knows of the channel.
    let patient = of("waits");
    assert!(patient.adopted && patient.former_ids.is_empty());
    assert!(patient.started_at <= first[1].started_ms && patient.answered_at >= first[1].answered_ms);
}

#[tokio::test]
async fn every_app_of_a_call_is_listed() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "810");
    world.call(&channel, |call| call.app == Some("echo")).await;
    nodes[0].far_end_hangs_up(&channel);
    let record = only_record(&world).await;
    assert_eq!((&*record.extension, record.app.as_deref()), ("810", Some("echo")));
    assert_eq!(record.apps, [Arc::from("playback"), Arc::from("echo")]);
    world.nothing_left(&nodes).await;
}

/// The one case in which there is no record: nobody saw the end.
#[tokio::test]
async fn a_call_that_ends_while_no_kamari_runs_has_none() {
    let nodes = [node().await];
    let before = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "700");
    within("an answer", nodes[0].answered(&channel)).await;
    let records = Arc::clone(&before.records);
    before.vanish().await;
    nodes[0].far_end_hangs_up(&channel);
    let after = World::over(&nodes).await;
    // A call that came later has its record, so that one of the first would have come.
    within("its end", nodes[0].gone(&call_in(&nodes[0], "900"))).await;
    after.one_record_each(1).await;
    assert!(records.lock().expect("whole").is_empty());
}

#[tokio::test]
async fn a_lost_socket_makes_no_second_record() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "patient");
    let call = world.call(&channel, |call| call.answered_ms.is_some()).await;
    nodes[0].lie(Lie::NotBooted);
    nodes[0].cut_sockets();
    until("it is let go", || world.runtime.live() == 0).await;
    nodes[0].mend();
    until("it is found again", || world.metrics.calls.adopted.get() == 1).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    let record = only_record(&world).await;
    assert_eq!((record.ended_by, record.adopted, record.answered_at), ("caller", true, call.answered_ms));
    assert_eq!((record.started_at, &record.former_ids), (call.started_ms, &vec![call.id]));
}

#[tokio::test]
async fn a_node_that_comes_back_without_its_calls_ends_them() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "patient");
    world.call(&channel, |call| call.answered_ms.is_some()).await;
    nodes[0].restart();
    let record = only_record(&world).await;
    assert_eq!((record.ended_by, record.cause, record.sip, record.media), ("gone", None, Some(200), None));
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_node_that_stays_away_ends_its_calls_and_one_that_returns_late_ends_none_twice() {
    let nodes = [node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "patient");
    world.call(&channel, |call| call.answered_ms.is_some()).await;
    nodes[0].cut();
    let record = only_record(&world).await;
    assert_eq!(record.ended_by, "node_lost");
    // It was only the link.
    nodes[0].mend();
    until("it is found again", || world.metrics.calls.adopted.get() == 1).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    within("another record", nodes[0].gone(&call_in(&nodes[0], "900"))).await;
    world.one_record_each(2).await;
}

#[tokio::test]
async fn a_node_that_is_removed_ends_its_calls_and_one_that_is_taken_over_does_not() {
    let nodes = [node().await, node().await];
    let world = World::over(&nodes).await;
    let (removed, taken) = (call_in(&nodes[0], "patient"), call_in(&nodes[1], "patient"));
    for channel in [&removed, &taken] {
        world.call(channel, |call| call.answered_ms.is_some()).await;
    }
    nodes[1].take_over("EVERYTHING");
    world.pool.remove(&kamari::pool::NodeName::new("n0").expect("a name")).await.expect("removed");
    let record = only_record(&world).await;
    assert_eq!((record.node.as_str(), record.ended_by), ("n0", "node_lost"));
    until("all are let go", || world.runtime.live() == 0).await;
    world.one_record_each(1).await;
}
