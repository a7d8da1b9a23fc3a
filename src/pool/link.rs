//! The contract with whoever runs the calls: one link a node, and its events in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::time::Instant;

use super::name::{NodeName, SipUri};
use crate::ari::AriClient;
use crate::ari::event::Event;
use crate::ari::model::{Bridge, Channel};

/// The Stasis application: the whole dialplan of every node hands its calls to it.
pub const APPLICATION: &str = "EVERYTHING";
/// What every id of an object that kamari makes on a node begins with.
pub const OWN_PREFIX: &str = "kamari-";
/// What the ids of the probe channels begin with. They are no calls; the listener never hears of them.
pub const PROBE_PREFIX: &str = "kamari-probe-";
/// What the ids of channels begin with that listen to a call. They load a node as part of that call.
const SNOOP_PREFIX: &str = "kamari-snoop-";

/// What a channel in our application is to the load of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A caller that came by `Stasis()`.
    Caller,
    /// A channel that kamari made to reach somebody.
    Leg,
    /// A channel that adds nothing.
    Helper,
}

impl Role {
    pub(super) fn of(channel_id: &str) -> Self {
        if channel_id.starts_with(PROBE_PREFIX) || channel_id.starts_with(SNOOP_PREFIX) {
            Self::Helper
        } else if channel_id.starts_with(OWN_PREFIX) {
            Self::Leg
        } else {
            Self::Caller
        }
    }
}

/// A way to command one node, from the moment its events arrive. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeLink {
    /// The node.
    pub name: NodeName,
    /// Its SIP address.
    pub sip: SipUri,
    /// Its REST interface.
    pub ari: AriClient,
    /// Grows each time the node's events begin to arrive anew. What belongs to an older generation may be gone.
    pub generation: u64,
    pub(super) commands: Arc<AtomicBool>,
    pub(super) taken_over: Arc<AtomicBool>,
    pub(super) stress: Stress,
}

/// How near its limit a node is, as the registry last said it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stress(Arc<AtomicU64>);

impl Stress {
    pub(super) fn set(&self, stress: f64) {
        self.0.store(stress.to_bits(), Ordering::Relaxed);
    }
}

impl NodeLink {
    /// A link outside any pool, for tests of what commands nodes.
    pub fn standalone(name: NodeName, sip: SipUri, ari: AriClient) -> Self {
        let (commands, taken_over) = (Arc::new(AtomicBool::new(true)), Arc::default());
        Self { name, sip, ari, generation: 1, commands, taken_over, stress: Stress::default() }
    }

    /// How near its limit the node is, by the balance code: 0 idle, 1 full. Follows the load within a tick of the registry.
    /// What must choose among nodes that are given (where a room has members) chooses by this, as lookups do.
    pub fn stress(&self) -> f64 {
        f64::from_bits(self.stress.0.load(Ordering::Relaxed))
    }

    /// Whether kamari may command this node: false from the moment that another controller took its application over,
    /// the operator disabled it, or it was removed.
    pub fn commands_allowed(&self) -> bool {
        self.commands.load(Ordering::Acquire)
    }

    /// Whether another controller has the node's application, and thereby its calls.
    pub fn is_taken_over(&self) -> bool {
        self.taken_over.load(Ordering::Acquire)
    }
}

/// What is in our application on a node when its events begin to arrive.
#[derive(Debug, Clone)]
pub struct Resync {
    /// When the reading began: what ended later may still be listed.
    pub asked: Instant,
    /// Every channel in the application, callers and legs; no probe.
    pub channels: Vec<Channel>,
    /// Every bridge that the application hears of or that kamari made.
    pub bridges: Vec<Bridge>,
}

/// Hears what happens on nodes. For each node the calls come one after the other, in the order of its events; for
/// different nodes they come at once, from several threads. They must not block: the node's event queue waits meanwhile.
pub trait NodeListener: Send + Sync + 'static {
    /// Events of the node arrive from now on. Comes again, with a higher generation and without `on_down`, when events
    /// may have been missed: what is in `resync` is there, everything else is gone. Events that follow may repeat what
    /// `resync` shows already.
    fn on_up(&self, link: &NodeLink, resync: &Resync);

    /// An event of the node.
    fn on_event(&self, link: &NodeLink, event: &Arc<Event>);

    /// Events of the node no longer arrive. Calls may still be up there; `on_up` shows them when the node is back.
    fn on_down(&self, link: &NodeLink, reason: &str);

    /// The node has left the pool. Nothing follows for it.
    fn on_removed(&self, node: &NodeName);
}

/// Listens to nothing.
impl NodeListener for () {
    fn on_up(&self, _: &NodeLink, _: &Resync) {}
    fn on_event(&self, _: &NodeLink, _: &Arc<Event>) {}
    fn on_down(&self, _: &NodeLink, _: &str) {}
    fn on_removed(&self, _: &NodeName) {}
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn only_callers_and_legs_load_a_node() {
        assert_eq!(Role::of("c1-1795379148.0"), Role::Caller);
        assert_eq!(Role::of("kamari-leg-0-1"), Role::Leg);
        assert_eq!(Role::of("kamari-probe-1"), Role::Helper);
        assert_eq!(Role::of("kamari-snoop-0-1"), Role::Helper);
    }
}
