//! Rules of SIP proxies: they see the signalling of their own calls, and probe with OPTIONS.
//!
//! Kamailio's dispatcher marks a destination that did not answer (408) as probing, and takes it back at the next good
//! OPTIONS, 10 s apart by default; a refusal (503) only moves the call on. So does OpenSIPS' `load_balancer`.

use super::members::Members;
use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::{CallNumber, Poll, Routes, Rule};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// Seconds between OPTIONS probes (dispatcher's `ds_ping_interval`).
const PROBE: f64 = 10.0;

/// How a proxy picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// Kamailio's algorithm 4.
    RoundRobin,
    /// Smooth weighted round robin by configured capacity.
    WeightedRoundRobin,
    /// Kamailio's algorithm 6.
    Random,
    /// Kamailio's algorithm 10: the fewest calls of its own.
    CallLoad,
    /// Kamailio's algorithm 13: the least round trip of OPTIONS.
    Latency,
    /// OpenSIPS `load_balancer` fed by its `freeswitch` module: idle CPU and sessions every second, own calls between.
    Heartbeat,
}

/// A proxy with one of these rules.
#[derive(Debug)]
pub(super) struct Proxy {
    pick: Pick,
    members: Members,
    turn: usize,
    credit: Vec<f64>,
    /// Moving average of the round trip (weight 1/8), or the last heartbeat's ceiling of own calls.
    heard: Vec<f64>,
}

impl Proxy {
    pub(super) fn new(pick: Pick, nodes: &[NodeSize]) -> Self {
        let heard = match pick {
            Pick::Heartbeat => nodes.iter().map(|node| f64::from(node.configured)).collect(),
            _ => vec![0.0; nodes.len()],
        };
        Self { pick, members: Members::new(nodes), turn: 0, credit: vec![0.0; nodes.len()], heard }
    }

    fn weighted_turn(&mut self, now: f64) -> Routes {
        let usable = self.members.usable(now);
        let sum: f64 = usable.iter().map(|&node| self.members.0[node].capacity).sum();
        for &node in &usable {
            self.credit[node] += self.members.0[node].capacity;
        }
        let mut order = usable;
        order.sort_by(|&a, &b| self.credit[b].total_cmp(&self.credit[a]));
        if let Some(&first) = order.first() {
            self.credit[first] -= sum;
        }
        order.into_iter().collect()
    }
}

impl Rule for Proxy {
    fn route(&mut self, _call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        let members = &self.members;
        match self.pick {
            Pick::RoundRobin => {
                let usable = members.usable(now);
                self.turn += 1;
                (0..usable.len()).map(|i| usable[(self.turn + i) % usable.len()]).collect()
            }
            Pick::WeightedRoundRobin => self.weighted_turn(now),
            Pick::Random => {
                let usable = members.usable(now);
                let first = rng.random_range(0..usable.len().max(1));
                (0..usable.len()).map(|i| usable[(first + i) % usable.len()]).collect()
            }
            Pick::CallLoad => members.least(now, rng, |node| f64::from(members.0[node].own)),
            Pick::Latency => members.least(now, rng, |node| self.heard[node]),
            Pick::Heartbeat => members.least(now, rng, |node| f64::from(members.0[node].own) - self.heard[node]),
        }
    }

    /// A proxy counts a call from the moment it sends it on.
    fn on_sent(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.started(node);
    }

    fn on_failed(&mut self, _call: CallNumber, node: usize, code: u16, now: f64) {
        self.members.ended(node);
        if code == 408 {
            self.members.0[node].ejected_until = now + PROBE;
        }
    }

    fn on_ended(&mut self, _call: CallNumber, node: usize, _now: f64) {
        self.members.ended(node);
    }

    fn on_poll(&mut self, node: usize, poll: &Poll, _now: f64) {
        match self.pick {
            Pick::Latency => {
                let old = self.heard[node];
                self.heard[node] = if old == 0.0 { poll.round_trip } else { old + (poll.round_trip - old) / 8.0 };
            }
            Pick::Heartbeat => {
                let member = &self.members.0[node];
                let others = f64::from(poll.calls) - f64::from(member.own);
                self.heard[node] = (1.0 - poll.cpu) * (member.capacity - others.max(0.0));
            }
            _ => {}
        }
    }

    fn on_member(&mut self, node: usize, member: bool, _now: f64) {
        self.members.0[node].present = member;
    }

    fn poll_interval(&self) -> f64 {
        if self.pick == Pick::Heartbeat { 1.0 } else { PROBE }
    }
}
