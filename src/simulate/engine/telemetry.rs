//! What controllers hear of the nodes beside the calls themselves: polls, and reading calls back after a time of silence.
//!
//! A controller that lives by events is treated as kamari's pool treats its nodes (`src/pool/monitor.rs`): a poll is given
//! up after a second, a node in trouble is asked again a quarter of a second later, and the node's events come again within
//! a second and a half of the network's return, which is when its calls are read.

use super::{Engine, REMEMBERS, REPORT, TELLS_FOR, What};
use crate::simulate::rule::{CallNumber, Poll};
use rand::RngExt;

/// Seconds after which a poll is given up.
const POLL_TIMEOUT: f64 = 1.0;
/// Seconds after which a node in trouble is asked again.
const HASTE: f64 = 0.25;
/// Most seconds until a node's events come again, once they can.
const RECONNECT: f64 = 1.5;

impl Engine<'_> {
    /// Every controller asks every node at its own moment.
    pub(super) fn start_polls(&mut self) {
        let (controllers, nodes) = (self.controllers.len(), self.nodes.len());
        for controller in 0..controllers {
            let interval = self.controllers[controller].poll_interval();
            for node in 0..nodes {
                let phase = (node as f64 + controller as f64 / controllers as f64) / nodes as f64;
                self.schedule(interval * phase, What::Poll { controller, node });
            }
        }
    }

    pub(super) fn poll(&mut self, controller: usize, node: usize) {
        let interval = self.controllers[controller].poll_interval();
        let events = self.controllers[controller].by_events();
        if self.away[controller] || !self.nodes[node].alive {
            self.schedule(self.now + interval, What::Poll { controller, node });
            return;
        }
        if !self.telemetry {
            let given_up = self.now + POLL_TIMEOUT;
            self.schedule(given_up, What::PollLost { controller, node });
            self.schedule(if events { given_up + HASTE } else { self.now + interval }, What::Poll { controller, node });
            return;
        }
        if events && !self.heard[controller][node] {
            self.poll_lost(controller, node);
            self.schedule(self.now + HASTE, What::Poll { controller, node });
            return;
        }
        self.schedule(self.now + interval, What::Poll { controller, node });
        let noise = 0.9 + 0.2 * self.rng.random::<f64>();
        let there = &self.nodes[node];
        let poll = Poll {
            calls: there.calls,
            cpu: there.cpu(),
            load_average: there.load_average,
            round_trip: there.round_trip(noise),
            rtp_loss: there.loss(),
        };
        self.controllers[controller].on_poll(node, &poll, self.now);
    }

    pub(super) fn poll_lost(&mut self, controller: usize, node: usize) {
        if !self.away[controller] {
            self.controllers[controller].on_poll_lost(node, self.now);
        }
    }

    /// The network between controllers and nodes is lost, or comes back.
    pub(super) fn set_telemetry(&mut self, telemetry: bool) {
        self.telemetry = telemetry;
        for controller in 0..self.controllers.len() {
            for node in 0..self.nodes.len() {
                self.heard[controller][node] = false;
                if telemetry {
                    let after = RECONNECT * self.rng.random::<f64>();
                    self.schedule(self.now + after, What::Heard { controller, node });
                }
            }
        }
    }

    pub(super) fn hear(&mut self, controller: usize, node: usize) {
        if self.telemetry && !self.away[controller] {
            self.read_back(controller, node);
        }
    }

    /// A proxy is asked by its controller to tell of calls that end, and begins with those that it remembers.
    pub(super) fn tell_ends(&mut self, controller: usize) {
        let asked = std::mem::replace(&mut self.told_until[controller], self.now + TELLS_FOR);
        if asked < self.now {
            let since = self.now - REMEMBERS;
            let own = self.remembered.iter().filter(|&&(at, whose, _)| whose == controller && at >= since);
            for number in own.map(|&(_, _, number)| number).collect::<Vec<_>>() {
                self.tell_end(controller, number);
            }
        }
    }

    /// The controller will hear from its proxy that the call has ended.
    pub(super) fn tell_end(&mut self, controller: usize, number: CallNumber) {
        let after = REPORT * self.rng.random::<f64>();
        self.schedule(self.now + after, What::EndTold { controller, number });
    }

    /// The proxy saw a call end, and was not asked for it.
    pub(super) fn remember_end(&mut self, controller: usize, number: CallNumber) {
        while self.remembered.front().is_some_and(|&(at, _, _)| at < self.now - REMEMBERS) {
            self.remembered.pop_front();
        }
        self.remembered.push_back((self.now, controller, number));
    }

    /// A controller reads its calls back from a node.
    pub(super) fn read_back(&mut self, controller: usize, node: usize) {
        self.heard[controller][node] = true;
        let there = self.live.iter().filter(|live| live.seen_at_node && live.node == node);
        let calls: Vec<_> = there.filter(|live| live.controller == Some(controller)).map(|live| live.number).collect();
        if self.nodes[node].member && self.nodes[node].alive {
            self.controllers[controller].on_resync(node, &calls, self.now);
        }
    }

    /// A controller that was away has read every node.
    pub(super) fn controller_back(&mut self, controller: usize) {
        self.away[controller] = false;
        (0..self.nodes.len()).for_each(|node| self.read_back(controller, node));
    }
}
