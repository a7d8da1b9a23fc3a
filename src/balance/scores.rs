//! What the choice needs to know of each node beyond its load: what the pool's owner publishes, and never changes.
//!
//! Built by the pool's owner whenever a node's standing changes and at every tick; read by any number of lookup threads.
//! Ordered by slot, as the load table is. What tells a node's cost lies in lanes of its own, eight nodes to a block, so
//! that the compiler can treat eight nodes at once; the least cost of each block is remembered beside it (`minima`).

use super::minima::Minima;
use super::table::{LANES, Slot};
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
    /// Its breaker is open, and it left calls unanswered: tried with one call a second instead of turning the caller away.
    Ejected,
    /// Not at all unless most of the pool has fallen silent.
    Lost,
    /// Never.
    Withheld,
}

/// One node as the choice sees it. In one line of a cache, as a node's place in the load table is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(align(64))]
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
    /// When its calls were last known for certain, in milliseconds since the owner's epoch: read from it, or that it
    /// refused a call while it was out of sight.
    pub(super) seen_ms: u64,
    /// How many calls too many were counted on it then.
    pub(super) over: i32,
    /// It had been out of sight for long when the others still were in sight: dead, not in the dark with them.
    pub(super) long_gone: bool,
}

/// Beyond this, no more calls are guessed to have ended on a node that is out of sight.
const UNSEEN_MAX_MS: u64 = 60_000;

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
        seen_ms: 0,
        over: 0,
        long_gone: true,
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

    /// The same for a node that is out of sight, with `total` calls counted on it, of which the share `churn` ends each
    /// second, and none unheard while the proxy told of the ends. While fewer are counted than it carries there is room for certain, and the stress is what is to be
    /// expected. After that it is 1 and the risk that the node is full: the number of calls that ended unseen is
    /// Poisson, and every call sent there since and not refused proves that as many had ended as it needed.
    pub(super) fn unseen_stress(&self, total: u32, pool: &PoolScores, now_ms: u64) -> f32 {
        let counted = i64::from(total) - i64::from(self.over);
        let told = pool.told_ms.1.min(now_ms).saturating_sub(pool.told_ms.0.max(self.seen_ms));
        let unseen_ms = now_ms.saturating_sub(self.seen_ms).saturating_sub(told).min(UNSEEN_MAX_MS);
        let ended = counted.max(0) as f32 * (1.0 - (-pool.churn * unseen_ms as f32 / 1_000.0).exp());
        let stress = self.stress(counted.max(0) as f32 - ended + 1.0);
        match u32::try_from(counted - i64::from(self.limit)) {
            Err(_) => stress,
            Ok(needed) => stress.max(1.0 + poisson_hazard(needed, f64::from(ended)) as f32),
        }
    }
}

/// The chance that a Poisson number of mean `mean` is exactly `n`, given that it is at least `n`: one over
/// `1 + m/(n+1) + m^2/((n+1)(n+2)) + ...`, a sum without differences, so that nothing is lost in the far tail.
pub(super) fn poisson_hazard(n: u32, mean: f64) -> f64 {
    let (mut term, mut sum, mut at) = (1.0, 1.0_f64, f64::from(n));
    while term > sum * 1.0e-9 && sum.is_finite() {
        at += 1.0;
        term *= mean / at;
        sum += term;
    }
    1.0 / sum
}

/// What the scan reads of eight nodes in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    per_call: [f32; LANES],
    cpu_base: [f32; LANES],
    cpu_per_call: [f32; LANES],
    rate: [f32; LANES],
    penalty: [f32; LANES],
}

impl Block {
    fn of(records: &[Record]) -> Self {
        let lane = |figure: fn(&Record) -> f32| {
            let mut lane = [figure(&Record::WITHHELD); LANES];
            for (place, record) in lane.iter_mut().zip(records) {
                *place = figure(record);
            }
            lane
        };
        Self {
            per_call: lane(|record| record.per_call),
            cpu_base: lane(|record| record.cpu_base),
            cpu_per_call: lane(|record| record.cpu_per_call),
            rate: lane(|record| record.rate),
            penalty: lane(|record| record.penalty),
        }
    }

    /// `stress` plus penalty of each node, with so many calls on each.
    #[inline]
    pub(super) fn costs(&self, totals: &[f32; LANES]) -> [f32; LANES] {
        let greater = |a: f32, b: f32| if a > b { a } else { b };
        let mut costs = [0.0; LANES];
        for (i, cost) in costs.iter_mut().enumerate() {
            let calls = totals[i] * self.per_call[i];
            let cpu = self.cpu_base[i] + totals[i] * self.cpu_per_call[i];
            *cost = greater(greater(calls, cpu), self.rate[i]) + self.penalty[i];
        }
        costs
    }
}

/// The scoring records of all nodes, by slot. Cheap to clone; clones share what they remember of the load table, so that
/// one belongs to one table.
#[derive(Debug, Clone)]
pub struct Scores {
    pub(super) records: Arc<[Record]>,
    pub(super) blocks: Arc<[Block]>,
    pub(super) minima: Arc<Minima>,
    pub(super) pool: PoolScores,
}

/// What holds of the pool as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolScores {
    pub(super) routes: usize,
    /// Nodes that are not withheld.
    pub(super) offered: usize,
    /// Some node is ejected, and none that is offered is better than that.
    pub(super) none_better_than_ejected: bool,
    /// Until when at least half of the nodes are in sight even if nothing more is heard, in milliseconds since the epoch.
    pub(super) sight_until_ms: u64,
    /// What is left of a node's freshness when its next poll is overdue, in milliseconds.
    pub(super) overdue_left_ms: u64,
    /// Share of the calls in progress that end each second, for guessing at nodes that are out of sight.
    pub(super) churn: f32,
    /// Polls of at least half of the nodes are overdue.
    pub(super) unheard: bool,
    /// From when and until when the proxy told of calls that ended out of sight, in milliseconds since the epoch.
    pub(super) told_ms: (u64, u64),
    /// Seconds until a place is likely to be free for one who was refused, 1 to 5.
    pub(super) retry_after: f32,
}

impl Scores {
    pub(super) fn new(records: Arc<[Record]>, pool: PoolScores) -> Self {
        let blocks: Arc<[Block]> = records.chunks(LANES).map(Block::of).collect();
        Self { minima: Arc::new(Minima::new(blocks.len())), blocks, records, pool }
    }

    /// The record of one node; of an empty slot, one that takes no call.
    pub fn record(&self, slot: Slot) -> Record {
        self.records.get(slot.index()).copied().unwrap_or(Record::WITHHELD)
    }

    /// Whether the proxy is to be asked for the ends of calls: at least half of the pool has not been heard for longer than usual.
    /// As of when these scores were made, so that a lookup need not count; the proxy remembers the ends until then.
    pub const fn is_unheard(&self) -> bool {
        self.pool.unheard
    }

    /// Slots covered, empty ones included.
    pub fn slots(&self) -> usize {
        self.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, Record, poisson_hazard};
    use crate::balance::table::LANES;

    #[test]
    fn a_block_costs_what_its_records_do() {
        let record = |limit: u32| Record { limit, per_call: 1.0 / limit as f32, penalty: 0.125, ..Record::WITHHELD };
        let records = [record(10), record(50), Record { cpu_base: 0.5, cpu_per_call: 0.25, ..record(100) }];
        let costs = Block::of(&records).costs(&[3.0; LANES]);
        for (cost, record) in costs.iter().zip(&records) {
            assert!((cost - record.stress(3.0) - record.penalty).abs() < 1e-6);
        }
        assert!(costs[records.len()..].iter().all(|cost| *cost == f32::INFINITY));
    }

    #[test]
    fn the_risk_of_being_full_grows_with_each_call_and_falls_with_time() {
        assert!((poisson_hazard(0, 0.0) - 1.0).abs() < 1e-8, "just seen full");
        assert!((poisson_hazard(0, 2.0) - (-2.0_f64).exp()).abs() < 1e-8);
        // P(3) / P(at least 3) of mean 2: 0.180447 / 0.323324
        assert!((poisson_hazard(3, 2.0) - 0.558_101).abs() < 1e-6);
        for n in 0..60 {
            assert!(poisson_hazard(n + 1, 5.0) >= poisson_hazard(n, 5.0), "{n}");
            assert!(poisson_hazard(n, 6.0) <= poisson_hazard(n, 5.0) + 1e-8, "{n}");
        }
    }
}
