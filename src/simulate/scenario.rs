//! The situations that rules are compared in: who sends how much, and what happens to the nodes meanwhile.

use super::nodes::Nodes;
use super::traffic::{Arrivals, Holding};
use clap::ValueEnum;

/// A situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Poisson arrivals, nothing happens.
    Steady,
    /// The arrival rate jumps between 1.25 and 0.75 times its mean, every 30 s on average.
    Bursty,
    /// Nodes of different sizes, all configured rightly.
    Unequal,
    /// One node carries half of what it is configured for.
    HiddenCapacity,
    /// Half of the calls are placed by others, at random, and seen by polls only.
    ForeignLoad,
    /// One node at a time refuses every call at once, for 300 s, every 1,800 s.
    FastFailing,
    /// One node at a time leaves every call unanswered for 300 s, every 1,800 s; its polls are answered.
    Silent,
    /// A stranger sends requests that every node drops, one for every twenty calls.
    Poison,
    /// One node has a third of the CPU of the others.
    SlowNode,
    /// A node is taken out for 900 s and joins again, empty and cold, every 2,400 s.
    Join,
    /// The controllers restart and have forgotten everything, every 600 s.
    Restart,
    /// A node dies with its calls every 1,800 s, is found dead 3 s later and comes back empty after 60 s.
    NodeRestart,
    /// All polls and events are lost for 10 s, every 300 s.
    TelemetryLoss,
    /// One node's network loses 5% of RTP.
    BadMedia,
    /// Two controllers share the calls, each seeing the other's by polls only.
    TwoControllers,
}

/// How a node that fails treats a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// 503 at once.
    AtOnce,
    /// No answer at all.
    Silently,
}

/// Something that happens at a moment of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// The node fails every call in this way.
    Fail(usize, Failing),
    /// It works again.
    Mend(usize),
    /// Its CPU has this speed (1 = normal).
    Slow(usize, f64),
    /// Its network loses this share of RTP.
    Lossy(usize, f64),
    /// It is taken out of the pool; its calls go on.
    Leave(usize),
    /// It joins (again), cold.
    Join(usize),
    /// It dies with its calls; nobody knows yet.
    Crash(usize),
    /// Everybody knows.
    FoundDead(usize),
    /// Polls and events stop.
    TelemetryLost,
    /// They come again.
    TelemetryBack,
    /// The controllers restart.
    Restart,
}

/// Everything that defines a run but the rule and the seed.
#[derive(Debug, Clone)]
pub struct Run {
    /// The situation.
    pub scenario: Scenario,
    /// The pool.
    pub nodes: Nodes,
    /// Offered load over the real capacity of the pool.
    pub load: f64,
    /// Mean call time in seconds.
    pub hold: f64,
    /// Calls offered, the warm-up included.
    pub calls: u64,
    /// Calls offered before measuring begins: five times what the pool holds, at most half of all.
    pub warm_calls: u64,
    /// Calls a second.
    pub rate: f64,
    /// Nodes that a call is tried on at most, 1 to 5.
    pub attempts: usize,
    /// Share of the calls placed by others.
    pub foreign: f64,
    /// Share of the rest that every node drops.
    pub poison: f64,
    /// Controllers that share the rest, times the instances that a rule brings itself.
    pub controllers: usize,
    /// How calls arrive.
    pub arrivals: Arrivals,
    /// How long they last.
    pub holding: Holding,
    /// What happens when, in seconds.
    pub script: Vec<(f64, Action)>,
}

impl Scenario {
    /// Its name on the command line and in reports.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The pool that shows the situation best, of a thousand slots or so.
    pub fn default_nodes(self) -> &'static str {
        match self {
            Self::Unequal => "2x50,2x100,2x200",
            Self::HiddenCapacity => "9x100,1x100:50",
            _ => "10x100",
        }
    }

    /// Defines a run. `load` is offered Erlangs over real slots, `hold` mean seconds, `calls` the length, `attempts` how many
    /// nodes a call is tried on at most.
    pub fn run(self, nodes: Nodes, load: f64, hold: f64, calls: u64, holding: Holding, attempts: usize) -> Run {
        let erlangs = load * f64::from(nodes.slots());
        let poison = if self == Self::Poison { 1.0 / 21.0 } else { 0.0 };
        let rate = erlangs / hold / (1.0 - poison);
        let arrivals = match self {
            Self::Bursty => Arrivals::Bursty { swing: 0.25, period: 30.0 },
            _ => Arrivals::Steady,
        };
        let mut run = Run {
            scenario: self,
            load,
            hold,
            calls,
            warm_calls: (5.0 * erlangs).min(calls as f64 / 2.0) as u64,
            rate,
            attempts,
            poison,
            foreign: if self == Self::ForeignLoad { 0.5 } else { 0.0 },
            controllers: if self == Self::TwoControllers { 2 } else { 1 },
            arrivals,
            holding,
            script: Vec::new(),
            nodes,
        };
        run.script = self.script(&run);
        run
    }

    fn script(self, run: &Run) -> Vec<(f64, Action)> {
        let last = run.nodes.0.len() - 1;
        let nodes = run.nodes.0.len();
        let warm = run.warm_calls as f64 / run.rate;
        let every = |period: f64| {
            let rounds = ((run.span() - warm) / period).floor().max(1.0) as usize;
            (0..rounds).map(move |round| (round, warm + period * round as f64))
        };
        match self {
            Self::SlowNode => vec![(0.0, Action::Slow(last, 1.0 / 3.0))],
            Self::BadMedia => vec![(0.0, Action::Lossy(last, 0.05))],
            Self::FastFailing | Self::Silent => every(1_800.0)
                .flat_map(|(round, at)| {
                    let (node, silent) = (round % nodes, self == Self::Silent);
                    let how = if silent { Failing::Silently } else { Failing::AtOnce };
                    [(at + 60.0, Action::Fail(node, how)), (at + 360.0, Action::Mend(node))]
                })
                .collect(),
            Self::Join => every(2_400.0)
                .flat_map(|(round, at)| {
                    let node = round % nodes;
                    [(at, Action::Leave(node)), (at + 900.0, Action::Crash(node)), (at + 900.0, Action::Join(node))]
                })
                .collect(),
            Self::NodeRestart => every(1_800.0)
                .flat_map(|(round, at)| {
                    let node = round % nodes;
                    [(at, Action::Crash(node)), (at + 3.0, Action::FoundDead(node)), (at + 60.0, Action::Join(node))]
                })
                .collect(),
            Self::Restart => every(600.0).map(|(_, at)| (at, Action::Restart)).collect(),
            Self::TelemetryLoss => every(300.0)
                .flat_map(|(_, at)| [(at, Action::TelemetryLost), (at + 10.0, Action::TelemetryBack)])
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Run {
    /// How long the run lasts, about, in seconds.
    pub fn span(&self) -> f64 {
        self.calls as f64 / self.rate
    }

    /// Configured capacity of all nodes.
    pub fn configured(&self) -> f64 {
        self.nodes.0.iter().map(|node| f64::from(node.configured)).sum()
    }
}
