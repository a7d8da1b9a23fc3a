//! What it costs a call that an application answers it: `playback` by kamari against the same node's own dialplan with
//! `Answer()`, by the time from INVITE to 200 and by the highest call rate at which none is lost.
//!
//! Of the release build: what a build for debugging costs says nothing. Only ratios of what was measured side by side are
//! compared, so that a slow or busy machine changes both of their sides; `cargo bench --bench setup` shows the figures.

#[path = "../benches/climb/mod.rs"]
mod climb;
mod lab;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use climb::Climb;
use lab::{Counts, KamailioVersion, Kamari, Lab, Node, wait_until};

/// The numbers called: kamari's app, and the node's own dialplan.
const PLAYBACK: &str = "100";
const ANSWER: &str = "answered-here";
const DIALPLAN: &[u8] =
    b"\n[from-kamailio](+)\nexten => answered-here,1,Answer()\n same => n,Wait(60)\n same => n,Hangup()\n";
/// How long one step of calls takes.
const STEP: Duration = Duration::from_secs(3);
/// Calls a second at which times are compared, and how often; the first turn warms up.
const QUIET: u32 = 10;
const TURNS: usize = 4;
/// Where the highest rate of the node's own dialplan is searched. By moderate steps: an overload is over only when its last caller
/// has given up, after a minute. Each is tried once, as playback is.
const CLIMB: Climb = Climb { first: 100, last: 3_000, factors: &[1.25, 1.08], tries: 1 };
/// How often the rates are compared until kamari's is high enough: what else the machine does meanwhile may be in one side of a
/// comparison alone.
const COMPARISONS: usize = 3;

#[test]
#[cfg_attr(debug_assertions, ignore = "of the release build: cargo test --release --test setup")]
fn an_application_answers_in_at_most_twice_the_time_of_the_node_itself_and_at_four_fifths_of_its_rate() {
    let lab = Lab::start();
    let node = lab.node(1);
    let _kamari = begin(&lab, &node);

    // In turns, so that what else the machine does falls on both.
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..TURNS {
        for (times, number) in times.iter_mut().zip([PLAYBACK, ANSWER]) {
            let counts = lab.load(number, QUIET, STEP);
            assert_eq!(counts.good, counts.placed, "calls to {number} failed: {counts:?}");
            if turn > 0 {
                times.extend(counts.setup_ms);
            }
        }
    }
    let [playback, answer] = times.map(median);
    println!("set-up time (median): playback {playback} ms, the node's Answer() {answer} ms");
    assert!(playback <= 2.0 * answer, "playback takes {playback} ms, the node itself {answer} ms");

    let carried = (0..COMPARISONS).any(|_| {
        let searched = CLIMB.highest(|_, rate| step(&lab, &node, ANSWER, rate));
        let [answer] = match searched {
            Ok(rates) => rates,
            Err(error) => {
                println!("nothing to compare with: {error}");
                return false;
            }
        };
        let wanted = (0.8 * answer).ceil() as u32;
        let loss_free = step(&lab, &node, PLAYBACK, wanted).is_loss_free();
        println!("the node's Answer() carries {answer:.0}/s; playback at {wanted}/s: loss-free {loss_free}");
        loss_free
    });
    assert!(carried, "playback loses calls at four fifths of the rate that the node itself carries");
    lab.assert_nodes_empty();
}

/// Calls at this rate. If some were lost, their channels are taken away: they are no part of the next step.
fn step(lab: &Lab, node: &Node, number: &str, rate: u32) -> Counts {
    let counts = lab.load(number, rate, STEP);
    if !counts.is_loss_free() {
        node.cli("channel request hangup all");
        wait_until("the node to be empty", Duration::from_mins(1), || node.channels() == 0);
    }
    counts
}

/// Gives the node an extension of its own, and starts Kamailio, and kamari with its app.
fn begin(lab: &Lab, node: &Node) -> Kamari {
    let file = lab.directory().join("node1/etc/extensions.conf");
    let mut dialplan = OpenOptions::new().append(true).open(file).expect("the lab's own dialplan");
    dialplan.write_all(DIALPLAN).expect("written");
    node.cli("dialplan reload");
    let kamari = lab.kamari(&format!(
        "{}[[tenants]]\nname = \"example\"\ndomains = [\"example.test\"]\n[tenants.extensions]\n\"{PLAYBACK}\" = {{ app = \"playback\", prompts = [\"music\"] }}\n",
        node.toml(100_000)
    ));
    wait_until("the node to take calls", Duration::from_mins(1), || {
        kamari.get_text("/metrics").contains("kamari_node_eligible{node=\"node1\"} 1")
    });
    lab.kamailio(KamailioVersion::V6_1, &["NODES=1"]);
    kamari
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
