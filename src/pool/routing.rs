//! The lookup's side of the pool: read the snapshot, choose, promise. Never waits, never logs.
//!
//! Shared by all lookup threads. What the registry must know of a promise goes into a queue that it empties at its next
//! tick; nobody is woken for it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use rand::Rng;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::name::{CallId, NodeName};
use super::reservation::{Failure, Fault, Held, Insert, Made, Reservations};
use super::snapshot::{Snapshot, Target};
use crate::balance::{self, Balancer, LoadTable, Placement, Slot};

/// SIP 487: the caller cancelled.
const REQUEST_TERMINATED: u16 = 487;

/// What lookup threads tell the registry, in order.
#[derive(Debug)]
pub(crate) enum Note {
    /// A call was promised to a node.
    Made(Made),
    /// A place was taken on a node and is not needed after all.
    GiveBack(Slot),
    /// The proxy saw a call end on a node that is not heard.
    EndTold(Slot),
    /// A promised call was given up before it came to its node.
    GivenUp(Slot),
    /// A node failed a call with this SIP code; `promised` if it held the call's promise.
    Failed { slot: Slot, code: u16, promised: bool },
    /// A node failed a call that another node has taken.
    Blamed(Fault),
}

/// An answer to a lookup.
#[derive(Debug)]
pub enum Answer {
    /// These nodes, best first; the first has the promise.
    Routed(Routed),
    /// Nobody can take the call.
    Refused {
        /// Why, in a few words.
        why: &'static str,
        /// Seconds after which trying again makes sense.
        retry_after_s: u32,
    },
}

/// The nodes of an answer.
#[derive(Debug)]
pub struct Routed {
    snapshot: Guard<Arc<Snapshot>>,
    held: Held,
    /// Whether this Call-ID had its answer already.
    pub repeated: bool,
    /// The nodes are not heard: the proxy is asked to tell of calls that end ([`Routing::ended`]).
    pub tell_ends: bool,
}

impl Routed {
    /// The nodes, best first: at least one, at most five.
    pub fn targets(&self) -> impl Iterator<Item = &Target> + Clone {
        self.held.slots().iter().filter_map(|slot| self.snapshot.target(*slot))
    }
}

/// Nodes for a call that kamari itself places, best first: at least one. A place is taken on the first until this is dropped;
/// by then the node counts the call, or there is none.
#[derive(Debug)]
pub struct Place {
    routing: Arc<Routing>,
    slot: Slot,
    nodes: Vec<NodeName>,
}

impl Place {
    /// The nodes, best first.
    pub fn nodes(&self) -> &[NodeName] {
        &self.nodes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.routing.give_back(Some(self.slot));
    }
}

/// Why no node takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoPlace {
    /// Why, in a few words.
    pub why: &'static str,
    /// Seconds after which trying again makes sense.
    pub retry_after_s: u32,
}

/// The notes of a routing without a registry.
#[derive(Debug)]
pub struct StandaloneNotes(mpsc::UnboundedReceiver<Note>);

impl StandaloneNotes {
    /// Takes all notes, as the registry does at each tick. How many there were.
    pub fn take(&mut self) -> usize {
        std::iter::from_fn(|| self.0.try_recv().ok()).count()
    }
}

/// Answers lookups. Shared by the lookup threads.
#[derive(Debug)]
pub struct Routing {
    pub(super) snapshot: ArcSwap<Snapshot>,
    pub(super) table: Arc<LoadTable>,
    pub(super) reservations: Reservations,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    /// Rings the registry for what cannot wait until its tick.
    pub(super) bell: tokio::sync::Notify,
    pub(super) epoch: Instant,
    pub(super) reservation: Duration,
}

impl Routing {
    /// Answers from a pool without nodes behind it, as its balancer stands now: for benches. Promises are noted in the
    /// returned queue, which takes the registry's place, and never expire.
    pub fn standalone(balancer: &Balancer, targets: Vec<Target>, now: Duration) -> (Self, StandaloneNotes) {
        let (notes, taken) = mpsc::unbounded_channel();
        let targets = targets.into_iter().map(Some).collect();
        let routing = Self {
            snapshot: ArcSwap::from_pointee(Snapshot { scores: balancer.scores(now), targets }),
            table: balancer.table(),
            reservations: Reservations::new(usize::MAX),
            notes,
            bell: tokio::sync::Notify::new(),
            epoch: Instant::now(),
            reservation: Duration::from_secs(10),
        };
        (routing, StandaloneNotes(taken))
    }

    /// How long a promise lasts when the call does not arrive.
    pub fn reservation(&self) -> Duration {
        self.reservation
    }

    /// The pool as lookups see it now.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The nodes for one call that was `asked` for just now. `call_id` must be a valid Call-ID ([`CallId::check`]). The same
    /// one gets the same answer while its promise lives, save that nodes which failed the call, or left the pool, are no longer
    /// in it.
    pub fn route(&self, call_id: &str, asked: Instant, rng: &mut impl Rng) -> Answer {
        let snapshot = self.snapshot.load();
        if let Some(held) = self.reservations.held(call_id) {
            return repeat(snapshot, held);
        }
        let Ok(owned) = CallId::new(call_id) else {
            return Answer::Refused { why: "not a Call-ID", retry_after_s: 1 };
        };
        if !self.reservations.has_room() {
            return table_full();
        }
        let now = asked.saturating_duration_since(self.epoch);
        let ranked = match balance::place(&snapshot.scores, &self.table, now, rng) {
            Placement::Routed(ranked) => ranked,
            Placement::Refused { why, retry_after_s } => return Answer::Refused { why: why.as_str(), retry_after_s },
        };
        match self.reservations.insert(owned, ranked, now) {
            Insert::Made(made) => {
                self.tell(Note::Made(made));
                let tell_ends = snapshot.scores.is_unheard();
                Answer::Routed(Routed { snapshot, held: Held::new(ranked), repeated: false, tell_ends })
            }
            Insert::Raced(held) => {
                self.give_back(ranked.first());
                repeat(snapshot, held)
            }
            Insert::Full => {
                self.give_back(ranked.first());
                table_full()
            }
        }
    }

    /// Takes a place for a call that kamari itself places, by the same choice as for a lookup.
    pub fn take(self: &Arc<Self>, rng: &mut impl Rng) -> Result<Place, NoPlace> {
        let snapshot = self.snapshot.load();
        let ranked = match balance::place(&snapshot.scores, &self.table, self.epoch.elapsed(), rng) {
            Placement::Routed(ranked) => ranked,
            Placement::Refused { why, retry_after_s } => return Err(NoPlace { why: why.as_str(), retry_after_s }),
        };
        let Some(slot) = ranked.first() else { return Err(NoPlace { why: "no node", retry_after_s: 1 }) };
        let nodes = ranked.as_slice().iter().filter_map(|slot| snapshot.target(*slot));
        Ok(Place { routing: Arc::clone(self), slot, nodes: nodes.map(|target| target.name.clone()).collect() })
    }

    /// Kamailio's report that `node` failed the call with a SIP `code`. If the call had not arrived there, its promise
    /// moves to the next node of the answer; with 487 (request terminated, RFC 3261) the caller gave up, the promise ends
    /// and the node is not to blame. Whether the call is known.
    pub fn failed(&self, call_id: &str, node: &NodeName, code: u16) -> bool {
        if code == REQUEST_TERMINATED {
            return self.given_up(call_id);
        }
        let snapshot = self.snapshot.load();
        let Some(slot) = snapshot.slot(node.as_str()) else { return false };
        let now = self.epoch.elapsed();
        let reserve = |next| balance::reserve(&snapshot.scores, &self.table, now, next);
        match self.reservations.failed(call_id, slot, code, now, reserve) {
            Failure::Unknown => return false,
            // The node took the call, and what then became of it was the application's or the callee's doing.
            Failure::Arrived => return true,
            Failure::NotPromised { taken: Some(fault) } => self.tell(Note::Blamed(fault)),
            Failure::NotPromised { taken: None } => self.tell(Note::Failed { slot, code, promised: false }),
            Failure::Over => self.tell(Note::Failed { slot, code, promised: true }),
            Failure::Moved(made) => {
                self.tell(Note::Made(made));
                self.tell(Note::Failed { slot, code, promised: true });
            }
        }
        self.bell.notify_one();
        true
    }

    /// Kamailio's report that a call ended, for which [`Routed::tell_ends`] asks. Counted only while the call's node is not
    /// heard: what its events say is not said twice. Whether the call is known.
    pub fn ended(&self, call_id: &str) -> bool {
        let slot = self.reservations.held(call_id).and_then(|held| held.slots().first().copied());
        let Some(slot) = slot else { return false };
        if balance::is_heard(&self.snapshot.load().scores, &self.table, slot, self.epoch.elapsed()) {
            return true;
        }
        let Some((slot, arrived)) = self.reservations.hung_up(call_id) else { return false };
        self.tell(if arrived { Note::EndTold(slot) } else { Note::GivenUp(slot) });
        self.bell.notify_one();
        true
    }

    fn given_up(&self, call_id: &str) -> bool {
        let Some(slot) = self.reservations.give_up(call_id) else { return false };
        self.tell(Note::GivenUp(slot));
        true
    }

    fn give_back(&self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            self.tell(Note::GiveBack(slot));
        }
    }

    fn tell(&self, note: Note) {
        // The registry is gone only when the process is about to be; counts do not matter then.
        let _ = self.notes.send(note);
    }
}

fn repeat(snapshot: Guard<Arc<Snapshot>>, held: Held) -> Answer {
    let routed = Routed { snapshot, held, repeated: true, tell_ends: false };
    if routed.targets().next().is_some() {
        return Answer::Routed(routed);
    }
    // Its nodes left the pool a moment ago, and the registry is about to drop the promise.
    Answer::Refused { why: "the chosen node was removed", retry_after_s: 1 }
}

fn table_full() -> Answer {
    Answer::Refused { why: "too many calls at once", retry_after_s: 1 }
}
