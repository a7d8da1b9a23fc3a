//! What the monitors tell of their nodes: calls go into the books, rounds of checks move the node's state machine.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Registry;
use crate::balance::{Sample, Slot};
use crate::pool::event::PoolEvent;
use crate::pool::lifecycle::{Availability, Change, Lifecycle};
use crate::pool::monitor::{Report, Reported};
use crate::pool::name::NodeName;
use crate::pool::round::{Reading, Trouble};

impl Registry {
    pub(super) fn hear(&mut self, Reported { monitor, report }: Reported) {
        // What a monitor that was replaced says is about a node that is no more.
        let Some(name) = self.monitors.get(&monitor).cloned() else { return };
        let now = self.now();
        // A promise is counted before its call is, however near they come.
        self.standing_changed |= self.ledger.settle(&mut self.balancer, now);
        let Some(slot) = self.nodes.get(&name).map(|node| node.slot) else { return };
        match report {
            Report::Mark(reply) => {
                if let Some(state) = self.balancer.node(slot) {
                    // A monitor that is ending no longer polls.
                    let _ = reply.send(state.poll_mark());
                }
            }
            Report::Started(promised) => {
                self.standing_changed |= self.ledger.started(&mut self.balancer, slot, promised.as_deref(), now);
            }
            Report::Answered(call_id) => self.ledger.answered(&call_id, now),
            Report::Ended(promised) => self.ledger.ended(&mut self.balancer, slot, promised.as_deref(), now),
            Report::Up { about, difference, own } => {
                let before = self.nodes.get_mut(&name).map(|node| std::mem::replace(&mut node.about, about.clone()));
                if let Some(then) = before.and_then(|about| about.started_unix_ms)
                    && about.started_unix_ms.is_some_and(|started| started != then)
                {
                    self.say(PoolEvent::Restarted { node: name.clone() });
                    self.step(&name, |lifecycle| lifecycle.begin_again("its Asterisk was restarted"));
                }
                for promised in difference.ended {
                    self.ledger.ended(&mut self.balancer, slot, promised.as_deref(), now);
                }
                for promised in difference.started {
                    self.ledger.found(&mut self.balancer, slot, promised.as_deref(), now);
                }
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_resync(own, now);
                    // What lookups guessed of it is over.
                    self.standing_changed = true;
                }
            }
            Report::Round(result) => self.round(&name, slot, result, now),
            Report::SocketDown(trouble) => {
                // Of a node that is down the rounds tell; each further attempt at its socket would only repeat them.
                if self.nodes.get(&name).is_some_and(|node| node.availability() != Availability::Down) {
                    self.check_failed(&name, &trouble);
                }
            }
            Report::TakenOver { until_retry } => {
                let seconds = until_retry.as_secs();
                let reason = format!(
                    "another controller took the node's application over; kamari takes it back in {seconds} s, or when it is undrained"
                );
                self.say(PoolEvent::TakenOver { node: name.clone() });
                self.step(&name, |lifecycle| lifecycle.fail(&reason));
            }
        }
    }

    fn round(&mut self, name: &NodeName, slot: Slot, result: Result<Reading, Trouble>, now: Duration) {
        match result {
            Ok(reading) => {
                let load = reading.load.as_ref().ok();
                let sample = Sample {
                    mark: reading.mark,
                    calls: load.map(|load| load.calls),
                    cpu: load.and_then(|load| load.cpu),
                    rtp_loss: reading.audio.map(|audio| audio.loss),
                    rtp_jitter_ms: reading.audio.map(|audio| audio.jitter_ms),
                };
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_sample(&sample, now);
                }
                if let Some(node) = self.nodes.get_mut(name) {
                    node.read(&reading);
                    node.metrics.checks_good.inc();
                }
                self.step(name, Lifecycle::good);
                // A good round is no verdict yet; enough of them are.
                if self.nodes.get(name).is_some_and(|node| node.availability() == Availability::Up) {
                    self.note_checked(name);
                }
            }
            Err(trouble) => {
                if let Some(node) = self.nodes.get(name) {
                    node.metrics.checks_bad.inc();
                }
                self.check_failed(name, &trouble);
            }
        }
    }

    fn check_failed(&mut self, name: &NodeName, trouble: &Trouble) {
        self.step(name, |lifecycle| {
            if trouble.definite { lifecycle.fail(&trouble.reason) } else { lifecycle.bad(&trouble.reason) }
        });
        self.note_checked(name);
    }

    fn note_checked(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.checked = true;
        }
        if !self.checked.load(Ordering::Relaxed) {
            self.check_all_checked();
        }
    }

    pub(super) fn check_all_checked(&self) {
        let all = self.nodes.values().all(|node| node.checked || node.monitor.is_none());
        if all {
            self.checked.store(true, Ordering::Release);
        }
    }

    /// Moves a node's state machine, says what changed, and tells the balancer whether calls may go there.
    pub(super) fn step(&mut self, name: &NodeName, step: impl FnOnce(&mut Lifecycle) -> Option<Change>) {
        let Some(Change { from, to, reason }) = self.nodes.get_mut(name).and_then(|node| node.step(step)) else {
            return;
        };
        self.say(PoolEvent::AvailabilityChanged { node: name.clone(), from, to, reason });
        self.offer(name);
    }

    pub(super) fn offer(&mut self, name: &NodeName) {
        let now = self.now();
        let Some(node) = self.nodes.get(name) else { return };
        if let Some(state) = self.balancer.node_mut(node.slot) {
            state.set_standing(node.standing(), now);
            self.standing_changed = true;
        }
    }
}
