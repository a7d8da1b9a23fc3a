//! The order in which kamari ends, so that no caller notices.

use std::time::Duration;

use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::tasks::Tasks;
use crate::call::Runtime;
use crate::lookup::Running;
use crate::pool::Pool;

/// How often it is looked whether the last call has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How long tasks may take to end once they were asked to; a client that never reads its answer must not hold kamari.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// Everything that ends.
pub(super) struct Parts {
    /// Cancelled first: `/readyz` says no.
    pub(super) stopping: CancellationToken,
    /// The lookup threads, once there are any.
    pub(super) lookup: Option<Running>,
    /// The calls.
    pub(super) calls: Runtime,
    /// The nodes.
    pub(super) pool: Pool,
    /// Everything else.
    pub(super) tasks: Tasks,
}

impl Parts {
    /// Ends all of it: no more lookups, then time for calls to end, then the rest is let go of.
    pub(super) async fn stop(self, drain: Duration) {
        tracing::info!(calls = self.calls.live(), drain_s = drain.as_secs(), "kamari stops");
        self.stopping.cancel();
        let lookup = self.lookup;
        if let Err(error) = tokio::task::spawn_blocking(move || lookup.map(Running::stop)).await {
            tracing::error!(%error, "the lookup did not stop in order");
        }
        wait_for_calls(&self.calls, drain).await;
        let left = self.calls.release().await;
        if left > 0 {
            tracing::info!(calls = left, "calls stay up on their nodes, for the next kamari");
        }
        self.pool.stop();
        if timeout(LAST_TASKS, self.tasks.finish()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
    }
}

/// Returns when no call is left, or the time is over.
async fn wait_for_calls(calls: &Runtime, drain: Duration) {
    let end = Instant::now() + drain;
    let mut look = interval(LOOK);
    while calls.live() > 0 && Instant::now() < end {
        look.tick().await;
    }
}
