//! The results page of the documentation and its plots: every rule in every situation, written by one command so that the
//! figures are always those of the code they stand beside.

use super::compare::{Question, Row, compare, sweep};
use super::html::{blocking_chart, utilisation_chart};
use super::rules::Policy;
use super::scenario::Scenario;
use super::svg;
use super::traffic::Holding;
use crate::balance::Settings;
use crate::invalid::Invalid;
use clap::ValueEnum;
use std::fmt::Write;

/// Loads of the tables, over capacity.
const LOADS: [f64; 2] = [0.9, 0.8];
/// Loads of the plot of blocking against load.
const SWEEP: [f64; 6] = [0.7, 0.8, 0.85, 0.9, 0.95, 1.0];
/// Rules whose utilisation is drawn node by node.
const DRAWN: [Policy; 4] = [Policy::Kamari, Policy::RoundRobin, Policy::LeastClients, Policy::LoadAverage];
/// The first seed: none that a constant was found with.
const FIRST_SEED: u64 = 9_001;

/// A file to write: its path below the documentation's folder, and what it holds.
pub type Page = (String, String);

/// Makes all pages, with `calls` calls a run and `seeds` runs. `progress` hears what runs and the share done of it.
pub fn document(calls: u64, seeds: u64, progress: &mut dyn FnMut(&str, f64)) -> Result<Vec<Page>, Invalid> {
    let ask = |scenario: Scenario, load: f64| -> Result<Question, Invalid> {
        Ok(Question {
            scenario,
            policies: Policy::value_variants().to_vec(),
            nodes: scenario.default_nodes().parse()?,
            load,
            hold: 180.0,
            holding: Holding::Exponential,
            calls,
            seeds,
            first_seed: FIRST_SEED,
            attempts: 5,
            settings: Settings::default(),
        })
    };
    let mut page = format!(
        "# Every rule in every situation\n\n\
         Written by `kamari simulate document --into docs --calls {calls} --seeds {seeds}`; do not edit. What the columns mean, and \
         how the rules are modelled: [selection.md](selection.md). Seeds from {FIRST_SEED} on; five tries per call.\n\n\
         ![Blocking at the first try against load](plots/blocking.svg)\n"
    );
    let mut pages = Vec::new();
    for load in LOADS {
        for &scenario in Scenario::value_variants() {
            let rows = compare(&ask(scenario, load)?, progress);
            page.push_str(&table(scenario, load, &rows));
            if scenario == Scenario::Steady && (load - LOADS[0]).abs() < f64::EPSILON {
                for row in rows.iter().filter(|row| DRAWN.iter().any(|policy| policy.name() == row.policy)) {
                    let _ = write!(page, "\n![Utilisation under {0}](plots/utilisation-{0}.svg)\n", row.policy);
                    pages.push((format!("plots/utilisation-{}.svg", row.policy), utilisation_chart(row)));
                }
            }
            if scenario == Scenario::HiddenCapacity && (load - LOADS[0]).abs() < f64::EPSILON {
                let bar = |(i, row): (usize, &Row)| (row.policy.clone(), svg::colour(i), row.attempts_per_call);
                let bars: Vec<_> = rows.iter().enumerate().map(bar).collect();
                page.push_str("\n![Tries per call with a node of half its size](plots/tries.svg)\n");
                pages.push(("plots/tries.svg".to_owned(), svg::bars("Tries per call", &bars)));
            }
        }
    }
    let swept = Question { calls: calls / 2, seeds: 1, ..ask(Scenario::Steady, LOADS[0])? };
    pages.push(("plots/blocking.svg".to_owned(), blocking_chart(&sweep(&swept, &SWEEP, progress))));
    pages.push(("selection-results.md".to_owned(), page));
    Ok(pages)
}

/// One situation's table, with the column that it is about.
fn table(scenario: Scenario, load: f64, rows: &[Row]) -> String {
    let name = scenario.name();
    let about = match scenario {
        Scenario::HiddenCapacity => "tries per call",
        Scenario::FastFailing | Scenario::Silent => "calls on the failing node, most in a fault",
        Scenario::SlowNode => "set-up p99, ms",
        Scenario::Join | Scenario::NodeRestart => "times its fair share",
        Scenario::BadMedia => "% of calls with bad audio",
        Scenario::TelemetryLoss | Scenario::Restart => "% blocked / lost while it lasts and 2 s after",
        _ => "max/mean",
    };
    let mut text = format!(
        "\n## `{name}` at {:.0}% load\n\n| rule | % blocked at first try | % lost | {about} |\n|---|---:|---:|---:|\n",
        load * 100.0
    );
    for row in rows {
        let figure = match scenario {
            Scenario::HiddenCapacity => format!("{:.4}", row.attempts_per_call),
            Scenario::FastFailing | Scenario::Silent => row.failing_tries.to_string(),
            Scenario::SlowNode => format!("{:.0}", row.setup_p99 * 1_000.0),
            Scenario::Join | Scenario::NodeRestart => format!("{:.2}", row.join_share),
            Scenario::BadMedia => format!("{:.3}", row.bad_media * 100.0),
            Scenario::TelemetryLoss | Scenario::Restart => {
                format!("{:.4} / {:.4}", row.fault_blocking * 100.0, row.fault_lost_share * 100.0)
            }
            _ => format!("{:.4}", row.max_over_mean),
        };
        let (blocked, lost) = (row.first_try_blocking * 100.0, row.lost_share * 100.0);
        let _ = writeln!(text, "| {} | {blocked:.4} | {lost:.4} | {figure} |", row.policy);
    }
    text
}
