//! The event loop: calls arrive, are routed by the rule under test, take or are refused by simulated nodes, and end.
//!
//! One run is one rule, one scenario, one seed, one thread. The nodes here are the truth; a rule knows of them only what
//! it is told through `Rule`, as late as it would be in life: an INVITE takes 5 ms to a node and a refusal as long back,
//! a dead node costs a 2 s timeout, a call is seen once it is set up, polls come at the rule's own interval.

use super::measure::{Measure, Outcome};
use super::nodes::NodeSize;
use super::rule::{CallNumber, Poll, Routes, Rule};
use super::scenario::{Action, Run};
use super::traffic::{Call, Traffic};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Seconds from the answer of a lookup to the INVITE at the node, and from a refusal there back to the proxy.
const HOP: f64 = 0.005;
/// Seconds until a proxy gives up on a node that does not answer at all.
const TIMEOUT: f64 = 2.0;
/// Median seconds from lookup to call start on an idle node.
const SETUP: f64 = 0.020;
/// CPU share that a full node of normal speed uses.
const CPU_AT_FULL: f64 = 0.7;
/// Seconds for which a node that joined cold refuses more than three times its fair share of attempts.
const COLD: f64 = 60.0;

/// One node as it really is.
#[derive(Debug, Clone)]
pub(super) struct TrueNode {
    pub size: NodeSize,
    /// Calls on it, everybody's.
    pub calls: u32,
    /// In the pool: new calls may be sent to it.
    pub member: bool,
    alive: bool,
    failing: bool,
    /// CPU speed against a normal node.
    pub speed: f64,
    /// Share of RTP packets lost on its network.
    pub rtp_loss: f64,
    /// Counts restarts, so that the ends of calls that died with it are known as such.
    era: u32,
    load_average: f64,
    joined_at: f64,
    attempts_since_join: u32,
}

impl TrueNode {
    fn new(size: NodeSize) -> Self {
        Self {
            size,
            calls: 0,
            member: true,
            alive: true,
            failing: false,
            speed: 1.0,
            rtp_loss: 0.0,
            era: 0,
            load_average: 0.0,
            joined_at: f64::NEG_INFINITY,
            attempts_since_join: 0,
        }
    }

    fn cpu(&self) -> f64 {
        (CPU_AT_FULL * f64::from(self.calls) / (f64::from(self.size.real) * self.speed)).min(1.0)
    }

    /// Share of CPU it would need, which may be more than there is; audio is lost from there on.
    fn loss(&self) -> f64 {
        let wanted = CPU_AT_FULL * f64::from(self.calls) / (f64::from(self.size.real) * self.speed);
        self.rtp_loss + (wanted - 1.0).clamp(0.0, 1.0)
    }

    fn setup(&self, noise: f64) -> f64 {
        SETUP * noise / (1.0 - self.cpu().min(0.99))
    }
}

#[derive(Debug, Clone, Copy)]
enum What {
    Arrive,
    Attempt { call: usize },
    Refused { call: usize, code: u16 },
    Started { call: usize, era: u32 },
    Ended { call: usize, era: u32 },
    Poll { controller: usize },
    Tick,
    Script { index: usize },
    ControllerBack { controller: usize },
}

#[derive(Debug, Clone, Copy)]
struct Event {
    at: f64,
    order: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    /// Earliest first out of a max-heap; events of one instant in the order they were scheduled.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

/// A call on its way or in progress.
#[derive(Debug, Clone, Copy)]
struct Live {
    number: CallNumber,
    call: Call,
    controller: Option<usize>,
    routes: Routes,
    leg: usize,
    node: usize,
    seen_at_node: bool,
    /// A healthy node had room when the call was routed: if it goes to a failing one, that was a mistake.
    had_room: bool,
}

/// Who chooses.
#[derive(Clone, Copy)]
pub(super) enum Chooser<'a> {
    /// Rules, made anew when a controller restarts.
    Rules(&'a dyn Fn() -> Box<dyn Rule>, usize),
    /// One who sees every free slot at the instant the INVITE arrives: what no rule can beat.
    Clairvoyant,
}

/// One run.
pub(super) struct Engine<'a> {
    run: &'a Run,
    chooser: Chooser<'a>,
    controllers: Vec<Box<dyn Rule>>,
    /// Controllers that are restarting: their calls go round robin meanwhile, by the proxy's own fallback.
    away: Vec<bool>,
    turn: usize,
    nodes: Vec<TrueNode>,
    queue: BinaryHeap<Event>,
    order: u64,
    now: f64,
    live: Vec<Live>,
    free: Vec<usize>,
    telemetry: bool,
    /// Calls between a proxy and a node.
    on_way: u32,
    rng: Xoshiro256PlusPlus,
    measure: Measure,
}

impl<'a> Engine<'a> {
    /// Sets up a run of `run` under `chooser`; `seed` names the calls.
    pub(super) fn new(run: &'a Run, chooser: Chooser<'a>, seed: u64) -> Self {
        let nodes: Vec<_> = run.nodes.0.iter().map(|&size| TrueNode::new(size)).collect();
        let controllers: Vec<_> = match &chooser {
            Chooser::Rules(make, count) => (0..*count).map(|_| make()).collect(),
            Chooser::Clairvoyant => Vec::new(),
        };
        Self {
            run,
            chooser,
            away: vec![false; controllers.len()],
            controllers,
            turn: 0,
            measure: Measure::new(run, &nodes),
            nodes,
            queue: BinaryHeap::new(),
            order: 0,
            now: 0.0,
            live: Vec::new(),
            free: Vec::new(),
            telemetry: true,
            on_way: 0,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6b61_6d61_7269),
        }
    }

    /// Runs to the last arrival. `progress` hears the share done, now and then.
    pub(super) fn run(mut self, mut traffic: Traffic, mut progress: impl FnMut(f64)) -> Outcome {
        for node in 0..self.nodes.len() {
            self.tell(|rule, now| rule.on_member(node, true, now));
        }
        for (index, &(at, _)) in self.run.script.iter().enumerate() {
            self.schedule(at, What::Script { index });
        }
        for controller in 0..self.controllers.len() {
            let interval = self.controllers[controller].poll_interval();
            self.schedule(interval * (controller as f64 / self.controllers.len() as f64), What::Poll { controller });
        }
        self.schedule(1.0, What::Tick);
        let mut next = traffic.next();
        if let Some(call) = next {
            self.schedule(call.at, What::Arrive);
        }
        let mut arrived: u64 = 0;
        while let Some(event) = self.queue.pop() {
            self.measure.advance(event.at, &self.nodes);
            self.now = event.at;
            if let What::Arrive = event.what {
                if arrived == self.run.calls {
                    break;
                }
                if arrived.is_multiple_of(16_384) {
                    progress(arrived as f64 / self.run.calls as f64);
                }
                if let Some(call) = next {
                    self.arrive(arrived, call);
                }
                arrived += 1;
                next = traffic.next();
                if let Some(call) = next {
                    self.schedule(call.at, What::Arrive);
                }
            } else {
                self.handle(event.what);
            }
        }
        self.measure.finish()
    }

    fn schedule(&mut self, at: f64, what: What) {
        self.order += 1;
        self.queue.push(Event { at, order: self.order, what });
    }

    fn tell(&mut self, mut f: impl FnMut(&mut dyn Rule, f64)) {
        for rule in &mut self.controllers {
            f(rule.as_mut(), self.now);
        }
    }

    fn handle(&mut self, what: What) {
        match what {
            What::Arrive => {}
            What::Attempt { call } => self.attempt(call),
            What::Refused { call, code } => self.refused(call, code),
            What::Started { call, era } => self.started(call, era),
            What::Ended { call, era } => self.ended(call, era),
            What::Poll { controller } => self.poll(controller),
            What::Tick => {
                self.tell(|rule, now| rule.on_tick(now));
                for node in &mut self.nodes {
                    node.load_average += (node.cpu() - node.load_average) * (1.0 - (-1.0_f64 / 60.0).exp());
                }
                self.schedule(self.now + 1.0, What::Tick);
            }
            What::Script { index } => self.act(self.run.script[index].1),
            What::ControllerBack { controller } => {
                self.away[controller] = false;
                self.resync(controller);
            }
        }
    }

    fn arrive(&mut self, number: CallNumber, call: Call) {
        let foreign = call.chance < self.run.foreign;
        self.measure.arrival(number, !foreign);
        let share = (call.chance - self.run.foreign) / (1.0 - self.run.foreign);
        let scaled = share.max(0.0) * self.controllers.len().max(1) as f64;
        let controller = (scaled as usize).min(self.controllers.len().saturating_sub(1));
        let purpose = scaled.fract();
        let controller = (!foreign).then_some(controller);
        let routes = match controller {
            _ if matches!(self.chooser, Chooser::Clairvoyant) => Routes::from_iter([0]),
            None => self.anywhere(),
            Some(index) if self.away[index] => self.in_turn(),
            Some(index) => self.controllers[index].route(number, purpose, self.now, &mut self.rng),
        };
        let had_room = self.nodes.iter().any(|node| node.failing) && self.has_room();
        let live = Live { number, call, controller, routes, leg: 0, node: usize::MAX, seen_at_node: false, had_room };
        if routes.as_slice().is_empty() {
            self.measure.refused_at_once();
            return;
        }
        let index = self.free.pop().unwrap_or(self.live.len());
        if index == self.live.len() {
            self.live.push(live);
        } else {
            self.live[index] = live;
        }
        self.send(index);
        self.on_way += 1;
        self.schedule(self.now + HOP, What::Attempt { call: index });
    }

    /// Tells the call's controller which node it goes to now.
    fn send(&mut self, index: usize) {
        let live = self.live[index];
        let (now, node) = (self.now, live.routes.as_slice().get(live.leg).copied());
        if let (Some(rule), Some(node)) = (self.heard_by_proxy(live.controller), node) {
            rule.on_sent(live.number, node, now);
        }
    }

    /// Somebody else's calls: spread over the pool at random, knowing nothing.
    fn anywhere(&mut self) -> Routes {
        (0..super::rule::TRIES).map(|_| self.rng.random_range(0..self.nodes.len())).collect()
    }

    fn in_turn(&mut self) -> Routes {
        self.turn += 1;
        (0..super::rule::TRIES).map(|i| (self.turn + i) % self.nodes.len()).collect()
    }

    fn attempt(&mut self, index: usize) {
        self.on_way -= 1;
        let live = self.live[index];
        let ours = live.controller.is_some();
        let node = match self.chooser {
            Chooser::Clairvoyant => self.most_free(),
            Chooser::Rules(..) => live.routes.as_slice().get(live.leg).copied(),
        };
        let Some(node) = node else {
            if ours {
                self.measure.lost(live.leg == 0);
            }
            self.free.push(index);
            return;
        };
        self.live[index].node = node;
        let accepted = self.accepts(node);
        self.nodes[node].attempts_since_join += 1;
        if ours {
            let lost_to_fault = self.nodes[node].failing && live.had_room;
            self.measure.attempt(node, live.leg, accepted, lost_to_fault);
        }
        if !accepted {
            let (code, after) = if self.nodes[node].alive { (503, HOP) } else { (408, TIMEOUT) };
            self.schedule(self.now + after, What::Refused { call: index, code });
            return;
        }
        self.nodes[node].calls += 1;
        let era = self.nodes[node].era;
        let setup = self.nodes[node].setup(live.call.setup_noise);
        if ours {
            let waited = self.now - live.call.at;
            self.measure.answered(waited + setup, self.nodes[node].loss());
        }
        self.schedule(self.now + setup, What::Started { call: index, era });
        self.schedule(self.now + setup + live.call.hold, What::Ended { call: index, era });
    }

    fn accepts(&self, index: usize) -> bool {
        let node = &self.nodes[index];
        let joined = self.now - node.joined_at;
        let fair = self.run.rate * f64::from(node.size.configured) / self.run.configured();
        let cold = joined < COLD && f64::from(node.attempts_since_join) > 3.0 * fair * joined + 10.0;
        node.alive && !node.failing && !cold && node.calls < node.size.real
    }

    /// The node with the most free slots among those that would accept.
    fn most_free(&self) -> Option<usize> {
        (0..self.nodes.len())
            .filter(|&node| self.nodes[node].member && self.accepts(node))
            .max_by_key(|&node| self.nodes[node].size.real - self.nodes[node].calls)
    }

    /// Whether there are more free slots on nodes that would accept than calls on their way.
    fn has_room(&self) -> bool {
        let open = (0..self.nodes.len()).filter(|&node| self.nodes[node].member && self.accepts(node));
        let free: u32 = open.map(|node| self.nodes[node].size.real - self.nodes[node].calls).sum();
        free > self.on_way
    }

    fn refused(&mut self, index: usize, code: u16) {
        let live = self.live[index];
        let now = self.now;
        if let Some(rule) = self.heard_by_proxy(live.controller) {
            rule.on_failed(live.number, live.node, code, now);
        }
        self.live[index].leg += 1;
        self.send(index);
        self.on_way += 1;
        self.schedule(self.now, What::Attempt { call: index });
    }

    /// The controller of a call, unless it is away.
    fn heard_by_proxy(&mut self, controller: Option<usize>) -> Option<&mut dyn Rule> {
        let index = controller.filter(|&index| self.away.get(index) == Some(&false))?;
        Some(self.controllers[index].as_mut())
    }

    /// The controller of a call, if it can hear what happens on nodes now.
    fn heard(&mut self, controller: Option<usize>) -> Option<&mut dyn Rule> {
        let telemetry = self.telemetry;
        self.heard_by_proxy(controller).filter(|rule| telemetry || !rule.by_events())
    }

    fn started(&mut self, index: usize, era: u32) {
        let live = self.live[index];
        if era != self.nodes[live.node].era {
            return;
        }
        self.live[index].seen_at_node = true;
        let now = self.now;
        if let Some(rule) = self.heard(live.controller) {
            rule.on_started(live.number, live.node, now - live.call.at, now);
        }
    }

    fn ended(&mut self, index: usize, era: u32) {
        let live = self.live[index];
        let died = era != self.nodes[live.node].era;
        if !died {
            self.nodes[live.node].calls -= 1;
        }
        self.live[index].seen_at_node = false;
        self.free.push(index);
        let now = self.now;
        if let Some(rule) = self.heard(live.controller).filter(|rule| !died || !rule.by_events()) {
            rule.on_ended(live.number, live.node, now);
        }
    }

    fn poll(&mut self, controller: usize) {
        let interval = self.controllers[controller].poll_interval();
        self.schedule(self.now + interval, What::Poll { controller });
        if !self.telemetry || self.away[controller] {
            return;
        }
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            if !node.alive {
                continue;
            }
            let noise = 0.9 + 0.2 * self.rng.random::<f64>();
            let poll = Poll {
                calls: node.calls,
                cpu: node.cpu(),
                load_average: node.load_average,
                round_trip: 0.001 * noise / (1.0 - node.cpu().min(0.99)),
                rtp_loss: node.loss(),
            };
            self.controllers[controller].on_poll(index, &poll, self.now);
        }
    }

    /// A controller reads its calls back from every node.
    fn resync(&mut self, controller: usize) {
        for node in 0..self.nodes.len() {
            let there = |live: &&Live| live.seen_at_node && live.node == node && live.controller == Some(controller);
            let calls: Vec<_> = self.live.iter().filter(there).map(|live| live.number).collect();
            if self.nodes[node].member && self.nodes[node].alive {
                self.controllers[controller].on_resync(node, &calls, self.now);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Fail(node) => {
                self.nodes[node].failing = true;
                self.measure.fault_began();
            }
            Action::Mend(node) => self.nodes[node].failing = false,
            Action::Slow(node, speed) => self.nodes[node].speed = speed,
            Action::Lossy(node, loss) => self.nodes[node].rtp_loss = loss,
            Action::Leave(node) => {
                self.nodes[node].member = false;
                self.tell(|rule, now| rule.on_member(node, false, now));
            }
            Action::Join(node) => {
                let now = self.now;
                let fresh = &mut self.nodes[node];
                (fresh.member, fresh.alive, fresh.joined_at, fresh.attempts_since_join) = (true, true, now, 0);
                let fair = self.run.rate * f64::from(fresh.size.configured) / self.run.configured() * COLD;
                self.measure.joined(node, now, fair);
                self.tell(|rule, now| rule.on_member(node, true, now));
            }
            Action::Crash(node) => {
                let dead = &mut self.nodes[node];
                (dead.alive, dead.calls) = (false, 0);
                dead.era += 1;
                for live in self.live.iter_mut().filter(|live| live.node == node) {
                    live.seen_at_node = false;
                }
            }
            Action::FoundDead(node) => {
                self.nodes[node].member = false;
                self.tell(|rule, now| rule.on_member(node, false, now));
            }
            Action::TelemetryLost => self.telemetry = false,
            Action::TelemetryBack => {
                self.telemetry = true;
                (0..self.controllers.len()).for_each(|controller| self.resync(controller));
            }
            Action::Restart => self.restart_controllers(),
        }
    }

    /// Every controller forgets all and is away for a second.
    fn restart_controllers(&mut self) {
        let Chooser::Rules(make, _) = self.chooser else { return };
        for controller in 0..self.controllers.len() {
            self.controllers[controller] = make();
            self.away[controller] = true;
            for node in 0..self.nodes.len() {
                self.controllers[controller].on_member(node, self.nodes[node].member, self.now);
            }
            self.schedule(self.now + 1.0, What::ControllerBack { controller });
        }
    }
}
