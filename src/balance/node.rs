//! What the owner of the pool keeps for each node to balance by: everything that events, polls, reservations and
//! outcomes teach about it.
//!
//! Owned by one task (the pool's registry, or the simulator). The counts that lookups need at once are mirrored in the
//! load table by the same methods, so that the two cannot disagree. Times are durations since the owner's epoch.

use super::scores::Record;
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
    /// The share of its CPU in use, 0 to 1; `None` when it cannot say.
    pub cpu: Option<f32>,
    /// The share of RTP packets lost by the calls sampled, 0 to 1; `None` when none was sampled.
    pub rtp_loss: Option<f32>,
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
    capacity: u32,
    standing: Standing,
    started: u32,
    ended: u32,
}

impl NodeState {
    pub(super) fn new(slot: Slot, capacity: u32, table: Arc<LoadTable>, settings: Arc<Settings>) -> Self {
        table.reset(slot);
        Self { slot, table, settings, capacity, standing: Standing::Withheld, started: 0, ended: 0 }
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
        self.capacity
    }

    /// The operator changed the capacity (calls, at least 1).
    pub fn set_capacity(&mut self, capacity: u32) {
        self.capacity = capacity.max(1);
    }

    /// The owner's view of the node changed. A node that was withheld or lost and is up again is eased in.
    pub fn set_standing(&mut self, standing: Standing, _now: Duration) {
        self.standing = standing;
    }

    /// Our calls on the node as read from it after its socket came (back) up.
    pub fn on_resync(&mut self, own: u32, now: Duration) {
        self.table.set_own(self.slot, own);
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
        if let Some(calls) = sample.calls {
            let load = self.load();
            let ended = self.ended.wrapping_sub(sample.mark.ended);
            let started = self.started.wrapping_sub(sample.mark.started);
            let own_least = sample.mark.own.saturating_sub(ended);
            let own_most = sample.mark.own + started + load.reserved;
            let (low, high) = (calls.saturating_sub(own_most), calls.saturating_sub(own_least));
            self.table.set_foreign(self.slot, load.foreign.clamp(low, high));
        }
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
        self.table.end_own(self.slot);
    }

    /// The owner learned of a reservation that a lookup took (the table counts it already).
    pub fn on_reserved(&mut self, _now: Duration) {}

    /// A reserved call was seen on the node, `setup` after its lookup.
    pub fn on_confirmed(&mut self, _setup: Duration, _now: Duration) {
        self.started = self.started.wrapping_add(1);
        self.table.confirm(self.slot);
    }

    /// A reservation ended without blame for the node: the caller gave up first.
    pub fn on_released(&mut self, _now: Duration) {
        self.table.give_back(self.slot);
    }

    /// A reservation was never confirmed in its time.
    pub fn on_expired(&mut self, _now: Duration) {
        self.table.give_back(self.slot);
    }

    /// Kamailio reported the SIP code with which the node failed a call. `reserved_at` is the time of the lookup if it
    /// was this node that held the call's reservation (the first of the routes), which is given back; `None` for a
    /// node that was tried after another.
    pub fn on_outcome(&mut self, _code: u16, reserved_at: Option<Duration>, _now: Duration) {
        if reserved_at.is_some() {
            self.table.give_back(self.slot);
        }
    }

    /// Time passes: to be called about once a second.
    pub fn tick(&mut self, _now: Duration) {}

    /// The node as the choice shall see it.
    pub(super) fn record(&self) -> Record {
        if self.standing >= Standing::Lost {
            return Record::WITHHELD;
        }
        Record { limit: self.capacity, inv_capacity: 1.0 / self.capacity as f32 }
    }

    /// Its data are good from now until they go stale.
    fn refresh(&mut self, now: Duration) {
        self.table.set_fresh_until(self.slot, now + self.settings.stale_after());
    }
}
