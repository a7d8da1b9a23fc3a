//! Numbers of the traffic with Asterisk: requests by operation and outcome, and the event socket of each node.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Registrar;

/// From 200 µs (a ping on the same host) to 10 s (the longest deadline), in seconds.
const REQUEST_BUCKETS: [f64; 14] =
    [0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 10.0];
/// From half a millisecond to ten seconds: Asterisk stamps events to the millisecond.
const LAG_BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 2.0, 10.0];

/// How a request to Asterisk ended, as counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// 2xx.
    Ok,
    /// The object is gone: 404, or 400 where that means the same. An ordinary end.
    Gone,
    /// The channel is not in Stasis (any more): 409 or 422. An ordinary end.
    NotInStasis,
    /// 401 or 403.
    Denied,
    /// Any other status of 400 to 499.
    Refused,
    /// 500 and above.
    ServerError,
    /// The deadline passed.
    Timeout,
    /// No connection, or it broke.
    Unreachable,
    /// The answer was not what the interface promises.
    Garbled,
}

impl RequestOutcome {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Gone => "gone",
            Self::NotInStasis => "not_in_stasis",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Garbled => "garbled",
        }
    }
}

/// Metrics of the traffic with Asterisk, reported through `ari`'s observer.
#[derive(Debug)]
pub struct AriMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    /// From Asterisk's time stamp of an event to its handling here, clocks compared by ping, in seconds.
    pub event_lag: Histogram,
    /// Events of a type this kamari does not know; kept and passed on.
    pub unknown_events: IntCounter,
    events: IntCounterVec,
    reconnects: IntCounterVec,
    failures: IntCounterVec,
    dropped: IntCounterVec,
    undecodable: IntCounterVec,
    unserved: IntCounterVec,
    queue_depth: IntGaugeVec,
    socket_up: IntGaugeVec,
}

/// The event-socket series of one node.
#[derive(Debug)]
pub struct NodeAriMetrics {
    /// Events received.
    pub events: IntCounter,
    /// Times the socket was opened again after it had been lost.
    pub reconnects: IntCounter,
    /// Requests that ended in neither success nor an ordinary end.
    pub failures: IntCounter,
    /// Events dropped because the queue was full; each spell of drops is followed by a reconciliation.
    pub dropped: IntCounter,
    /// Messages of the event socket that are no event.
    pub undecodable: IntCounter,
    /// Calls of the node that were not served: it had more channels than any node has.
    pub unserved: IntCounter,
    /// Events read and not yet handled.
    pub queue_depth: IntGauge,
    /// 1 while the socket is open and ours, else 0.
    pub socket_up: IntGauge,
}

impl AriMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let per_node = &["node"];
        Ok(Self {
            requests: registrar.counter_vec(
                "kamari_ari_requests_total",
                "Requests to Asterisk, by operation and by how they ended.",
                &["operation", "outcome"],
            )?,
            durations: registrar.histogram_vec(
                "kamari_ari_request_duration_seconds",
                "Time that requests to Asterisk took, whatever their outcome.",
                &["operation"],
                &REQUEST_BUCKETS,
            )?,
            event_lag: registrar.histogram(
                "kamari_ari_event_lag_seconds",
                "Time from Asterisk's stamp on an event to its handling by kamari, corrected for the clocks' difference.",
                &LAG_BUCKETS,
            )?,
            unknown_events: registrar.counter(
                "kamari_ari_unknown_events_total",
                "Events of a type that this kamari does not know; they are kept and passed on.",
            )?,
            events: registrar.counter_vec("kamari_ari_events_total", "Events received from the node.", per_node)?,
            reconnects: registrar.counter_vec(
                "kamari_ari_reconnects_total",
                "Times the node's event socket was opened again after it had been lost.",
                per_node,
            )?,
            failures: registrar.counter_vec(
                "kamari_ari_failures_total",
                "Requests to the node that failed; objects that were gone already are not failures.",
                per_node,
            )?,
            dropped: registrar.counter_vec(
                "kamari_ari_events_dropped_total",
                "Events of the node dropped because its queue was full; a reconciliation follows.",
                per_node,
            )?,
            undecodable: registrar.counter_vec(
                "kamari_ari_events_undecodable_total",
                "Messages of the node's event socket that could not be understood; the first of a connection is in the log.",
                per_node,
            )?,
            unserved: registrar.counter_vec(
                "kamari_ari_calls_unserved_total",
                "Calls of the node that were not served, because it had more channels than pool.max_node_channels.",
                per_node,
            )?,
            queue_depth: registrar.int_gauge_vec(
                "kamari_ari_event_queue_depth",
                "Events of the node that were read and not yet handled.",
                per_node,
            )?,
            socket_up: registrar.int_gauge_vec(
                "kamari_ari_socket_up",
                "1 while the node's event socket is open and not taken over by another, else 0.",
                per_node,
            )?,
        })
    }

    /// Counts one request. `operation` is a name from the code, never from the network; `seconds` is its duration.
    pub fn request(&self, operation: &'static str, outcome: RequestOutcome, seconds: f64) {
        self.requests.with_label_values(&[operation, outcome.as_str()]).inc();
        self.durations.with_label_values(&[operation]).observe(seconds);
    }

    /// The series of `node`, made when they are not there yet.
    pub fn node(&self, node: &str) -> NodeAriMetrics {
        let label = &[node];
        NodeAriMetrics {
            events: self.events.with_label_values(label),
            reconnects: self.reconnects.with_label_values(label),
            failures: self.failures.with_label_values(label),
            dropped: self.dropped.with_label_values(label),
            undecodable: self.undecodable.with_label_values(label),
            unserved: self.unserved.with_label_values(label),
            queue_depth: self.queue_depth.with_label_values(label),
            socket_up: self.socket_up.with_label_values(label),
        }
    }

    /// Takes the series of `node` away.
    pub fn forget(&self, node: &str) {
        let label = &[node];
        // An error means that the series was never made, which is what is wanted.
        for counters in
            [&self.events, &self.reconnects, &self.failures, &self.dropped, &self.undecodable, &self.unserved]
        {
            let _ = counters.remove_label_values(label);
        }
        for gauges in [&self.queue_depth, &self.socket_up] {
            let _ = gauges.remove_label_values(label);
        }
    }
}
