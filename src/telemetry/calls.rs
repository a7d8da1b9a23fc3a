//! Numbers of calls and of the apps that serve them.

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Registrar;

/// From a second to four hours: how long calls last.
const DURATION_BUCKETS: [f64; 12] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 3_600.0, 7_200.0, 14_400.0];

/// How an app's work on a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// The app did all it meant to do.
    Completed,
    /// The app handed the call on to another number.
    HandedOn,
    /// The caller hung up first: the usual end of a conference or an echo.
    HungUp,
    /// The app refused the call with a SIP cause.
    Rejected,
    /// No extension matched (404 to the caller).
    Unknown,
    /// The app returned an error.
    Failed,
    /// The app panicked; its call was cleaned up.
    Panicked,
    /// The node was lost with the call on it.
    NodeLost,
    /// kamari stopped or was told to end the call.
    Cancelled,
}

impl CallOutcome {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::HandedOn => "handed_on",
            Self::HungUp => "hung_up",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown_extension",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::NodeLost => "node_lost",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A task of the runtime, counted while it lives.
#[derive(Debug)]
pub struct TaskGuard(IntGauge);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Metrics of `call` and `apps`.
#[derive(Debug)]
pub struct CallMetrics {
    /// Calls being served now.
    pub active: IntGauge,
    /// Calls that arrived by `StasisStart`.
    pub started: IntCounter,
    /// Calls found on a node after a reconnect or a restart, and served again.
    pub adopted: IntCounter,
    /// Channels found on a node that nothing owns, and hung up.
    pub orphans: IntCounter,
    /// Events that found a call's mailbox full.
    pub mailbox_overflows: IntCounter,
    tasks: IntGauge,
    outcomes: IntCounterVec,
    active_by_app: IntGaugeVec,
    durations: HistogramVec,
}

impl CallMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        Ok(Self {
            active: registrar.int_gauge("kamari_calls", "Calls that kamari serves now.")?,
            started: registrar.counter("kamari_calls_started_total", "Calls that arrived at the application.")?,
            adopted: registrar.counter(
                "kamari_calls_adopted_total",
                "Calls found alive on a node after a reconnect or a restart, and served again.",
            )?,
            orphans: registrar.counter(
                "kamari_orphan_channels_total",
                "Channels found on a node that no call owns; they were hung up.",
            )?,
            mailbox_overflows: registrar
                .counter("kamari_call_mailbox_overflows_total", "Events that found the mailbox of their call full.")?,
            tasks: registrar.int_gauge(
                "kamari_call_tasks",
                "Tasks that serve calls, rooms and the legs between nodes now: none when there is no call.",
            )?,
            outcomes: registrar.counter_vec(
                "kamari_app_outcomes_total",
                "Calls by the app that served them and by how that ended.",
                &["app", "outcome"],
            )?,
            active_by_app: registrar.int_gauge_vec("kamari_app_calls", "Calls that an app serves now.", &["app"])?,
            durations: registrar.histogram_vec(
                "kamari_call_duration_seconds",
                "Time that calls spent in the application, by app.",
                &["app"],
                &DURATION_BUCKETS,
            )?,
        })
    }

    /// A task of the runtime begins; it ends when the guard is dropped, however that comes.
    pub fn task(&self) -> TaskGuard {
        self.tasks.inc();
        TaskGuard(self.tasks.clone())
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> i64 {
        self.tasks.get()
    }

    /// An app takes a call. `app` is a name from the code, never from the network.
    pub fn app_begins(&self, app: &'static str) {
        self.active.inc();
        self.active_by_app.with_label_values(&[app]).inc();
    }

    /// The app `from`, which had a call for `seconds`, hands it on to the app `to`.
    pub fn app_hands_on(&self, from: &'static str, to: &'static str, seconds: f64) {
        self.active_by_app.with_label_values(&[to]).inc();
        self.ended(from, CallOutcome::HandedOn, seconds);
    }

    /// An app is done with a call that it had for `seconds`.
    pub fn app_ends(&self, app: &'static str, outcome: CallOutcome, seconds: f64) {
        self.active.dec();
        self.ended(app, outcome, seconds);
    }

    fn ended(&self, app: &'static str, outcome: CallOutcome, seconds: f64) {
        self.active_by_app.with_label_values(&[app]).dec();
        self.outcomes.with_label_values(&[app, outcome.as_str()]).inc();
        self.durations.with_label_values(&[app]).observe(seconds);
    }
}
