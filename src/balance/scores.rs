//! What the choice needs to know of each node beyond its load: the immutable part of the published snapshot.
//!
//! Built by the pool's owner whenever a node's standing changes and at every tick; read by any number of lookup threads.
//! Ordered by slot, so that one pass reads it and the load table side by side.

use super::table::Slot;
use serde::Serialize;
use std::sync::Arc;

/// How a node takes part in the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Fully.
    Open,
    /// While it is eased in: within its budget of attempts fully, beyond it after all others.
    Eased,
    /// Its breaker lets one call through to see whether it is mended; beyond that, not.
    Trial,
    /// A last resort: its last checks failed.
    Suspect,
    /// Its breaker is open, and it refused calls at once: tried only instead of turning the caller away.
    Refusing,
    /// Its breaker is open, and it left calls unanswered: not tried, unless no node is any better.
    Ejected,
    /// Not at all unless most of the pool has fallen silent.
    Lost,
    /// Never.
    Withheld,
}

/// One node as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// Calls that it may carry, reservations and foreign calls included; 0 when it takes no new call at all.
    pub(super) limit: u32,
    pub(super) class: Class,
    /// Expected to be seen: neither suspect nor lost, and not withheld.
    pub(super) watched: bool,
    /// The slot's count of attempts at which an eased or tried node has had its share.
    pub(super) attempts_until: u32,
    /// One over `limit`; infinite when that is 0.
    pub(super) per_call: f32,
    /// Stress from CPU: at no calls, and per call.
    pub(super) cpu_base: f32,
    pub(super) cpu_per_call: f32,
    /// Stress from the rate of calls.
    pub(super) rate: f32,
    /// What its quality costs, in units of stress.
    pub(super) penalty: f32,
}

impl Record {
    /// A slot without a node, or a node that takes no call.
    pub(super) const WITHHELD: Self = Self {
        limit: 0,
        class: Class::Withheld,
        watched: false,
        attempts_until: 0,
        per_call: f32::INFINITY,
        cpu_base: 0.0,
        cpu_per_call: 0.0,
        rate: 0.0,
        penalty: 0.0,
    };

    /// Calls that the node may carry at most, as configured or learned; 0 when it takes no new call.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// How it takes part.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What its quality costs it, in units of stress.
    pub const fn penalty(&self) -> f32 {
        self.penalty
    }

    /// How close it is to its nearest limit with `total` calls on it: 0 idle, 1 at the limit of calls, CPU or call rate.
    #[inline]
    pub fn stress(&self, total: f32) -> f32 {
        let greater = |a: f32, b: f32| if a > b { a } else { b };
        greater(greater(total * self.per_call, self.cpu_base + total * self.cpu_per_call), self.rate)
    }
}

/// The scoring records of all nodes, by slot. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Scores {
    pub(super) records: Arc<[Record]>,
    pub(super) routes: usize,
    /// Nodes that are not withheld.
    pub(super) offered: usize,
    /// Some node is ejected, and none that is offered is better than that.
    pub(super) none_better_than_ejected: bool,
    pub(super) stale_after_ms: u64,
    /// Share of the calls in progress that end each second, for guessing at nodes that are out of sight.
    pub(super) churn: f32,
    /// Seconds until a place is likely to be free for one who was refused, 1 to 5.
    pub(super) retry_after: f32,
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
