//! The sole owner of every node: one task that takes orders from the operator, reports from the monitors and notes from
//! the lookup threads, and publishes what follows from them.
//!
//! Invariants: it never waits for a node, a disk or a lookup; every change of state is said once, on one stream; a
//! lookup that begins after an order was answered sees its effect.

mod declare;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::sync::{Notify, broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::event::{Intent, PoolEvent};
use super::handle::{Order, Parts, PoolError, Reply};
use super::ledger::Ledger;
use super::lifecycle::{Availability, Change, Lifecycle};
use super::link::{APPLICATION, NodeLink};
use super::monitor::{Monitor, Report, Reported, World};
use super::name::NodeName;
use super::node::Node;
use super::observer::NodeObserver;
use super::reservation::Reservations;
use super::round::{Reading, Trouble};
use super::routing::Routing;
use super::saver::{self, Job};
use super::settings::Settings;
use super::snapshot::{Snapshot, Target};
use super::spec::{NodePatch, NodeSpec};
use super::status::NodeStatus;
use super::store::{Member, Origin, Store, StoredNode, merge};
use crate::ari::{AriClient, AriTarget};
use crate::balance::{Balancer, Sample, Scores, Slot, Standing};
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
/// Why a node that the operator disabled is down.
const DISABLED: &str = "disabled by the operator";
/// How long a slot rests after its node left: longer than any lookup that saw the node still takes.
const REST: Duration = Duration::from_secs(2);

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

    // ---- orders ----

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add(spec, reply) => {
                let done = self.add(spec);
                self.keep(done, reply);
            }
            Order::Remove(name, reply) => {
                let done = self.remove(&name);
                self.keep(done, reply);
            }
            Order::Patch(name, patch, reply) => {
                let done = self.patch(&name, patch);
                self.keep(done, reply);
            }
            Order::Intent(name, intent, reply) => {
                let done = self.set_intent(&name, intent);
                self.keep(done, reply);
            }
            Order::Declare(specs, reply) => {
                let done = self.declare(specs);
                self.keep(done, reply);
            }
            Order::Get(name, reply) => {
                let _ = reply.send(self.status(&name));
            }
            Order::List(reply) => {
                let (now, scores) = (self.now(), self.scores());
                let status = |node: &Node| node.status(&self.balancer, &scores, now);
                let _ = reply.send(Ok(self.nodes.values().map(status).collect()));
            }
        }
    }

    /// Has the change written, and then answered.
    fn keep<T: Send + 'static>(&mut self, done: Result<T, PoolError>, reply: Reply<T>) {
        // In effect for lookups before anybody hears that it is.
        self.publish();
        match done {
            Ok(answer) => {
                // Who asked may have gone.
                let done = move |written: Result<(), PoolError>| drop(reply.send(written.map(|()| answer)));
                // A saver that has ended drops the reply, which reads as "stopped".
                let _ = self.jobs.send(Job { nodes: self.to_store(), done: Box::new(done) });
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn to_store(&self) -> Vec<StoredNode> {
        let living = self.nodes.values().map(|node| &node.member);
        living.chain(&self.removed).filter_map(Member::to_store).collect()
    }

    fn add(&mut self, spec: NodeSpec) -> Result<NodeStatus, PoolError> {
        let name = spec.name.clone();
        if self.nodes.contains_key(&name) {
            return Err(PoolError::Exists(name));
        }
        let declared = self.removed.iter().find(|member| member.spec.name == name).and_then(|one| one.declared.clone());
        self.take_in(Member::added(spec, declared))?;
        self.removed.retain(|member| member.spec.name != name);
        self.set_targets();
        self.say(PoolEvent::NodeAdded { node: name.clone() });
        self.status(&name)
    }

    /// Gives the node its slot and its monitor.
    fn take_in(&mut self, member: Member) -> Result<(), PoolError> {
        let name = member.spec.name.clone();
        let capacity = member.spec.capacity.unwrap_or(self.settings.default_capacity);
        // Whatever may be refused is asked before anything changes.
        let client = self.client(&member.spec)?;
        let slot = self.balancer.add(capacity).ok_or(PoolError::Full(self.balance.max_nodes))?;
        let disabled = member.intent == Intent::Disabled;
        let node = Node::new(member, slot, &self.settings, self.pool_metrics.node(name.as_str()));
        self.nodes.insert(name.clone(), node);
        if disabled {
            self.step(&name, |lifecycle| lifecycle.fail(DISABLED));
        } else {
            self.watch(&name, client);
        }
        Ok(())
    }

    fn client(&self, spec: &NodeSpec) -> Result<(AriClient, Arc<NodeObserver>), PoolError> {
        let username = spec.username.as_deref().unwrap_or(&self.settings.username);
        let password = spec.password.clone().or_else(|| self.settings.password.clone());
        let password = password.unwrap_or_else(|| SecretString::from(String::new()));
        let target = AriTarget::new(&spec.ari, username, password, APPLICATION)?;
        let observer = Arc::new(NodeObserver::new(Arc::clone(&self.ari_metrics), spec.name.as_str()));
        Ok((AriClient::new(target, &self.ari, Arc::clone(&observer) as _)?, observer))
    }

    /// Starts a monitor, in place of the one there is.
    fn watch(&mut self, name: &NodeName, (client, observer): (AriClient, Arc<NodeObserver>)) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        self.next_monitor += 1;
        let link = NodeLink::standalone(name.clone(), node.member.spec.sip.clone(), client);
        let (monitor, handle) = Monitor::new(self.next_monitor, link, observer, self.world.clone());
        if let Some(former) = node.monitor.replace(handle) {
            self.monitors.remove(&former.id);
        }
        self.monitors.insert(self.next_monitor, name.clone());
        let predecessor = self.tasks.remove(name);
        self.tasks.insert(name.clone(), tokio::spawn(monitor.run(predecessor)));
    }

    /// Ends the watch over a node that stays in the pool, or is about to leave it.
    fn unwatch(&mut self, name: &NodeName) {
        if let Some(handle) = self.nodes.get_mut(name).and_then(|node| node.monitor.take()) {
            self.monitors.remove(&handle.id);
        }
    }

    fn remove(&mut self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        let status = self.status(name)?;
        self.unwatch(name);
        let Some(node) = self.nodes.remove(name) else { return Err(PoolError::Unknown(name.clone())) };
        if let Some(state) = self.balancer.node_mut(node.slot) {
            state.set_standing(Standing::Withheld, self.routing.epoch.elapsed());
        }
        if let Some(declared) = node.member.declared.clone() {
            self.removed.push(Member { removed: true, spec: declared, ..node.member });
        }
        self.set_targets();
        // Published before the promises are dropped: a lookup must not promise the node anew.
        self.publish();
        self.routing.reservations.forget_node(node.slot);
        self.resting.push((Instant::now(), node.slot));
        self.pool_metrics.forget(name.as_str());
        self.ari_metrics.forget(name.as_str());
        self.say(PoolEvent::NodeRemoved { node: name.clone() });
        let (listener, name) = (Arc::clone(&self.world.listener), name.clone());
        if let Some(task) = self.tasks.remove(&name) {
            // The last word about the node, after its monitor's; the node's next monitor waits for it.
            let farewell = tokio::spawn({
                let name = name.clone();
                async move {
                    if let Err(error) = task.await {
                        tracing::error!(node = %name, %error, "the node's monitor had panicked");
                    }
                    listener.on_removed(&name);
                }
            });
            self.tasks.insert(name, farewell);
        } else {
            listener.on_removed(&name);
        }
        Ok(status)
    }

    fn patch(&mut self, name: &NodeName, patch: NodePatch) -> Result<NodeStatus, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let spec = node.member.spec.patched(patch)?;
        if self.change(name, spec)?
            && let Some(node) = self.nodes.get_mut(name)
        {
            node.member.origin = Origin::Runtime;
        }
        self.status(name)
    }

    /// Gives a node another specification, and watches it anew where that matters. Whether anything changed.
    fn change(&mut self, name: &NodeName, spec: NodeSpec) -> Result<bool, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let (slot, former) = (node.slot, node.member.spec.clone());
        if spec.same_as(&former) {
            return Ok(false);
        }
        let client = self.client(&spec)?;
        let capacity = spec.capacity.unwrap_or(self.settings.default_capacity);
        let elsewhere = !NodeSpec { capacity: former.capacity, ..spec.clone() }.same_as(&former);
        let now = self.now();
        if let Some(state) = self.balancer.node_mut(slot) {
            state.set_capacity(capacity);
        }
        let Some(node) = self.nodes.get_mut(name) else { return Err(PoolError::Unknown(name.clone())) };
        node.member.spec = spec;
        let watched = node.monitor.is_some();
        self.set_targets();
        self.say(PoolEvent::NodeChanged { node: name.clone() });
        if elsewhere && watched {
            if let Some(state) = self.balancer.node_mut(slot) {
                state.on_resync(0, now);
            }
            self.step(name, |lifecycle| lifecycle.begin_again("changed by the operator; not checked yet"));
            self.unwatch(name);
            self.watch(name, client);
        }
        Ok(true)
    }

    fn set_intent(&mut self, name: &NodeName, intent: Intent) -> Result<NodeStatus, PoolError> {
        let now = self.now();
        let node = self.nodes.get_mut(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        let from = std::mem::replace(&mut node.member.intent, intent);
        let slot = node.slot;
        if let Some(monitor) = node.monitor.as_ref().filter(|one| intent == Intent::Active && !one.commands_allowed()) {
            monitor.take_back();
        }
        if from != intent {
            node.drained = false;
            let spec = node.member.spec.clone();
            self.say(PoolEvent::IntentChanged { node: name.clone(), from, to: intent });
            if intent == Intent::Disabled {
                self.unwatch(name);
                // Nobody hears of its calls any more.
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_resync(0, now);
                }
                self.step(name, |lifecycle| lifecycle.fail(DISABLED));
            } else if from == Intent::Disabled {
                let client = self.client(&spec)?;
                self.step(name, |lifecycle| lifecycle.begin_again("enabled by the operator; not checked yet"));
                self.watch(name, client);
            }
            self.offer(name);
        }
        self.status(name)
    }

    fn status(&self, name: &NodeName) -> Result<NodeStatus, PoolError> {
        let node = self.nodes.get(name).ok_or_else(|| PoolError::Unknown(name.clone()))?;
        Ok(node.status(&self.balancer, &self.scores(), self.now()))
    }

    /// The scores that lookups see, or are about to.
    fn scores(&self) -> Scores {
        if self.standing_changed {
            return self.balancer.scores(self.now());
        }
        self.routing.snapshot.load().scores.clone()
    }

    // ---- reports ----

    fn hear(&mut self, Reported { monitor, report }: Reported) {
        // What a monitor that was replaced says is about a node that is no more.
        let Some(name) = self.monitors.get(&monitor).cloned() else { return };
        let now = self.now();
        // A promise is counted before its call is, however near they come.
        self.standing_changed |= self.ledger.settle(&mut self.balancer, now);
        let Some(slot) = self.nodes.get(&name).map(|node| node.slot) else { return };
        match report {
            Report::Mark(reply) => {
                if let Some(state) = self.balancer.node(slot) {
                    // A monitor that is ending no longer polls.
                    let _ = reply.send(state.poll_mark());
                }
            }
            Report::Started(promised) => self.ledger.started(&mut self.balancer, slot, promised.as_deref(), now),
            Report::Answered(call_id) => self.ledger.answered(&call_id, now),
            Report::Ended(promised) => self.ledger.ended(&mut self.balancer, slot, promised.as_deref(), now),
            Report::Up { about, difference, own } => {
                let before = self.nodes.get_mut(&name).map(|node| std::mem::replace(&mut node.about, about.clone()));
                if let Some(then) = before.and_then(|about| about.started_unix_ms)
                    && about.started_unix_ms.is_some_and(|started| started != then)
                {
                    self.say(PoolEvent::Restarted { node: name.clone() });
                    self.step(&name, |lifecycle| lifecycle.begin_again("its Asterisk was restarted"));
                }
                for promised in difference.ended {
                    self.ledger.ended(&mut self.balancer, slot, promised.as_deref(), now);
                }
                for promised in difference.started {
                    self.ledger.started(&mut self.balancer, slot, promised.as_deref(), now);
                }
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_resync(own, now);
                }
            }
            Report::Round(result) => self.round(&name, slot, result, now),
            Report::SocketDown(trouble) => {
                // Of a node that is down the rounds tell; each further attempt at its socket would only repeat them.
                if self.nodes.get(&name).is_some_and(|node| node.availability() != Availability::Down) {
                    self.check_failed(&name, &trouble);
                }
            }
            Report::TakenOver { until_retry } => {
                let seconds = until_retry.as_secs();
                let reason = format!(
                    "another controller took the node's application over; kamari takes it back in {seconds} s, or when it is undrained"
                );
                self.say(PoolEvent::TakenOver { node: name.clone() });
                self.step(&name, |lifecycle| lifecycle.fail(&reason));
            }
        }
    }

    fn round(&mut self, name: &NodeName, slot: Slot, result: Result<Reading, Trouble>, now: Duration) {
        match result {
            Ok(reading) => {
                let calls = reading.load.as_ref().ok().map(|load| load.calls);
                // CPU is shown and not yet routed by: that waits for a measurement on real nodes of unequal speed.
                let sample = Sample { mark: reading.mark, calls, cpu: None, rtp_loss: None, rtp_jitter_ms: None };
                if let Some(state) = self.balancer.node_mut(slot) {
                    state.on_sample(&sample, now);
                }
                if let Some(node) = self.nodes.get_mut(name) {
                    node.read(&reading);
                    node.metrics.checks_good.inc();
                }
                self.step(name, Lifecycle::good);
                // A good round is no verdict yet; enough of them are.
                if self.nodes.get(name).is_some_and(|node| node.availability() == Availability::Up) {
                    self.note_checked(name);
                }
            }
            Err(trouble) => {
                if let Some(node) = self.nodes.get(name) {
                    node.metrics.checks_bad.inc();
                }
                self.check_failed(name, &trouble);
            }
        }
    }

    fn check_failed(&mut self, name: &NodeName, trouble: &Trouble) {
        self.step(name, |lifecycle| {
            if trouble.definite { lifecycle.fail(&trouble.reason) } else { lifecycle.bad(&trouble.reason) }
        });
        self.note_checked(name);
    }

    fn note_checked(&mut self, name: &NodeName) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.checked = true;
        }
        if !self.checked.load(Ordering::Relaxed) {
            self.check_all_checked();
        }
    }

    fn check_all_checked(&self) {
        let all = self.nodes.values().all(|node| node.checked || node.monitor.is_none());
        if all {
            self.checked.store(true, Ordering::Release);
        }
    }

    /// Moves a node's state machine, says what changed, and tells the balancer whether calls may go there.
    fn step(&mut self, name: &NodeName, step: impl FnOnce(&mut Lifecycle) -> Option<Change>) {
        let Some(Change { from, to, reason }) = self.nodes.get_mut(name).and_then(|node| node.step(step)) else {
            return;
        };
        self.say(PoolEvent::AvailabilityChanged { node: name.clone(), from, to, reason });
        self.offer(name);
    }

    fn offer(&mut self, name: &NodeName) {
        let now = self.now();
        let Some(node) = self.nodes.get(name) else { return };
        if let Some(state) = self.balancer.node_mut(node.slot) {
            state.set_standing(node.standing(), now);
            self.standing_changed = true;
        }
    }

    // ---- time ----

    fn slow_tick(&mut self) {
        let now = self.now();
        self.balancer.tick(now);
        self.standing_changed = true;
        self.check_all_checked();
        let scores = self.scores();
        for node in self.nodes.values() {
            node.measure(&self.balancer, &scores, now);
        }
        let words: Vec<_> =
            self.nodes.values().map(|node| (node.availability().as_str(), node.member.intent.as_str())).collect();
        self.pool_metrics.set_nodes(&words);
        self.tasks.retain(|name, task| self.nodes.contains_key(name) || !task.is_finished());
        let rested = |entry: &mut (Instant, Slot)| entry.0.elapsed() >= REST;
        for (_, slot) in self.resting.extract_if(.., rested) {
            // A lookup that was under way at the removal may have promised the slot once more.
            self.routing.reservations.forget_node(slot);
            self.balancer.remove(slot);
        }
    }

    /// Says of each draining node, once, that it has no call left.
    fn watch_drains(&mut self) {
        let mut empty = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.member.intent != Intent::Draining || node.drained {
                continue;
            }
            let load = self.balancer.table().load(node.slot);
            if load.own == 0 && load.reserved == 0 {
                node.drained = true;
                empty.push(name.clone());
            }
        }
        for node in empty {
            self.say(PoolEvent::Drained { node });
        }
    }

    // ---- publication ----

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

    fn say(&self, event: PoolEvent) {
        tracing::info!(node = %event.node(), "{event}");
        // Nobody may be subscribed.
        let _ = self.events.send(event);
    }

    // ---- the end ----

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
