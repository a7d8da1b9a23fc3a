//! The least cost of each block of nodes, remembered from one choice to the next.
//!
//! Why it exists: between two choices the calls of very few nodes change, so that looking at every node each time is
//! nearly all of what a choice costs in a large pool.
//!
//! What is remembered was computed from one version of the scores, and is part of them; what it needs of the load table is
//! good as long as the block's count of changes there (`LoadTable::changes`) stays what it was. A choice that reads and one
//! that writes at the same time do no harm: count, cost and nodes are one word, and a word whose count is not today's is
//! computed anew. Nothing is ever waited for.

use super::table::LANES;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The bits of a count of changes that are kept. It would have to move by a multiple of 2^24 between two choices to look as
/// if it had not.
const CHANGES: u32 = 0x00ff_ffff;

/// The least of some costs, and how it is shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Least {
    /// The least cost; infinite when no node takes a call.
    pub(super) cost: f32,
    /// Which of the block's nodes have it: a bit each, the first is the lowest.
    pub(super) lanes: u8,
}

impl Least {
    #[inline]
    pub(super) fn of(costs: &[f32; LANES]) -> Self {
        let least = costs.iter().fold(f32::INFINITY, |least, &cost| if cost < least { cost } else { least });
        let lanes = (0..).zip(costs).fold(0, |lanes, (lane, &cost)| lanes | u8::from(cost <= least) << lane);
        Self { cost: least, lanes }
    }
}

/// What is known of each block: cost in the upper half of the word, then the count of changes, then the lanes. Zero is
/// nothing: some lane always has the least cost.
#[derive(Debug)]
pub(super) struct Minima(Box<[AtomicU64]>);

impl Minima {
    /// Nothing known of so many blocks.
    pub(super) fn new(blocks: usize) -> Self {
        Self((0..blocks).map(|_| AtomicU64::default()).collect())
    }

    /// The least cost of a block whose count of changes is `changes`, by `costs` when it is not known. The count must have
    /// been read before.
    #[inline]
    pub(super) fn of(&self, block: usize, changes: u32, costs: impl FnOnce() -> [f32; LANES]) -> Least {
        let Some(place) = self.0.get(block) else { return Least { cost: f32::INFINITY, lanes: 0 } };
        let word = place.load(Relaxed);
        if word != 0 && (word >> 8) as u32 & CHANGES == changes & CHANGES {
            return Least { cost: f32::from_bits((word >> 32) as u32), lanes: word as u8 };
        }
        let least = Least::of(&costs());
        let of_when = u64::from(changes & CHANGES) << 8;
        place.store(u64::from(least.cost.to_bits()) << 32 | of_when | u64::from(least.lanes), Relaxed);
        least
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGES, Least, Minima};

    #[test]
    fn the_least_cost_is_known_with_all_who_have_it() {
        let costs = [0.5, 0.25, 3.0, 0.25, f32::INFINITY, 0.5, 0.5, 0.25];
        assert_eq!(Least::of(&costs), Least { cost: 0.25, lanes: 0b1000_1010 });
        assert_eq!(Least::of(&[f32::INFINITY; 8]), Least { cost: f32::INFINITY, lanes: 0xff });
    }

    #[test]
    fn a_block_is_computed_again_when_its_count_has_moved() {
        let minima = Minima::new(2);
        let of = |changes, cost: f32| minima.of(1, changes, || [cost; 8]).cost;
        for changes in [0, 7, CHANGES - 3, CHANGES, CHANGES + 3, u32::MAX - 3, u32::MAX] {
            assert!((of(changes, 0.5) - 0.5).abs() < f32::EPSILON, "{changes}: not known before");
            assert!((of(changes, 9.0) - 0.5).abs() < f32::EPSILON, "{changes}: known");
            assert!((of(changes.wrapping_add(1), 0.75) - 0.75).abs() < f32::EPSILON, "{changes}: changed");
        }
    }
}
