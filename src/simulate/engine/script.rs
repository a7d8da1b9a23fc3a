//! What happens to nodes and controllers in a situation.

use super::node::COLD;
use super::{Chooser, Engine, What};
use crate::simulate::scenario::Action;

/// Seconds that a controller is away when it restarts. It needs two, one to start and one to check every node, but Kamailio
/// asks again only some five seconds after it found nobody there (`SITE_BREAKER_OPEN_S`).
const AWAY: f64 = 6.0;
/// Seconds after a fault within which its traces must be gone; until then calls are counted as met by the fault.
const RECOVERY: f64 = 2.0;

impl Engine<'_> {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Fail(node, how) => {
                self.nodes[node].failing = Some(how);
                self.lesson = self.now;
                self.measure.fault_began();
            }
            Action::Mend(node) => self.nodes[node].failing = None,
            Action::Slow(node, speed) => self.nodes[node].speed = speed,
            Action::Lossy(node, loss) => self.nodes[node].rtp_loss = loss,
            Action::Leave(node) | Action::FoundDead(node) => self.leave(node),
            Action::Join(node) => {
                let now = self.now;
                let fresh = &mut self.nodes[node];
                (fresh.member, fresh.alive, fresh.joined_at, fresh.attempts_since_join) = (true, true, now, 0);
                let fair = self.run.rate * f64::from(fresh.size.configured) / self.run.configured() * COLD;
                self.measure.joined(node, now, fair);
                self.tell(|rule, now| rule.on_member(node, true, now));
            }
            Action::Crash(node) => {
                let dead = &mut self.nodes[node];
                (dead.alive, dead.calls) = (false, 0);
                dead.era += 1;
                for live in self.live.iter_mut().filter(|live| live.node == node) {
                    live.seen_at_node = false;
                }
            }
            Action::TelemetryLost => {
                self.measure.watch(true);
                self.set_telemetry(false);
            }
            Action::TelemetryBack => {
                self.set_telemetry(true);
                self.schedule(self.now + RECOVERY, What::Recovered);
            }
            Action::Restart => {
                self.measure.watch(true);
                self.restart_controllers();
                self.schedule(self.now + AWAY + RECOVERY, What::Recovered);
            }
        }
    }

    fn leave(&mut self, node: usize) {
        self.nodes[node].member = false;
        self.tell(|rule, now| rule.on_member(node, false, now));
    }

    /// Every controller forgets all and is away for a while.
    fn restart_controllers(&mut self) {
        let Chooser::Rules(make, _) = self.chooser else { return };
        for controller in 0..self.controllers.len() {
            self.controllers[controller] = make();
            self.away[controller] = true;
            for node in 0..self.nodes.len() {
                self.controllers[controller].on_member(node, self.nodes[node].member, self.now);
            }
            self.schedule(self.now + AWAY, What::ControllerBack { controller });
        }
    }
}
