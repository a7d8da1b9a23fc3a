use std::collections::HashSet;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use super::{Audio, LEAST, LONGEST, MEMORY, Panel, SEATS};
use crate::ari::model::{Channel, RtpStatistics};
use crate::pool::calls::Calls;

/// The node's counts after `seconds` of a call at 50 packets a second, `loss` of them lost on the way in.
fn statistics(seconds: u64, loss: f64, jitter_s: f64) -> RtpStatistics {
    let packets = 50.0 * seconds as f64;
    serde_json::from_value(serde_json::json!({
        "txcount": packets as i64, "rxcount": (packets * (1.0 - loss)) as i64, "rxploss": (packets * loss) as i64,
        "txploss": 0, "txjitter": jitter_s, "channel_uniqueid": "x", "local_ssrc": 1, "remote_ssrc": 2,
        "txoctetcount": 0, "rxoctetcount": 0,
    }))
    .unwrap()
}

fn calls(ids: &[&str]) -> Calls {
    let mut calls = Calls::default();
    for id in ids {
        let channel: Channel = serde_json::from_value(serde_json::json!({
            "id": id, "name": "PJSIP/kamailio-0", "state": "Up", "caller": {"name": "", "number": ""},
            "connected": {"name": "", "number": ""}, "accountcode": "", "creationtime": "2026-11-22T20:00:00.000+0000",
            "dialplan": {"context": "a", "exten": "1", "priority": 1, "app_name": "", "app_data": ""}, "language": "en",
        }))
        .unwrap();
        calls.enter(&channel);
    }
    calls
}

/// A round a second for `seconds`; `of` says what the node tells of a channel after so many seconds.
fn listen(panel: &mut Panel, calls: &Calls, seconds: u64, of: impl Fn(&str, u64) -> Option<RtpStatistics>) -> Instant {
    let began = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    let mut now = began;
    for second in 0..seconds {
        now = began + Duration::from_secs(second);
        if let Some(channel) = panel.next(calls, now, &mut rng) {
            panel.heard(&channel, of(&channel, second).as_ref(), now);
        }
    }
    now
}

#[test]
fn a_node_that_loses_packets_of_all_calls_is_seen_and_one_bad_caller_is_not() {
    let calls = calls(&["1.1", "1.2", "1.3", "1.4"]);
    let mut panel = Panel::default();
    let now = listen(&mut panel, &calls, 25, |_, second| Some(statistics(second, 0.1, 0.03)));
    let Audio { loss, jitter_ms } = panel.audio(now).unwrap();
    assert!((loss - 0.1).abs() < 0.01 && (jitter_ms - 30.0).abs() < 0.1, "{loss} {jitter_ms}");
    let mut panel = Panel::default();
    let bad = |channel: &str| if channel == "1.3" { 0.9 } else { 0.0 };
    let now = listen(&mut panel, &calls, 25, |channel, second| Some(statistics(second, bad(channel), 0.001)));
    assert!(panel.audio(now).unwrap().loss < 1e-6);
}

#[test]
fn two_calls_are_no_quorum_and_old_words_are_forgotten() {
    let mut panel = Panel::default();
    let now = listen(&mut panel, &calls(&["1.1", "1.2"]), 40, |_, second| Some(statistics(second, 0.5, 0.0)));
    assert_eq!(panel.audio(now), None);
    let mut panel = Panel::default();
    let now = listen(&mut panel, &calls(&["1.1", "1.2", "1.3"]), 40, |_, second| Some(statistics(second, 0.5, 0.0)));
    assert!(panel.audio(now).is_some());
    assert_eq!(panel.audio(now + MEMORY + LEAST), None);
}

#[test]
fn calls_without_audio_or_without_statistics_say_nothing_and_give_their_seat_up() {
    let calls = calls(&["1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"]);
    let mut panel = Panel::default();
    let silent = |channel: &str| channel < "1.6";
    let now = listen(&mut panel, &calls, 4 * LONGEST.as_secs(), |channel, second| {
        (!silent(channel)).then(|| statistics(second, 0.0, 0.0))
    });
    assert_eq!(panel.audio(now), None, "two calls alone speak");
    assert!(panel.said.len() == 2 && panel.seats.len() <= SEATS, "{panel:?}");
    let mut panel = Panel::default();
    let now = listen(&mut panel, &calls, 4 * LONGEST.as_secs(), |_, _| Some(statistics(3, 0.0, 0.0)));
    assert_eq!(panel.audio(now), None, "counts that stand still");
}

#[test]
fn every_call_gets_its_turn() {
    let names: Vec<String> = (0..30).map(|n| format!("1.{n}")).collect();
    let calls = calls(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut panel, asked) = (Panel::default(), std::cell::RefCell::new(HashSet::new()));
    listen(&mut panel, &calls, 3_600, |channel, second| {
        asked.borrow_mut().insert(channel.to_owned());
        Some(statistics(second, 0.0, 0.0))
    });
    assert_eq!(asked.borrow().len(), 30);
}

#[test]
fn nonsense_of_the_node_stays_within_bounds() {
    let calls = calls(&["1.1", "1.2", "1.3"]);
    let mut panel = Panel::default();
    let now = listen(&mut panel, &calls, 60, |_, second| {
        let mut lie = statistics(second, 0.0, f64::MAX);
        lie.rxploss = if second < 10 { i64::MIN } else { i64::MAX };
        lie.txploss = if second < 10 { i64::MAX } else { i64::MIN };
        Some(lie)
    });
    let Audio { loss, jitter_ms } = panel.audio(now).unwrap();
    assert!((0.0..=1.0).contains(&loss) && (0.0..=10_000.0).contains(&jitter_ms));
}
