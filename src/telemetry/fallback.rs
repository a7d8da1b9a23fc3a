//! Numbers of the push that keeps Kamailio's dispatcher filled with the pool.

use prometheus::{IntCounter, IntGauge};

use super::Registrar;

/// Metrics of `fallback`, over all Kamailios it pushes to.
#[derive(Debug)]
pub struct FallbackMetrics {
    /// Changes that Kamailio took.
    pub pushed: IntCounter,
    /// Requests that failed and will be tried again.
    pub failed: IntCounter,
    /// Kamailios configured.
    pub targets: IntGauge,
    /// Kamailios whose dispatcher agrees with the pool, as last read.
    pub in_step: IntGauge,
}

impl FallbackMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let requests = registrar.counter_vec(
            "kamari_fallback_pushes_total",
            "Changes pushed to the dispatchers of the configured Kamailios, by how that ended.",
            &["outcome"],
        )?;
        Ok(Self {
            pushed: requests.with_label_values(&["ok"]),
            failed: requests.with_label_values(&["failed"]),
            targets: registrar.int_gauge("kamari_fallback_targets", "Kamailios that the pool is pushed to.")?,
            in_step: registrar.int_gauge(
                "kamari_fallback_targets_in_step",
                "Kamailios whose dispatcher agreed with the pool when last read.",
            )?,
        })
    }
}
