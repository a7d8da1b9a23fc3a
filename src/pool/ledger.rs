//! The registry's books on promised calls: takes in what lookup threads noted, lets promises expire, and tells the
//! balancer of every call that comes or goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::reservation::{Arrival, Fault, Made};
use super::routing::{Note, Routing};
use crate::balance::{Balancer, NodeState, Slot};
use crate::telemetry::PoolMetrics;

/// The books.
pub(super) struct Ledger {
    routing: Arc<Routing>,
    notes: mpsc::UnboundedReceiver<Note>,
    /// Promises in the order in which they were made, which is the order in which they expire.
    pending: VecDeque<Made>,
    metrics: Arc<PoolMetrics>,
}

impl Ledger {
    pub(super) fn new(routing: Arc<Routing>, notes: mpsc::UnboundedReceiver<Note>, metrics: Arc<PoolMetrics>) -> Self {
        Self { routing, notes, pending: VecDeque::new(), metrics }
    }

    /// Takes in all notes, and ends the promises whose time is over. Whether a node's standing may have changed.
    pub(super) fn settle(&mut self, balancer: &mut Balancer, now: Duration) -> bool {
        let mut changed = false;
        while let Ok(note) = self.notes.try_recv() {
            match note {
                Note::Made(made) => {
                    tell(balancer, made.slot, |node| node.on_reserved(now));
                    self.metrics.reservations_made.inc();
                    self.pending.push_back(made);
                }
                Note::EndTold(slot) => balancer.on_end_told(slot, now),
                Note::GiveBack(slot) => tell(balancer, slot, |node| node.on_released(now)),
                Note::GivenUp(slot) => {
                    tell(balancer, slot, |node| node.on_released(now));
                    self.metrics.reservations_released.inc();
                }
                Note::Failed { slot, code, promised } => {
                    tell(balancer, slot, |node| node.on_outcome(code, promised, now));
                    self.metrics.reservations_released.inc_by(u64::from(promised));
                    changed = true;
                }
                Note::Blamed(fault) => {
                    blame(balancer, fault, now);
                    changed = true;
                }
            }
        }
        while self.pending.front().is_some_and(|made| made.at + self.routing.reservation <= now) {
            let Some(made) = self.pending.pop_front() else { break };
            if self.routing.reservations.expire(made.call_id.as_str(), made.serial) {
                tell(balancer, made.slot, |node| node.on_expired(now));
                self.metrics.reservations_expired.inc();
                changed = true;
            }
        }
        changed
    }

    /// A call of ours began on the node at `slot`. Whether that says something of another node.
    pub(super) fn started(&self, balancer: &mut Balancer, slot: Slot, call_id: Option<&str>, now: Duration) -> bool {
        let reservations = &self.routing.reservations;
        let (arrival, faults) =
            call_id.map_or((Arrival::Unannounced, vec![]), |call_id| reservations.arrived(call_id, slot, now));
        let blamed = !faults.is_empty();
        for fault in faults {
            blame(balancer, fault, now);
        }
        match arrival {
            Arrival::Confirmed(setup) => {
                tell(balancer, slot, |node| node.on_confirmed(setup, now));
                self.metrics.reservations_confirmed.inc();
                self.metrics.setup.observe(setup.as_secs_f64());
            }
            Arrival::Elsewhere(promised) => {
                tell(balancer, promised, |node| node.on_released(now));
                tell(balancer, slot, |node| node.on_call_started(now));
                self.metrics.reservations_released.inc();
            }
            Arrival::Unannounced => tell(balancer, slot, |node| node.on_call_started(now)),
        }
        blamed
    }

    /// A call of ours was found on the node at `slot`, where it began unseen: when, and after which failures elsewhere, is
    /// nothing to judge a node by now.
    pub(super) fn found(&self, balancer: &mut Balancer, slot: Slot, call_id: Option<&str>, now: Duration) {
        let arrival = call_id.map(|call_id| self.routing.reservations.arrived(call_id, slot, now).0);
        if let Some(Arrival::Confirmed(_) | Arrival::Elsewhere(_)) = arrival {
            let promised = if let Some(Arrival::Elsewhere(promised)) = arrival { promised } else { slot };
            tell(balancer, promised, |node| node.on_released(now));
            self.metrics.reservations_confirmed.inc();
        }
        tell(balancer, slot, |node| node.on_call_started(now));
    }

    /// A call of ours was answered.
    pub(super) fn answered(&self, call_id: &str, now: Duration) {
        if let Some(waited) = self.routing.reservations.answered(call_id, now) {
            self.metrics.answer.observe(waited.as_secs_f64());
        }
    }

    /// A call of ours ended on the node at `slot`.
    pub(super) fn ended(&self, balancer: &mut Balancer, slot: Slot, call_id: Option<&str>, now: Duration) {
        tell(balancer, slot, |node| node.on_call_ended(now));
        if let Some(call_id) = call_id {
            self.routing.reservations.ended(call_id);
        }
    }
}

/// Holds a failure against its node.
fn blame(balancer: &mut Balancer, fault: Fault, now: Duration) {
    tell(balancer, fault.slot, |node| node.on_blamed(fault.code, fault.sent, now));
}

/// Tells a node's balancing state what happened, if the node is still there.
fn tell(balancer: &mut Balancer, slot: Slot, what: impl FnOnce(&mut NodeState)) {
    if let Some(node) = balancer.node_mut(slot) {
        what(node);
    }
}
