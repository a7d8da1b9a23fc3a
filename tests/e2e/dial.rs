//! Users call each other: by location, with hold, refusal and transfers, on whichever nodes their calls are.

use crate::lab::audio::level_dbfs;
use crate::lab::{Phone, wait_until};
use crate::stage::{SOON, Stage};
use std::collections::BTreeSet;
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS; one that is heard at all is far above this, silence and noise far below.
const HEARD_DBFS: f64 = -25.0;
const SILENT_DBFS: f64 = -50.0;
/// Long enough to measure a level, short enough to see soon that it has changed.
const A_MOMENT: Duration = Duration::from_millis(500);

const ANN: f64 = 440.0;
const BOB: f64 = 620.0;
const EVE: f64 = 880.0;
/// What a far end of SIPp plays before it refuses.
const ANNOUNCED: f64 = 1_000.0;

/// Registered phones of user300 (Ann), user301 (Bob) and user302 (Eve), each saying a tone of its own.
fn phones(stage: &Stage) -> [Phone; 3] {
    [(1, ANN), (2, BOB), (3, EVE)].map(|(number, tone)| {
        let user = format!("user30{}", number - 1);
        stage.kamailio.add_user(&format!("{user}@example.test"), "secret-of-users");
        let mut phone = stage.lab.phone(number).user(&user, "example.test", "secret-of-users").tone(tone).start();
        phone.register().expect("registered");
        phone
    })
}

#[track_caller]
fn hears(phone: &Phone, tone: f64) {
    wait_until(&format!("{tone} Hz to be heard"), SOON, || level_dbfs(&phone.listen(A_MOMENT), tone) > HEARD_DBFS);
}

#[track_caller]
fn no_longer_hears(phone: &Phone, tone: f64) {
    wait_until(&format!("{tone} Hz to fall silent"), SOON, || level_dbfs(&phone.listen(A_MOMENT), tone) < SILENT_DBFS);
}

/// Whether anything is heard at all.
fn hears_something(phone: &Phone) -> bool {
    let heard = phone.listen(A_MOMENT);
    let power = heard.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / heard.len() as f64;
    10.0 * (power / f64::from(i16::MAX).powi(2)).log10() > SILENT_DBFS
}

#[test]
fn two_users_talk_hold_and_hang_up() {
    let stage = Stage::of(2);
    let [mut ann, mut bob, mut eve] = phones(&stage);

    // Ring, answer, two-way audio; the one who is called sees who calls.
    ann.dial("301");
    assert_eq!(bob.wait_rung(), "sip:user300@example.test", "who calls is shown, and where to call him back");
    ann.wait_ringing();
    bob.answer();
    ann.wait_up();
    hears(&ann, BOB);
    hears(&bob, ANN);

    // The called one holds: the caller hears music, then him again.
    bob.hold();
    no_longer_hears(&ann, BOB);
    wait_until("music on hold", SOON, || hears_something(&ann));
    bob.resume();
    hears(&ann, BOB);
    hears(&bob, ANN);
    // The caller holds.
    ann.hold();
    no_longer_hears(&bob, ANN);
    wait_until("music on hold", SOON, || hears_something(&bob));
    ann.resume();
    hears(&bob, ANN);
    hears(&ann, BOB);

    // kamari is killed while they talk: they go on, and are hung up together afterwards.
    stage.kamari.kill9();
    hears(&ann, BOB);
    hears(&bob, ANN);
    stage.kamari.restart();
    wait_until("the call to be found", SOON, || stage.calls() == 1);
    hears(&ann, BOB);
    hears(&bob, ANN);
    // And once more, while one holds the other.
    ann.hold();
    no_longer_hears(&bob, ANN);
    wait_until("music on hold", SOON, || hears_something(&bob));
    stage.kamari.kill9();
    stage.kamari.restart();
    wait_until("the call to be found", SOON, || stage.calls() == 1);
    ann.resume();
    hears(&bob, ANN);
    hears(&ann, BOB);
    bob.end_call();
    ann.wait_closed();
    bob.wait_closed();
    stage.assert_nothing_left();

    // The caller hangs up.
    ann.dial("301");
    bob.wait_rung();
    bob.answer();
    ann.wait_up();
    hears(&bob, ANN);
    ann.end_call();
    bob.wait_closed();
    ann.wait_closed();

    // The caller cancels.
    ann.dial("301");
    bob.wait_rung();
    ann.wait_ringing();
    ann.end_call();
    bob.wait_closed();
    ann.wait_closed();
    stage.assert_nothing_left();

    // Busy: the caller hears the announcement of the number that comes next.
    ann.dial("301");
    bob.wait_rung();
    bob.end_call();
    ann.wait_up();
    wait_until("the announcement", SOON, || hears_something(&ann));
    ann.end_call();
    ann.wait_closed();
    bob.wait_closed();

    // Two ring; when one answers the other one stops.
    ann.dial("320");
    bob.wait_rung();
    eve.wait_rung();
    eve.answer();
    bob.wait_closed();
    ann.wait_up();
    hears(&ann, EVE);
    eve.end_call();
    ann.wait_closed();
    eve.wait_closed();

    // One after the other: nobody is registered as the first.
    ann.dial("321");
    assert_eq!(eve.wait_rung(), "Front desk <sip:user300@example.test>", "under the name that the number gives him");
    eve.answer();
    ann.wait_up();
    hears(&eve, ANN);
    ann.end_call();
    ann.wait_closed();
    eve.wait_closed();

    hears_what_is_played_before_an_answer(&stage, &mut ann);

    // A user whom nobody knows.
    let report = stage.lab.calls("309").caller("user300", "example.test", "secret-of-users").run();
    assert_eq!(report.codes().keys().copied().collect::<Vec<_>>(), [404], "{:?}", report.codes());
    stage.assert_nothing_left();
}

/// What the far end plays before any answer is heard, and the caller is not answered for that; when it then refuses, he goes
/// on as after ringing.
fn hears_what_is_played_before_an_answer(stage: &Stage, ann: &mut Phone) {
    stage.kamailio.add_user("user303@example.test", "secret-of-users");
    let zoe = || stage.lab.calls("user303").caller("user303", "example.test", "secret-of-users");
    let registers = zoe().registering();
    let announces = zoe().from(registers.address()).announcing(Duration::from_secs(6));
    assert_eq!(registers.run().all_as_planned, Some(true));
    let announces = announces.start();
    ann.dial("303");
    hears(ann, ANNOUNCED);
    assert_eq!(calls(stage)[0]["state"], "ringing");
    ann.wait_up();
    no_longer_hears(ann, ANNOUNCED);
    wait_until("the announcement of the next number", SOON, || hears_something(ann));
    ann.end_call();
    ann.wait_closed();
    announces.wait();
    stage.assert_nothing_left();
}

#[test]
fn phones_transfer_their_calls() {
    let stage = Stage::of(2);
    let [mut ann, mut bob, mut eve] = phones(&stage);

    // The called one transfers the caller.
    talk(&mut ann, &mut bob);
    bob.transfer("302");
    eve.wait_rung();
    bob.wait_closed();
    eve.answer();
    hears(&ann, EVE);
    hears(&eve, ANN);
    ann.end_call();
    ann.wait_closed();
    eve.wait_closed();
    stage.assert_nothing_left();

    // The caller transfers the called one.
    talk(&mut ann, &mut bob);
    ann.transfer("302");
    eve.wait_rung();
    ann.wait_closed();
    eve.answer();
    hears(&bob, EVE);
    hears(&eve, BOB);
    eve.end_call();
    bob.wait_closed();
    eve.wait_closed();
    stage.assert_nothing_left();
}

#[test]
fn a_phone_joins_its_two_calls_which_are_on_two_nodes() {
    let stage = Stage::of(2);
    let [mut ann, mut bob, mut eve] = phones(&stage);
    for the_caller_transfers in [false, true] {
        talk(&mut ann, &mut bob);
        let (phone, other, tone, user) = if the_caller_transfers {
            (&mut ann, &mut bob, BOB, "user300")
        } else {
            (&mut bob, &mut ann, ANN, "user301")
        };
        // The phone's second line: this baresip falls over when one has two calls.
        let mut second = stage.lab.phone(4).user(user, "example.test", "secret-of-users").start();
        phone.hold();
        no_longer_hears(other, if the_caller_transfers { ANN } else { BOB });
        // The second call comes to the other node.
        let first = node_of(&calls(&stage)[0]);
        stage.kamari.cli(&["node", "drain", &first]).expect("drained");
        second.dial("302");
        eve.wait_rung();
        eve.answer();
        let consulted = second.wait_up_as();
        stage.kamari.cli(&["node", "undrain", &first]).expect("undrained");
        let nodes: BTreeSet<_> = calls(&stage).iter().map(node_of).collect();
        assert_eq!(nodes.len(), 2, "{nodes:?}");
        phone.join("302", &consulted);
        hears(other, EVE);
        hears(&eve, tone);
        phone.wait_closed();
        second.wait_closed();
        if the_caller_transfers {
            // They outlive kamari too.
            stage.kamari.kill9();
            stage.kamari.restart();
            wait_until("both to be found", SOON, || stage.calls() == 2);
            hears(other, EVE);
            hears(&eve, tone);
        }
        eve.end_call();
        other.wait_closed();
        eve.wait_closed();
        stage.assert_nothing_left();
    }
}

fn calls(stage: &Stage) -> Vec<serde_json::Value> {
    stage.kamari.get("/v1/calls").as_array().expect("a list of calls").clone()
}

fn node_of(call: &serde_json::Value) -> String {
    call["node"].as_str().expect("a node").to_owned()
}

/// Ann calls Bob.
fn talk(ann: &mut Phone, bob: &mut Phone) {
    ann.dial("301");
    bob.wait_rung();
    bob.answer();
    ann.wait_up();
    hears(ann, BOB);
    hears(bob, ANN);
}
