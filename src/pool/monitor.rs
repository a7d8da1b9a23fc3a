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

mod hearing;
mod report;
mod rounds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(super) use self::report::{Handle, Report, Reported};
use super::beat::Beat;
use super::calls::Calls;
use super::link::{NodeLink, NodeListener};
use super::observer::NodeObserver;
use super::panel::Panel;
use super::probe::{self, Probe};
use super::round::{Reading, Trouble};
use super::settings::Settings;
use crate::ari::{AriClient, EventSocket, SocketItem};

/// Longest wait for a node to let go of the probe when it leaves the pool.
const FAREWELL: Duration = Duration::from_secs(1);
/// Longest time until kamari takes a node back by itself.
const TAKE_BACK_LIMIT: Duration = Duration::from_hours(1);

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

    async fn report(&self, report: Report) {
        // The registry is gone only when everything ends.
        let _ = self.world.reports.send(Reported { monitor: self.id, report }).await;
    }
}

/// Completes at this time, if there is one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
