//! What lookups know of the pool: published whole, never changed, replaced by the registry.

use std::sync::Arc;

use super::name::{NodeName, SipUri};
use crate::balance::{Scores, Slot};

/// A node as a route names it. Both texts are free of bytes that JSON or SIP would need escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The node's name.
    pub name: NodeName,
    /// Where Kamailio sends the call.
    pub sip: SipUri,
}

/// The pool at one instant: how each node scores, and what it is called. Both are indexed by slot.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) scores: Scores,
    pub(super) targets: Arc<[Option<Target>]>,
}

impl Snapshot {
    /// The node at `slot`; nothing when it has left the pool.
    pub fn target(&self, slot: Slot) -> Option<&Target> {
        self.targets.get(slot.index())?.as_ref()
    }

    /// Every node of the pool with its slot, in the order of slots.
    pub fn targets(&self) -> impl Iterator<Item = (Slot, &Target)> {
        (0_u32..).zip(self.targets.iter()).filter_map(|(index, target)| Some((Slot::new(index), target.as_ref()?)))
    }

    /// The slot of the node with this name. A scan: for rare questions.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.targets().find(|(_, target)| target.name.as_str() == name).map(|(slot, _)| slot)
    }

    /// How the nodes score.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }
}
