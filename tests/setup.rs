//! What it costs a call that an application answers it: `playback` by kamari against the same node's own dialplan with
//! `Answer()`, by the time from INVITE to 200.
//!
//! Of the release build: what a build for debugging costs says nothing. Only the ratio of what was measured side by side is
//! compared, so that a slow or busy machine changes both of its sides. `cargo bench --bench setup` shows the figures, and compares
//! the highest call rates too.

mod lab;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use lab::{KamailioVersion, Kamari, Lab, Node, wait_until};

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

#[test]
#[cfg_attr(debug_assertions, ignore = "of the release build: cargo test --release --test setup")]
fn an_application_answers_in_at_most_twice_the_time_of_the_node_itself() {
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

    lab.assert_nodes_empty();
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
