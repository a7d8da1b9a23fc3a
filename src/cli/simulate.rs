//! `kamari simulate`: compares routing rules by simulation, and answers how many nodes a load needs.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand, ValueEnum};

use super::table;
use crate::invalid::Invalid;
use crate::simulate::{self, Holding, Nodes, Plan, Policy, Question, Row, Scenario, Settings};

/// Loads of the plot of blocking against load, over capacity.
const SWEEP: [f64; 9] = [0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1];

/// What stands around the made part of the documentation's page.
const BEGIN: &str = "<!-- made by simulation: make selection -->";
const END: &str = "<!-- end of what is made by simulation -->";

/// Compare routing rules before the same simulated calls, or plan the size of a pool.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Situations, separated by commas, or "all": steady, bursty, unequal, hidden-capacity, foreign-load, fast-failing, silent, poison, slow-node, join, restart, node-restart, telemetry-loss, bad-media, two-controllers
    #[arg(long, default_value = "steady")]
    scenario: String,
    /// Nodes as COUNTxCAPACITY groups: 10x100, or 2x50,2x200, or 9x100,1x100:50 where the last carries 50 of its 100; by default what shows the scenario best
    #[arg(long)]
    nodes: Option<Nodes>,
    /// Offered load over the real capacity of the pool
    #[arg(long, default_value_t = 0.9, allow_negative_numbers = true)]
    load: f64,
    /// Mean call time in seconds
    #[arg(long, default_value_t = 180.0, allow_negative_numbers = true)]
    hold: f64,
    /// Calls per run, the warm-up included
    #[arg(long, default_value_t = 200_000, value_parser = RangedU64ValueParser::<u64>::new().range(1_000..=1_000_000_000))]
    calls: u64,
    /// Runs per rule, each with calls of its own
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    seeds: u64,
    /// The first run's seed; the others follow
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u64>::new().range(0..=1_000_000_000))]
    first_seed: u64,
    /// Nodes that a call is tried on before it is lost; 1 for no second try
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<u64>::new().range(1..=5))]
    attempts: u64,
    /// Rules, separated by commas, or "all": kamari, round-robin, weighted-round-robin, random, call-load, call-load-4, latency, heartbeat, least-clients, load-average, stress-corrected, least-request, prequal, partitioned, erlang-b
    #[arg(long, default_value = "all")]
    policies: String,
    /// Lognormal call times with this sigma, instead of exponential ones
    #[arg(long, conflicts_with = "records", allow_negative_numbers = true)]
    lognormal: Option<f64>,
    /// Call times from a CSV of call records (column billsec or duration, or bare seconds), scaled to --hold
    #[arg(long)]
    records: Option<PathBuf>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    /// Write a self-contained HTML report with plots to this file
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How many nodes does a load need?
    Plan(PlanArgs),
    /// Write the documentation's results: every rule in every situation, with plots
    Document(DocumentArgs),
}

#[derive(Debug, Parser)]
struct DocumentArgs {
    /// The folder to write into: selection-results.md, plots/, and the made part of selection.md, which is there
    #[arg(long)]
    into: PathBuf,
    /// Calls per run, the warm-up included
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<u64>::new().range(2_000..=1_000_000_000))]
    calls: u64,
    /// Runs per rule, each with calls of its own
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000))]
    seeds: u64,
}

#[derive(Debug, Parser)]
struct PlanArgs {
    /// Offered load in Erlangs: calls a second times mean seconds a call lasts
    #[arg(long, allow_negative_numbers = true)]
    erlangs: f64,
    /// Share of calls that may be lost
    #[arg(long, default_value_t = 0.01, allow_negative_numbers = true)]
    loss: f64,
    /// Calls that one node carries
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    node_capacity: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Plan(args)) => return plan(&args),
        Some(Command::Document(args)) => return document(&args),
        None => {}
    }
    let scenarios: Vec<Scenario> = named("scenario", &args.scenario)?;
    let policies: Vec<Policy> = named("policies", &args.policies)?;
    let holding = holding(&args)?;
    within("load", args.load, 0.001, 10.0)?;
    within("hold", args.hold, 0.1, 1.0e6)?;
    let mut asked = Vec::new();
    for scenario in scenarios {
        let nodes = match &args.nodes {
            Some(nodes) => nodes.clone(),
            None => scenario.default_nodes().parse()?,
        };
        let (load, hold, calls, seeds) = (args.load, args.hold, args.calls, args.seeds);
        let (policies, holding, settings) = (policies.clone(), holding.clone(), Settings::default());
        let (first_seed, attempts) = (args.first_seed, args.attempts as usize);
        asked.push(Question {
            scenario,
            policies,
            nodes,
            load,
            hold,
            holding,
            calls,
            seeds,
            first_seed,
            attempts,
            settings,
        });
    }
    let mut answers = Vec::new();
    for question in &asked {
        let name = question.scenario.name();
        answers.push(simulate::compare(question, &mut |run, done| progress(&name, run, done)));
    }
    if let Some(path) = &args.report {
        let swept = asked.first().filter(|question| question.scenario == Scenario::Steady);
        let points = swept.map(|question| {
            simulate::sweep(question, &SWEEP, &mut |run, done| progress("blocking against load", run, done))
        });
        let page = simulate::report(&command(&args), &answers, &points.unwrap_or_default());
        std::fs::write(path, page).with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    end_progress();
    let text = if args.json {
        serde_json::to_string_pretty(&answers.concat())?
    } else {
        answers.iter().map(|rows| shown(rows)).collect::<Vec<_>>().join("\n\n")
    };
    print(&text)
}

fn holding(args: &Args) -> anyhow::Result<Holding> {
    if let Some(path) = &args.records {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Holding::from_csv(file).with_context(|| path.display().to_string());
    }
    let Some(sigma) = args.lognormal else { return Ok(Holding::Exponential) };
    within("lognormal", sigma, 0.01, 3.0)?;
    Ok(Holding::Lognormal { sigma })
}

/// Values of an enumeration by their names, separated by commas, or all of them.
fn named<T: ValueEnum + Clone>(field: &str, text: &str) -> anyhow::Result<Vec<T>> {
    if text == "all" {
        return Ok(T::value_variants().to_vec());
    }
    let names = || T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let known = || names().map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ");
    text.split(',')
        .map(|name| {
            T::from_str(name.trim(), true)
                .map_err(|_| Invalid::new(field, format!("all, or some of {}", known()), name).into())
        })
        .collect()
}

fn within(field: &str, found: f64, least: f64, most: f64) -> anyhow::Result<()> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    bail!(Invalid::new(field, format!("a number from {least} to {most}"), found))
}

fn document(args: &DocumentArgs) -> anyhow::Result<()> {
    let guide = args.into.join("selection.md");
    let text = std::fs::read_to_string(&guide).with_context(|| format!("cannot read {}", guide.display()))?;
    let around = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = around.with_context(|| format!("{} lacks the lines {BEGIN} and {END}", guide.display()))?;
    let made = simulate::document(args.calls, args.seeds, &mut |run, done| progress("documentation", run, done))?;
    end_progress();
    let whole = format!("{before}{BEGIN}\n{}\n{END}{after}", made.summary);
    for (name, text) in made.pages.into_iter().chain([("selection.md".to_owned(), whole)]) {
        let path = args.into.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn plan(args: &PlanArgs) -> anyhow::Result<()> {
    within("erlangs", args.erlangs, 0.001, 1.0e6)?;
    within("loss", args.loss, 1.0e-9, 0.5)?;
    let plan = Plan::new(args.erlangs, args.loss, args.node_capacity);
    if args.json {
        return print(&serde_json::to_string_pretty(&plan)?);
    }
    print(&format!(
        "{} Erlangs at {} loss need {} slots in one pool.\n\n\
         {} nodes of {} lose {}, with none to spare.\n\
         {} nodes (n+1) lose {} at {} mean utilisation, and keep the loss when any one fails or drains.\n\
         Split by purpose in three groups (5 : 3 : 2), the same loss takes {} nodes, with none to spare.",
        plan.erlangs,
        percent(plan.loss),
        plan.slots,
        plan.nodes,
        plan.node_capacity,
        percent(plan.loss_with_nodes),
        plan.nodes_with_spare,
        percent(plan.loss_with_spare),
        percent(plan.utilisation),
        plan.nodes_partitioned,
    ))
}

fn percent(share: f64) -> String {
    format!("{:.4}%", share * 100.0)
}

/// One situation's rows as a table.
fn shown(rows: &[Row]) -> String {
    let head = ["RULE", "FIRST TRY", "BOUND", "LOST", "TRIES/CALL", "MAX/MEAN", "HOT", "SETUP P50", "P99", "BAD AUDIO"];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.policy.clone(),
                percent(row.first_try_blocking),
                percent(row.bound),
                percent(row.lost_share),
                format!("{:.4}", row.attempts_per_call),
                format!("{:.3}", row.max_over_mean),
                percent(row.hot_call_time),
                format!("{:.0} ms", row.setup_p50 * 1_000.0),
                format!("{:.0} ms", row.setup_p99 * 1_000.0),
                percent(row.bad_media),
            ]
        })
        .collect();
    let title =
        rows.first().map(|row| format!("{} at {:.0}% load\n", row.scenario, row.load * 100.0)).unwrap_or_default();
    title + &table::lines(&head, &cells, &[1, 2, 3, 4, 5, 6, 7, 8, 9])
}

/// The command that gives these figures again.
fn command(args: &Args) -> String {
    let nodes = args.nodes.as_ref().map(|nodes| format!(" --nodes {nodes}")).unwrap_or_default();
    let times = match (&args.records, args.lognormal) {
        (Some(path), _) => format!(" --records {}", path.display()),
        (None, Some(sigma)) => format!(" --lognormal {sigma}"),
        (None, None) => String::new(),
    };
    format!(
        "kamari simulate --scenario {}{nodes} --load {} --hold {} --calls {} --seeds {} --first-seed {} --attempts {} \
         --policies {}{times}",
        args.scenario, args.load, args.hold, args.calls, args.seeds, args.first_seed, args.attempts, args.policies
    )
}

/// Shows on a terminal what runs now.
fn progress(what: &str, run: &str, done: f64) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // A terminal that went away takes the progress with it; the run goes on.
        let _ = write!(err, "\r\x1b[K{what}: {run} {:.0}%", done * 100.0).and_then(|()| err.flush());
    }
}

fn end_progress() {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

/// Prints to standard output. A reader that went away is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("standard output"),
        _ => Ok(()),
    }
}
