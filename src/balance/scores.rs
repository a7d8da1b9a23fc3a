//! What the choice needs to know of each node beyond its load: the immutable part of the published snapshot.
//!
//! Built by the pool's owner whenever a node's standing changes and at every tick; read by any number of lookup threads.
//! Ordered by slot, so that one pass reads it and the load table side by side.

use super::table::Slot;
use std::sync::Arc;

/// One node as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// Calls that it may carry, reservations and foreign calls included; 0 when it takes no new call at all.
    pub(super) limit: u32,
    /// One over its capacity in calls.
    pub(super) inv_capacity: f32,
}

impl Record {
    /// A slot without a node, or a node that takes no call (draining, disabled, down, joining).
    pub(super) const WITHHELD: Self = Self { limit: 0, inv_capacity: 0.0 };

    /// Calls that the node may carry at most; 0 when it takes no new call.
    pub const fn limit(&self) -> u32 {
        self.limit
    }
}

/// The scoring records of all nodes, by slot. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scores {
    pub(super) records: Arc<[Record]>,
    pub(super) routes: usize,
}

impl Scores {
    /// The record of one node; of an empty slot, one that takes no call.
    pub fn record(&self, slot: Slot) -> Record {
        self.records.get(slot.index()).copied().unwrap_or(Record::WITHHELD)
    }

    /// Slots covered, empty ones included.
    pub fn slots(&self) -> usize {
        self.records.len()
    }
}
