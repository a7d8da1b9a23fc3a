//! Two agents and five callers: who came first is served first, and those who wait are told how things stand, also when
//! kamari was killed meanwhile.

use crate::lab::audio::level_dbfs;
use crate::lab::{Phone, wait_until};
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS.
const HEARD_DBFS: f64 = -25.0;
const A_MOMENT: Duration = Duration::from_millis(500);

#[test]
fn five_callers_are_served_in_order_by_two_agents() {
    let stage = Stage::of(1);
    let [mut bob, mut eve] = [(1, "user301", 620.0), (2, "user302", 880.0)].map(|(number, user, tone)| {
        stage.kamailio.add_user(&format!("{user}@example.test"), "secret-of-users");
        let mut phone = stage.lab.phone(number).user(user, "example.test", "secret-of-users").tone(tone).start();
        phone.register().expect("registered");
        phone
    });
    let callers: Vec<Phone> = (3..=7)
        .map(|number| {
            let phone = stage.lab.phone(number).tone(440.0).call("130");
            wait_until("the caller to be in", SOON, || stage.calls() == usize::from(number) - 2);
            phone
        })
        .collect();
    assert!(bob.wait_rung().contains("phone3@"), "the first caller is offered to an agent");
    assert!(eve.wait_rung().contains("phone4@"), "the second one to the other");
    bob.answer();
    eve.answer();
    hears(&callers[0], 620.0);
    hears(&callers[1], 880.0);
    wait_until("three to wait", SOON, || queue(&stage)["waiting"] == 3);
    assert_eq!(agents(&stage), ["talking", "talking"]);
    // Place and expected wait of each: 60 s for a call, two agents.
    for (caller, place, minutes) in [("phone5", 1, 1), ("phone6", 2, 1), ("phone7", 3, 2)] {
        wait_until("the announcement", SOON, || told(&stage, caller).last() == Some(&(place, minutes)));
    }

    stage.kamari.kill9();
    stage.kamari.restart();
    wait_until("all to be found again", SOON, || stage.calls() == 5 && queue(&stage)["waiting"] == 3);
    assert_eq!(agents(&stage), ["talking", "talking"]);

    bob.end_call();
    assert!(bob.wait_rung().contains("phone5@"), "who waits for longest is next");
    bob.answer();
    hears(&callers[2], 620.0);
    wait_until("the others to move up", SOON, || told(&stage, "phone7").last() == Some(&(2, 1)));
    eve.end_call();
    assert!(eve.wait_rung().contains("phone6@"), "in the order in which they came");
    eve.answer();
    bob.end_call();
    assert!(bob.wait_rung().contains("phone7@"), "down to the last one");
    bob.answer();
    hears(&callers[4], 620.0);
    bob.end_call();
    eve.end_call();
    stage.assert_nothing_left();
    assert!(stage.metric("kamari_queue_callers") < 1.0, "nobody waits");
}

fn queue(stage: &Stage) -> serde_json::Value {
    stage.kamari.get("/v1/queues/example/desk")
}

fn agents(stage: &Stage) -> Vec<String> {
    let queue = queue(stage);
    let agents = queue["agents"].as_array().expect("a list of agents").iter();
    agents.map(|agent| agent["state"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The places and minutes that a caller was told, in order.
fn told(stage: &Stage, caller: &str) -> Vec<(u32, u32)> {
    let calls = stage.kamari.get("/v1/calls");
    let call = calls.as_array().expect("calls").iter().find(|call| call["caller"] == caller).cloned();
    let Some(id) = call.as_ref().and_then(|call| call["id"].as_str()) else { return Vec::new() };
    let call = stage.kamari.get(&format!("/v1/calls/{id}"));
    let numbers = |step: &serde_json::Value| -> Option<(u32, u32)> {
        let media = step["media"].as_array()?.iter().filter_map(serde_json::Value::as_str);
        let mut said = media.filter_map(|uri| uri.strip_prefix("number:")?.parse().ok());
        Some((said.next()?, said.next()?))
    };
    call["steps"].as_array().expect("steps").iter().filter_map(numbers).collect()
}

#[track_caller]
fn hears(phone: &Phone, tone: f64) {
    wait_until(&format!("{tone} Hz to be heard"), SOON, || level_dbfs(&phone.listen(A_MOMENT), tone) > HEARD_DBFS);
}
