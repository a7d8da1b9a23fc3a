//! One node as the registry keeps it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::event::Intent;
use super::lifecycle::{Availability, Change, Lifecycle};
use super::monitor::Handle;
use super::panel::Audio;
use super::round::Reading;
use super::settings::Settings;
use super::snapshot::Target;
use super::status::{NodeCalls, NodeSample, NodeStatus};
use super::store::Member;
use super::whole::About;
use crate::balance::{Balancer, Class, Load, Scores, Slot, Standing};
use crate::telemetry::NodeMetrics;

/// What the last good round read, and when.
#[derive(Debug)]
struct LastReading {
    at: Instant,
    round_trip: Duration,
    calls: Option<u32>,
    load_average: Option<f32>,
    cpu: Option<f32>,
    audio: Option<Audio>,
    probe: Option<String>,
}

/// A node, its state, and the hold on its monitor.
pub(super) struct Node {
    pub(super) member: Member,
    pub(super) slot: Slot,
    /// Absent while the operator has it disabled.
    pub(super) monitor: Option<Handle>,
    pub(super) metrics: NodeMetrics,
    pub(super) about: About,
    /// Draining, and said to be empty.
    pub(super) drained: bool,
    /// Looked at at least once.
    pub(super) checked: bool,
    lifecycle: Lifecycle,
    since: Instant,
    reading: Option<LastReading>,
}

impl Node {
    pub(super) fn new(member: Member, slot: Slot, settings: &Settings, metrics: NodeMetrics) -> Self {
        Self {
            member,
            slot,
            monitor: None,
            metrics,
            about: About::default(),
            drained: false,
            checked: false,
            lifecycle: Lifecycle::new(settings.up_after, settings.down_after),
            since: Instant::now(),
            reading: None,
        }
    }

    pub(super) fn availability(&self) -> Availability {
        self.lifecycle.availability()
    }

    /// What it is as a place for new calls, room aside.
    pub(super) fn standing(&self) -> Standing {
        match self.availability() {
            _ if self.member.intent != Intent::Active => Standing::Withheld,
            Availability::Up => Standing::Up,
            Availability::Suspect => Standing::Suspect,
            Availability::Down if self.lifecycle.is_lost() => Standing::Lost,
            Availability::Joining | Availability::Down => Standing::Withheld,
        }
    }

    pub(super) fn target(&self) -> Target {
        Target::new(self.member.spec.name.clone(), self.member.spec.sip.clone())
    }

    /// Moves the state machine; a change of availability starts its clock anew.
    pub(super) fn step(&mut self, step: impl FnOnce(&mut Lifecycle) -> Option<Change>) -> Option<Change> {
        let change = step(&mut self.lifecycle);
        if change.as_ref().is_some_and(|change| change.from != change.to) {
            self.since = Instant::now();
            self.metrics.state_changes.inc();
        }
        change
    }

    pub(super) fn read(&mut self, reading: &Reading) {
        let (load, probe) = match &reading.load {
            Ok(load) => (Some(*load), None),
            Err(reason) => (None, Some(reason.clone())),
        };
        self.reading = Some(LastReading {
            at: Instant::now(),
            round_trip: reading.round_trip,
            calls: load.map(|load| load.calls),
            load_average: load.and_then(|load| load.load_average),
            cpu: load.and_then(|load| load.cpu),
            audio: reading.audio,
            probe,
        });
        if let Some(cpu) = load.and_then(|load| load.cpu) {
            self.metrics.cpu.set(f64::from(cpu));
        }
        if let Some(audio) = reading.audio {
            self.metrics.rtp_loss.set(f64::from(audio.loss));
            self.metrics.rtp_jitter.set(f64::from(audio.jitter_ms) / 1_000.0);
        }
        self.metrics.round_trip.set(reading.round_trip.as_secs_f64());
    }

    /// Sets the gauges that follow the load.
    pub(super) fn measure(&self, balancer: &Balancer, scores: &Scores, now: Duration) {
        let view = View::of(self, balancer, scores, now);
        self.metrics.up.set(i64::from(self.availability() == Availability::Up));
        self.metrics.eligible.set(i64::from(view.eligible));
        self.metrics.calls.set(i64::from(view.load.own));
        self.metrics.reserved.set(i64::from(view.load.reserved));
        self.metrics.foreign.set(i64::from(view.load.foreign));
        self.metrics.capacity.set(f64::from(view.capacity));
        self.metrics.stress.set(view.stress);
        if let Some(monitor) = &self.monitor {
            monitor.stress_is(view.stress);
        }
    }

    pub(super) fn status(&self, balancer: &Balancer, scores: &Scores, now: Duration) -> NodeStatus {
        let view = View::of(self, balancer, scores, now);
        let spec = &self.member.spec;
        NodeStatus {
            name: spec.name.clone(),
            ari: spec.ari.clone(),
            sip: spec.sip.clone(),
            username: spec.username.clone(),
            capacity: view.capacity,
            configured_capacity: spec.capacity,
            origin: self.member.origin,
            availability: self.availability(),
            reason: Arc::clone(self.lifecycle.reason()),
            state_for_s: self.since.elapsed().as_secs_f64(),
            intent: self.member.intent,
            drained: self.drained,
            eligible: view.eligible,
            commands_allowed: self.monitor.as_ref().is_some_and(Handle::commands_allowed),
            calls: NodeCalls { own: view.load.own, reserved: view.load.reserved, foreign: view.load.foreign },
            stress: view.stress,
            cpu: self.reading.as_ref().and_then(|reading| reading.cpu).map(f64::from),
            sample: self.reading.as_ref().map(|reading| NodeSample {
                age_ms: u64::try_from(reading.at.elapsed().as_millis()).unwrap_or(u64::MAX),
                round_trip_ms: reading.round_trip.as_secs_f64() * 1_000.0,
                calls: reading.calls,
                load_average: reading.load_average,
                rtp_loss: reading.audio.map(|audio| audio.loss),
                rtp_jitter_ms: reading.audio.map(|audio| audio.jitter_ms),
                probe: reading.probe.clone(),
            }),
            version: self.about.version.clone(),
            started_unix_ms: self.about.started_unix_ms,
        }
    }
}

/// How a node stands in the balancer.
struct View {
    load: Load,
    capacity: u32,
    stress: f64,
    eligible: bool,
}

impl View {
    fn of(node: &Node, balancer: &Balancer, scores: &Scores, now: Duration) -> Self {
        let Some(state) = balancer.node(node.slot) else {
            return Self { load: Load::default(), capacity: 0, stress: 0.0, eligible: false };
        };
        let (load, record) = (state.load(), scores.record(node.slot));
        let offered = matches!(record.class(), Class::Open | Class::Eased | Class::Trial);
        let fresh = balancer.table().fresh_until(node.slot) > now;
        let capacity = state.learned_capacity();
        // A node that takes no new call has no limit to be near to, but may still be full of calls.
        let stress = if record.limit() == 0 {
            f64::from(load.total()) / f64::from(capacity.max(1))
        } else {
            f64::from(record.stress(load.total() as f32))
        };
        Self { load, capacity, stress, eligible: offered && fresh && load.total() < record.limit() }
    }
}
