//! Which call was promised to which node: the memory behind "the same Call-ID gets the same answer".
//!
//! A promise is **reserved** when a lookup is answered; it **arrives** when the node's `StasisStart` names the Call-ID;
//! it ends by hang-up, by an outcome report, or by expiry. Until it ends, the same Call-ID gets the same answer.
//! After a node failed the call, the promise moves to the next node of the answer, since that is where Kamailio goes.
//!
//! Who changes what: lookup threads add promises and move failed ones; everything else is done by the registry. The
//! *counts* live in the balancer's load table; this table only says whose they are.
//!
//! A node's **failure** of a call is held against it only once another node has taken that call: a stranger can write a
//! request that every node drops or refuses, and each call of that kind would else take nodes out of service.
//!
//! Invariants: the map is bounded and never iterated on the lookup path; no guard of it outlives a method.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::name::CallId;
use crate::balance::{Ranked, Slot};

/// Parts of the table, a power of two. Now and then a part is laid out anew, and the lookup on whose way that is waits for it: with
/// the usual few parts for some milliseconds at 20,000 lookups a second, with so many for some microseconds.
const SHARDS: usize = 256;

/// The answer that a Call-ID holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    ranked: Ranked,
    /// Nodes at the front of `ranked` that failed the call.
    failed: u8,
}

impl Held {
    /// An answer that no node has failed yet.
    pub(crate) fn new(ranked: Ranked) -> Self {
        Self { ranked, failed: 0 }
    }

    /// The nodes of the answer, best first, without those that failed.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.ranked.as_slice()[usize::from(self.failed)..]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reserved,
    Arrived,
}

#[derive(Debug)]
struct Promise {
    held: Held,
    phase: Phase,
    /// When the node that has the promise was named, since the pool's epoch.
    at: Duration,
    /// Nodes of the answer that failed the call, each once. Nearly always none, and then it takes no memory of its own.
    faults: Box<[Fault]>,
    /// Tells this promise from a later one of the same Call-ID.
    serial: u64,
    /// Whether the callee's side was seen to answer.
    answered: bool,
}

impl Promise {
    fn arrived(&mut self, slot: Slot, now: Duration) -> Arrival {
        if self.phase == Phase::Arrived {
            return Arrival::Unannounced;
        }
        let Some(promised) = self.held.slots().first().copied() else { return Arrival::Unannounced };
        self.phase = Phase::Arrived;
        if promised == slot {
            return Arrival::Confirmed(now.saturating_sub(self.at));
        }
        self.held.failed = self.place(slot).map_or(self.held.failed, |place| place as u8);
        Arrival::Elsewhere(promised)
    }

    fn place(&self, slot: Slot) -> Option<usize> {
        self.held.ranked.as_slice().iter().position(|other| *other == slot)
    }

    fn note(&mut self, fault: Fault) {
        if self.place(fault.slot).is_none() {
            return;
        }
        if let Some(known) = self.faults.iter_mut().find(|known| known.slot == fault.slot) {
            *known = fault;
            return;
        }
        let mut faults = std::mem::take(&mut self.faults).into_vec();
        faults.push(fault);
        self.faults = faults.into_boxed_slice();
    }

    /// Those that failed the call, `taker` aside.
    fn take_faults(&mut self, taker: Slot) -> Vec<Fault> {
        let mut faults = std::mem::take(&mut self.faults).into_vec();
        faults.retain(|fault| fault.slot != taker);
        faults
    }
}

/// A promise that was just made, for whoever watches over its expiry.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) call_id: CallId,
    pub(crate) slot: Slot,
    pub(crate) at: Duration,
    pub(crate) serial: u64,
}

/// What became of a new promise.
#[derive(Debug)]
pub(crate) enum Insert {
    /// It stands.
    Made(Made),
    /// Another thread answered the same Call-ID first; its answer holds.
    Raced(Held),
    /// The table is full.
    Full,
}

/// What a call's arrival at a node meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was promised here, this long ago.
    Confirmed(Duration),
    /// It was promised to another node, which is thereby free of it.
    Elsewhere(Slot),
    /// Nobody promised it, or it has been seen already.
    Unannounced,
}

/// A node that failed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) slot: Slot,
    /// When it was sent the call, at the earliest.
    pub(crate) sent: Duration,
    /// With this SIP code; 408 for silence.
    pub(crate) code: u16,
}

/// What a report of failure meant.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The promise, which the node had, has moved on to the next node of the answer.
    Moved(Made),
    /// There is no next node with room: the promise, which the node had, is over.
    Over,
    /// The call is known, and the node has no promise of it: it was tried after another, or another has taken the call
    /// before this report came. Then the fault is the node's own.
    NotPromised { taken: Option<Fault> },
    /// The call had arrived on that very node.
    Arrived,
    /// The call is not known.
    Unknown,
}

/// All promises, by Call-ID.
#[derive(Debug)]
pub(crate) struct Reservations {
    /// Whoever calls chooses his Call-ID: the hash has a seed of its own in each process.
    promises: DashMap<CallId, Promise, foldhash::quality::RandomState>,
    live: AtomicUsize,
    limit: usize,
    serial: AtomicU64,
}

impl Reservations {
    /// A table that holds at most `limit` promises, arrived calls included.
    pub(crate) fn new(limit: usize) -> Self {
        let promises = DashMap::with_hasher_and_shard_amount(foldhash::quality::RandomState::default(), SHARDS);
        Self { promises, live: AtomicUsize::new(0), limit, serial: AtomicU64::new(0) }
    }

    /// Promises that live now.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Whether one more fits.
    pub(crate) fn has_room(&self) -> bool {
        self.live.load(Ordering::Relaxed) < self.limit
    }

    /// The answer that this Call-ID holds, if any.
    pub(crate) fn held(&self, call_id: &str) -> Option<Held> {
        self.promises.get(call_id).map(|promise| promise.held)
    }

    /// Remembers that `call_id` was answered `ranked`, whose first node now has a reservation in the load table.
    pub(crate) fn insert(&self, call_id: CallId, ranked: Ranked, now: Duration) -> Insert {
        let Some(slot) = ranked.first() else { return Insert::Full };
        // Counted before it is there: threads that race for the last places cannot overshoot together.
        if self.live.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.live.fetch_sub(1, Ordering::Relaxed);
            return Insert::Full;
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let made = Made { call_id: call_id.clone(), slot, at: now, serial };
        match self.promises.entry(call_id) {
            Entry::Occupied(entry) => {
                self.live.fetch_sub(1, Ordering::Relaxed);
                Insert::Raced(entry.get().held)
            }
            Entry::Vacant(entry) => {
                let held = Held::new(ranked);
                let faults = Box::default();
                entry.insert(Promise { held, phase: Phase::Reserved, answered: false, at: now, faults, serial });
                Insert::Made(made)
            }
        }
    }

    /// The call was seen on the node at `slot`, and these had failed it before.
    pub(crate) fn arrived(&self, call_id: &str, slot: Slot, now: Duration) -> (Arrival, Vec<Fault>) {
        let Some(mut promise) = self.promises.get_mut(call_id) else { return (Arrival::Unannounced, Vec::new()) };
        let faults = promise.take_faults(slot);
        (promise.arrived(slot, now), faults)
    }

    /// The call was answered: how long after its promise, the first time that this is said of it.
    pub(crate) fn answered(&self, call_id: &str, now: Duration) -> Option<Duration> {
        let mut promise = self.promises.get_mut(call_id)?;
        if promise.phase != Phase::Arrived || std::mem::replace(&mut promise.answered, true) {
            return None;
        }
        Some(now.saturating_sub(promise.at))
    }

    /// The call, which had arrived at `slot`, has ended.
    pub(crate) fn ended(&self, call_id: &str) {
        self.remove_if(call_id, |promise| promise.phase == Phase::Arrived);
    }

    /// The node at `slot` failed the call before it arrived there, with this SIP `code`. `reserve` takes a place on a node if
    /// it has one.
    pub(crate) fn failed(
        &self,
        call_id: &str,
        slot: Slot,
        code: u16,
        now: Duration,
        mut reserve: impl FnMut(Slot) -> bool,
    ) -> Failure {
        let Some(mut promise) = self.promises.get_mut(call_id) else { return Failure::Unknown };
        let here = promise.held.slots().first() == Some(&slot);
        if promise.phase == Phase::Arrived || !here {
            if here {
                return Failure::Arrived;
            }
            if promise.phase == Phase::Arrived {
                let fault = Fault { slot, sent: promise.at, code };
                return Failure::NotPromised { taken: Some(fault) };
            }
            promise.note(Fault { slot, sent: now, code });
            return Failure::NotPromised { taken: None };
        }
        let since = promise.at;
        promise.note(Fault { slot, sent: since, code });
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        (promise.at, promise.serial) = (now, serial);
        promise.held.failed += 1;
        while let Some(next) = promise.held.slots().first().copied() {
            if reserve(next) {
                let made = Made { call_id: promise.key().clone(), slot: next, at: now, serial };
                return Failure::Moved(made);
            }
            promise.held.failed += 1;
        }
        drop(promise);
        self.remove_if(call_id, |promise| promise.serial == serial);
        Failure::Over
    }

    /// The caller gave up before the call arrived: the promise is gone. The node that it was for; nothing when there was
    /// no promise, or the call had arrived.
    pub(crate) fn give_up(&self, call_id: &str) -> Option<Slot> {
        let slot = self.held(call_id)?.slots().first().copied();
        self.remove_if(call_id, |promise| {
            promise.phase == Phase::Reserved && promise.held.slots().first().copied() == slot
        })
        .then_some(slot)?
    }

    /// The proxy saw the call end: its promise is gone. The node that it was for, and whether it had arrived there; nothing when
    /// the call is not known.
    pub(crate) fn hung_up(&self, call_id: &str) -> Option<(Slot, bool)> {
        let (_, promise) = self.promises.remove(call_id)?;
        self.live.fetch_sub(1, Ordering::Relaxed);
        Some((promise.held.slots().first().copied()?, promise.phase == Phase::Arrived))
    }

    /// The promise's time is over: gone, unless the call has arrived or the promise has been renewed meanwhile.
    /// Whether it was there and unconfirmed.
    pub(crate) fn expire(&self, call_id: &str, serial: u64) -> bool {
        self.remove_if(call_id, |promise| promise.serial == serial && promise.phase == Phase::Reserved)
    }

    /// The node at `slot` is no longer in the pool: no answer that would send a call there first stays. Iterates.
    pub(crate) fn forget_node(&self, slot: Slot) {
        self.promises.retain(|_, promise| {
            let stays = promise.held.slots().first() != Some(&slot);
            if !stays {
                self.live.fetch_sub(1, Ordering::Relaxed);
            }
            stays
        });
    }

    fn remove_if(&self, call_id: &str, condition: impl Fn(&Promise) -> bool) -> bool {
        let removed = self.promises.remove_if(call_id, |_, promise| condition(promise)).is_some();
        if removed {
            self.live.fetch_sub(1, Ordering::Relaxed);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::{Arrival, Failure, Fault, Insert, Made, Reservations};
    use crate::balance::{Balancer, Ranked, Settings, Standing, choose};
    use crate::pool::name::CallId;

    const NOW: Duration = Duration::from_secs(5);

    /// An answer over three nodes.
    fn ranked() -> Ranked {
        let mut balancer = Balancer::new(Settings::default());
        for _ in 0..3 {
            let slot = balancer.add(10).unwrap();
            let node = balancer.node_mut(slot).unwrap();
            node.set_standing(Standing::Up, NOW);
            node.on_resync(0, NOW);
        }
        choose(&balancer.scores(NOW), &balancer.table(), NOW, &mut SmallRng::seed_from_u64(1))
    }

    fn id(text: &str) -> CallId {
        CallId::new(text).unwrap()
    }

    fn made(table: &Reservations, text: &str, answer: Ranked) -> Made {
        match table.insert(id(text), answer, NOW) {
            Insert::Made(made) => made,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_call_gets_the_same_answer_until_it_ends() {
        let (table, answer) = (Reservations::new(10), ranked());
        let first = made(&table, "a", answer);
        assert!(matches!(table.insert(id("a"), answer, NOW), Insert::Raced(_)));
        let later = NOW + Duration::from_millis(30);
        assert_eq!(table.arrived("a", first.slot, later), (Arrival::Confirmed(Duration::from_millis(30)), vec![]));
        assert_eq!(table.arrived("a", first.slot, later).0, Arrival::Unannounced, "seen already");
        assert!(!table.expire("a", first.serial), "an arrived call does not expire");
        assert_eq!(table.answered("a", later + Duration::from_secs(1)), Some(Duration::from_millis(1_030)));
        assert_eq!(table.answered("a", later + Duration::from_secs(2)), None, "said once");
        assert_eq!(table.held("a").unwrap().slots(), answer.as_slice());
        table.ended("a");
        assert!(table.held("a").is_none());
        assert_eq!(table.live(), 0);
    }

    #[test]
    fn a_failed_node_passes_the_promise_on() {
        let (table, answer) = (Reservations::new(10), ranked());
        let first = made(&table, "a", answer);
        let slots = answer.as_slice();
        assert!(
            matches!(table.failed("a", slots[1], 503, NOW, |_| true), Failure::NotPromised { taken: None }),
            "not that node's"
        );
        let Failure::Moved(moved) = table.failed("a", slots[0], 503, NOW, |_| true) else { panic!("moved") };
        assert_eq!(moved.slot, slots[1]);
        assert_eq!(table.held("a").unwrap().slots(), &slots[1..]);
        assert!(!table.expire("a", first.serial), "the first promise's time does not end the second's");
        assert!(matches!(table.failed("a", slots[1], 503, NOW, |slot| slot != slots[2]), Failure::Over));
        assert_eq!((table.live(), table.held("a").is_none()), (0, true));
    }

    #[test]
    fn a_caller_who_gives_up_leaves_no_promise() {
        let (table, answer) = (Reservations::new(10), ranked());
        let first = made(&table, "a", answer);
        assert_eq!(table.give_up("a"), Some(first.slot));
        assert_eq!((table.give_up("a"), table.live()), (None, 0));
        assert!(!table.expire("a", first.serial), "nothing is left to expire");
        let second = made(&table, "b", answer);
        table.arrived("b", second.slot, NOW);
        assert_eq!(table.give_up("b"), None, "it had arrived");
    }

    #[test]
    fn a_failure_counts_when_another_node_took_the_call() {
        let (table, answer) = (Reservations::new(10), ranked());
        let slots = answer.as_slice();
        let later = NOW + Duration::from_secs(2);
        made(&table, "a", answer);
        assert!(matches!(table.failed("a", slots[0], 408, later, |_| true), Failure::Moved(_)));
        assert_eq!(table.arrived("a", slots[1], later).1, [Fault { slot: slots[0], sent: NOW, code: 408 }]);
        assert!(table.arrived("a", slots[1], later).1.is_empty(), "once");
        // What nobody takes is the call's own fault.
        made(&table, "poison", answer);
        for slot in slots {
            table.failed("poison", *slot, 503, later, |_| true);
        }
        assert!(table.held("poison").is_none());
        assert_eq!(table.arrived("poison", slots[2], later), (Arrival::Unannounced, vec![]));
    }

    #[test]
    fn a_call_may_arrive_elsewhere_before_the_report_does() {
        let (table, answer) = (Reservations::new(10), ranked());
        made(&table, "a", answer);
        let (slots, later) = (answer.as_slice(), NOW + Duration::from_millis(40));
        assert_eq!(table.arrived("a", slots[2], NOW).0, Arrival::Elsewhere(slots[0]));
        let Failure::NotPromised { taken } = table.failed("a", slots[0], 503, later, |_| true) else { panic!("taken") };
        assert_eq!(taken, Some(Fault { slot: slots[0], sent: NOW, code: 503 }), "sent when it was named, told later");
        assert!(matches!(table.failed("b", slots[0], 503, NOW, |_| true), Failure::Unknown));
        assert!(matches!(table.failed("a", slots[2], 503, NOW, |_| true), Failure::Arrived), "it was there");
        assert_eq!(table.held("a").unwrap().slots(), &slots[2..]);
        assert_eq!(table.arrived("b", slots[0], NOW).0, Arrival::Unannounced);
    }

    #[test]
    fn the_table_is_bounded_and_gives_places_back() {
        let (table, answer) = (Reservations::new(2), ranked());
        let first = made(&table, "a", answer);
        made(&table, "b", answer);
        assert!(matches!(table.insert(id("c"), answer, NOW), Insert::Full));
        assert!(table.expire("a", first.serial));
        made(&table, "c", answer);
        table.forget_node(answer.as_slice()[1]);
        assert_eq!(table.live(), 2, "the node is only second choice");
        table.forget_node(answer.as_slice()[0]);
        assert_eq!(table.live(), 0);
    }
}
