//! The sole owner of every node: one task that takes orders from the operator, reports from the monitors and notes from
//! the lookup threads, and publishes what follows from them.
//!
//! `orders` holds what the operator may ask, `members` who is in the pool, `declare` what the settings file says of that,
//! `reports` what the monitors tell, `ticks` what time brings about. The state and its publication are here.
//!
//! Invariants: it never waits for a node, a disk or a lookup; every change of state is said once, on one stream; a
//! lookup that begins after an order was answered sees its effect.

mod declare;
mod members;
mod orders;
mod reports;
mod ticks;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::beat::Beat;
use super::event::PoolEvent;
use super::handle::{Order, Parts, PoolError};
use super::ledger::Ledger;
use super::monitor::{Reported, World};
use super::name::NodeName;
use super::node::Node;
use super::reservation::Reservations;
use super::routing::Routing;
use super::saver::{self, Job};
use super::settings::Settings;
use super::snapshot::{Snapshot, Target};
use super::store::{Member, Store, merge};
use crate::balance::{Balancer, Scores, Slot};
use crate::telemetry::{AriMetrics, PoolMetrics};
use crate::{ari, balance};

/// Reports of monitors that may wait.
const REPORTS: usize = 4_096;
/// Changes that a slow subscriber may fall behind.
const EVENTS: usize = 1_024;
/// How often notes of the lookup threads are taken in, and promises expire.
const TICK: Duration = Duration::from_millis(50);
/// How often time passes for the balancer and the gauges.
const SLOW_TICK: Duration = Duration::from_secs(1);

/// The task's state.
pub(super) struct Registry {
    settings: Arc<Settings>,
    ari: ari::Settings,
    balance: balance::Settings,
    world: World,
    pool_metrics: Arc<PoolMetrics>,
    ari_metrics: Arc<AriMetrics>,

    nodes: BTreeMap<NodeName, Node>,
    /// Nodes that the configuration file declares and the operator removed.
    removed: Vec<Member>,
    /// Which node a monitor watches.
    monitors: HashMap<u64, NodeName>,
    /// The last monitor of a name, which its next one waits for.
    tasks: HashMap<NodeName, JoinHandle<()>>,
    next_monitor: u64,
    /// Slots whose nodes left, and since when.
    resting: Vec<(Instant, Slot)>,

    balancer: Balancer,
    ledger: Ledger,
    routing: Arc<Routing>,
    targets: Arc<[Option<Target>]>,
    events: broadcast::Sender<PoolEvent>,
    checked: Arc<AtomicBool>,
    /// Whether a node's standing changed since the last publication.
    standing_changed: bool,

    orders: mpsc::Receiver<Order>,
    reports: mpsc::Receiver<Reported>,
    jobs: mpsc::UnboundedSender<Job>,
    stop: CancellationToken,
}

impl Registry {
    /// Reads the state file and takes the nodes in. Nothing runs before [`Registry::run`].
    pub(super) fn new(parts: Parts, orders: mpsc::Receiver<Order>) -> Result<(Self, Arc<Routing>), PoolError> {
        let settings = Arc::new(parts.settings);
        let store = Store::new(settings.state_file.clone());
        let members = merge(parts.nodes, store.load()?);
        let balancer = Balancer::new(parts.balance.clone());
        let (notes, taken) = mpsc::unbounded_channel();
        let routing = Arc::new(Routing {
            snapshot: ArcSwap::from_pointee(Snapshot {
                scores: balancer.scores(Duration::ZERO),
                targets: Arc::new([]),
            }),
            table: balancer.table(),
            reservations: Reservations::new(settings.max_reservations),
            notes,
            bell: Notify::new(),
            epoch: Instant::now(),
            reservation: settings.reservation(),
        });
        let (reporter, reports) = mpsc::channel(REPORTS);
        let (jobs, written) = mpsc::unbounded_channel();
        tokio::spawn(saver::run(store, written, Arc::clone(&parts.metrics)));
        let world = World {
            settings: Arc::clone(&settings),
            listener: parts.listener,
            reports: reporter,
            beat: Beat::new(),
            generations: Arc::new(AtomicU64::new(0)),
        };
        let mut registry = Self {
            ari: parts.ari,
            balance: parts.balance,
            world,
            ledger: Ledger::new(Arc::clone(&routing), taken, Arc::clone(&parts.metrics)),
            pool_metrics: parts.metrics,
            ari_metrics: parts.ari_metrics,
            nodes: BTreeMap::new(),
            removed: Vec::new(),
            monitors: HashMap::new(),
            tasks: HashMap::new(),
            next_monitor: 0,
            resting: Vec::new(),
            balancer,
            routing: Arc::clone(&routing),
            targets: Arc::new([]),
            events: broadcast::Sender::new(EVENTS),
            checked: Arc::new(AtomicBool::new(false)),
            standing_changed: false,
            orders,
            reports,
            jobs,
            stop: CancellationToken::new(),
            settings,
        };
        for member in members {
            if member.removed {
                registry.removed.push(member);
            } else {
                registry.take_in(member)?;
            }
        }
        registry.set_targets();
        registry.publish();
        Ok((registry, routing))
    }

    pub(super) fn events(&self) -> broadcast::Sender<PoolEvent> {
        self.events.clone()
    }

    pub(super) fn checked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.checked)
    }

    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Works until the token is cancelled; then lets go of every node and waits until that is done.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut slow_tick = tokio::time::interval(SLOW_TICK);
        slow_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let routing = Arc::clone(&self.routing);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(order) = self.orders.recv() => self.obey(order),
                Some(reported) = self.reports.recv() => self.hear(reported),
                () = routing.bell.notified() => {}
                _ = tick.tick() => self.watch_drains(),
                _ = slow_tick.tick() => self.slow_tick(),
            }
            let now = self.now();
            self.standing_changed |= self.ledger.settle(&mut self.balancer, now);
            if std::mem::take(&mut self.standing_changed) {
                self.publish();
            }
        }
        self.let_go().await;
    }

    fn now(&self) -> Duration {
        self.routing.epoch.elapsed()
    }

    /// The scores that lookups see, or are about to.
    fn scores(&self) -> Scores {
        if self.standing_changed {
            return self.balancer.scores(self.now());
        }
        self.routing.snapshot.load().scores.clone()
    }

    fn say(&self, event: PoolEvent) {
        tracing::info!(node = %event.node(), "{event}");
        // Nobody may be subscribed.
        let _ = self.events.send(event);
    }

    fn set_targets(&mut self) {
        let slots = self.nodes.values().map(|node| node.slot.index() + 1).max().unwrap_or(0);
        let mut targets = vec![None; slots];
        for node in self.nodes.values() {
            targets[node.slot.index()] = Some(node.target());
        }
        self.targets = targets.into();
    }

    fn publish(&self) {
        let snapshot = Snapshot { scores: self.balancer.scores(self.now()), targets: Arc::clone(&self.targets) };
        self.routing.snapshot.store(Arc::new(snapshot));
    }

    async fn let_go(mut self) {
        self.monitors.clear();
        for node in self.nodes.values_mut() {
            node.monitor = None;
        }
        // Monitors that still report are heard out, so that none waits for room in the queue.
        self.reports.close();
        while self.reports.try_recv().is_ok() {}
        for (node, task) in self.tasks.drain() {
            if let Err(error) = task.await {
                tracing::error!(%node, %error, "the node's monitor had panicked");
            }
        }
    }
}
