//! What a routing rule hears and answers in the simulator. Kamari's own code and every peer's rule stand behind the same
//! trait, and meet the same calls.

use rand::rngs::Xoshiro256PlusPlus;

/// The most nodes that one call is ever tried on.
pub(super) const MAX_TRIES: usize = 5;

/// Nodes for one call, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routes {
    nodes: [usize; MAX_TRIES],
    len: usize,
}

impl Routes {
    /// Adds a node as the next best; ignored when full.
    pub fn push(&mut self, node: usize) {
        if self.len < MAX_TRIES {
            self.nodes[self.len] = node;
            self.len += 1;
        }
    }

    /// The best `len` of them.
    pub(super) fn first(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// The nodes, best first.
    pub fn as_slice(&self) -> &[usize] {
        &self.nodes[..self.len]
    }
}

impl FromIterator<usize> for Routes {
    fn from_iter<T: IntoIterator<Item = usize>>(nodes: T) -> Self {
        let mut routes = Self::default();
        nodes.into_iter().take(MAX_TRIES).for_each(|node| routes.push(node));
        routes
    }
}

/// What a node tells whoever polls it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Poll {
    /// All calls on it.
    pub calls: u32,
    /// CPU in use, 0 to 1.
    pub cpu: f64,
    /// One-minute load average over its number of CPUs.
    pub load_average: f64,
    /// Round trip of an OPTIONS or a ping, in seconds.
    pub round_trip: f64,
    /// RTP packets lost of its calls, 0 to 1.
    pub rtp_loss: f64,
}

/// The number of a call within its run.
pub(super) type CallNumber = u64;

/// One routing rule in one controller or proxy. Times are seconds from the start of the run.
pub trait Rule {
    /// Names the nodes for a call. `purpose` is uniform in 0..1: what the caller wants, for rules that look at it.
    fn route(&mut self, call: CallNumber, purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes;

    /// The call is sent to a node: the first of its routes at once, another after a failure.
    fn on_sent(&mut self, _call: CallNumber, _node: usize, _now: f64) {}

    /// The call was refused by a node, or got no answer from it (408).
    fn on_failed(&mut self, _call: CallNumber, _node: usize, _code: u16, _now: f64) {}

    /// The call began on a node, `setup` seconds after it was routed.
    fn on_started(&mut self, _call: CallNumber, _node: usize, _setup: f64, _now: f64) {}

    /// The call ended.
    fn on_ended(&mut self, _call: CallNumber, _node: usize, _now: f64) {}

    /// The rule cannot hear the nodes, and asks the proxy beside it to tell of calls that end.
    fn asks_for_ends(&self) -> bool {
        false
    }

    /// The proxy, asked to, tells that the call ended.
    fn on_end_told(&mut self, _call: CallNumber, _now: f64) {}

    /// A poll was answered.
    fn on_poll(&mut self, _node: usize, _poll: &Poll, _now: f64) {}

    /// A poll was not answered, or the node's events do not arrive.
    fn on_poll_lost(&mut self, _node: usize, _now: f64) {}

    /// A node joined the pool or came back to it (`true`), or was taken out or found dead.
    fn on_member(&mut self, node: usize, member: bool, now: f64);

    /// The rule reads calls back from a node after its telemetry came back: those of its own that are there.
    fn on_resync(&mut self, _node: usize, _calls: &[CallNumber], _now: f64) {}

    /// About once a second.
    fn on_tick(&mut self, _now: f64) {}

    /// Seconds between polls.
    fn poll_interval(&self) -> f64 {
        1.0
    }

    /// Whether it learns of calls by the nodes' events (and loses sight of them with the telemetry) or, being in the
    /// signalling path, by itself.
    fn by_events(&self) -> bool {
        false
    }
}
