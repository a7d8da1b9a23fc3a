//! One task a node: it asks the node each second how it is, hears its events, and tells the registry and the listener.
//!
//! It owns the node's event socket and the list of its channels, and decides nothing: what a good or bad round means is
//! the registry's business. The listener is called from here and from nowhere else, so what it hears of a node is in order.
//!
//! After the socket came up (or events were lost) the node's state is read while new events wait in their queue; then
//! the listener gets the whole (`on_up`), then the events that waited. So nothing is missed, and what came in between is
//! heard twice at most.
//!
//! A socket that was lost is given as long as a node that fails its checks: only when it has not come back by then, or the
//! node refuses connections because its process is gone, is the listener told `on_down`. Calls do not notice a blip.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::beat::Beat;
use super::calls::{Agreement, Calls, Difference, Promised};
use super::link::{NodeLink, NodeListener, PROBE_PREFIX, Stress};
use super::observer::NodeObserver;
use super::panel::Panel;
use super::probe::{self, Probe};
use super::round::{self, Questions, Reading, Trouble};
use super::settings::Settings;
use super::whole::{self, About};
use crate::ari::event::EventKind;
use crate::ari::model::ChannelState;
use crate::ari::{AriClient, ConnectFailure, Event, EventSocket, SocketItem};
use crate::balance::PollMark;

/// Longest wait for a node to let go of the probe when it leaves the pool.
const FAREWELL: Duration = Duration::from_secs(1);
/// Rounds until a node's channels are compared with what was heard, while all is well.
const RECONCILED_EVERY: u32 = 5;
/// How much sooner a node in trouble is asked again.
const HASTE: u32 = 4;
/// Longest time until kamari takes a node back by itself.
const TAKE_BACK_LIMIT: Duration = Duration::from_hours(1);

/// A node is silent for so many times the time until it is down (3 s by default) until its calls are taken to have ended.
const GIVEN_UP_AFTER: u32 = 20;

/// What the monitor tells the registry.
#[derive(Debug)]
pub(super) enum Report {
    /// A poll is about to be sent.
    Mark(oneshot::Sender<PollMark>),
    /// A round of checks ended, with the event socket open and read.
    Round(Result<Reading, Trouble>),
    /// Events arrive, and these calls were found to have started or ended meanwhile; `own` load the node now.
    Up { about: About, difference: Difference, own: u32 },
    /// The event socket is lost, or cannot be opened.
    SocketDown(Trouble),
    /// Another controller took the application over; kamari is back after this time unless the operator says so sooner.
    TakenOver { until_retry: Duration },
    /// A call of ours began.
    Started(Promised),
    /// The call of this Call-ID was answered.
    Answered(String),
    /// A call of ours ended.
    Ended(Promised),
}

/// A report and the monitor that it comes from: a monitor that was replaced may still have some under way.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) monitor: u64,
    pub(super) report: Report,
}

/// The registry's hold on a monitor. It stops when this is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: u64,
    stop: CancellationToken,
    take_back: mpsc::Sender<()>,
    commands: Arc<AtomicBool>,
    stress: Stress,
}

impl Handle {
    /// Asks for the application back at once.
    pub(super) fn take_back(&self) {
        // A full queue holds the same wish already; a closed one is a monitor that is ending.
        let _ = self.take_back.try_send(());
    }

    /// Says how near its limit the node is, to those who command it.
    pub(super) fn stress_is(&self, stress: f64) {
        self.stress.set(stress);
    }

    /// Whether kamari commands the node.
    pub(super) fn commands_allowed(&self) -> bool {
        self.commands.load(Ordering::Acquire)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.commands.store(false, Ordering::Release);
        self.stop.cancel();
    }
}

/// What all monitors share.
#[derive(Clone)]
pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) listener: Arc<dyn NodeListener>,
    pub(super) reports: mpsc::Sender<Reported>,
    /// When rounds begin.
    pub(super) beat: Beat,
    /// The last generation given to a link, over all nodes and monitors.
    pub(super) generations: Arc<AtomicU64>,
}

/// The task's state.
pub(super) struct Monitor {
    id: u64,
    link: NodeLink,
    /// With the deadline of a check.
    checks: AriClient,
    observer: Arc<NodeObserver>,
    world: World,
    stop: CancellationToken,
    orders: mpsc::Receiver<()>,
    calls: Calls,
    probe: Probe,
    panel: Panel,
    /// Why events do not arrive, or that they do and the node's state was read.
    events: Events,
    /// Whether the listener was told `on_up`, and not `on_down` since.
    told_up: bool,
    /// When the listener is told that the node's events do not arrive.
    give_up: Option<Instant>,
    /// Whether the last round was bad.
    in_trouble: bool,
    /// Whether the last poll and what was heard disagreed about a channel.
    in_doubt: bool,
    /// Rounds begun, from a random number on: nodes that came up together are not all reconciled in the same second.
    rounds: u32,
    take_back_after: Duration,
    /// Since when events have not arrived, with calls that may still be there.
    unheard_since: Option<Instant>,
    said: Said,
}

/// Whether the node's events arrive.
enum Events {
    /// The socket is not open.
    Down(Trouble),
    /// The socket is open, and what was there before could not be read yet.
    Unread(Trouble),
    /// They arrive, in order, on top of a known state.
    Heard,
}

/// What was said in the log since the event socket was opened, and is not said again.
#[derive(Debug, Default)]
struct Said {
    /// An event could not be understood.
    garbage: bool,
    /// There were too many calls.
    crowd: bool,
}

/// Why hearing a node ended.
enum End {
    Stopped,
    TakenOver,
    /// The socket's task ended without a word, which only a panic does.
    SocketGone,
}

impl Monitor {
    /// A monitor of the node behind `link`, and the registry's hold on it.
    pub(super) fn new(id: u64, link: NodeLink, observer: Arc<NodeObserver>, world: World) -> (Self, Handle) {
        let (take_back, orders) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let handle = Handle {
            id,
            stop: stop.clone(),
            take_back,
            commands: Arc::clone(&link.commands),
            stress: link.stress.clone(),
        };
        let checks = link.ari.with_deadline(world.settings.check_timeout());
        let take_back_after = world.settings.take_back_after();
        let monitor = Self {
            id,
            link,
            checks,
            observer,
            world,
            stop,
            orders,
            calls: Calls::default(),
            probe: Probe::default(),
            panel: Panel::default(),
            events: Events::Down(Trouble { reason: "the event socket is not open yet".to_owned(), definite: false }),
            told_up: false,
            give_up: None,
            in_trouble: false,
            in_doubt: false,
            rounds: rand::random(),
            take_back_after,
            unheard_since: None,
            said: Said::default(),
        };
        (monitor, handle)
    }

    /// Runs until the handle is dropped, but not before `predecessor`, which watched the same node, has ended: the
    /// listener hears of one at a time.
    pub(super) async fn run(mut self, predecessor: Option<JoinHandle<()>>) {
        if let Some(predecessor) = predecessor
            && let Err(error) = predecessor.await
        {
            tracing::error!(node = %self.link.name, %error, "the node's former monitor had panicked");
        }
        loop {
            match self.hear().await {
                End::Stopped => break,
                End::TakenOver => {
                    self.stand_aside().await;
                    if self.stop.is_cancelled() {
                        return; // what is on the node is another's
                    }
                }
                End::SocketGone => {
                    tracing::error!(node = %self.link.name, "the event socket's task ended; starting another");
                    self.tell_down("the event socket is being opened anew");
                    tokio::time::sleep(self.world.settings.poll_interval()).await;
                }
            }
        }
        self.tell_down("the node is no longer watched");
        // A node that does not answer now keeps its probe, which harms nobody and is used again.
        let _ = tokio::time::timeout(FAREWELL, probe::remove(&self.checks)).await;
    }

    /// Opens the event socket and hears the node until it is taken over or no longer wanted.
    async fn hear(&mut self) -> End {
        let stop = self.stop.clone();
        let mut socket = EventSocket::spawn(&self.link.ari);
        let mut rounds: FuturesUnordered<BoxFuture<'static, Result<Reading, Trouble>>> = FuturesUnordered::new();
        // The first round goes out at once: a wrong address is to be named within the moment.
        let next = tokio::time::sleep_until(Instant::now());
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopped,
                item = socket.recv() => match item {
                    Some(SocketItem::Replaced) => return End::TakenOver,
                    None => return End::SocketGone,
                    Some(item) => {
                        if self.handle(item).await && rounds.is_empty() {
                            next.as_mut().reset(Instant::now());
                        }
                    }
                },
                Some(result) = rounds.next(), if !rounds.is_empty() => {
                    self.finish_round(result).await;
                    next.as_mut().reset(self.next_round());
                }
                () = at(self.give_up) => self.tell_down("its events did not arrive for too long"),
                () = &mut next, if rounds.is_empty() => {
                    if let Some(mark) = self.mark().await {
                        rounds.push(self.round(mark));
                    }
                }
            }
        }
    }

    /// One item of the socket. Whether the node should be asked at once.
    async fn handle(&mut self, item: SocketItem) -> bool {
        match item {
            SocketItem::Up => {
                self.said = Said::default();
                self.resync().await
            }
            SocketItem::Event(event) => {
                self.event(&event).await;
                false
            }
            SocketItem::Undecodable(error) => {
                // All are counted; a node that sends garbage is not to fill the log with it.
                if !std::mem::replace(&mut self.said.garbage, true) {
                    tracing::warn!(node = %self.link.name, %error, "an event could not be understood; further ones of this connection are only counted");
                }
                false
            }
            SocketItem::Lost { count } => {
                tracing::warn!(node = %self.link.name, count, "events were dropped; reading the node's state anew");
                self.resync().await
            }
            SocketItem::Down { reason } => {
                self.socket_down(&reason).await;
                true
            }
            // Handled by the caller.
            SocketItem::Replaced => false,
        }
    }

    async fn event(&mut self, event: &Arc<Event>) {
        // What comes before the state was read will be part of it.
        if !matches!(self.events, Events::Heard) {
            return;
        }
        if event.channel_id().is_some_and(|id| id.starts_with(PROBE_PREFIX)) {
            return;
        }
        if self.is_too_many(event) {
            return;
        }
        self.world.listener.on_event(&self.link, event);
        match &event.kind {
            EventKind::StasisStart(start) => {
                if let Some(promised) = self.calls.enter(&start.channel) {
                    self.report(Report::Started(promised)).await;
                }
            }
            EventKind::ChannelStateChange(change) if change.channel.state == ChannelState::Up => {
                if let Some(call_id) = self.calls.promised(&change.channel.id) {
                    let answered = Report::Answered(call_id.to_owned());
                    self.report(answered).await;
                }
            }
            EventKind::StasisEnd(end) => self.left(&end.channel.id).await,
            EventKind::ChannelDestroyed(destroyed) => self.left(&destroyed.channel.id).await,
            _ => {}
        }
    }

    /// Whether the event begins a call beyond what any node carries. Such a node is broken, or lies, and is not to fill this
    /// process; the caller, if there is one, is left to his node.
    fn is_too_many(&mut self, event: &Event) -> bool {
        let EventKind::StasisStart(start) = &event.kind else { return false };
        let limit = self.world.settings.max_node_channels;
        if self.calls.channels() < limit || self.calls.knows(&start.channel.id) {
            return false;
        }
        self.observer.too_many();
        if !std::mem::replace(&mut self.said.crowd, true) {
            tracing::error!(node = %self.link.name, limit, "more channels than pool.max_node_channels; further calls of this node are not served");
        }
        true
    }

    async fn left(&mut self, channel_id: &str) {
        if let Some(promised) = self.calls.leave(channel_id) {
            self.report(Report::Ended(promised)).await;
        }
    }

    /// Reads what is in the application now, while events wait. Whether to ask the node at once.
    async fn resync(&mut self) -> bool {
        let stop = self.stop.clone();
        match stop.run_until_cancelled(whole::read(&self.link.ari, self.world.settings.max_node_channels)).await {
            None => return false,
            Some(Ok((about, resync))) => {
                let difference = self.calls.replace(&resync.channels);
                // Perhaps another process than before.
                self.probe = Probe::default();
                self.link.generation = self.world.generations.fetch_add(1, Ordering::Relaxed) + 1;
                self.events = Events::Heard;
                (self.told_up, self.give_up) = (true, None);
                self.link.taken_over.store(false, Ordering::Release);
                self.link.commands.store(true, Ordering::Release);
                self.world.listener.on_up(&self.link, &resync);
                self.report(Report::Up { about, difference, own: self.calls.count() }).await;
            }
            Some(Err(error)) => {
                let trouble = Trouble::of("reading the node's state", &error);
                self.bear();
                self.events = Events::Unread(trouble.clone());
                self.report(Report::SocketDown(trouble)).await;
            }
        }
        true
    }

    async fn socket_down(&mut self, failure: &ConnectFailure) {
        let trouble = Trouble::from(failure);
        self.events = Events::Down(trouble.clone());
        if *failure == ConnectFailure::ConnectionRefused {
            // The process is gone, and its calls with it.
            self.tell_down(&trouble.reason);
            self.forget_calls().await;
        } else {
            self.bear();
        }
        self.report(Report::SocketDown(trouble)).await;
    }

    async fn forget_calls(&mut self) {
        for promised in self.calls.replace(&[]).ended {
            self.report(Report::Ended(promised)).await;
        }
    }

    async fn finish_round(&mut self, mut result: Result<Reading, Trouble>) {
        if let Ok(reading) = &mut result {
            self.probe = std::mem::take(&mut reading.probe);
            let now = Instant::now();
            if let Some((channel, statistics)) = reading.rtp.take() {
                self.panel.heard(&channel, statistics.as_deref(), now);
            }
            reading.audio = self.panel.audio(now);
            if let Ok(load) = &mut reading.load {
                // Compared with all that is ours: Asterisk counts callers alone.
                load.calls += self.calls.legs();
            }
            if let Some(clock) = reading.clock_unix_ms {
                self.observer.clock(clock, reading.round_trip);
            }
            self.reconcile(reading).await;
        }
        let result = match (&self.events, result) {
            (Events::Down(trouble) | Events::Unread(trouble), Ok(_)) => Err(trouble.clone()),
            (_, result) => result,
        };
        self.in_trouble = result.is_err();
        self.give_up_calls(result.is_ok()).await;
        self.report(Report::Round(result)).await;
    }

    /// A node of which nothing is heard for long has lost its host: its calls are counted no longer, so that its drain ends and
    /// its promises are dropped. If they are there after all, the next `resync` counts them again.
    async fn give_up_calls(&mut self, is_heard: bool) {
        if is_heard || self.calls.channels() == 0 {
            self.unheard_since = None;
            return;
        }
        let since = *self.unheard_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.world.settings.down_time() * GIVEN_UP_AFTER {
            tracing::warn!(node = %self.link.name, calls = self.calls.count(), "nothing heard of the node for long; its calls are taken to have ended");
            self.tell_down("nothing was heard of it for long");
            self.forget_calls().await;
            self.unheard_since = None;
        }
    }

    /// The node answers: reads its state if that is still to be done, or if what was polled contradicts what was heard.
    async fn reconcile(&mut self, reading: &Reading) {
        match self.events {
            Events::Down(_) => {}
            Events::Unread(_) => {
                self.resync().await;
            }
            // Of a node with too many channels, not all are known.
            Events::Heard if self.calls.channels() >= self.world.settings.max_node_channels => {}
            Events::Heard => {
                let Some(ids) = &reading.in_app else { return };
                let agreement = self.calls.compare(ids.iter());
                self.in_doubt = agreement == Agreement::Doubtful;
                if agreement == Agreement::Contradicted {
                    tracing::warn!(node = %self.link.name, "channels and events disagree; reading the node's state anew");
                    self.resync().await;
                }
            }
        }
    }

    /// Another controller has the application: nothing is commanded until kamari takes it back.
    async fn stand_aside(&mut self) {
        self.link.taken_over.store(true, Ordering::Release);
        self.link.commands.store(false, Ordering::Release);
        self.tell_down("another controller took the node's application over");
        self.forget_calls().await;
        let wait = self.take_back_after.mul_f64(rand::rng().random_range(1.0..1.25));
        self.take_back_after = (self.take_back_after * 2).min(TAKE_BACK_LIMIT);
        self.report(Report::TakenOver { until_retry: wait }).await;
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = self.orders.recv() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    /// Events do not arrive for now: the listener is told in a while, unless they do again.
    fn bear(&mut self) {
        if self.told_up && self.give_up.is_none() {
            self.give_up = Some(Instant::now() + self.world.settings.down_time());
        }
    }

    fn tell_down(&mut self, reason: &str) {
        self.give_up = None;
        if matches!(self.events, Events::Heard) {
            self.events = Events::Down(Trouble { reason: reason.to_owned(), definite: false });
        }
        if std::mem::take(&mut self.told_up) {
            self.world.listener.on_down(&self.link, reason);
        }
    }

    async fn mark(&self) -> Option<PollMark> {
        let (reply, mark) = oneshot::channel();
        self.report(Report::Mark(reply)).await;
        mark.await.ok()
    }

    async fn report(&self, report: Report) {
        // The registry is gone only when everything ends.
        let _ = self.world.reports.send(Reported { monitor: self.id, report }).await;
    }

    fn round(&mut self, mark: PollMark) -> BoxFuture<'static, Result<Reading, Trouble>> {
        let (ari, settings) = (self.checks.clone(), Arc::clone(&self.world.settings));
        let mut questions = Questions { application: true, ..Questions::default() };
        if matches!(self.events, Events::Heard) {
            // What a round that fails keeps of it is found out again.
            questions.probe = Some(std::mem::take(&mut self.probe));
            questions.application = self.reconciles();
            questions.rtp = self.panel.next(&self.calls, Instant::now(), &mut rand::rng());
        }
        Box::pin(async move { round::round(&ari, mark, &settings.probe_context, questions).await })
    }

    /// Whether this round asks for the channels in the application.
    fn reconciles(&mut self) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        self.in_trouble || self.in_doubt || self.rounds.is_multiple_of(RECONCILED_EVERY)
    }

    /// When the next round begins: after the interval with a tenth of jitter, so that the pool is not asked in one burst.
    fn next_round(&self) -> Instant {
        let interval = self.world.settings.poll_interval().mul_f64(rand::rng().random_range(0.9..1.1));
        let pause = if self.in_trouble { interval / HASTE } else { interval };
        self.world.beat.after(Instant::now() + pause)
    }
}

/// Completes at this time, if there is one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
