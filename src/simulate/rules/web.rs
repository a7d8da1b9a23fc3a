//! Rules of HTTP load balancers, taken over to calls: Envoy's least request with outlier ejection, and Prequal.

use super::members::Members;
use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::{CallNumber, Poll, Routes, Rule};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use std::collections::VecDeque;

/// Envoy's outlier detection: ejection after so many failures in a row...
const CONSECUTIVE: u32 = 5;
/// ...for so many seconds, times the number of ejections so far, at most `EJECTION_MAX`.
const EJECTION: f64 = 30.0;
const EJECTION_MAX: f64 = 300.0;

/// Envoy: the better of two random hosts by active requests; with unequal weights, hosts at random in proportion to
/// `weight / (active + 1)`, which is what its weighted scheduler tends to.
#[derive(Debug)]
pub(super) struct LeastRequest {
    members: Members,
    equal: bool,
    failures: Vec<u32>,
    ejections: Vec<u32>,
}

impl LeastRequest {
    pub(super) fn new(nodes: &[NodeSize]) -> Self {
        Self {
            members: Members::new(nodes),
            equal: nodes.windows(2).all(|pair| pair[0].configured == pair[1].configured),
            failures: vec![0; nodes.len()],
            ejections: vec![0; nodes.len()],
        }
    }

    fn pick(&self, usable: &[usize], rng: &mut Xoshiro256PlusPlus) -> usize {
        let active = |at: usize| f64::from(self.members.0[usable[at]].own);
        if self.equal {
            let (a, b) = (rng.random_range(0..usable.len()), rng.random_range(0..usable.len()));
            return if active(b) < active(a) { b } else { a };
        }
        let weight = |at: usize| self.members.0[usable[at]].capacity / (active(at) + 1.0);
        let mut left = rng.random::<f64>() * (0..usable.len()).map(weight).sum::<f64>();
        (0..usable.len() - 1)
            .find(|&at| {
                left -= weight(at);
                left < 0.0
            })
            .unwrap_or(usable.len() - 1)
    }
}

impl Rule for LeastRequest {
    fn route(&mut self, _call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        let mut usable = self.members.usable(now);
        let mut routes = Routes::default();
        while !usable.is_empty() && routes.as_slice().len() < crate::simulate::rule::MAX_TRIES {
            let at = self.pick(&usable, rng);
            routes.push(usable.swap_remove(at));
        }
        routes
    }

    fn on_sent(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.started(node);
    }

    fn on_failed(&mut self, _call: CallNumber, node: usize, _code: u16, now: f64) {
        self.members.ended(node);
        self.failures[node] += 1;
        if self.failures[node] >= CONSECUTIVE {
            self.failures[node] = 0;
            self.ejections[node] += 1;
            self.members.0[node].ejected_until = now + (EJECTION * f64::from(self.ejections[node])).min(EJECTION_MAX);
        }
    }

    fn on_started(&mut self, _call: CallNumber, node: usize, _setup: f64, _now: f64) {
        self.failures[node] = 0;
    }

    fn on_ended(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.ended(node);
    }

    fn on_member(&mut self, node: usize, member: bool, _now: f64) {
        self.members.0[node].present = member;
    }
}

/// Probes kept (Prequal's pool of 16), asked per call, and dropped after this many seconds.
const PROBES: usize = 16;
const PROBES_PER_CALL: usize = 3;
const PROBE_AGE: f64 = 1.0;
/// A node is hot when its calls in progress are above this quantile of the probes.
const HOT_QUANTILE: f64 = 0.84;

/// One answer to a probe.
#[derive(Debug, Clone, Copy)]
struct Probe {
    node: usize,
    calls: f64,
    latency: f64,
    at: f64,
}

/// Prequal (Wydrowski and others, NSDI 2024): probes of calls in progress and latency, asynchronously; among nodes that
/// are not hot the one with the least latency, else the one with the fewest calls in progress (relative to capacity).
#[derive(Debug)]
pub(super) struct Prequal {
    members: Members,
    reported: Vec<Report>,
    probes: VecDeque<Probe>,
}

/// What a server would answer to a probe now.
#[derive(Debug, Clone, Copy, Default)]
struct Report {
    calls: f64,
    latency: f64,
}

impl Prequal {
    pub(super) fn new(nodes: &[NodeSize]) -> Self {
        Self { members: Members::new(nodes), reported: vec![Report::default(); nodes.len()], probes: VecDeque::new() }
    }

    fn in_flight(&self, node: usize) -> f64 {
        self.reported[node].calls / self.members.0[node].capacity
    }

    fn probe(&mut self, now: f64, usable: &[usize], rng: &mut Xoshiro256PlusPlus) {
        self.probes.retain(|probe| probe.at >= now - PROBE_AGE && usable.contains(&probe.node));
        for _ in 0..PROBES_PER_CALL {
            let node = usable[rng.random_range(0..usable.len())];
            let probe = Probe { node, calls: self.in_flight(node), latency: self.reported[node].latency, at: now };
            self.probes.push_back(probe);
        }
        while self.probes.len() > PROBES {
            self.probes.pop_front();
        }
    }

    fn best(&self) -> Option<usize> {
        let mut calls: Vec<_> = self.probes.iter().map(|probe| probe.calls).collect();
        calls.sort_by(f64::total_cmp);
        let hot_above = calls.get(((calls.len() as f64 * HOT_QUANTILE) as usize).min(calls.len().checked_sub(1)?))?;
        let cold = (0..self.probes.len()).filter(|&at| self.probes[at].calls < *hot_above);
        let latency = |at: &usize| self.probes[*at].latency;
        cold.min_by(|a, b| latency(a).total_cmp(&latency(b)))
            .or_else(|| (0..self.probes.len()).min_by(|&a, &b| self.probes[a].calls.total_cmp(&self.probes[b].calls)))
    }
}

impl Rule for Prequal {
    fn route(&mut self, _call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        let usable = self.members.usable(now);
        if usable.is_empty() {
            return Routes::default();
        }
        self.probe(now, &usable, rng);
        let Some(at) = self.best() else { return Routes::default() };
        let Some(first) = self.probes.remove(at).map(|probe| probe.node) else { return Routes::default() };
        let others = self.members.least(now, rng, |node| self.in_flight(node));
        std::iter::once(first).chain(others.as_slice().iter().copied().filter(|&node| node != first)).collect()
    }

    fn on_sent(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.reported[node].calls += 1.0;
    }

    fn on_failed(&mut self, _call: CallNumber, node: usize, _code: u16, _now: f64) {
        self.reported[node].calls -= 1.0;
    }

    /// Latency is that of recent calls, as the paper's servers report it.
    fn on_started(&mut self, _call: CallNumber, node: usize, setup: f64, _now: f64) {
        let old = self.reported[node].latency;
        self.reported[node].latency = if old == 0.0 { setup } else { old + (setup - old) / 8.0 };
    }

    fn on_poll(&mut self, node: usize, poll: &Poll, _now: f64) {
        self.reported[node].calls = f64::from(poll.calls);
    }

    fn poll_interval(&self) -> f64 {
        0.25
    }

    fn on_member(&mut self, node: usize, member: bool, _now: f64) {
        self.members.0[node].present = member;
    }
}

/// Special-purpose servers: callers want one of three things, 5 : 3 : 2, and the nodes are split alike. Within a group,
/// the fewest own calls relative to capacity: the best that such a split can do.
#[derive(Debug)]
pub(super) struct Partitioned {
    members: Members,
    group: Vec<usize>,
}

impl Partitioned {
    /// Shares of the three purposes, cumulated.
    const SHARES: [f64; 3] = [0.5, 0.8, 1.0];

    pub(super) fn new(nodes: &[NodeSize]) -> Self {
        let total: f64 = nodes.iter().map(|node| f64::from(node.configured)).sum();
        let mut before = 0.0;
        let group = nodes
            .iter()
            .map(|node| {
                let middle = (before + f64::from(node.configured) / 2.0) / total;
                before += f64::from(node.configured);
                Self::group_of(middle)
            })
            .collect();
        Self { members: Members::new(nodes), group }
    }

    fn group_of(share: f64) -> usize {
        Self::SHARES.iter().position(|&end| share < end).unwrap_or(Self::SHARES.len() - 1)
    }
}

impl Rule for Partitioned {
    fn route(&mut self, _call: CallNumber, purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        let wanted = Self::group_of(purpose);
        let mut nodes: Vec<_> =
            self.members.usable(now).into_iter().filter(|&node| self.group[node] == wanted).collect();
        nodes.sort_by_cached_key(|_| rng.random::<u32>());
        let used = |node: usize| f64::from(self.members.0[node].own) / self.members.0[node].capacity;
        nodes.sort_by(|&a, &b| used(a).total_cmp(&used(b)));
        nodes.into_iter().collect()
    }

    fn on_sent(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.started(node);
    }

    fn on_failed(&mut self, _call: CallNumber, node: usize, _code: u16, _now: f64) {
        self.members.ended(node);
    }

    fn on_ended(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.ended(node);
    }

    fn on_member(&mut self, node: usize, member: bool, _now: f64) {
        self.members.0[node].present = member;
    }
}
