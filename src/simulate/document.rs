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

/// What is made for the documentation.
#[derive(Debug)]
pub struct Documents {
    /// Files that are written whole.
    pub pages: Vec<Page>,
    /// The part of `selection.md` that is made: every rule in every situation at a glance, with the plots.
    pub summary: String,
}

/// Makes everything, with `calls` calls a run and `seeds` runs. `progress` hears what runs and the share done of it.
pub fn document(calls: u64, seeds: u64, progress: &mut dyn FnMut(&str, f64)) -> Result<Documents, Invalid> {
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
         how the rules are modelled: [selection.md](selection.md), which has the plots. Seeds from {FIRST_SEED} on; five tries per call.\n"
    );
    let (mut pages, mut plots) = (Vec::new(), vec![("Blocking at the first try against load", "blocking".to_owned())]);
    let mut summary = String::new();
    for load in LOADS {
        let mut all = Vec::new();
        for &scenario in Scenario::value_variants() {
            let rows = compare(&ask(scenario, load)?, progress);
            page.push_str(&table(scenario, load, &rows));
            if scenario == Scenario::Steady && (load - LOADS[0]).abs() < f64::EPSILON {
                for row in rows.iter().filter(|row| DRAWN.iter().any(|policy| policy.name() == row.policy)) {
                    let name = format!("utilisation-{}", row.policy);
                    pages.push((format!("plots/{name}.svg"), utilisation_chart(row)));
                    plots.push(("Utilisation of each node", name));
                }
            }
            if scenario == Scenario::HiddenCapacity && (load - LOADS[0]).abs() < f64::EPSILON {
                let bar = |(i, row): (usize, &Row)| (row.policy.clone(), svg::colour(i), row.attempts_per_call);
                let bars: Vec<_> = rows.iter().enumerate().map(bar).collect();
                pages.push(("plots/tries.svg".to_owned(), svg::bars("Tries per call", &bars)));
                plots.push(("Tries per call with a node of half its size", "tries".to_owned()));
            }
            all.push(rows);
        }
        summary.push_str(&overview("% blocked at the first try", load, &all, |row| row.first_try_blocking));
        summary.push_str(&overview("% lost in the end", load, &all, |row| row.lost_share));
    }
    for (title, name) in plots {
        let _ = write!(summary, "\n![{title}: {name}](plots/{name}.svg)\n");
    }
    let swept = Question { calls: calls / 2, seeds: 1, ..ask(Scenario::Steady, LOADS[0])? };
    pages.push(("plots/blocking.svg".to_owned(), blocking_chart(&sweep(&swept, &SWEEP, progress))));
    pages.push(("selection-results.md".to_owned(), page));
    Ok(Documents { pages, summary })
}

/// One figure of every rule in every situation. Its rows are situations, so that rules stand side by side.
fn overview(what: &str, load: f64, situations: &[Vec<Row>], figure: fn(&Row) -> f64) -> String {
    let rules = situations.first().into_iter().flatten().map(|row| row.policy.as_str());
    let head = rules.collect::<Vec<_>>().join(" | ");
    let columns = situations.first().map_or(0, Vec::len);
    let mut text = format!(
        "\n{what}, at {:.0}% load:\n\n| situation | {head} |\n|---|{}\n",
        load * 100.0,
        "---:|".repeat(columns)
    );
    for rows in situations {
        let name = rows.first().map_or("", |row| row.scenario.as_str());
        let cells: Vec<_> = rows.iter().map(|row| format!("{:.3}", figure(row) * 100.0)).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
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
