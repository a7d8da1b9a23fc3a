//! The load of every node, in one array that lookup threads read and bump without a lock.
//!
//! Why it exists: between two polls the pool's own choices are the freshest thing known about a node. They must be
//! visible to the very next lookup on any thread, or calls herd onto the node that looked idle a moment ago.
//!
//! Invariants. The three counts of a node share one 64-bit word, so that every read sees one consistent sum, a
//! reservation is tested and taken in one step, and a confirmed call never counts twice or not at all. Only the owner of
//! the pool's state (through `NodeState`) changes `own` and `foreign` or gives reservations back; lookup threads only add
//! reservations. Subtraction saturates: a message that comes late, for a slot that was reset, cannot wrap a count.
//! Whoever changed the sum of a word says so afterwards in its block's count of changes, and then in that of the block's group:
//! who reads a count first and what it covers then has seen all that was counted, so that what was computed of a block or a group
//! may be kept until its count moves. `tests/loom` holds that in every order in which two threads may run.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// A node's place in the load table and in the scores. Slots are dense: the owner hands out the lowest that is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot with this index.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index into arrays ordered by slot.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Nodes in one block, as the choice reads them.
pub(super) const LANES: usize = 8;
/// Blocks in one group.
pub(super) const GROUP: usize = 8;

/// Bits of one count within a word. Three counts of 21 bits: up to 2,097,151 calls each.
const BITS: u32 = 21;
/// The largest value of one count.
const COUNT_MAX: u64 = (1 << BITS) - 1;
/// One call of ours, at its place in the word.
const OWN_ONE: u64 = 1;
/// One reservation, at its place in the word.
const RESERVED_ONE: u64 = 1 << BITS;
/// One foreign call, at its place in the word.
const FOREIGN_ONE: u64 = 1 << (2 * BITS);

/// What is known of a node's calls at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls of ours on the node, by its events.
    pub own: u32,
    /// Calls promised to the node and not yet seen there.
    pub reserved: u32,
    /// Calls on the node that are not ours, as of the last poll.
    pub foreign: u32,
}

impl Load {
    /// All calls of a packed word.
    #[inline]
    pub(super) const fn total_of(word: u64) -> u32 {
        ((word & COUNT_MAX) + ((word >> BITS) & COUNT_MAX) + ((word >> (2 * BITS)) & COUNT_MAX)) as u32
    }

    fn from_word(word: u64) -> Self {
        Self {
            own: (word & COUNT_MAX) as u32,
            reserved: ((word >> BITS) & COUNT_MAX) as u32,
            foreign: ((word >> (2 * BITS)) & COUNT_MAX) as u32,
        }
    }

    fn to_word(self) -> u64 {
        let field = |count: u32| u64::from(count).min(COUNT_MAX);
        field(self.own) * OWN_ONE + field(self.reserved) * RESERVED_ONE + field(self.foreign) * FOREIGN_ONE
    }

    /// All calls that the node carries or has been promised.
    pub const fn total(self) -> u32 {
        self.own + self.reserved + self.foreign
    }
}

/// What the table holds of one node. Side by side and never across two lines of a cache, since whoever judges a node needs all of
/// it: of a large pool little is in the processor's caches, and what a choice costs is how many lines of them it touches.
#[derive(Debug, Default)]
#[repr(align(32))]
struct Seat {
    /// `own`, `reserved` and `foreign`, packed as `Load::to_word` says.
    load: AtomicU64,
    /// Until when the node's data count as fresh, in milliseconds since the owner's epoch; 0 = there are none.
    fresh_until_ms: AtomicU64,
    /// Reservations ever taken on the slot, wrapping: the meter against which attempts are rationed.
    attempts: AtomicU32,
}

/// The load of all nodes, by slot. Fixed in size, so that it never moves under a reader. The choice runs over the counts of
/// changes alone, and looks at the seats of the few blocks and nodes that matter.
#[derive(Debug)]
pub struct LoadTable {
    seats: Box<[Seat]>,
    /// How often the sum of any node of a block was changed, wrapping; by block.
    changes: Box<[AtomicU32]>,
    /// The same, by group.
    group_changes: Box<[AtomicU32]>,
    refusals: AtomicU32,
}

impl LoadTable {
    /// A table for at most `slots` nodes, all empty.
    pub fn new(slots: usize) -> Self {
        Self {
            seats: (0..slots).map(|_| Seat::default()).collect(),
            changes: (0..slots.div_ceil(LANES)).map(|_| AtomicU32::default()).collect(),
            group_changes: (0..slots.div_ceil(LANES * GROUP)).map(|_| AtomicU32::default()).collect(),
            refusals: AtomicU32::new(0),
        }
    }

    /// How many nodes it has room for.
    pub fn slots(&self) -> usize {
        self.seats.len()
    }

    /// The load of one node; all zero for a slot outside the table.
    pub fn load(&self, slot: Slot) -> Load {
        self.seat(slot).map_or(Load::default(), |seat| Load::from_word(seat.load.load(Relaxed)))
    }

    /// Reservations ever taken on the slot, wrapping at 2^32.
    pub fn attempts(&self, slot: Slot) -> u32 {
        self.seat(slot).map_or(0, |seat| seat.attempts.load(Relaxed))
    }

    /// Until when, since the owner's epoch, the node's data count as fresh; zero when there are none.
    pub fn fresh_until(&self, slot: Slot) -> Duration {
        Duration::from_millis(self.fresh_until_ms(slot))
    }

    /// The same in milliseconds.
    pub(super) fn fresh_until_ms(&self, slot: Slot) -> u64 {
        self.seat(slot).map_or(0, |seat| seat.fresh_until_ms.load(Relaxed))
    }

    /// How often the sum of any node of a block was changed, wrapping. What is read of the block after this is at least
    /// as new.
    #[inline]
    pub(super) fn changes(&self, block: usize) -> u32 {
        self.changes.get(block).map_or(0, |changes| changes.load(Acquire))
    }

    /// The same of a group.
    #[inline]
    pub(super) fn group_changes(&self, group: usize) -> u32 {
        self.group_changes.get(group).map_or(0, |changes| changes.load(Acquire))
    }

    /// The calls on each node of a block; none on what lies beyond the table.
    #[inline]
    pub(super) fn totals(&self, block: usize) -> [u32; LANES] {
        let mut totals = [0; LANES];
        let seats = self.seats.get(block * LANES..).unwrap_or_default();
        for (total, seat) in totals.iter_mut().zip(seats) {
            *total = Load::total_of(seat.load.load(Relaxed));
        }
        totals
    }

    #[inline]
    fn seat(&self, slot: Slot) -> Option<&Seat> {
        self.seats.get(slot.index())
    }

    fn changed(&self, slot: Slot) {
        let of_block = self.changes.get(slot.index() / LANES);
        let of_group = self.group_changes.get(slot.index() / (LANES * GROUP));
        for changes in [of_block, of_group].into_iter().flatten() {
            changes.fetch_add(1, Release);
        }
    }

    /// Promises one more call to the node unless it then would have more than `limit` calls, or more attempts than
    /// `attempts_until` when that is given. Safe from any thread: however many race, reservations never bring the node
    /// above its limit, and none is turned away below it.
    pub(super) fn try_reserve(&self, slot: Slot, limit: u32, attempts_until: Option<u32>) -> bool {
        let Some(seat) = self.seat(slot) else { return false };
        let allowed = seat.attempts.fetch_update(Relaxed, Relaxed, |count| {
            let room = attempts_until.is_none_or(|until| until.wrapping_sub(count).cast_signed() > 0);
            room.then_some(count.wrapping_add(1))
        });
        if allowed.is_err() {
            return false;
        }
        let taken = seat.load.fetch_update(Relaxed, Relaxed, |word| {
            let load = Load::from_word(word);
            let room = load.total() < limit && u64::from(load.reserved) < COUNT_MAX;
            room.then_some(word + RESERVED_ONE)
        });
        if taken.is_err() {
            seat.attempts.fetch_sub(1, Relaxed);
            return false;
        }
        self.changed(slot);
        true
    }

    /// A lookup found nobody to take its call.
    pub(super) fn count_refusal(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    /// Lookups ever refused, wrapping at 2^32.
    pub fn refusals(&self) -> u32 {
        self.refusals.load(Relaxed)
    }

    /// Takes one reservation off; nothing when there is none.
    pub(super) fn give_back(&self, slot: Slot) {
        self.change(slot, |load| load.reserved = load.reserved.saturating_sub(1));
    }

    /// Turns one reservation into a call of ours. A call without a reservation (it expired just before) still counts.
    pub(super) fn confirm(&self, slot: Slot) {
        self.change(slot, |load| {
            load.reserved = load.reserved.saturating_sub(1);
            load.own += 1;
        });
    }

    /// One more call of ours that no reservation announced.
    pub(super) fn add_own(&self, slot: Slot) {
        self.change(slot, |load| load.own += 1);
    }

    /// One call of ours has ended.
    pub(super) fn end_own(&self, slot: Slot) {
        self.change(slot, |load| load.own = load.own.saturating_sub(1));
    }

    /// The count of our calls as read back from the node itself, after its socket came up.
    pub(super) fn set_own(&self, slot: Slot, own: u32) {
        self.change(slot, |load| load.own = own);
    }

    /// The estimate of calls that are not ours.
    pub(super) fn set_foreign(&self, slot: Slot, foreign: u32) {
        self.change(slot, |load| load.foreign = foreign);
    }

    /// Sets until when the node's data count as fresh. Rounded up to a millisecond; zero means none.
    pub(super) fn set_fresh_until(&self, slot: Slot, until: Duration) {
        if let Some(seat) = self.seat(slot) {
            seat.fresh_until_ms.store(until.as_millis().try_into().unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// Forgets everything about the slot, for its next tenant.
    pub(super) fn reset(&self, slot: Slot) {
        self.change(slot, |load| *load = Load::default());
        self.set_fresh_until(slot, Duration::ZERO);
    }

    /// Applies `f` to the node's counts as one atomic step.
    fn change(&self, slot: Slot, f: impl Fn(&mut Load)) {
        let Some(seat) = self.seat(slot) else { return };
        let changed = |word| {
            let mut load = Load::from_word(word);
            f(&mut load);
            load.to_word()
        };
        // Never refused, since there is always a next word.
        let Ok(before) = seat.load.fetch_update(Relaxed, Relaxed, |word| Some(changed(word))) else { return };
        if Load::total_of(before) != Load::total_of(changed(before)) {
            self.changed(slot);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Load, LoadTable, Slot};

    #[test]
    fn counts_share_a_word_and_never_wrap() {
        let table = LoadTable::new(1);
        let slot = Slot::new(0);
        table.end_own(slot);
        table.give_back(slot);
        assert_eq!(table.load(slot), Load::default());
        table.set_foreign(slot, u32::MAX);
        assert!(table.try_reserve(slot, u32::MAX, None));
        table.confirm(slot);
        assert_eq!(table.load(slot), Load { own: 1, reserved: 0, foreign: 2_097_151 });
    }

    #[test]
    fn eight_threads_never_promise_more_than_the_limit() {
        let table = LoadTable::new(2);
        let slot = Slot::new(1);
        for limit in [1, 7, 1_000] {
            table.reset(slot);
            let taken: u32 = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| scope.spawn(|| (0..2_000).filter(|_| table.try_reserve(slot, limit, None)).count() as u32))
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(taken, limit);
            assert_eq!(table.load(slot), Load { own: 0, reserved: taken, foreign: 0 });
        }
        assert_eq!(table.load(Slot::new(0)), Load::default());
    }
}
