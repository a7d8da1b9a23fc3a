//! A queue at its limits, and an agent who comes and goes by phone.

use std::time::Duration;

use crate::lab::audio::mean_level_dbfs;
use crate::lab::{KamailioVersion, Phone, wait_until};
use crate::stage::{SOON, Stage};

/// A tone of a phone arrives at -12 dBFS.
const HEARD_DBFS: f64 = -25.0;
const BOB: f64 = 620.0;

const TENANTS: &str = r#"
[[tenants]]
name = "example"
domains = ["example.test"]
[tenants.extensions]
"110" = { app = "echo" }
"130" = { app = "queue", queue = "desk", members = ["user301"], max_length = 1, wrap_up_s = 3, overflow_then = "110" }
"131" = { app = "queue", queue = "brief", agents = ["absent"], max_wait_s = 2, overflow_then = "110" }
"*51" = { app = "queue_agent", queue = "desk", duty = "login", pin = "4711" }
"*52" = { app = "queue_agent", queue = "desk", duty = "logout" }
"*53" = { app = "queue_agent", queue = "desk", duty = "pause" }
"*54" = { app = "queue_agent", queue = "desk", duty = "unpause" }
"#;

/// Waits until the one agent of the desk does this.
#[track_caller]
fn agent_is(stage: &Stage, doing: &str) {
    let now = || stage.kamari.get("/v1/queues/example/desk")["agents"][0]["state"].clone();
    wait_until(&format!("the agent to be {doing}"), SOON, || now() == doing);
}

/// Waits until the call of this phone is served by this app.
#[track_caller]
fn is_served_by(stage: &Stage, caller: &str, app: &str) {
    wait_until(&format!("{caller} to be served by {app}"), SOON, || {
        let calls = stage.kamari.get("/v1/calls");
        calls.as_array().expect("calls").iter().any(|call| call["caller"] == caller && call["app"] == app)
    });
}

#[track_caller]
fn hears(phone: &Phone, tone: f64) {
    wait_until(&format!("{tone} Hz to be heard"), SOON, || {
        mean_level_dbfs(&phone.listen(Duration::from_millis(500)), tone) > HEARD_DBFS
    });
}

/// Bob calls a number that tells the queue something, and is hung up on.
#[track_caller]
fn tells(bob: &mut Phone, number: &str, keys: &str) {
    bob.call(number).expect("an answer");
    bob.dtmf(keys);
    bob.wait_closed();
}

#[test]
fn a_queue_overflows_and_its_agent_comes_and_goes_by_phone() {
    let stage = Stage::configured(2, KamailioVersion::V6_1, &[], |_| TENANTS.to_owned());
    stage.kamailio.add_user("user301@example.test", "secret-of-users");
    let mut bob = stage.lab.phone(1).user("user301", "example.test", "secret-of-users").tone(BOB).start();
    bob.register().expect("registered");

    // Nobody serves.
    let caller = stage.lab.phone(2).call("130");
    is_served_by(&stage, "phone2", "echo");
    caller.hang_up();

    // A wrong PIN, then the right one.
    tells(&mut bob, "*51", "1234");
    agent_is(&stage, "logged_out");
    tells(&mut bob, "*51", "4711");
    agent_is(&stage, "free");
    let first = stage.lab.phone(2).call("130");
    assert!(bob.wait_rung().contains("phone2@"), "he is rung");
    bob.answer();
    hears(&first, BOB);

    // One waits, and there is no room for another.
    let second = stage.lab.phone(3).call("130");
    wait_until("one to wait", SOON, || stage.kamari.get("/v1/queues/example/desk")["waiting"] == 1);
    let third = stage.lab.phone(4).call("130");
    is_served_by(&stage, "phone4", "echo");
    third.hang_up();

    // After the call he has his time; then he is rung for the one who waits.
    bob.end_call();
    agent_is(&stage, "wrap_up");
    assert!(bob.wait_rung().contains("phone3@"), "who waited is next");
    bob.answer();
    hears(&second, BOB);
    bob.end_call();
    bob.wait_closed();
    second.wait_hung_up(SOON);
    agent_is(&stage, "free");

    // A break, and its end.
    tells(&mut bob, "*53", "");
    agent_is(&stage, "paused");
    let caller = stage.lab.phone(3).call("130");
    is_served_by(&stage, "phone3", "echo");
    caller.hang_up();
    tells(&mut bob, "*54", "");
    agent_is(&stage, "free");
    tells(&mut bob, "*52", "");
    agent_is(&stage, "logged_out");

    // Nobody answers in time.
    let caller = stage.lab.phone(3).call("131");
    is_served_by(&stage, "phone3", "queue");
    is_served_by(&stage, "phone3", "echo");
    caller.hang_up();
    stage.assert_nothing_left();
    let lost = |outcome: &str| {
        let text = stage.kamari.get_text("/metrics");
        let counts = text.lines().filter(|line| line.starts_with("kamari_queue_calls_total"));
        let of = counts.filter(|line| line.contains(&format!("outcome=\"{outcome}\"")));
        of.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u32
    };
    assert_eq!((lost("empty"), lost("full"), lost("timeout"), lost("answered")), (2, 1, 1, 2));
}
