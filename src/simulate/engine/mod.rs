//! The event loop: calls arrive, are routed by the rule under test, take or are refused by simulated nodes, and end.
//!
//! One run is one rule, one scenario, one seed, one thread. The nodes here are the truth; a rule knows of them only what
//! it is told through `Rule`, as late as it would be in life: an INVITE takes 5 ms to a node and a refusal as long back,
//! silence costs a 2 s timeout, a controller beside the proxy hears of either up to 50 ms later, a call is seen once it
//! is set up, polls come at the rule's own interval, each node at its own moment.

mod node;
mod queue;
mod script;
mod telemetry;

use super::measure::{Measure, Outcome, Watch};
use super::rule::{CallNumber, MAX_TRIES, Routes, Rule};
use super::scenario::Run;
use super::traffic::{Call, Traffic};
pub(super) use node::TrueNode;
use queue::{Queue, What};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;

/// Seconds from the answer of a lookup to the INVITE at the node, and from a refusal there back to the proxy.
const HOP: f64 = 0.005;
/// Seconds until a proxy gives up on a node that does not answer at all.
const TIMEOUT: f64 = 2.0;
/// Most seconds until a controller beside the proxy has its report of a failure (`kamailio/kamari.cfg` sends them 50 ms apart).
const REPORT: f64 = 0.05;

/// Seconds for which a proxy tells of ends of calls after it was asked to (`kamailio/kamari.cfg`).
const TELLS_FOR: f64 = 15.0;
/// Seconds for which a proxy remembers the ends of calls, so that it can tell of those that came before it was asked.
const REMEMBERS: f64 = 4.0;

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
    /// A request that every node drops; not counted in any figure.
    poison: bool,
    watch: Watch,
    /// When it was sent to the node that it goes to now.
    sent: f64,
    /// What a failing node did to it, until that is known.
    failed: Option<Failed>,
}

/// A call that came to a failing node. Its failure is known when it was reported and another node has taken the call: only
/// then is it the node's and not the call's.
#[derive(Debug, Clone, Copy)]
struct Failed {
    node: usize,
    sent: f64,
    reported: bool,
    /// It was under way when another call's failure became known.
    in_flight: bool,
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
    /// By controller: until when its proxy tells it of calls that end.
    told_until: Vec<f64>,
    /// Ends that proxies still remember: when, whose, and the call.
    remembered: VecDeque<(f64, usize, CallNumber)>,
    turn: usize,
    nodes: Vec<TrueNode>,
    queue: Queue,
    now: f64,
    live: Vec<Live>,
    free: Vec<usize>,
    telemetry: bool,
    /// When a failure of the failing node last became known that taught something.
    lesson: f64,
    /// By controller and node: whether the node's events are heard.
    heard: Vec<Vec<bool>>,
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
            told_until: vec![0.0; controllers.len()],
            remembered: VecDeque::new(),
            turn: 0,
            measure: Measure::new(run, &nodes),
            queue: Queue::default(),
            now: 0.0,
            live: Vec::new(),
            free: Vec::new(),
            telemetry: true,
            lesson: 0.0,
            heard: vec![vec![true; nodes.len()]; controllers.len()],
            on_way: 0,
            controllers,
            nodes,
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
        self.start_polls();
        self.schedule(1.0, What::Tick);
        let mut next = traffic.next();
        if let Some(call) = next {
            self.schedule(call.at, What::Arrive);
        }
        let mut arrived: u64 = 0;
        while let Some((at, what)) = self.queue.pop() {
            self.measure.advance(at, &self.nodes);
            self.now = at;
            if let What::Arrive = what {
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
                self.handle(what);
            }
        }
        self.measure.finish()
    }

    fn schedule(&mut self, at: f64, what: What) {
        self.queue.push(at, what);
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
            What::Report { controller, call, number, node, code } => {
                let now = self.now;
                if self.live.get(call).is_some_and(|live| live.number == number) {
                    self.reported(call);
                }
                if let Some(rule) = self.rule_of(Some(controller)) {
                    rule.on_failed(number, node, code, now);
                }
            }
            What::EndTold { controller, number } => {
                let now = self.now;
                if let Some(rule) = self.rule_of(Some(controller)) {
                    rule.on_end_told(number, now);
                }
            }
            What::Started { call, era } => self.started(call, era),
            What::Ended { call, era } => self.ended(call, era),
            What::Poll { controller, node } => self.poll(controller, node),
            What::PollLost { controller, node } => self.poll_lost(controller, node),
            What::Heard { controller, node } => self.hear(controller, node),
            What::Tick => {
                self.tell(|rule, now| rule.on_tick(now));
                for node in &mut self.nodes {
                    node.load_average += (node.cpu() - node.load_average) * (1.0 - (-1.0_f64 / 60.0).exp());
                }
                self.schedule(self.now + 1.0, What::Tick);
            }
            What::Script { index } => self.act(self.run.script[index].1),
            What::ControllerBack { controller } => self.controller_back(controller),
            What::Recovered => self.measure.watch(false),
        }
    }

    fn arrive(&mut self, number: CallNumber, call: Call) {
        let foreign = call.chance < self.run.foreign;
        let poison = !foreign && call.poison < self.run.poison;
        let share = (call.chance - self.run.foreign) / (1.0 - self.run.foreign);
        let scaled = share.max(0.0) * self.controllers.len().max(1) as f64;
        let controller = (scaled as usize).min(self.controllers.len().saturating_sub(1));
        let purpose = scaled.fract();
        let controller = (!foreign).then_some(controller);
        let chosen = controller.is_none_or(|index| self.away.get(index) != Some(&true));
        let watch = self.measure.arrival(number, !foreign && !poison, chosen);
        let routes = match controller {
            _ if matches!(self.chooser, Chooser::Clairvoyant) => Routes::from_iter([0]),
            None => self.anywhere(),
            Some(index) if self.away[index] => self.in_turn(),
            Some(index) => {
                let routes = self.controllers[index].route(number, purpose, self.now, &mut self.rng);
                if self.controllers[index].asks_for_ends() {
                    self.tell_ends(index);
                }
                routes
            }
        };
        let routes = routes.first(self.run.attempts);
        let had_room = self.nodes.iter().any(|node| node.failing.is_some()) && self.has_room();
        let (node, seen_at_node) = (usize::MAX, false);
        let (sent, failed) = (self.now, None);
        let live = Live {
            number,
            call,
            controller,
            routes,
            leg: 0,
            node,
            seen_at_node,
            had_room,
            poison,
            watch,
            sent,
            failed,
        };
        if routes.as_slice().is_empty() {
            if !poison {
                self.measure.refused_at_once(watch);
            }
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
        if let (Some(rule), Some(node)) = (self.rule_of(live.controller), node) {
            rule.on_sent(live.number, node, now);
        }
    }

    /// Somebody else's calls: spread over the pool at random, knowing nothing.
    fn anywhere(&mut self) -> Routes {
        (0..MAX_TRIES).map(|_| self.rng.random_range(0..self.nodes.len())).collect()
    }

    fn in_turn(&mut self) -> Routes {
        self.turn += 1;
        (0..MAX_TRIES).map(|i| (self.turn + i) % self.nodes.len()).collect()
    }

    fn attempt(&mut self, index: usize) {
        self.on_way -= 1;
        let live = self.live[index];
        let ours = live.controller.is_some() && !live.poison;
        let node = match self.chooser {
            Chooser::Clairvoyant => self.most_free(),
            Chooser::Rules(..) => live.routes.as_slice().get(live.leg).copied(),
        };
        let Some(node) = node else {
            if ours {
                self.measure.lost(live.leg == 0, live.watch);
            }
            self.live[index].failed = None;
            self.free.push(index);
            return;
        };
        self.live[index].node = node;
        let accepted = self.accepts(node) && !live.poison;
        self.nodes[node].attempts_since_join += 1;
        if ours {
            let failing = self.nodes[node].failing.is_some();
            self.measure.attempt(node, live.leg, accepted, live.watch);
            if failing {
                let in_flight = live.sent < self.lesson;
                self.live[index].failed = Some(Failed { node, sent: live.sent, reported: false, in_flight });
                self.measure.failed_by_fault(live.had_room, in_flight);
            }
        }
        if !accepted {
            let code = if live.poison { 408 } else { self.nodes[node].refusal() };
            let after = if code == 408 { TIMEOUT } else { HOP };
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
        self.nodes[index].accepts(self.run, self.now)
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
        let (now, number, node) = (self.now, live.number, live.node);
        let reported =
            live.controller.filter(|&controller| self.controllers.get(controller).is_some_and(|rule| rule.by_events()));
        if let Some(controller) = reported {
            let after = REPORT * self.rng.random::<f64>();
            self.schedule(now + after, What::Report { controller, call: index, number, node, code });
        } else {
            self.reported(index);
            if let Some(rule) = self.rule_of(live.controller) {
                rule.on_failed(number, node, code, now);
            }
        }
        self.live[index].leg += 1;
        self.live[index].sent = now;
        self.send(index);
        self.on_way += 1;
        self.schedule(self.now, What::Attempt { call: index });
    }

    /// A failure of the call is reported to its controller.
    fn reported(&mut self, index: usize) {
        let live = &mut self.live[index];
        let Some(failed) = &mut live.failed else { return };
        failed.reported = true;
        if live.seen_at_node {
            self.failure_known(index);
        }
    }

    /// What a failing node did to the call is known. If the call was sent there after the last time that something was, that
    /// teaches what could not be known before; the calls to the node that are under way meanwhile could not be spared.
    fn failure_known(&mut self, index: usize) {
        let Some(known) = self.live[index].failed.take() else { return };
        if known.sent < self.lesson {
            return;
        }
        self.lesson = self.now;
        for live in &mut self.live {
            if let Some(failed) = live.failed.as_mut().filter(|failed| failed.node == known.node && !failed.in_flight) {
                failed.in_flight = true;
                self.measure.in_flight(live.had_room);
            }
        }
    }

    /// The rule of a call's controller, unless it is away.
    fn rule_of(&mut self, controller: Option<usize>) -> Option<&mut dyn Rule> {
        let index = controller.filter(|&index| self.away.get(index) == Some(&false))?;
        Some(self.controllers[index].as_mut())
    }

    /// The same, if it learns now of what happens on the node.
    fn hearing(&mut self, controller: Option<usize>, node: usize) -> Option<&mut dyn Rule> {
        let heard = controller.is_some_and(|index| self.heard.get(index).is_some_and(|nodes| nodes[node]));
        self.rule_of(controller).filter(|rule| heard || !rule.by_events())
    }

    fn started(&mut self, index: usize, era: u32) {
        let live = self.live[index];
        if era != self.nodes[live.node].era {
            return;
        }
        self.live[index].seen_at_node = true;
        if live.failed.is_some_and(|failed| failed.reported) {
            self.failure_known(index);
        }
        let now = self.now;
        if let Some(rule) = self.hearing(live.controller, live.node) {
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
        if let Some(controller) = live.controller.filter(|&controller| !died && controller < self.told_until.len()) {
            if self.told_until[controller] >= now {
                self.tell_end(controller, live.number);
            } else {
                self.remember_end(controller, live.number);
            }
        }
        if let Some(rule) = self.hearing(live.controller, live.node).filter(|rule| !died || !rule.by_events()) {
            rule.on_ended(live.number, live.node, now);
        }
    }
}
