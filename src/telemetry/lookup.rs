//! Numbers of the lookup: how many questions, how they ended, how long kamari thought.

use prometheus::{Histogram, IntCounter};

use super::Registrar;

/// From 2 µs (a snapshot scan) to 100 ms (something is very wrong), in seconds.
const DURATION_BUCKETS: [f64; 14] = [
    0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1,
];

/// Metrics of `lookup`.
#[derive(Debug)]
pub struct LookupMetrics {
    /// Questions answered with at least one node, chosen now.
    pub routed: IntCounter,
    /// Questions of a Call-ID that holds a reservation: the same answer again.
    pub repeated: IntCounter,
    /// Questions answered with a reject because no node could take the call.
    pub rejected: IntCounter,
    /// Questions that made no sense (400).
    pub invalid: IntCounter,
    /// From the request's arrival in the process to its answer being handed to the socket, in seconds.
    pub duration: Histogram,
    /// Reports of a failed route that named a live reservation.
    pub outcomes_known: IntCounter,
    /// Reports of a failed route that named a call or node kamari does not (any longer) know.
    pub outcomes_unknown: IntCounter,
    /// Reports that made no sense (400).
    pub outcomes_invalid: IntCounter,
    /// Connections closed at once because the most that may be open were.
    pub connections_refused: IntCounter,
}

impl LookupMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let lookups = registrar.counter_vec(
            "kamari_lookups_total",
            "Questions from Kamailio, by what they were answered.",
            &["result"],
        )?;
        let duration = registrar.histogram(
            "kamari_lookup_duration_seconds",
            "Time kamari took to answer a question from Kamailio.",
            &DURATION_BUCKETS,
        )?;
        let outcomes = registrar.counter_vec(
            "kamari_outcome_reports_total",
            "Reports from Kamailio of a route that failed, by whether kamari knew the call.",
            &["result"],
        )?;
        Ok(Self {
            routed: lookups.with_label_values(&["routed"]),
            repeated: lookups.with_label_values(&["repeated"]),
            rejected: lookups.with_label_values(&["rejected"]),
            invalid: lookups.with_label_values(&["invalid"]),
            duration,
            outcomes_known: outcomes.with_label_values(&["known"]),
            outcomes_unknown: outcomes.with_label_values(&["unknown"]),
            outcomes_invalid: outcomes.with_label_values(&["invalid"]),
            connections_refused: registrar.counter(
                "kamari_lookup_connections_refused_total",
                "Connections to the lookup that were closed at once because too many were open.",
            )?,
        })
    }
}
