//! Numbers of call records.

use prometheus::IntCounter;

use super::Registrar;

/// Metrics of `cdr`.
#[derive(Debug)]
pub struct CdrMetrics {
    /// Records made: calls that are over.
    pub records: IntCounter,
    /// Records that reached no file.
    pub dropped: IntCounter,
    /// Writes, or openings of the file, that failed.
    pub failures: IntCounter,
}

impl CdrMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        Ok(Self {
            records: registrar
                .counter("kamari_cdr_records_total", "Call records made: one for each call that is over.")?,
            dropped: registrar.counter(
                "kamari_cdr_dropped_total",
                "Call records that are not in the file: the queue was full, or too many waited for a disk.",
            )?,
            failures: registrar.counter(
                "kamari_cdr_write_failures_total",
                "Times that the file of call records could not be written or opened; records wait meanwhile.",
            )?,
        })
    }
}
