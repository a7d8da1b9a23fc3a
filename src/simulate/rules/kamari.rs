//! Kamari's rule: not a model of it but the balancing code itself, kept as the daemon's pool keeps it: promises as in
//! `src/pool/reservation.rs`, standing as in `src/pool/lifecycle.rs` with the default settings.

use crate::balance::{
    Balancer, NodeState, Placement, Sample, Scores, Settings, Slot, Standing, is_heard, place, reserve,
};
use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::{CallNumber, Poll, Routes, Rule};
use rand::rngs::Xoshiro256PlusPlus;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Seconds after which a reservation that was never seen on its node expires.
const RESERVATION: f64 = 10.0;
/// Good polls in a row until a node is up, and lost ones until it is taken for dead.
const UP_AFTER: u32 = 2;
const LOST_AFTER: u32 = 3;

/// A call and the nodes that were named for it.
#[derive(Debug)]
struct Promise {
    routes: Routes,
    /// The place in `routes` that has the promise.
    holder: usize,
    /// When that node was named.
    at: f64,
    /// The node that it was seen on.
    arrived: Option<usize>,
    /// Nodes that failed it, since when they had it, and the code.
    failed: Vec<(usize, f64, u16)>,
}

impl Promise {
    fn holder(&self) -> Option<usize> {
        self.routes.as_slice().get(self.holder).copied().filter(|_| self.arrived.is_none())
    }
}

/// What its polls say of a node.
#[derive(Debug, Clone, Copy, Default)]
struct Checks {
    member: bool,
    good: u32,
    bad: u32,
}

/// What is left out, to see what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// Nothing.
    Whole,
    /// Every failure is held against its node at once.
    Rash,
    /// The proxy is not asked for the ends of calls.
    Untold,
}

/// One kamari.
#[derive(Debug)]
pub(super) struct Kamari {
    balancer: Balancer,
    scores: Scores,
    calls: HashMap<CallNumber, Promise>,
    checks: Vec<Checks>,
    variant: Variant,
}

/// Seconds of the simulation as the balancing code takes time.
fn time(now: f64) -> Duration {
    Duration::from_secs_f64(now)
}

impl Kamari {
    pub(super) fn new(settings: &Settings, nodes: &[NodeSize], variant: Variant) -> Self {
        let mut balancer = Balancer::new(Settings { max_nodes: nodes.len(), ..settings.clone() });
        for node in nodes {
            balancer.add(node.configured);
        }
        let scores = balancer.scores(Duration::ZERO);
        Self { balancer, scores, calls: HashMap::new(), checks: vec![Checks::default(); nodes.len()], variant }
    }

    fn publish(&mut self, now: f64) {
        self.scores = self.balancer.scores(time(now));
    }

    /// Tells one node's state what happened, in its own time.
    fn node(&mut self, node: usize, f: impl FnOnce(&mut NodeState)) {
        if let Some(state) = self.balancer.node_mut(Slot::new(node as u32)) {
            f(state);
        }
    }

    fn stand(&mut self, node: usize, standing: Standing, now: f64) {
        self.node(node, |state| state.set_standing(standing, time(now)));
        self.publish(now);
    }

    fn expire(&mut self, now: f64) {
        let expired: Vec<_> = self
            .calls
            .extract_if(|_, promise| promise.arrived.is_none() && promise.at + RESERVATION <= now)
            .filter_map(|(_, promise)| promise.holder())
            .collect();
        for node in expired {
            self.node(node, |state| state.on_expired(time(now)));
        }
    }

    /// The promise of a call that its holder failed goes to the next node of the answer that has room.
    fn move_on(&mut self, call: CallNumber, now: f64) {
        let Some(promise) = self.calls.get_mut(&call) else { return };
        promise.at = now;
        promise.holder += 1;
        while let Some(next) = promise.holder() {
            if reserve(&self.scores, &self.balancer.table(), time(now), Slot::new(next as u32)) {
                self.node(next, |state| state.on_reserved(time(now)));
                return;
            }
            promise.holder += 1;
        }
        self.calls.remove(&call);
    }
}

impl Rule for Kamari {
    fn route(&mut self, call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        match place(&self.scores, &self.balancer.table(), time(now), rng) {
            Placement::Refused { .. } => Routes::default(),
            Placement::Routed(ranked) => {
                let routes: Routes = ranked.as_slice().iter().map(|slot| slot.index()).collect();
                let promise = Promise { routes, holder: 0, at: now, arrived: None, failed: Vec::new() };
                if let Some(first) = promise.holder() {
                    self.calls.insert(call, promise);
                    self.node(first, |state| state.on_reserved(time(now)));
                }
                routes
            }
        }
    }

    fn on_failed(&mut self, call: CallNumber, node: usize, code: u16, now: f64) {
        let rash = self.variant == Variant::Rash;
        let Some(promise) = self.calls.get_mut(&call) else { return };
        let since = promise.at;
        match (promise.arrived, promise.holder()) {
            (Some(on), _) if on == node => return,
            // The report came after the call did.
            (Some(_), _) => self.node(node, |state| state.on_blamed(code, time(since), time(now))),
            (None, holder) => {
                let held = holder == Some(node);
                let sent = if held { since } else { now };
                promise.failed.push((node, sent, code));
                self.node(node, |state| {
                    state.on_outcome(code, held, time(now));
                    if rash {
                        state.on_blamed(code, time(sent), time(now));
                    }
                });
                if held {
                    self.move_on(call, now);
                }
            }
        }
        self.publish(now);
    }

    fn on_started(&mut self, call: CallNumber, node: usize, _setup: f64, now: f64) {
        let unannounced =
            || Promise { routes: Routes::default(), holder: 0, at: now, arrived: None, failed: Vec::new() };
        let promise = self.calls.entry(call).or_insert_with(unannounced);
        if promise.arrived.is_some() {
            return;
        }
        let (holder, since) = (promise.holder(), promise.at);
        promise.arrived = Some(node);
        let mut failed = std::mem::take(&mut promise.failed);
        failed.retain(|&(other, _, _)| other != node && self.variant != Variant::Rash);
        for (other, sent, code) in failed {
            self.node(other, |state| state.on_blamed(code, time(sent), time(now)));
            self.publish(now);
        }
        match holder {
            Some(promised) if promised == node => {
                self.node(node, |state| state.on_confirmed(time(now - since), time(now)));
            }
            Some(promised) => {
                self.node(promised, |state| state.on_released(time(now)));
                self.node(node, |state| state.on_call_started(time(now)));
            }
            None => self.node(node, |state| state.on_call_started(time(now))),
        }
    }

    fn on_ended(&mut self, call: CallNumber, _node: usize, now: f64) {
        let Some(promise) = self.calls.remove(&call) else { return };
        match (promise.arrived, promise.holder()) {
            (Some(on), _) => self.node(on, |state| state.on_call_ended(time(now))),
            (None, Some(promised)) => self.node(promised, |state| state.on_released(time(now))),
            (None, None) => {}
        }
    }

    fn asks_for_ends(&self) -> bool {
        self.variant != Variant::Untold && self.scores.is_unheard()
    }

    /// As in `src/pool/routing.rs`: of a node that is heard it is no news, and its own event ends the promise.
    fn on_end_told(&mut self, call: CallNumber, now: f64) {
        let Some(promise) = self.calls.get(&call) else { return };
        let arrived = promise.arrived;
        let Some(node) = arrived.or(promise.holder()) else { return };
        let slot = Slot::new(node as u32);
        if is_heard(&self.scores, &self.balancer.table(), slot, time(now)) {
            return;
        }
        self.calls.remove(&call);
        match arrived {
            Some(_) => self.balancer.on_end_told(slot, time(now)),
            None => self.node(node, |state| state.on_released(time(now))),
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
        let checks = &mut self.checks[node];
        let was_in_trouble = std::mem::take(&mut checks.bad) > 0;
        if was_in_trouble {
            checks.good = 0;
        }
        checks.good = checks.good.saturating_add(1);
        if checks.member && checks.good == UP_AFTER {
            self.stand(node, Standing::Up, now);
        }
    }

    fn on_poll_lost(&mut self, node: usize, now: f64) {
        let checks = &mut self.checks[node];
        (checks.good, checks.bad) = (0, checks.bad.saturating_add(1));
        if checks.member && (checks.bad == 1 || checks.bad == LOST_AFTER) {
            let standing = if checks.bad == 1 { Standing::Suspect } else { Standing::Lost };
            self.stand(node, standing, now);
        }
    }

    fn on_member(&mut self, node: usize, member: bool, now: f64) {
        self.checks[node] = Checks { member, ..Checks::default() };
        if member {
            self.calls.retain(|_, promise| promise.arrived.or(promise.holder()) != Some(node));
            self.node(node, |state| state.on_resync(0, time(now)));
        }
        self.stand(node, if member { Standing::Up } else { Standing::Withheld }, now);
    }

    /// As in the daemon: what ended and began unseen is told first, without a set-up time and without blame for anybody.
    fn on_resync(&mut self, node: usize, calls: &[CallNumber], now: f64) {
        let there: HashSet<_> = calls.iter().copied().collect();
        let gone: Vec<_> =
            self.calls.extract_if(|call, promise| promise.arrived == Some(node) && !there.contains(call)).collect();
        for _ in gone {
            self.node(node, |state| state.on_call_ended(time(now)));
        }
        for &call in calls {
            let known = self.calls.get_mut(&call);
            let holder = known.and_then(|promise| {
                promise.failed.clear();
                let holder = promise.holder();
                promise.arrived = Some(node);
                holder
            });
            if let Some(promised) = holder {
                self.node(promised, |state| state.on_released(time(now)));
            }
            self.calls.entry(call).or_insert(Promise {
                routes: Routes::default(),
                holder: 0,
                at: now,
                arrived: Some(node),
                failed: Vec::new(),
            });
        }
        self.node(node, |state| state.on_resync(calls.len() as u32, time(now)));
        self.publish(now);
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
