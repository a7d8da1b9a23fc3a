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
    /// How every answer that names the node ends its route: written once, and in one piece of memory.
    route: Box<str>,
}

impl Target {
    /// A node of this name and address.
    pub fn new(name: NodeName, sip: SipUri) -> Self {
        let route = format!(r#""dst_uri":"{}","node":"{}"}}"#, sip.as_str(), name.as_str()).into();
        Self { name, sip, route }
    }

    /// Members `dst_uri` and `node` of an rtjson route, and its end.
    pub(crate) fn route(&self) -> &str {
        &self.route
    }
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
