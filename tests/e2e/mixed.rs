//! A thousand calls to all kinds of numbers, hung up at all moments: nothing is left, and each call has its record.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lab::wait_until;
use crate::stage::{SOON, Stage};

/// Calls of each kind, and how many of them begin each second.
const COUNT: u32 = 100;
const RATE: f64 = 3.0;

/// Dialled, and when the caller hangs up, in milliseconds after the answer; nothing: when the app is done, or at once.
const KINDS: [(&str, Option<u64>); 10] = [
    ("100", None),
    ("101", Some(50)),
    ("101", Some(900)),
    ("110", Some(200)),
    ("110", Some(1_700)),
    ("200", Some(10)),
    ("201", Some(1_200)),
    ("202", Some(3_100)),
    ("603", None),
    ("999", None),
];

#[test]
fn a_thousand_mixed_calls_leave_nothing_and_have_one_record_each() {
    let stage = Stage::of(3);
    let running: Vec<_> = KINDS
        .iter()
        .map(|(user, hold)| {
            let calls = stage.lab.calls(user).count(COUNT).rate(RATE);
            let calls = match hold {
                Some(hold) => calls.hold(Duration::from_millis(*hold)),
                None => calls.until_hung_up(),
            };
            calls.start()
        })
        .collect();
    let mut placed: BTreeMap<String, u16> = BTreeMap::new();
    for ((user, _), running) in KINDS.iter().zip(running) {
        let report = running.wait();
        assert_eq!(report.calls.len(), COUNT as usize, "{user}: {}", report.errors);
        placed.extend(report.calls.into_iter().map(|call| (call.call_id, call.code.unwrap_or(0))));
    }
    assert_eq!(placed.len(), KINDS.len() * COUNT as usize, "every call has a Call-ID of its own");
    stage.assert_nothing_left();
    wait_until("no task of a call to be left", SOON, || stage.metric("kamari_call_tasks") == 0.0);
    wait_until("every call to have a record", SOON, || stage.records().len() >= placed.len());

    let mut recorded: BTreeMap<String, u16> = BTreeMap::new();
    for record in stage.records() {
        let call_id = record["call_id"].as_str().expect("a Call-ID").to_owned();
        let sip = record["sip"].as_u64().expect("a final response") as u16;
        // What an answered call was like is known from the node itself, whoever hung up.
        assert_eq!(record["media"].is_object(), sip == 200, "{record}");
        assert!(recorded.insert(call_id, sip).is_none(), "two records: {record}");
    }
    assert_eq!(recorded, placed, "a record for each call, with the response that its caller got");
}
