//! What it costs a call that an application answers it: set-up time from INVITE to 200 and the highest loss-free call rate of
//! kamari's `playback`, against the same node's own dialplan with `Answer()`.
//!
//! Real Kamailio, kamari and one real Asterisk node. Both kinds of call take the same way, kamari's lookup included, and end
//! on the same node: the number called is all that differs. The node's dialplan gets one extension more than it has, in the
//! lab's own copy of it. The two are loaded in turns.

mod climb;
#[path = "../tests/lab/mod.rs"]
mod lab;
mod rows;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use climb::Climb;
use lab::{KamailioVersion, Lab};
use rows::{Goal, Rows};

/// The numbers called: kamari's app, and the node's own dialplan.
const NUMBERS: [&str; 2] = ["100", "answered-here"];
/// Calls a second at which the set-up time is measured.
const QUIET: u32 = 10;
/// Turns of each; one more before them warms up.
const TURNS: usize = 3;
const STEP: Duration = Duration::from_secs(4);
const CLIMB: Climb = Climb { first: 150, last: 1_500, factors: &[1.4, 1.12, 1.04], tries: 3 };

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lab = Lab::start();
    let node = lab.node(1);
    let dialplan = lab.directory().join("node1/etc/extensions.conf");
    OpenOptions::new().append(true).open(dialplan)?.write_all(
        b"\n[from-kamailio](+)\nexten => answered-here,1,Answer()\n same => n,Wait(60)\n same => n,Hangup()\n",
    )?;
    node.cli("dialplan reload");
    let kamari = lab.kamari(&format!(
        "{}[[tenants]]\nname = \"example\"\ndomains = [\"example.test\"]\n[tenants.extensions]\n\"100\" = {{ app = \"playback\", prompts = [\"music\"] }}\n",
        node.toml(100_000)
    ));
    lab::wait_until("the node to take calls", Duration::from_mins(1), || {
        kamari.get_text("/metrics").contains("kamari_node_eligible{node=\"node1\"} 1")
    });
    lab.kamailio(KamailioVersion::V6_1, &["NODES=1"]);

    let mut rows = Rows::new("setup");
    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..=TURNS {
        for (rule, number) in NUMBERS.into_iter().enumerate() {
            let counts = lab.load(number, QUIET, STEP);
            if turn == 0 {
                continue;
            }
            if counts.good < counts.placed * 9 / 10 {
                return Err(format!("calls to {number} failed: {} of {} good", counts.good, counts.placed).into());
            }
            times[rule].extend(counts.setup_ms);
        }
    }
    let [playback, answer] = times.map(median);
    rows.add("set-up time (median), playback against the node's Answer()", playback / answer, "x", Goal::AtMost(2.0));
    rows.add("set-up time (median) of playback", playback, "ms", Goal::None);
    rows.add("set-up time (median) of the node's Answer()", answer, "ms", Goal::None);

    let [playback, answer] = CLIMB.highest(|rule, rate| {
        let counts = lab.load(NUMBERS[rule], rate, STEP);
        if !counts.is_loss_free() {
            // Calls whose caller gave up are still there.
            node.cli("channel request hangup all");
            lab::wait_until("the node to be empty", Duration::from_mins(1), || node.channels() == 0);
        }
        counts
    })?;
    let name = "highest loss-free call rate, playback against the node's Answer()";
    rows.add(name, playback / answer, "x", Goal::AtLeast(0.8));
    rows.add("highest loss-free call rate of playback", playback, "/s", Goal::None);
    rows.add("highest loss-free call rate of the node's Answer()", answer, "/s", Goal::None);
    rows.write()?;
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
