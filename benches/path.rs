//! What kamari costs in the whole path of a call: Kamailio's CPU per call, and the highest rate at which no call is lost, with
//! kamari's lookup against the same Kamailio files by dispatcher round robin alone.
//!
//! Real Kamailio 6.1, SIPp as caller, and SIPp in the place of the media nodes, so that Kamailio and the lookup are what is
//! measured. kamari knows the nodes through fake ARI servers of this process. Two labs stand side by side, one for each
//! rule, and are loaded in turns (A, B, A, B, ...), so that what else the machine does falls on both.
//!
//! A step is loss-free when every call was answered and ended, and the caller had to send next to nothing twice. SIPp, Kamailio
//! and kamari share the machine's cores: the highest rate is that of all of them together.

mod climb;
#[path = "../tests/support/fake_node/mod.rs"]
mod fake_node;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod rows;

use std::fmt::Write as _;
use std::time::Duration;

use climb::Climb;
use fake_node::{FakeNode, PASSWORD, USERNAME};
use lab::{KamailioVersion, Lab};
use rows::{Goal, Rows};

/// Nodes that answer.
const NODES: u8 = 4;
/// Calls a second at which CPU is compared: well below what two cores carry.
const COMPARED: u32 = 500;
/// Turns of each rule at that rate; one more before them warms up.
const TURNS: usize = 4;
/// How long one step takes.
const STEP: Duration = Duration::from_secs(4);
/// The rates that are searched.
const CLIMB: Climb = Climb { first: 500, last: 6_000, factors: &[1.3, 1.12, 1.04], tries: 2 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let fakes: Vec<FakeNode> = (0..NODES).map(|_| runtime.block_on(FakeNode::start())).collect();
    let [with_kamari, dispatcher] = [Lab::start(), Lab::start()];
    for lab in [&with_kamari, &dispatcher] {
        (1..=NODES).for_each(|n| lab.answerer(n));
    }
    let kamari = with_kamari.kamari(&config(&with_kamari, &fakes));
    lab::wait_until("kamari to have its nodes", Duration::from_mins(1), || {
        kamari.get_text("/metrics").matches("kamari_node_eligible{").count() == usize::from(NODES)
            && !kamari.get_text("/metrics").contains("kamari_node_eligible{node=\"n1\"} 0")
    });
    with_kamari.kamailio(KamailioVersion::V6_1, &["NODES=1,2,3,4"]);
    dispatcher.kamailio(KamailioVersion::V6_1, &["NODES=1,2,3,4", "WITH_DISPATCHER_ALONE"]);

    let mut rows = Rows::new("path");
    let rules = [&with_kamari, &dispatcher];
    let (mut spent, mut calls) = ([Duration::ZERO; 2], [0_u32; 2]);
    for turn in 0..=TURNS {
        for (rule, lab) in rules.into_iter().enumerate() {
            let counts = lab.load("600", COMPARED, STEP);
            if counts.good < counts.placed * 9 / 10 {
                return Err(format!("at {COMPARED} calls a second: {counts:?}").into());
            }
            if turn > 0 {
                spent[rule] += counts.kamailio;
                calls[rule] += counts.placed;
            }
        }
    }
    let [kamari_us, dispatcher_us] = [0, 1].map(|rule| spent[rule].as_secs_f64() * 1e6 / f64::from(calls[rule]));
    rows.add(
        &format!("Kamailio's CPU per call at {COMPARED}/s, kamari against dispatcher alone"),
        kamari_us / dispatcher_us,
        "x",
        Goal::AtMost(1.25),
    );
    rows.add("Kamailio's CPU per call with kamari", kamari_us, "us", Goal::None);
    rows.add("Kamailio's CPU per call with dispatcher alone", dispatcher_us, "us", Goal::None);
    let asked = lookups(&kamari.get_text("/metrics"));
    if asked < f64::from(calls[0]) {
        return Err(format!("kamari was asked {asked} times for {} calls: the breaker was open", calls[0]).into());
    }

    let [kamari_rate, dispatcher_rate] = CLIMB.highest(|rule, rate| rules[rule].load("600", rate, STEP))?;
    rows.add(
        "highest loss-free call rate, kamari against dispatcher alone",
        kamari_rate / dispatcher_rate,
        "x",
        Goal::AtLeast(0.9),
    );
    rows.add("highest loss-free call rate with kamari", kamari_rate, "/s", Goal::None);
    rows.add("highest loss-free call rate with dispatcher alone", dispatcher_rate, "/s", Goal::None);
    rows.write()?;
    Ok(())
}

fn config(lab: &Lab, fakes: &[FakeNode]) -> String {
    let mut text = format!("[pool]\nusername = \"{USERNAME}\"\npassword = \"{PASSWORD}\"\ndefault_capacity = 100000\n");
    for (n, fake) in (1..).zip(fakes) {
        let sip = lab.node_address(n);
        let _ = writeln!(text, "[[nodes]]\nname = \"n{n}\"\nari = \"{}\"\nsip = \"sip:{sip}:5060\"", fake.url());
    }
    text
}

/// How many questions kamari has answered with a route.
fn lookups(metrics: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix("kamari_lookups_total{result=\"routed\"} "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0.0)
}
