//! Numbers of the app `queue`.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::Registrar;

/// From a second to an hour: how long callers wait.
const WAIT_BUCKETS: [f64; 10] = [1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3_600.0];

/// Metrics of queues. Labels are names from the settings, never from a caller.
#[derive(Debug)]
pub struct QueueMetrics {
    callers: IntGaugeVec,
    agents: IntGaugeVec,
    calls: IntCounterVec,
    waits: HistogramVec,
}

impl QueueMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let queue = ["tenant", "queue"];
        Ok(Self {
            callers: registrar.int_gauge_vec("kamari_queue_callers", "Callers who wait in a queue now.", &queue)?,
            agents: registrar.int_gauge_vec(
                "kamari_queue_agents",
                "Agents of a queue by what they do now.",
                &["tenant", "queue", "state"],
            )?,
            calls: registrar.counter_vec(
                "kamari_queue_calls_total",
                "Callers of a queue by what became of them: answered, abandoned, full, empty, timeout.",
                &["tenant", "queue", "outcome"],
            )?,
            waits: registrar.histogram_vec(
                "kamari_queue_wait_seconds",
                "Time that answered callers had waited in a queue.",
                &queue,
                &WAIT_BUCKETS,
            )?,
        })
    }

    /// How many wait, and how many agents are in each state.
    pub fn stand(&self, tenant: &str, queue: &str, callers: i64, agents: &[(&'static str, i64)]) {
        self.callers.with_label_values(&[tenant, queue]).set(callers);
        for (state, count) in agents {
            self.agents.with_label_values(&[tenant, queue, state]).set(*count);
        }
    }

    /// An agent has a caller who had waited for `seconds`.
    pub fn answered(&self, tenant: &str, queue: &str, seconds: f64) {
        self.calls.with_label_values(&[tenant, queue, "answered"]).inc();
        self.waits.with_label_values(&[tenant, queue]).observe(seconds);
    }

    /// A caller was not served; `outcome` is a word of the metric's own.
    pub fn lost(&self, tenant: &str, queue: &str, outcome: &'static str) {
        self.calls.with_label_values(&[tenant, queue, outcome]).inc();
    }
}
