//! Takes the nodes' events in, gives each to the call that it concerns, and starts a task for every call that arrives.
//!
//! The listener's methods run on the nodes' tasks: they never wait.

use std::future::Future;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::adopt;
use super::cdr::{self, Lost};
use super::core::Core;
use super::handle::Call;
use super::handler::{self, Handler};
use super::ids::{Ids, Kind};
use super::janitor;
use super::line::{Line, Refer};
use super::origin::Origin;
use super::room::{Expected, OrderError, RoomKey, RoomOrder, RoomView, Rooms, TOKEN_PREFIX, Tapes};
use super::settings::CallSettings;
use super::site::{LegPhase, Site, Target};
use super::told;
use super::view::{CallEvent, CallView, End, Step};
use crate::ari::model::{Channel, ChannelState, PlaybackState};
use crate::ari::{Event, EventKind};
use crate::cdr::{Cdr, Cdrs};
use crate::pool::{NodeLink, NodeListener, NodeName, Resync};
use crate::telemetry::CallMetrics;

/// Changes that a slow reader of the stream may be behind; after that it misses the oldest.
const STREAM_LENGTH: usize = 4_096;

/// What all calls share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: CallSettings,
    pub(super) handler: Serves,
    pub(super) metrics: Arc<CallMetrics>,
    pub(super) ids: Ids,
    pub(super) calls: DashMap<Arc<str>, Arc<Core>>,
    pub(super) rooms: Arc<Rooms>,
    /// Where rooms say what is to be recorded of them.
    pub(super) tapes: Tapes,
    /// Legs between nodes that have not arrived yet, by their tokens.
    pub(super) relays: DashMap<String, Expected>,
    pub(super) tasks: TaskTracker,
    /// Where the records of calls go.
    pub(super) cdrs: Cdrs,
    /// Calls whose nodes were lost.
    pub(super) lost: Lost,
    /// Cancelled when all calls are let go of.
    pub(super) released: CancellationToken,
    events: broadcast::Sender<Arc<CallEvent>>,
}

impl Shared {
    /// Starts a task of a call, a room or a leg; the metrics count it while it lives.
    pub(super) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let counted = self.metrics.task();
        self.tasks.spawn(async move {
            let _counted = counted;
            task.await
        })
    }

    /// Tells the stream; that nobody listens is fine.
    pub(super) fn publish(&self, event: CallEvent) {
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(Arc::new(event));
        }
    }
}

/// Who serves calls.
pub(super) struct Serves(pub(super) Arc<dyn Handler>);

impl std::fmt::Debug for Serves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Serves")
    }
}

/// The Stasis runtime: all calls of all nodes. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(super) shared: Arc<Shared>,
    handler: Arc<dyn Handler>,
    sites: Arc<DashMap<NodeName, Arc<Site>>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("calls", &self.shared.calls.len()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime without calls. `settings` are validated. Calls are served by `handler`, their records go to `cdrs`.
    pub fn new(settings: CallSettings, metrics: Arc<CallMetrics>, cdrs: Cdrs, handler: Arc<dyn Handler>) -> Self {
        let shared = Shared {
            settings,
            handler: Serves(Arc::clone(&handler)),
            metrics,
            ids: Ids::new(),
            calls: DashMap::new(),
            rooms: Arc::new(Rooms::default()),
            tapes: Tapes::default(),
            relays: DashMap::new(),
            tasks: TaskTracker::new(),
            cdrs,
            lost: Lost::default(),
            released: CancellationToken::new(),
            events: broadcast::Sender::new(STREAM_LENGTH),
        };
        Self { shared: Arc::new(shared), handler, sites: Arc::new(DashMap::new()) }
    }

    /// Every call that lives, in no order.
    pub fn calls(&self) -> Vec<CallView> {
        self.shared.calls.iter().map(|entry| entry.value().view()).collect()
    }

    /// One call by kamari's id.
    pub fn call(&self, id: &str) -> Option<CallView> {
        self.shared.calls.get(id).map(|entry| entry.value().view())
    }

    /// How many calls live.
    pub fn live(&self) -> usize {
        self.shared.calls.len()
    }

    /// Ends a call for the operator; says whether there was such a call. It is hung up shortly after.
    pub fn end(&self, id: &str) -> bool {
        let core = self.shared.calls.get(id).map(|entry| Arc::clone(entry.value()));
        core.inspect(|core| {
            core.end_with(End::Operator);
        })
        .is_some()
    }

    /// Every room that is open, in no order.
    pub fn rooms(&self) -> Vec<RoomView> {
        self.shared.rooms.views()
    }

    /// One room; nothing if it is not open.
    pub fn room(&self, room: &RoomKey) -> Option<RoomView> {
        self.shared.rooms.view(room)
    }

    /// Has a room do something; complete when it is done.
    pub async fn order_room(&self, room: &RoomKey, order: RoomOrder) -> Result<(), OrderError> {
        self.shared.rooms.order(room, order).await
    }

    /// Every change of every call from now on. A reader that is too slow misses the oldest and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CallEvent>> {
        self.shared.events.subscribe()
    }

    /// The record of every call that is over, from now on. A reader that is too slow misses the oldest and is told how many.
    pub fn subscribe_cdrs(&self) -> broadcast::Receiver<Arc<Cdr>> {
        self.shared.cdrs.subscribe()
    }

    /// Lets go of all calls without hanging them up, and waits until their tasks have ended. They stay on their nodes, and a
    /// kamari that starts takes them up. Says how many there were.
    pub async fn release(&self) -> usize {
        let sites: Vec<_> = self.sites.iter().map(|entry| Arc::clone(entry.value())).collect();
        self.sites.clear();
        let live = self.live();
        for site in sites {
            site.close(&End::Released);
        }
        self.shared.released.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        live
    }

    /// How many objects of calls are registered: none when no call lives.
    pub fn registered(&self) -> usize {
        self.sites.iter().map(|entry| entry.value().len()).sum()
    }

    /// A node's calls are over as far as this process can tell, until they are found again.
    fn lose(&self, site: &Site, reason: &str) {
        let calls = site.calls();
        site.close(&End::NodeLost { reason: reason.into() });
        self.shared.lost.add(site, &calls);
    }

    /// An id that was never used.
    pub(super) fn new_id(&self, kind: Kind) -> String {
        self.shared.ids.next(kind)
    }

    pub(super) fn site(&self, node: &NodeName) -> Option<Arc<Site>> {
        self.sites.get(node).map(|site| Arc::clone(&site))
    }

    /// A channel entered the application.
    fn entered(&self, site: &Arc<Site>, channel: &Channel) {
        match (Kind::of(&channel.id), site.target(&channel.id)) {
            (_, Some(Target::Leg(leg))) => leg.is_now(LegPhase::Entered),
            (_, Some(Target::Outgoing(leg))) => leg.entered(channel),
            (Some(_), _) => self.orphan(site, &channel.id),
            (None, None) if channel.dialplan.exten.starts_with(TOKEN_PREFIX) => self.relay_arrives(site, channel),
            (None, _) => self.begin(site, channel),
        }
    }

    /// The home end of a leg between nodes is there. One that nobody expects (any more, or on this node) is hung up.
    fn relay_arrives(&self, site: &Arc<Site>, channel: &Channel) {
        let here = |_: &String, expected: &Expected| Arc::ptr_eq(&expected.at, site);
        let Some((_, expected)) = self.shared.relays.remove_if(&channel.dialplan.exten, here) else {
            return self.orphan(site, &channel.id);
        };
        expected.leg.is_now(LegPhase::Entered);
        site.register(&channel.id, Target::Leg(expected.leg));
        if expected.arrived.send(channel.id.clone()).is_err() {
            site.forget(&channel.id);
            self.orphan(site, &channel.id);
        }
    }

    /// A caller is there: registers the call, then starts its task.
    fn begin(&self, site: &Arc<Site>, channel: &Channel) {
        // Found by a list that overtook this event, and over already.
        if site.has_departed(&channel.id) {
            return;
        }
        let (core, digits) = Core::new(&self.shared, site, Origin::from(channel), false);
        if !site.register_call(&core) {
            return;
        }
        if !told::tells(channel) {
            site.tells_less();
        }
        if channel.state == ChannelState::Up {
            core.answered();
        }
        self.shared.calls.insert(Arc::clone(&core.id), Arc::clone(&core));
        self.shared.metrics.started.inc();
        core.step(Step::Arrived);
        let call = Call::new(core, digits);
        let span = call.core.span();
        self.shared.spawn(handler::run(Arc::clone(&self.handler), call).instrument(span));
    }

    /// A channel of ours that nobody waits for any more: its call ended before it came to be.
    fn orphan(&self, site: &Arc<Site>, id: &str) {
        self.shared.metrics.orphans.inc();
        let (site, id) = (Arc::clone(site), id.to_owned());
        self.shared.spawn(async move { handler::remove_channel(&site, &id).await });
    }

    fn left(site: &Site, channel: &str) {
        match site.target(channel) {
            // What is still to come tells why it was not answered.
            Some(Target::Call(core)) if core.rings().is_some() => {}
            Some(Target::Call(core)) => core.channel_left(),
            Some(Target::Leg(leg)) => leg.is_now(LegPhase::Gone),
            _ => {}
        }
    }

    fn dispatch(&self, site: &Arc<Site>, event: &Event) {
        match &event.kind {
            EventKind::StasisStart(event) => self.entered(site, &event.channel),
            EventKind::StasisEnd(event) => Self::left(site, &event.channel.id),
            EventKind::ChannelDestroyed(event) => match site.target(&event.channel.id) {
                Some(Target::Outgoing(leg)) => leg.is_gone(Some(event.cause), event.tech_cause),
                Some(Target::Call(core)) => core.destroyed(Some(event.cause), event.tech_cause),
                _ => Self::left(site, &event.channel.id),
            },
            EventKind::Dial(event) => match site.target(&event.peer.id) {
                Some(Target::Outgoing(leg)) => leg.dial_status(&event.dialstatus),
                Some(Target::Call(core)) => core.heard(|rung| rung.dial_status(&event.dialstatus)),
                _ => {}
            },
            EventKind::ChannelHangupRequest(event) => {
                if let Some(core) = site.call(&event.channel.id) {
                    core.gather_cause(event.cause, event.soft);
                    core.gather_quality(&event.channel);
                }
                Self::left(site, &event.channel.id);
            }
            EventKind::ChannelDtmfReceived(event) => {
                if let Some(core) = site.call(&event.channel.id) {
                    core.digit(&event.digit);
                }
            }
            EventKind::ChannelStateChange(event) => match site.target(&event.channel.id) {
                Some(Target::Call(core)) if event.channel.state == ChannelState::Up => {
                    core.heard(|rung| rung.is_in(&event.channel.state));
                    core.answered();
                }
                Some(Target::Outgoing(leg)) => leg.is_in(&event.channel.state),
                _ => {}
            },
            EventKind::ChannelHold(event) => Self::line(site, &event.channel.id, |line| line.hold(true)),
            EventKind::ChannelUnhold(event) => Self::line(site, &event.channel.id, |line| line.hold(false)),
            // Asterisk tells of its own progress reports in the same event.
            EventKind::ChannelTransfer(event) if event.state.is_none() => {
                if let Some(refer) = Refer::of(&event.refer_to.requested_destination) {
                    Self::line(site, &event.referred_by.source_channel.id, |line| line.refer(refer));
                }
            }
            EventKind::PlaybackContinuing(event) => Self::playback(site, &event.playback.id, &event.playback.state),
            EventKind::PlaybackFinished(event) => Self::playback(site, &event.playback.id, &event.playback.state),
            EventKind::RecordingStarted(event) => {
                if let Some(Target::Recording(recording)) = site.target(&event.recording.name) {
                    recording.goes_on();
                }
            }
            EventKind::RecordingFinished(event) => {
                if let Some(Target::Recording(recording)) = site.target(&event.recording.name) {
                    recording.finished(&event.recording);
                }
            }
            EventKind::RecordingFailed(event) => {
                if let Some(Target::Recording(recording)) = site.target(&event.recording.name) {
                    recording.failed(event.recording.cause.as_deref());
                }
            }
            _ => {}
        }
    }

    /// A phone asks for something.
    fn line(site: &Site, channel: &str, asks: impl FnOnce(&Line)) {
        match site.target(channel) {
            Some(Target::Call(core)) => asks(&core.line),
            Some(Target::Outgoing(leg)) => asks(&leg.line),
            _ => {}
        }
    }

    fn playback(site: &Site, id: &str, state: &PlaybackState) {
        let Some(Target::Playback(playback)) = site.target(id) else { return };
        match state {
            PlaybackState::Done => playback.finish(false),
            PlaybackState::Failed => playback.finish(true),
            _ => return playback.goes_on(),
        }
        site.forget(id);
    }
}

impl NodeListener for Runtime {
    fn on_up(&self, link: &NodeLink, resync: &Resync) {
        let site = if let Some(site) = self.site(&link.name) {
            site.renew(link);
            site
        } else {
            let site = Site::new(link.clone());
            self.sites.insert(link.name.clone(), Arc::clone(&site));
            self.shared.tasks.spawn(janitor::watch(Arc::clone(&self.shared), Arc::clone(&site)));
            site
        };
        adopt::take_over(&self.shared, &self.handler, &site, resync);
    }

    fn on_event(&self, link: &NodeLink, event: &Arc<Event>) {
        if let Some(site) = self.site(&link.name) {
            self.dispatch(&site, event);
        }
    }

    fn on_down(&self, link: &NodeLink, reason: &str) {
        if let Some((_, site)) = self.sites.remove(&link.name) {
            self.lose(&site, reason);
            self.shared.tasks.spawn(cdr::give_up(Arc::clone(&self.shared), link.name.clone()));
        }
    }

    fn on_removed(&self, node: &NodeName) {
        if let Some((_, site)) = self.sites.remove(node) {
            self.lose(&site, "it was removed from the pool");
        }
        self.shared.lost.take(node).all_over(&self.shared);
    }
}
