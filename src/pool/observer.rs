//! What a node's ARI client tells of its traffic, as metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ari::{Observer, RequestOutcome as Outcome};
use crate::telemetry::{AriMetrics, NodeAriMetrics, RequestOutcome};

/// The observer of one node.
pub(super) struct NodeObserver {
    metrics: Arc<AriMetrics>,
    node: NodeAriMetrics,
    /// The node's clock minus ours, in milliseconds, by the last ping.
    clock_offset_ms: AtomicI64,
    /// Whether the socket was open before.
    connected: AtomicBool,
}

impl NodeObserver {
    pub(super) fn new(metrics: Arc<AriMetrics>, node: &str) -> Self {
        let node = metrics.node(node);
        Self { metrics, node, clock_offset_ms: AtomicI64::new(0), connected: AtomicBool::new(false) }
    }
}

impl NodeObserver {
    /// A call beyond all bounds was not served.
    pub(super) fn too_many(&self) {
        self.node.unserved.inc();
    }

    /// The node's clock said `node_unix_ms` in the middle of a ping that has just come back.
    pub(super) fn clock(&self, node_unix_ms: i64, round_trip: Duration) {
        let middle = unix_ms() - i64::try_from(round_trip.as_millis() / 2).unwrap_or(0);
        self.clock_offset_ms.store(node_unix_ms - middle, Ordering::Relaxed);
    }
}

impl fmt::Debug for NodeObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeObserver").finish_non_exhaustive()
    }
}

impl Observer for NodeObserver {
    fn request(&self, operation: &'static str, outcome: Outcome, took: Duration) {
        let outcome = match outcome {
            Outcome::Ok => RequestOutcome::Ok,
            Outcome::Gone => RequestOutcome::Gone,
            Outcome::NotInStasis => RequestOutcome::NotInStasis,
            Outcome::Denied => RequestOutcome::Denied,
            Outcome::Refused => RequestOutcome::Refused,
            Outcome::ServerError => RequestOutcome::ServerError,
            Outcome::Timeout => RequestOutcome::Timeout,
            Outcome::Unreachable => RequestOutcome::Unreachable,
            Outcome::Garbled => RequestOutcome::Garbled,
        };
        if !matches!(outcome, RequestOutcome::Ok | RequestOutcome::Gone | RequestOutcome::NotInStasis) {
            self.node.failures.inc();
        }
        self.metrics.request(operation, outcome, took.as_secs_f64());
    }

    fn socket(&self, up: bool) {
        self.node.socket_up.set(i64::from(up));
        if up && self.connected.swap(true, Ordering::Relaxed) {
            self.node.reconnects.inc();
        }
    }

    fn event(&self, stamped_unix_ms: Option<i64>, known: bool) {
        self.node.events.inc();
        if !known {
            self.metrics.unknown_events.inc();
        }
        if let Some(stamped) = stamped_unix_ms {
            let lag = unix_ms() - (stamped - self.clock_offset_ms.load(Ordering::Relaxed));
            self.metrics.event_lag.observe(lag.max(0) as f64 / 1_000.0);
        }
    }

    fn lost(&self, count: u64) {
        self.node.dropped.inc_by(count);
    }

    fn undecodable(&self) {
        self.node.undecodable.inc();
    }

    fn queue_depth(&self, depth: usize) {
        self.node.queue_depth.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
