//! What the handlers work with: handles, all cheap to clone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use crate::apps::{Queues, Tenants};
use crate::call::Runtime;
use crate::media::Recordings;
use crate::pool::Pool;
use crate::telemetry::Metrics;

/// Where kamari is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not every node has been looked at yet.
    Starting,
    /// In service.
    Ready,
    /// Asked to stop.
    Stopping,
}

/// Takes how many tenants the files declare after a reload, or what is wrong with them.
pub type ReloadReply = oneshot::Sender<Result<usize, String>>;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// `[api]`.
    pub settings: Arc<Settings>,
    /// Every number.
    pub metrics: Metrics,
    /// Whether lookups are answered: from the moment when every node was looked at.
    pub ready: Arc<AtomicBool>,
    /// Cancelled when kamari was asked to stop; the API goes on until `stop`.
    pub stopping: CancellationToken,
    /// The nodes.
    pub pool: Pool,
    /// The calls.
    pub calls: Runtime,
    /// The tenants.
    pub tenants: Arc<Tenants>,
    /// Asks for the tenants of all files to be read again.
    pub reload: mpsc::Sender<ReloadReply>,
    /// The queues.
    pub queues: Queues,
    /// The recordings, where there are any.
    pub recordings: Option<Arc<Recordings>>,
    /// When kamari started.
    pub started: Instant,
    /// Places for event streams.
    pub streams: Arc<Semaphore>,
    /// Cancelled when the API ends: what would never end by itself ends then.
    pub stop: CancellationToken,
}

impl ApiState {
    pub(super) fn phase(&self) -> Phase {
        if self.stopping.is_cancelled() {
            Phase::Stopping
        } else if self.ready.load(Ordering::Acquire) {
            Phase::Ready
        } else {
            Phase::Starting
        }
    }
}
