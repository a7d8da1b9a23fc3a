//! Calls that kamari places: a phone rings, is answered, and hears what serves it, or whom it is to talk with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::audio::mean_level_dbfs;
use crate::lab::{KamailioVersion, Phone, wait_until};
use crate::stage::{SOON, Stage};

/// A tone of a phone arrives at -12 dBFS.
const HEARD_DBFS: f64 = -25.0;
const ANN: f64 = 440.0;
const BOB: f64 = 620.0;

const TENANTS: &str = r#"
[[tenants]]
name = "example"
domains = ["example.test"]
[tenants.extensions]
"110" = { app = "echo" }
"301" = { app = "dial", to = "user301" }
"#;

#[track_caller]
fn hears(phone: &Phone, tone: f64) {
    wait_until(&format!("{tone} Hz to be heard"), SOON, || {
        mean_level_dbfs(&phone.listen(Duration::from_millis(500)), tone) > HEARD_DBFS
    });
}

#[test]
fn a_phone_is_rung_and_served_and_two_are_brought_together() {
    let stage = Stage::configured(2, KamailioVersion::V6_1, &[], |_| TENANTS.to_owned());
    let [mut ann, mut bob] = [(1, ANN), (2, BOB)].map(|(number, tone)| {
        let user = format!("user30{}", number - 1);
        stage.kamailio.add_user(&format!("{user}@example.test"), "secret-of-users");
        let mut phone = stage.lab.phone(number).user(&user, "example.test", "secret-of-users").tone(tone).start();
        phone.register().expect("registered");
        phone
    });
    let place = |extension: &str, ring_s: u64| {
        let ring_s = ring_s.to_string();
        let order = ["call", "--json", "place", "--tenant", "example", "--from", "4711", "--from-name", "Switchboard"];
        let order = [&order[..], &["--ring-s", &ring_s, "user300", extension]].concat();
        serde_json::from_str::<Value>(&stage.kamari.cli(&order).expect("placed")).expect("the call as JSON")
    };

    // She is rung in the name that was asked for, answers, and hears herself.
    let placed = place("110", 30);
    assert_eq!(
        (&placed["state"], &placed["placed"], &placed["caller"]),
        (&json!("ringing"), &json!(true), &json!("user300"))
    );
    assert_eq!(ann.wait_rung(), "Switchboard <sip:4711@example.test>", "who calls is shown");
    ann.answer();
    hears(&ann, ANN);
    ann.end_call();
    ann.wait_closed();

    // The second leg: once she answers, he is rung, and they talk; also under a kamari that was killed meanwhile.
    place("301", 30);
    ann.wait_rung();
    ann.answer();
    assert!(bob.wait_rung().contains("user300@"), "he sees her");
    bob.answer();
    hears(&ann, BOB);
    hears(&bob, ANN);
    stage.kamari.kill9();
    stage.kamari.restart();
    wait_until("the call to be found", SOON, || stage.calls() == 1);
    hears(&ann, BOB);
    bob.end_call();
    ann.wait_closed();
    bob.wait_closed();

    // She declines, then does not answer.
    place("110", 30);
    ann.wait_rung();
    ann.end_call();
    ann.wait_closed();
    place("110", 2);
    ann.wait_rung();
    ann.wait_closed();
    stage.assert_nothing_left();

    wait_until("every call to have a record", SOON, || stage.records().len() >= 4);
    let records = stage.records();
    let said: Vec<_> = records.iter().map(|record| (record["sip"].clone(), record["apps"].clone())).collect();
    assert_eq!(
        said,
        [
            (json!(200), json!(["echo"])),
            (json!(200), json!(["dial"])),
            (json!(486), json!([])),
            (json!(487), json!([])),
        ]
    );
    for record in &records {
        assert!(record["placed"] == true && record["call_id"].is_string() && record["caller"] == "user300", "{record}");
        assert_eq!(record["media"].is_object(), record["sip"] == 200, "{record}");
    }
}
