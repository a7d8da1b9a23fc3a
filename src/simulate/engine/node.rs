//! The nodes as they really are, whatever a rule believes of them.

use crate::simulate::nodes::NodeSize;
use crate::simulate::scenario::{Failing, Run};

/// Median seconds from INVITE to call start on an idle node.
const SETUP: f64 = 0.020;
/// CPU share that a full node of normal speed uses.
const CPU_AT_FULL: f64 = 0.7;
/// Seconds for which a node that joined cold refuses more than three times its fair share of attempts.
pub(super) const COLD: f64 = 60.0;

/// One node as it really is.
#[derive(Debug, Clone)]
pub(in crate::simulate) struct TrueNode {
    pub(in crate::simulate) size: NodeSize,
    /// Calls on it, everybody's.
    pub(in crate::simulate) calls: u32,
    /// In the pool: new calls may be sent to it.
    pub(in crate::simulate) member: bool,
    pub(super) alive: bool,
    pub(super) failing: Option<Failing>,
    /// CPU speed against a normal node.
    pub(super) speed: f64,
    /// Share of RTP packets lost on its network.
    pub(super) rtp_loss: f64,
    /// Counts restarts, so that the ends of calls that died with it are known as such.
    pub(super) era: u32,
    pub(super) load_average: f64,
    pub(super) joined_at: f64,
    pub(super) attempts_since_join: u32,
}

impl TrueNode {
    pub(super) fn new(size: NodeSize) -> Self {
        Self {
            size,
            calls: 0,
            member: true,
            alive: true,
            failing: None,
            speed: 1.0,
            rtp_loss: 0.0,
            era: 0,
            load_average: 0.0,
            joined_at: f64::NEG_INFINITY,
            attempts_since_join: 0,
        }
    }

    /// Share of CPU that its calls want, which may be more than there is.
    fn wanted(&self) -> f64 {
        CPU_AT_FULL * f64::from(self.calls) / (f64::from(self.size.real) * self.speed)
    }

    pub(super) fn cpu(&self) -> f64 {
        self.wanted().min(1.0)
    }

    /// Share of audio lost: on its network, and where the CPU does not suffice.
    pub(super) fn loss(&self) -> f64 {
        self.rtp_loss + (self.wanted() - 1.0).clamp(0.0, 1.0)
    }

    /// Seconds from INVITE to call start.
    pub(super) fn setup(&self, noise: f64) -> f64 {
        SETUP * noise / (1.0 - self.cpu().min(0.99))
    }

    /// Seconds that an OPTIONS or a ping takes.
    pub(super) fn round_trip(&self, noise: f64) -> f64 {
        0.001 * noise / (1.0 - self.cpu().min(0.99))
    }

    /// Whether it takes one more call at `now`.
    pub(super) fn accepts(&self, run: &Run, now: f64) -> bool {
        let joined = now - self.joined_at;
        let fair = run.rate * f64::from(self.size.configured) / run.configured();
        let cold = joined < COLD && f64::from(self.attempts_since_join) > 3.0 * fair * joined + 10.0;
        self.alive && self.failing.is_none() && !cold && self.calls < self.size.real
    }

    /// What a call gets that it does not take: a SIP code, 408 for silence.
    pub(super) fn refusal(&self) -> u16 {
        if self.alive && self.failing != Some(Failing::Silently) { 503 } else { 408 }
    }
}
