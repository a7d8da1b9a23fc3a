//! What time alone brings about: the balancer's and the gauges' tick, ended drains, and slots that have rested.

use std::time::Duration;

use tokio::time::Instant;

use super::Registry;
use crate::balance::Slot;
use crate::pool::event::{Intent, PoolEvent};

/// How long a slot rests after its node left: longer than any lookup that saw the node still takes.
const REST: Duration = Duration::from_secs(2);

impl Registry {
    pub(super) fn slow_tick(&mut self) {
        let now = self.now();
        self.balancer.tick(now);
        self.standing_changed = true;
        self.check_all_checked();
        let scores = self.scores();
        for node in self.nodes.values() {
            node.measure(&self.balancer, &scores, now);
        }
        let words: Vec<_> =
            self.nodes.values().map(|node| (node.availability().as_str(), node.member.intent.as_str())).collect();
        self.pool_metrics.set_nodes(&words);
        self.tasks.retain(|name, task| self.nodes.contains_key(name) || !task.is_finished());
        let rested = |entry: &mut (Instant, Slot)| entry.0.elapsed() >= REST;
        for (_, slot) in self.resting.extract_if(.., rested) {
            // A lookup that was under way at the removal may have promised the slot once more.
            self.routing.reservations.forget_node(slot);
            self.balancer.remove(slot);
        }
    }

    /// Says of each draining node, once, that it has no call left.
    pub(super) fn watch_drains(&mut self) {
        let mut empty = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.member.intent != Intent::Draining || node.drained {
                continue;
            }
            let load = self.balancer.table().load(node.slot);
            if load.own == 0 && load.reserved == 0 {
                node.drained = true;
                empty.push(name.clone());
            }
        }
        for node in empty {
            self.say(PoolEvent::Drained { node });
        }
    }
}
