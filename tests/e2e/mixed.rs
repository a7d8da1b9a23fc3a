//! A thousand calls to all apps, hung up at random moments: nothing is left, and each call has its record.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::lab::{DOMAIN, KamailioVersion, Lab, wait_until};
use crate::stage::{SOON, Stage};

/// Calls in each run of SIPp, and how many of them begin each second: 40 runs, 30 calls a second.
const COUNT: u32 = 25;
const RATE: f64 = 0.75;
const RUNS: usize = 40;

/// Who calls a number.
#[derive(Clone, Copy)]
enum Caller {
    /// Presses these keys, and hangs up at a random moment up to so many milliseconds after the answer.
    Hurried(&'static str, u64),
    /// Stays until the app is done, or was refused.
    Patient,
}
use Caller::{Hurried, Patient};

/// What is dialled, by whom. Each is taken in turn until there are [`RUNS`].
const KINDS: [(&str, Caller); 20] = [
    ("100", Patient),                 // playback
    ("101", Hurried("", 2_000)),      // playback
    ("102", Hurried("", 1_000)),      // music
    ("110", Hurried("", 2_000)),      // echo
    ("200", Hurried("", 500)),        // conference
    ("201", Hurried("", 4_000)),      // conference, the others of the room on any node
    ("202", Hurried("*1", 3_000)),    // conference, with a key
    ("603", Patient),                 // reject
    ("999", Patient),                 // there is no such number
    ("120", Hurried("92", 5_000)),    // ivr: a wrong key, then on to the echo
    ("120", Hurried("1", 2_000)),     // ivr: another menu
    ("bob", Hurried("", 2_000)),      // dial: a phone that answers
    ("both", Hurried("", 2_000)),     // dial: two that ring, one of which answers first
    ("carol", Hurried("", 2_000)),    // dial: busy, then music
    ("absent", Patient),              // dial: nobody is there
    ("130", Hurried("", 4_000)),      // queue, with more callers than agents
    ("131", Patient),                 // queue_agent
    ("*200", Hurried("", 4_000)),     // voicemail
    ("140", Hurried("#", 3_000)),     // record
    ("97", Hurried("4711#1", 4_000)), // mailbox
];

fn settings(lab: &Lab) -> String {
    format!(
        r#"
[media]
recordings = "{}"
piece_s = 2

[[tenants]]
name = "Zimbelstern"
domains = ["example.test"]
[tenants.extensions]
"100" = {{ app = "playback", prompts = ["hello"] }}
"101" = {{ app = "playback", prompts = ["music"] }}
"102" = {{ app = "music" }}
"110" = {{ app = "echo" }}
"_20X" = {{ app = "conference" }}
"603" = {{ app = "reject", sip = 603 }}
"bob" = {{ app = "dial", to = "bob", timeout_s = 20 }}
"both" = {{ app = "dial", to = ["bob", "dave"], timeout_s = 20 }}
"carol" = {{ app = "dial", to = "carol", timeout_s = 20, busy_then = "102" }}
"absent" = {{ app = "dial", to = "absent", timeout_s = 20 }}
"131" = {{ app = "queue_agent", queue = "desk", duty = "login" }}
"_*2XX" = {{ app = "voicemail", strip = 1, greeting = "beep", review = "beep", least_s = 0 }}
"140" = {{ app = "record", least_s = 0, then = "100" }}
"97" = {{ app = "mailbox", mailbox = "200", pins = {{ "200" = "4711" }}, ask_pin = "beep", wrong = "beep", menu = "beep", empty = "beep", goodbye = [] }}

[tenants.extensions.120]
app = "ivr"
menus.main = {{ prompts = "music", digits = {{ 1 = {{ menu = "second" }}, 2 = {{ extension = "110" }} }} }}
menus.second = {{ prompts = "hello", first_digit_timeout_s = 1, digits = {{ 2 = {{ extension = "110" }} }} }}

[tenants.extensions.130]
app = "queue"
queue = "desk"
agents = ["bob", "dave"]
members = ["caller"]
strategy = "longest_idle"
wrap_up_s = 0
retry_s = 1
max_length = 3
announce_every_s = 1
overflow_then = "102"
"#,
        lab.directory().join("kamari/recordings").display()
    )
}

/// Registers users at one address, where SIPp answers or refuses whatever comes.
fn phones(stage: &Stage, users: &[&str], answer: bool) {
    let phones = stage.lab.calls("phones");
    for user in users {
        stage.kamailio.add_user(&format!("{user}@{DOMAIN}"), "secret-of-users");
        let caller = stage.lab.calls(user).caller(user, DOMAIN, "secret-of-users");
        assert_eq!(caller.from(phones.address()).registering().run().all_as_planned, Some(true), "{user} registers");
    }
    // They end with the lab: nobody knows how many calls will come.
    let phones = phones.count(100_000);
    drop(if answer { phones.answering() } else { phones.refusing() }.start());
}

#[test]
fn a_thousand_mixed_calls_leave_nothing_and_have_one_record_each() {
    let stage = Stage::configured(3, KamailioVersion::V6_1, &[], settings);
    phones(&stage, &["bob", "dave"], true);
    phones(&stage, &["carol"], false);
    let seed = rand::rng().random();
    println!("random moments of the seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let running: Vec<_> = KINDS
        .iter()
        .cycle()
        .take(RUNS)
        .map(|(user, caller)| {
            let calls = stage.lab.calls(user).count(COUNT).rate(RATE);
            let calls = match caller {
                Hurried(keys, most) => {
                    // Keys take a while to be pressed.
                    let least = if keys.is_empty() { 1 } else { most / 2 };
                    let calls = calls.hold(Duration::from_millis(rng.random_range(least..*most)));
                    if keys.is_empty() { calls } else { calls.keys(keys) }
                }
                Patient => calls.until_hung_up(),
            };
            (user, calls.start())
        })
        .collect();
    let mut placed: BTreeMap<String, u16> = BTreeMap::new();
    for (user, running) in running {
        let report = running.wait();
        assert_eq!(report.calls.len(), COUNT as usize, "{user}: {}", report.errors);
        placed.extend(report.calls.into_iter().map(|call| (call.call_id, call.code.unwrap_or(0))));
    }
    assert_eq!(placed.len(), RUNS * COUNT as usize, "every call has a Call-ID of its own");
    stage.assert_nothing_left();
    for node in &stage.nodes {
        let found = stage.files_with(node, b"Zimbelstern");
        assert!(found.is_empty(), "{} knows a tenant: {found:?}", node.name());
    }
    wait_until("every call to have a record", SOON, || stage.records().len() >= placed.len());

    let mut recorded: BTreeMap<String, u16> = BTreeMap::new();
    let mut apps: BTreeMap<String, u32> = BTreeMap::new();
    for record in stage.records() {
        let call_id = record["call_id"].as_str().expect("a Call-ID").to_owned();
        let sip = record["sip"].as_u64().expect("a final response") as u16;
        // What an answered call was like is known from the node itself, whoever hung up.
        assert_eq!(record["media"].is_object(), sip == 200, "{record}");
        assert!(record["reason"].is_null(), "an app failed: {record}");
        assert!(recorded.insert(call_id, sip).is_none(), "two records: {record}");
        for app in record["apps"].as_array().expect("apps") {
            *apps.entry(app.as_str().expect("a name").to_owned()).or_default() += 1;
        }
    }
    assert_eq!(recorded, placed, "a record for each call, with the response that its caller got");
    println!("calls by app: {apps:?}");
    let all = "conference dial echo ivr mailbox music playback queue queue_agent record reject voicemail";
    assert_eq!(apps.keys().map(String::as_str).collect::<Vec<_>>().join(" "), all, "every app had calls");
    // Keys were heard: the menu led on to the echo.
    let handed_on =
        stage.records().iter().filter(|record| record["apps"] == serde_json::json!(["ivr", "echo"])).count();
    assert!(handed_on > 0, "no menu was walked through");
}
