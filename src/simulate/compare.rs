//! Runs rules against each other over the same seeds, and sums up.

use super::engine::{Chooser, Engine};
use super::erlang::erlang_b;
use super::html::SweepPoint;
use super::measure::Outcome;
use super::nodes::Nodes;
use super::rules::Policy;
use super::scenario::{Run, Scenario};
use super::traffic::{Holding, Traffic};
use crate::balance::Settings;
use serde::Serialize;

/// What to compare.
#[derive(Debug, Clone)]
pub struct Question {
    /// The situation.
    pub scenario: Scenario,
    /// The rules.
    pub policies: Vec<Policy>,
    /// The pool.
    pub nodes: Nodes,
    /// Offered load over real capacity, above 0.
    pub load: f64,
    /// Mean call time in seconds.
    pub hold: f64,
    /// Distribution of call times.
    pub holding: Holding,
    /// Calls per run.
    pub calls: u64,
    /// Runs per rule, with seeds that follow each other.
    pub seeds: u64,
    /// The first seed.
    pub first_seed: u64,
    /// Nodes that a call is tried on at most, 1 to 5.
    pub attempts: usize,
    /// Settings of kamari's own rule.
    pub settings: Settings,
}

/// One rule's figures, over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The rule's name.
    pub policy: String,
    /// The situation's name.
    pub scenario: String,
    /// Offered load over real capacity.
    pub load: f64,
    /// Share of calls that their first node did not take, or that no node was named for.
    pub first_try_blocking: f64,
    /// The share that one who sees every free slot loses of the same calls (of a Poisson stream: Erlang B).
    pub bound: f64,
    /// Erlang B of the load and the pool's slots in all, whatever happens in the situation.
    pub erlang_b: f64,
    /// Tries per call for which a node was named.
    pub attempts_per_call: f64,
    /// Mean over time of the fullest node's utilisation over the pool's mean.
    pub max_over_mean: f64,
    /// Share of call time on nodes above 90% full.
    pub hot_call_time: f64,
    /// Share of calls that no tried node took.
    pub lost_share: f64,
    /// Calls that no tried node took.
    pub lost_calls: u64,
    /// Calls measured.
    pub calls: u64,
    /// Median seconds from routing to call start.
    pub setup_p50: f64,
    /// 99th percentile of the same.
    pub setup_p99: f64,
    /// Share of answered calls begun on a node that loses more than 2% of RTP.
    pub bad_media: f64,
    /// Calls that came while a fault of telemetry or of the controller lasted, or within 2 s after it.
    pub fault_calls: u64,
    /// Of those: the share that one who sees every free slot loses.
    pub fault_bound: f64,
    /// Of those: the share that their first node did not take, or that no node was named for.
    pub fault_blocking: f64,
    /// Of those: the share that no tried node took.
    pub fault_lost_share: f64,
    /// Of those for which the rule chose, and not the proxy while the controller was away: the share that their first node did
    /// not take, or that no node was named for.
    pub fault_chosen_blocking: f64,
    /// Most calls that a failing node got within one fault.
    pub failing_tries: u64,
    /// The same without those that no other node had room for.
    pub failing_cost: u64,
    /// Most calls that a failing node got within one fault although others had room, without those in flight: under way to it
    /// when a failure became known of a call sent there later than the failure known before.
    pub failing_lessons: u64,
    /// Largest share of attempts that a joining node got in its first minute, over its fair share.
    pub join_share: f64,
    /// Calls refused by joining nodes in their first minute.
    pub join_refusals: u64,
    /// Standard error of `first_try_blocking` over the seeds.
    pub error: f64,
    /// Tries of each node.
    #[serde(skip)]
    pub tries: Vec<u64>,
    /// Utilisation of each node over the first run.
    #[serde(skip)]
    pub timeline: Vec<(f64, Vec<f32>)>,
}

/// Answers the question: one row per rule, in the order asked. `progress` hears what runs and the share done of it.
pub fn compare(question: &Question, progress: &mut dyn FnMut(&str, f64)) -> Vec<Row> {
    let run = question.scenario.run(
        question.nodes.clone(),
        question.load,
        question.hold,
        question.calls,
        question.holding.clone(),
        question.attempts,
    );
    let seeds = question.first_seed..question.first_seed + question.seeds;
    let bounds: Vec<_> = seeds.clone().map(|seed| once(Policy::ErlangB, &run, question, seed, progress)).collect();
    let bound = Bound {
        all: share(&bounds, |outcome| outcome.calls, |outcome| outcome.first_try_blocked),
        fault: share(&bounds, |outcome| outcome.watched, |outcome| outcome.watched_blocked),
    };
    question
        .policies
        .iter()
        .map(|&policy| {
            let outcomes: Vec<_> = match policy {
                Policy::ErlangB => bounds.clone(),
                _ => seeds.clone().map(|seed| once(policy, &run, question, seed, progress)).collect(),
            };
            sum_up(policy, question, outcomes, bound)
        })
        .collect()
}

/// Blocking at the first try against load, one curve per rule, with Erlang B's for the same pool.
pub fn sweep(question: &Question, loads: &[f64], progress: &mut dyn FnMut(&str, f64)) -> Vec<SweepPoint> {
    loads
        .iter()
        .map(|&load| {
            let rows = compare(&Question { load, ..question.clone() }, progress);
            let slots = question.nodes.slots();
            (load, erlang_b(load * f64::from(slots), slots), rows)
        })
        .collect()
}

fn once(policy: Policy, run: &Run, question: &Question, seed: u64, progress: &mut dyn FnMut(&str, f64)) -> Outcome {
    let traffic = Traffic::new(run.arrivals, run.holding.clone(), run.rate, run.hold, seed);
    let name = format!("{} seed {seed}", policy.name());
    let make = || policy.rule(&run.nodes.0, &question.settings);
    let boxed = || make().unwrap_or_else(|| unreachable!("the bound is not asked for rules"));
    let chooser = match make() {
        None => Chooser::Clairvoyant,
        Some(_) => Chooser::Rules(&boxed, run.controllers * policy.instances()),
    };
    Engine::new(run, chooser, seed).run(traffic, |done| progress(&name, done))
}

/// What nobody can undercut: of all calls, and of those that a fault may touch.
#[derive(Clone, Copy)]
struct Bound {
    all: f64,
    fault: f64,
}

fn share(outcomes: &[Outcome], of: fn(&Outcome) -> u64, count: fn(&Outcome) -> u64) -> f64 {
    outcomes.iter().map(count).sum::<u64>() as f64 / outcomes.iter().map(of).sum::<u64>().max(1) as f64
}

fn sum_up(policy: Policy, question: &Question, outcomes: Vec<Outcome>, bound: Bound) -> Row {
    let of_all = |count| share(&outcomes, |outcome| outcome.calls, count);
    let of_watched = |count| share(&outcomes, |outcome| outcome.watched, count);
    let mean = |figure: fn(&Outcome) -> f64| outcomes.iter().map(figure).sum::<f64>() / outcomes.len().max(1) as f64;
    let total = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    let blocking = of_all(|outcome| outcome.first_try_blocked);
    let runs = outcomes.len().max(1) as f64;
    let variance = outcomes
        .iter()
        .map(|outcome| (outcome.first_try_blocked as f64 / outcome.calls.max(1) as f64 - blocking).powi(2))
        .sum::<f64>()
        / (runs - 1.0).max(1.0);
    Row {
        policy: policy.name(),
        scenario: question.scenario.name(),
        load: question.load,
        first_try_blocking: blocking,
        bound: bound.all,
        erlang_b: erlang_b(question.load * f64::from(question.nodes.slots()), question.nodes.slots()),
        attempts_per_call: total(|outcome| outcome.attempts) as f64 / total(|outcome| outcome.routed).max(1) as f64,
        max_over_mean: mean(|outcome| outcome.max_over_mean),
        hot_call_time: mean(|outcome| outcome.hot_call_time),
        lost_share: of_all(|outcome| outcome.lost),
        lost_calls: total(|outcome| outcome.lost),
        calls: total(|outcome| outcome.calls),
        setup_p50: mean(|outcome| outcome.setup_p50),
        setup_p99: mean(|outcome| outcome.setup_p99),
        bad_media: mean(|outcome| outcome.bad_media),
        fault_calls: total(|outcome| outcome.watched),
        fault_bound: bound.fault,
        fault_blocking: of_watched(|outcome| outcome.watched_blocked),
        fault_lost_share: of_watched(|outcome| outcome.watched_lost),
        fault_chosen_blocking: share(&outcomes, |outcome| outcome.chosen, |outcome| outcome.chosen_blocked),
        failing_cost: outcomes.iter().map(|outcome| outcome.failing_cost).max().unwrap_or(0),
        failing_lessons: outcomes.iter().map(|outcome| outcome.failing_lessons).max().unwrap_or(0),
        failing_tries: outcomes.iter().map(|outcome| outcome.failing_tries).max().unwrap_or(0),
        join_share: outcomes.iter().map(|outcome| outcome.join_share).fold(0.0, f64::max),
        join_refusals: total(|outcome| outcome.join_refusals),
        error: (variance / runs).sqrt(),
        tries: (0..question.nodes.0.len())
            .map(|node| outcomes.iter().map(|outcome| outcome.tries[node]).sum())
            .collect(),
        timeline: outcomes.into_iter().next().map(|outcome| outcome.timeline).unwrap_or_default(),
    }
}
