//! The least cost of each block of nodes and of each group of blocks, remembered from one choice to the next.
//!
//! Why it exists: between two choices the calls of very few nodes change, so that looking at every node each time is
//! nearly all of what a choice costs in a large pool.
//!
//! What is remembered was computed from one version of the scores, and is part of them; what it needs of the load table is
//! good as long as the count of changes there (`LoadTable::changes`) stays what it was. A choice that reads and one
//! that writes at the same time do no harm: count, cost and nodes are one word, and a word whose count is not today's is
//! computed anew. Nothing is ever waited for.

use super::table::{GROUP, LANES};
#[cfg(loom)]
use loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// The bits of a count of changes that are kept. It would have to move by a multiple of 2^24 between two choices to look as
/// if it had not.
const CHANGES: u32 = 0x00ff_ffff;

const _: () = assert!(LANES * GROUP <= u8::MAX as usize, "the lots of a group are kept in a byte");

/// The least of the costs in a block, and how it is shared.
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

/// The least cost of many nodes, and how many of them have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lots {
    /// The least cost; infinite when no node takes a call.
    pub(super) cost: f32,
    /// How many have it.
    pub(super) lots: u32,
}

impl Lots {
    /// Of no node.
    pub(super) const NONE: Self = Self { cost: f32::INFINITY, lots: 0 };

    /// Of both together.
    #[inline]
    pub(super) fn and(self, other: Self) -> Self {
        if other.cost < self.cost { other } else { Self { lots: self.lots + other.at(self.cost), ..self } }
    }

    /// How many have it, if it is at most `cost`; else none.
    #[inline]
    pub(super) fn at(self, cost: f32) -> u32 {
        if self.cost <= cost { self.lots } else { 0 }
    }
}

impl From<Least> for Lots {
    fn from(Least { cost, lanes }: Least) -> Self {
        Self { cost, lots: lanes.count_ones() }
    }
}

/// What is known of each block and each group.
#[derive(Debug)]
pub(super) struct Minima {
    blocks: Memory,
    groups: Memory,
}

impl Minima {
    /// Nothing known of so many blocks.
    pub(super) fn new(blocks: usize) -> Self {
        Self { blocks: Memory::new(blocks), groups: Memory::new(blocks.div_ceil(GROUP)) }
    }

    /// The least cost of a block whose count of changes is `changes`, by `costs` when it is not known. The count must have
    /// been read before.
    #[inline]
    pub(super) fn of_block(&self, block: usize, changes: u32, costs: impl FnOnce() -> [f32; LANES]) -> Least {
        let least = || {
            let Least { cost, lanes } = Least::of(&costs());
            (cost, lanes)
        };
        let (cost, lanes) = self.blocks.recall(block, changes, least);
        Least { cost, lanes }
    }

    /// The same of a group, by `lots` when it is not known.
    #[inline]
    pub(super) fn of_group(&self, group: usize, changes: u32, lots: impl FnOnce() -> Lots) -> Lots {
        let lots = || {
            let Lots { cost, lots } = lots();
            (cost, lots as u8)
        };
        let (cost, lots) = self.groups.recall(group, changes, lots);
        Lots { cost, lots: lots.into() }
    }
}

/// A cost and a byte for each place: the cost in the upper half of the word, then the count of changes, then the byte. Zero is
/// nothing: some node always has the least cost, so that neither its lane nor its lot is zero.
#[derive(Debug)]
struct Memory(Box<[AtomicU64]>);

impl Memory {
    fn new(places: usize) -> Self {
        Self((0..places).map(|_| AtomicU64::default()).collect())
    }

    #[inline]
    fn recall(&self, place: usize, changes: u32, compute: impl FnOnce() -> (f32, u8)) -> (f32, u8) {
        let Some(place) = self.0.get(place) else { return (f32::INFINITY, 0) };
        let word = place.load(Relaxed);
        if word != 0 && (word >> 8) as u32 & CHANGES == changes & CHANGES {
            return (f32::from_bits((word >> 32) as u32), word as u8);
        }
        let (cost, share) = compute();
        let of_when = u64::from(changes & CHANGES) << 8;
        place.store(u64::from(cost.to_bits()) << 32 | of_when | u64::from(share), Relaxed);
        (cost, share)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{CHANGES, Least, Lots, Minima};

    #[test]
    fn the_least_cost_is_known_with_all_who_have_it() {
        let costs = [0.5, 0.25, 3.0, 0.25, f32::INFINITY, 0.5, 0.5, 0.25];
        assert_eq!(Least::of(&costs), Least { cost: 0.25, lanes: 0b1000_1010 });
        assert_eq!(Least::of(&[f32::INFINITY; 8]), Least { cost: f32::INFINITY, lanes: 0xff });
    }

    #[test]
    fn the_least_of_two_is_shared_by_those_who_have_it() {
        let lots = |cost, lots| Lots { cost, lots };
        assert_eq!(lots(0.5, 3).and(lots(0.25, 2)), lots(0.25, 2));
        assert_eq!(lots(0.5, 3).and(lots(0.75, 2)), lots(0.5, 3));
        assert_eq!(lots(0.5, 3).and(lots(0.5, 2)), lots(0.5, 5));
        assert_eq!(Lots::NONE.and(lots(f32::INFINITY, 8)), lots(f32::INFINITY, 8));
        assert_eq!(Lots::from(Least { cost: 0.5, lanes: 0b1001 }), lots(0.5, 2));
    }

    #[test]
    fn blocks_and_groups_are_computed_again_when_their_count_has_moved() {
        let minima = Minima::new(16);
        let block = |changes, cost: f32| minima.of_block(1, changes, || [cost; 8]).cost;
        let group = |changes, cost: f32| minima.of_group(1, changes, || Lots { cost, lots: 64 }).cost;
        forgets_when_the_count_moves(block);
        forgets_when_the_count_moves(group);
    }

    fn forgets_when_the_count_moves(of: impl Fn(u32, f32) -> f32) {
        for changes in [0, 7, CHANGES - 3, CHANGES, CHANGES + 3, u32::MAX - 3, u32::MAX] {
            assert!((of(changes, 0.5) - 0.5).abs() < f32::EPSILON, "{changes}: not known before");
            assert!((of(changes, 9.0) - 0.5).abs() < f32::EPSILON, "{changes}: known");
            assert!((of(changes.wrapping_add(1), 0.75) - 0.75).abs() < f32::EPSILON, "{changes}: changed");
        }
    }
}
