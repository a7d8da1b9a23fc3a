//! What the owner of the pool keeps for each node to balance by: everything that events, polls, reservations and
//! outcomes teach about it.
//!
//! Owned by one task (the pool's registry, or the simulator). The counts that lookups need at once are mirrored in the
//! load table by the same methods, so that the two cannot disagree. Times are durations since the owner's epoch.

use super::breaker::Breaker;
use super::capacity::Capacity;
use super::cpu::Cpu;
use super::quality::{Quality, Usual};
use super::ration::Ration;
use super::scores::{Class, Record};
use super::settings::Settings;
use super::table::{Load, LoadTable, Slot};
use std::sync::Arc;
use std::time::Duration;

/// One poll of a node, with what was known when it was asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// `NodeState::poll_mark` taken just before the question was sent.
    pub mark: PollMark,
    /// All calls that the node reports, ours included; `None` when it cannot say.
    pub calls: Option<u32>,
    /// The share of its CPU in use since the last sample, 0 to 1; `None` when it cannot say, and then CPU plays no part.
    pub cpu: Option<f32>,
    /// The share of RTP packets lost by the calls sampled since the last sample, 0 to 1; `None` when none was sampled. It is
    /// compared with the pool's median: what all nodes lose costs none of them.
    pub rtp_loss: Option<f32>,
    /// Their jitter in milliseconds; `None` when none was sampled.
    pub rtp_jitter_ms: Option<f32>,
}

/// What was known of our own calls when a poll was sent: lets its answer be read without double counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollMark {
    own: u32,
    started: u32,
    ended: u32,
}

/// What the owner thinks of a node as a place for new calls. The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Seen healthy, and the operator wants calls on it.
    Up,
    /// Its last checks failed: a last resort.
    Suspect,
    /// Silent for so long that it is taken for dead. Used only when most of the pool has fallen silent at once, which
    /// says more about this host's network than about the nodes.
    Lost,
    /// Takes no new call: new and not yet checked, draining, disabled, or known for certain to be down (it refuses
    /// connections, or its application is another controller's).
    Withheld,
}

/// One node's state for balancing.
#[derive(Debug)]
pub struct NodeState {
    slot: Slot,
    table: Arc<LoadTable>,
    settings: Arc<Settings>,
    standing: Standing,
    /// Calls of ours ever seen to start and to end, wrapping.
    started: u32,
    ended: u32,
    capacity: Capacity,
    breaker: Breaker,
    quality: Quality,
    ration: Ration,
    cpu: Cpu,
    /// Attempts a second, smoothed, and the count at the last tick.
    rate: f64,
    counted: u32,
    /// A refusal whose reason the next poll must tell, sent at the first time and known at the second: what was counted on
    /// the node may have been too low.
    refused: Option<(Duration, Duration)>,
    /// When its calls were last known for certain, and how many too many were counted on it then.
    seen: (Duration, i64),
    /// Calls counted as ours because their promises expired while it was out of sight.
    assumed: u32,
    /// Calls counted as ended by the proxy's word, whose own events have not come.
    told: u32,
}

/// A node unseen for so much longer than the pool is dead, and not in the dark with the others.
const LONG_GONE: Duration = Duration::from_secs(10);

/// What an outcome's SIP code says of the node that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It had no room, or is broken: 500, 502, 503. Other codes from 500 on speak of the request (501, 505, 513, 580).
    Refused,
    /// It did not answer: 408, 504.
    Silent,
    /// Nothing: the call was answered by the application or the callee (4xx, 6xx).
    None,
}

impl Fault {
    const fn of(code: u16) -> Self {
        match code {
            408 | 504 => Self::Silent,
            500 | 502 | 503 => Self::Refused,
            _ => Self::None,
        }
    }
}

impl NodeState {
    pub(super) fn new(slot: Slot, capacity: u32, table: Arc<LoadTable>, settings: Arc<Settings>) -> Self {
        table.reset(slot);
        let counted = table.attempts(slot);
        Self {
            slot,
            capacity: Capacity::new(capacity, &settings),
            table,
            settings,
            standing: Standing::Withheld,
            started: 0,
            ended: 0,
            breaker: Breaker::new(),
            quality: Quality::new(),
            ration: Ration::none(),
            cpu: Cpu::default(),
            rate: 0.0,
            counted,
            refused: None,
            seen: (Duration::ZERO, 0),
            assumed: 0,
            told: 0,
        }
    }

    /// Its slot.
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Its calls as known now.
    pub fn load(&self) -> Load {
        self.table.load(self.slot)
    }

    /// The capacity that the operator set, in calls.
    pub const fn capacity(&self) -> u32 {
        self.capacity.configured()
    }

    /// The capacity that it proved to have, in calls: at most what the operator set.
    pub const fn learned_capacity(&self) -> u32 {
        self.capacity.limit()
    }

    /// Its recent set-up time, from lookup to `StasisStart`, in seconds; `None` before the first call.
    pub fn setup(&self) -> Option<f64> {
        self.quality.setup()
    }

    /// The share of its CPU in use, smoothed, 0 to 1; `None` if it never said.
    pub const fn cpu(&self) -> Option<f64> {
        self.cpu.used()
    }

    /// Whether its breaker is closed.
    pub const fn breaker_closed(&self) -> bool {
        self.breaker.is_closed()
    }

    /// The operator changed the capacity (calls, at least 1). What was learned is forgotten.
    pub fn set_capacity(&mut self, capacity: u32) {
        if capacity != self.capacity.configured() {
            self.capacity = Capacity::new(capacity, &self.settings);
        }
    }

    /// The owner's view of the node changed. A node that was withheld or lost and is up again is eased in.
    pub fn set_standing(&mut self, standing: Standing, now: Duration) {
        if self.standing >= Standing::Lost && standing == Standing::Up {
            self.ease_in(now);
        }
        if matches!(standing, Standing::Suspect | Standing::Lost) && standing > self.standing {
            // What was known of it no longer holds, until it is heard again.
            self.table.set_fresh_until(self.slot, Duration::ZERO);
        }
        self.standing = standing;
    }

    /// Our calls on the node as read from it after its socket came (back) up. Reservations that were found to be among
    /// these calls must have been given back by `on_released`.
    pub fn on_resync(&mut self, own: u32, now: Duration) {
        self.table.set_own(self.slot, own);
        (self.seen, self.assumed, self.told) = ((now, 0), 0, 0);
        self.refresh(now);
    }

    /// What is known before a poll is sent; goes into the `Sample`.
    pub fn poll_mark(&self) -> PollMark {
        PollMark { own: self.load().own, started: self.started, ended: self.ended }
    }

    /// A poll was answered, and the node was found healthy.
    ///
    /// The node's total was counted somewhere between question and answer. Whatever of our own started, ended or was on
    /// its way meanwhile may or may not be in it, which bounds the foreign calls from both sides. An estimate within the
    /// bounds is kept; one outside moves to the nearer bound. So a quiet pool stays quiet, and our own calls are
    /// never taken for somebody else's.
    pub fn on_sample(&mut self, sample: &Sample, now: Duration) {
        if self.assumed > 0 {
            // Not read anew, so no event was missed: what was assumed is not there.
            let assumed = std::mem::take(&mut self.assumed);
            self.table.set_own(self.slot, self.load().own.saturating_sub(assumed));
        }
        if let Some(calls) = sample.calls {
            let load = self.load();
            let ended = self.ended.wrapping_sub(sample.mark.ended);
            let started = self.started.wrapping_sub(sample.mark.started);
            let own_least = sample.mark.own.saturating_sub(ended);
            let own_most = sample.mark.own.saturating_add(started).saturating_add(load.reserved);
            let (low, high) = (calls.saturating_sub(own_most), calls.saturating_sub(own_least));
            self.table.set_foreign(self.slot, load.foreign.clamp(low, high));
            if let Some((sent, refused)) = self.refused.take()
                && calls < self.capacity.limit() - self.capacity.limit() / 20
            {
                // Not the others' calls had filled it: it is smaller than it was taken to be, or it is failing.
                self.capacity.on_refused(calls, refused, &self.settings);
                self.on_failure(false, sent, now);
            }
        }
        if let Some(cpu) = sample.cpu {
            self.cpu.on_reading(f64::from(cpu), sample.calls.unwrap_or_else(|| self.load().total()));
        }
        let media = |value: Option<f32>| value.filter(|value| value.is_finite()).map(f64::from);
        self.quality.on_media(media(sample.rtp_loss), media(sample.rtp_jitter_ms), now, &self.settings);
        self.seen = (now, 0);
        self.refresh(now);
    }

    /// A call of ours began that no reservation announced: adopted, or a leg that kamari itself placed.
    pub fn on_call_started(&mut self, _now: Duration) {
        self.started = self.started.wrapping_add(1);
        self.table.add_own(self.slot);
    }

    /// A call of ours ended (of either kind).
    pub fn on_call_ended(&mut self, _now: Duration) {
        self.ended = self.ended.wrapping_add(1);
        if self.told > 0 {
            self.told -= 1;
        } else {
            self.table.end_own(self.slot);
        }
    }

    /// The proxy saw a call of ours end there. Of a node that is heard that is no news. Of one that is not, it is counted now, and
    /// not again should its event come after all. Whether it was news.
    pub(super) fn on_end_told(&mut self, now: Duration) -> bool {
        let news = !self.is_recent(now);
        if news {
            self.told += 1;
            self.table.end_own(self.slot);
        }
        news
    }

    /// The owner learned of a reservation that a lookup took (the table counts it already).
    pub fn on_reserved(&mut self, now: Duration) {
        self.breaker.on_sent(now);
    }

    /// A reserved call was seen on the node, `setup` after its lookup.
    pub fn on_confirmed(&mut self, setup: Duration, now: Duration) {
        self.started = self.started.wrapping_add(1);
        self.table.confirm(self.slot);
        let sent = now.saturating_sub(setup);
        self.capacity.on_accepted(self.carried(), sent, now, &self.settings);
        self.quality.on_setup(setup.as_secs_f64().max(1.0e-6), now, &self.settings);
        if self.breaker.on_success(sent, now) {
            self.ease_in(now);
        }
    }

    /// A reservation ended without blame for the node: the caller gave up first.
    pub fn on_released(&mut self, _now: Duration) {
        self.table.give_back(self.slot);
    }

    /// A reservation was never confirmed in its time. No failure of the node, of which Kamailio would have told: callers
    /// who cancel at once, or whose request the node refuses before its dialplan (no common codec), are never seen there,
    /// and anybody can be such a caller. If the node is out of sight, the call may well be there, and is counted as such
    /// until the node can be asked.
    pub fn on_expired(&mut self, now: Duration) {
        if self.is_in_sight(now) {
            self.table.give_back(self.slot);
        } else {
            self.table.confirm(self.slot);
            self.assumed += 1;
        }
    }

    /// Kamailio reported the SIP code with which the node failed a call that was not seen to start there. `promised` if
    /// it was this node that held the call's reservation, which is given back.
    ///
    /// That is not held against the node yet (see `on_blamed`): a stranger can write a request that every node fails.
    /// Out of sight there is no better evidence. There a refusal says how many calls it carries now, and a silence pushes it
    /// back a little, for a while.
    pub fn on_outcome(&mut self, code: u16, promised: bool, now: Duration) {
        if promised {
            self.table.give_back(self.slot);
        }
        if self.is_in_sight(now) {
            return;
        }
        match Fault::of(code) {
            Fault::Refused => {
                let over = i64::from(self.load().total()) - i64::from(self.capacity.limit());
                self.seen = (now, over);
            }
            Fault::Silent => self.quality.on_failure(now, &self.settings),
            Fault::None => {}
        }
    }

    /// It failed a call, sent to it at `sent` at the earliest, with this SIP code, and another node then took the call: so
    /// it was not the call's fault.
    pub fn on_blamed(&mut self, code: u16, sent: Duration, now: Duration) {
        match Fault::of(code) {
            Fault::None => {}
            Fault::Silent => self.on_failure(true, sent, now),
            Fault::Refused if !self.breaker.is_closed() => self.on_failure(false, sent, now),
            Fault::Refused => self.on_refused(sent, now),
        }
    }

    /// It refused a call. With none but our own calls on it, it is full at the count that we know exactly, or failing.
    /// Otherwise it may be that others filled it since the last poll: it is taken to be full until the next one tells.
    fn on_refused(&mut self, sent: Duration, now: Duration) {
        let load = self.load();
        if load.foreign == 0 {
            self.capacity.on_refused(load.total(), now, &self.settings);
            self.on_failure(false, sent, now);
        } else {
            let missing = self.capacity.limit().saturating_sub(load.total());
            self.table.set_foreign(self.slot, load.foreign + missing);
            self.refused = Some((sent, now));
        }
    }

    fn on_failure(&mut self, silent: bool, sent: Duration, now: Duration) {
        self.quality.on_failure(now, &self.settings);
        if self.breaker.on_failure(sent, silent, now, &self.settings) {
            self.capacity.forget_streak();
        }
    }

    /// Whether its last poll is no older than polls are: no later one is overdue.
    pub(super) fn is_recent(&self, now: Duration) -> bool {
        self.table.fresh_until(self.slot) >= now + self.settings.overdue_left()
    }

    /// Whether its calls are known.
    fn is_in_sight(&self, now: Duration) -> bool {
        self.table.fresh_until(self.slot) >= now
    }

    /// Calls on the node, without those only promised.
    fn carried(&self) -> u32 {
        let load = self.load();
        load.own + load.foreign
    }

    fn ease_in(&mut self, now: Duration) {
        self.ration.begin(self.table.attempts(self.slot), now, &self.settings);
    }

    /// Its data are good from now until they go stale.
    fn refresh(&mut self, now: Duration) {
        self.table.set_fresh_until(self.slot, now + self.settings.stale_after());
    }

    /// Time passes: `elapsed` seconds since the last tick, in which a fair share of the pool's attempts was `fair`.
    pub(super) fn tick(&mut self, elapsed: f64, fair: f64, usual: &Usual, now: Duration) {
        let attempts = self.table.attempts(self.slot);
        let new = f64::from(attempts.wrapping_sub(self.counted));
        self.counted = attempts;
        self.rate += (new / elapsed.max(0.001) - self.rate) * (elapsed / 2.0).min(1.0);
        self.capacity.tick(self.load().total(), now);
        self.breaker.tick(now);
        self.quality.tick(usual, now, &self.settings);
        self.ration.tick(attempts, fair, &self.settings);
    }

    /// Calls of ours that were ever seen to end, wrapping.
    pub(super) const fn ended(&self) -> u32 {
        self.ended
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) const fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Takes calls without any restriction.
    pub(super) fn in_full_service(&self, now: Duration) -> bool {
        self.standing == Standing::Up && self.breaker.is_closed() && !self.ration.is_active(now)
    }

    /// The node as the choice shall see it. `easing` is false when too much of the pool is new for anybody to be eased in;
    /// `light` is when at least half of the pool was last in sight.
    pub(super) fn record(&self, usual: &Usual, easing: bool, light: Duration, now: Duration) -> Record {
        let (class, attempts_until) = match self.standing {
            Standing::Withheld => return Record::WITHHELD,
            Standing::Lost if self.breaker.is_closed() => (Class::Lost, 0),
            Standing::Lost => (Class::Ejected, 0),
            _ if self.breaker.wants_trial() => (Class::Trial, self.table.attempts(self.slot).wrapping_add(1)),
            _ if !self.breaker.is_closed() && !self.breaker.is_silent() => (Class::Refusing, 0),
            _ if !self.breaker.is_closed() => (Class::Ejected, self.table.attempts(self.slot).wrapping_add(1)),
            Standing::Suspect => (Class::Suspect, 0),
            Standing::Up if easing && self.ration.is_active(now) => (Class::Eased, self.ration.attempts_until()),
            Standing::Up => (Class::Open, 0),
        };
        let (cpu_base, cpu_per_call) = self.cpu.line(&self.settings);
        let limit = self.capacity.limit();
        let max_rate = self.settings.max_call_rate;
        Record {
            limit,
            class,
            watched: !matches!(class, Class::Suspect | Class::Lost),
            attempts_until,
            per_call: 1.0 / limit as f32,
            cpu_base,
            cpu_per_call,
            rate: if max_rate > 0.0 { (self.rate / max_rate) as f32 } else { 0.0 },
            penalty: self.quality.penalty(usual, now, &self.settings) as f32,
            seen_ms: self.seen.0.as_millis() as u64,
            over: self.seen.1.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            long_gone: self.seen.0 + LONG_GONE < light,
        }
    }
}
