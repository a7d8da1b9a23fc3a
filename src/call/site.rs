//! What kamari has on one node, by the ids that the node's events name.
//!
//! A site lasts from the moment a node's events arrive to the moment they no longer do; when the node is back it gets
//! a new site, and its calls are found again. Lookups take no lock longer than it takes to clone an `Arc`.

use std::sync::{Arc, Once};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::dial::Outgoing;
use super::playback::PlaybackCore;
use super::recording::RecordingCore;
use super::view::End;
use crate::pool::{NodeLink, NodeName};

/// Longer than it takes to read what a node has: a few requests, each with its deadline.
const LONGEST_LIST: Duration = Duration::from_mins(1);

/// Who is to hear of an object's events.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// A caller's channel.
    Call(Arc<Core>),
    /// A channel that kamari made.
    Leg(Arc<Leg>),
    /// A channel that was dialled for a call.
    Outgoing(Arc<Outgoing>),
    /// A playback.
    Playback(Arc<PlaybackCore>),
    /// A recording.
    Recording(Arc<RecordingCore>),
    /// A bridge: nothing of its events is needed, but it has an owner.
    Bridge,
}

/// A channel that kamari made.
#[derive(Debug)]
pub(super) struct Leg {
    phase: watch::Sender<LegPhase>,
}

/// Where a channel that kamari made stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LegPhase {
    /// Asked for.
    New,
    /// In the application: it can be bridged.
    Entered,
    /// Gone.
    Gone,
}

impl Leg {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { phase: watch::Sender::new(LegPhase::New) })
    }

    /// Moves on; never back from `Gone`.
    pub(super) fn is_now(&self, phase: LegPhase) {
        self.phase.send_if_modified(|current| {
            let moves = *current != phase && *current != LegPhase::Gone;
            if moves {
                *current = phase;
            }
            moves
        });
    }

    pub(super) fn phase(&self) -> LegPhase {
        *self.phase.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<LegPhase> {
        self.phase.subscribe()
    }

    /// Completes when it is gone.
    pub(super) async fn gone(&self) {
        // The sender is `self`, so waiting cannot fail.
        let _ = self.watch().wait_for(|phase| *phase == LegPhase::Gone).await;
    }
}

/// One node while its events arrive.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) name: NodeName,
    link: ArcSwap<NodeLink>,
    objects: DashMap<String, Target>,
    /// Callers' channels that are gone, and when they went: a list that was asked for before may still name them.
    departed: DashMap<Arc<str>, Instant>,
    closed: CancellationToken,
    /// How many sweeps for what an earlier kamari left are under way.
    sweeps: watch::Sender<usize>,
    tells_less: Once,
}

/// A sweep for what an earlier kamari left on a node. It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Sweep(Arc<Site>);

impl Sweep {
    pub(super) fn site(&self) -> &Arc<Site> {
        &self.0
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.sweeps.send_modify(|under_way| *under_way -= 1);
    }
}

impl Site {
    pub(super) fn new(link: NodeLink) -> Arc<Self> {
        Arc::new(Self {
            name: link.name.clone(),
            link: ArcSwap::from_pointee(link),
            objects: DashMap::new(),
            departed: DashMap::new(),
            closed: CancellationToken::new(),
            sweeps: watch::Sender::new(0),
            tells_less: Once::new(),
        })
    }

    /// The node does not tell with a call what it should: said once, until its events are read anew.
    pub(super) fn tells_less(&self) {
        self.tells_less.call_once(|| {
            tracing::warn!(
                node = %self.name,
                "its ari.conf has no `channelvars = SIPDOMAIN,RTPAUDIOQOS`: records of its calls lack the quality of their audio"
            );
        });
    }

    /// Begins to sweep.
    pub(super) fn sweep(self: &Arc<Self>) -> Sweep {
        self.sweeps.send_modify(|under_way| *under_way += 1);
        Sweep(Arc::clone(self))
    }

    /// Completes when no sweep is under way.
    pub(super) async fn swept(&self) {
        // The sender is `self`, so waiting cannot fail.
        let _ = self.sweeps.subscribe().wait_for(|under_way| *under_way == 0).await;
    }

    /// The way to command the node.
    pub(super) fn link(&self) -> Arc<NodeLink> {
        self.link.load_full()
    }

    /// The node's events were read anew: commands go by the new link.
    pub(super) fn renew(&self, link: &NodeLink) {
        self.link.store(Arc::new(link.clone()));
    }

    /// Whose object it is.
    pub(super) fn target(&self, id: &str) -> Option<Target> {
        self.objects.get(id).map(|entry| entry.value().clone())
    }

    /// The call of a caller's channel.
    pub(super) fn call(&self, channel: &str) -> Option<Arc<Core>> {
        match self.target(channel) {
            Some(Target::Call(core)) => Some(core),
            _ => None,
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.objects.contains_key(id)
    }

    /// Registers an object before the request that creates it.
    pub(super) fn register(&self, id: &str, target: Target) {
        self.objects.insert(id.to_owned(), target);
    }

    /// Registers a call, unless its channel has one already. A call that was let go does not count.
    pub(super) fn register_call(&self, core: &Arc<Core>) -> bool {
        match self.objects.entry(core.channel.as_ref().to_owned()) {
            Entry::Occupied(entry) if !matches!(entry.get(), Target::Call(other) if other.is_let_go()) => false,
            Entry::Occupied(mut entry) => {
                entry.insert(Target::Call(Arc::clone(core)));
                true
            }
            Entry::Vacant(entry) => {
                entry.insert(Target::Call(Arc::clone(core)));
                true
            }
        }
    }

    pub(super) fn forget(&self, id: &str) {
        self.objects.remove(id);
    }

    /// Forgets a call's channel, unless another call has it by now.
    pub(super) fn forget_call(&self, core: &Arc<Core>) {
        let own = |_: &String, target: &Target| matches!(target, Target::Call(other) if Arc::ptr_eq(other, core));
        self.objects.remove_if(core.channel.as_ref(), own);
    }

    /// A caller's channel is gone for good.
    pub(super) fn departs(&self, channel: &Arc<str>) {
        self.departed.insert(Arc::clone(channel), Instant::now());
    }

    /// Whether a caller's channel is gone for good, as far as is remembered.
    pub(super) fn has_departed(&self, channel: &str) -> bool {
        self.departed.contains_key(channel)
    }

    /// Whether a caller's channel that was listed to one who asked at `asked` went meanwhile.
    pub(super) fn departed_since(&self, channel: &str, asked: Instant) -> bool {
        self.departed.get(channel).is_some_and(|departed| *departed >= asked)
    }

    /// Forgets the channels that went longer ago than any list takes to arrive.
    pub(super) fn forget_departed(&self) {
        self.departed.retain(|_, departed| departed.elapsed() < LONGEST_LIST);
    }

    /// Every call here.
    pub(super) fn calls(&self) -> Vec<Arc<Core>> {
        let call = |target: &Target| if let Target::Call(core) = target { Some(Arc::clone(core)) } else { None };
        self.objects.iter().filter_map(|entry| call(entry.value())).collect()
    }

    /// Every playback here.
    pub(super) fn playbacks(&self) -> Vec<Arc<PlaybackCore>> {
        let playback = |target: &Target| if let Target::Playback(one) = target { Some(Arc::clone(one)) } else { None };
        self.objects.iter().filter_map(|entry| playback(entry.value())).collect()
    }

    /// Every recording here.
    pub(super) fn recordings(&self) -> Vec<Arc<RecordingCore>> {
        let recording =
            |target: &Target| if let Target::Recording(one) = target { Some(Arc::clone(one)) } else { None };
        self.objects.iter().filter_map(|entry| recording(entry.value())).collect()
    }

    /// Every channel here that kamari made, or that is the far end of one.
    pub(super) fn legs(&self) -> Vec<(String, Arc<Leg>)> {
        let leg = |id: &String, target: &Target| match target {
            Target::Leg(leg) => Some((id.clone(), Arc::clone(leg))),
            _ => None,
        };
        self.objects.iter().filter_map(|entry| leg(entry.key(), entry.value())).collect()
    }

    /// Every channel here that was dialled for a call.
    pub(super) fn outgoing(&self) -> Vec<Arc<Outgoing>> {
        let leg = |target: &Target| if let Target::Outgoing(leg) = target { Some(Arc::clone(leg)) } else { None };
        self.objects.iter().filter_map(|entry| leg(entry.value())).collect()
    }

    /// How many objects are registered.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether the node's events no longer arrive: a call that is registered from now on has to be told.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Completes when the node's events no longer arrive.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The node's events no longer arrive: every call here is over as far as this process is concerned.
    pub(super) fn close(&self, end: &End) {
        self.closed.cancel();
        for core in self.calls() {
            core.end_with(end.clone());
        }
    }
}
