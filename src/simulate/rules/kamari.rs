//! Kamari's rule: not a model of it but the balancing code itself, kept as the daemon's registry keeps it.

use crate::balance::{Balancer, Placement, Sample, Scores, Settings, Slot, Standing, place, reserve};
use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::{CallNumber, Poll, Routes, Rule};
use rand::rngs::Xoshiro256PlusPlus;
use std::collections::HashMap;
use std::time::Duration;

/// Seconds after which a reservation that was never seen on its node expires.
const RESERVATION: f64 = 10.0;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Reserved { at: f64 },
    Live,
}

/// One kamari.
#[derive(Debug)]
pub(super) struct Kamari {
    balancer: Balancer,
    scores: Scores,
    calls: HashMap<CallNumber, (usize, Phase)>,
}

/// Seconds of the simulation as the balancing code takes time.
fn time(now: f64) -> Duration {
    Duration::from_secs_f64(now)
}

impl Kamari {
    pub(super) fn new(settings: &Settings, nodes: &[NodeSize]) -> Self {
        let mut balancer = Balancer::new(Settings { max_nodes: nodes.len(), ..settings.clone() });
        for node in nodes {
            balancer.add(node.configured);
        }
        let scores = balancer.scores(Duration::ZERO);
        Self { balancer, scores, calls: HashMap::new() }
    }

    fn publish(&mut self, now: f64) {
        self.scores = self.balancer.scores(time(now));
    }

    /// Tells one node's state what happened, in its own time.
    fn node(&mut self, node: usize, f: impl FnOnce(&mut crate::balance::NodeState)) {
        if let Some(state) = self.balancer.node_mut(Slot::new(node as u32)) {
            f(state);
        }
    }

    fn expire(&mut self, now: f64) {
        let mut expired = Vec::new();
        self.calls.retain(|_, (node, phase)| {
            if let Phase::Reserved { at } = *phase
                && at + RESERVATION <= now
            {
                expired.push(*node);
                return false;
            }
            true
        });
        for node in expired {
            self.node(node, |state| state.on_expired(time(now)));
        }
    }
}

impl Rule for Kamari {
    fn route(&mut self, call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        match place(&self.scores, &self.balancer.table(), time(now), rng) {
            Placement::Refused { .. } => Routes::default(),
            Placement::Routed(ranked) => {
                let routes: Routes = ranked.as_slice().iter().map(|slot| slot.index()).collect();
                if let Some(&first) = routes.as_slice().first() {
                    self.calls.insert(call, (first, Phase::Reserved { at: now }));
                    self.node(first, |state| state.on_reserved(time(now)));
                }
                routes
            }
        }
    }

    /// The next node of the answer gets the reservation, as in the daemon when an outcome is reported.
    fn on_sent(&mut self, call: CallNumber, node: usize, now: f64) {
        let slot = Slot::new(node as u32);
        if !self.calls.contains_key(&call) && reserve(&self.scores, &self.balancer.table(), time(now), slot) {
            self.calls.insert(call, (node, Phase::Reserved { at: now }));
            self.node(node, |state| state.on_reserved(time(now)));
        }
    }

    fn on_failed(&mut self, call: CallNumber, node: usize, code: u16, now: f64) {
        let reserved_at = match self.calls.get(&call) {
            Some(&(reserved, Phase::Reserved { at })) if reserved == node => Some(time(at)),
            _ => None,
        };
        if reserved_at.is_some() {
            self.calls.remove(&call);
        }
        self.node(node, |state| state.on_outcome(code, reserved_at, time(now)));
        self.publish(now);
    }

    fn on_started(&mut self, call: CallNumber, node: usize, setup: f64, now: f64) {
        match self.calls.insert(call, (node, Phase::Live)) {
            Some((reserved, Phase::Reserved { .. })) if reserved == node => {
                self.node(node, |state| state.on_confirmed(Duration::from_secs_f64(setup), time(now)));
            }
            Some((_, Phase::Live)) => {}
            Some((reserved, Phase::Reserved { .. })) => {
                self.node(reserved, |state| state.on_released(time(now)));
                self.node(node, |state| state.on_call_started(time(now)));
            }
            None => self.node(node, |state| state.on_call_started(time(now))),
        }
    }

    fn on_ended(&mut self, call: CallNumber, node: usize, now: f64) {
        match self.calls.remove(&call) {
            Some((_, Phase::Live)) => self.node(node, |state| state.on_call_ended(time(now))),
            Some((reserved, Phase::Reserved { .. })) => self.node(reserved, |state| state.on_released(time(now))),
            None => {}
        }
    }

    fn on_poll(&mut self, node: usize, poll: &Poll, now: f64) {
        self.node(node, |state| {
            let sample = Sample {
                mark: state.poll_mark(),
                calls: Some(poll.calls),
                cpu: Some(poll.cpu as f32),
                rtp_loss: (poll.calls > 0).then_some(poll.rtp_loss as f32),
                rtp_jitter_ms: None,
            };
            state.on_sample(&sample, time(now));
        });
    }

    fn on_member(&mut self, node: usize, member: bool, now: f64) {
        if member {
            self.calls.retain(|_, (on, _)| *on != node);
            self.node(node, |state| state.on_resync(0, time(now)));
        }
        let standing = if member { Standing::Up } else { Standing::Withheld };
        self.node(node, |state| state.set_standing(standing, time(now)));
        self.publish(now);
    }

    fn on_resync(&mut self, node: usize, calls: &[CallNumber], now: f64) {
        let there: std::collections::HashSet<_> = calls.iter().copied().collect();
        self.calls.retain(|call, (on, phase)| *on != node || *phase != Phase::Live || there.contains(call));
        for &call in calls {
            if let Some((reserved, Phase::Reserved { .. })) = self.calls.insert(call, (node, Phase::Live)) {
                self.node(reserved, |state| state.on_released(time(now)));
            }
        }
        self.node(node, |state| state.on_resync(calls.len() as u32, time(now)));
    }

    fn on_tick(&mut self, now: f64) {
        self.expire(now);
        self.balancer.tick(time(now));
        self.publish(now);
    }

    fn by_events(&self) -> bool {
        true
    }
}
