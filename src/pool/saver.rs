//! Writes the state file apart from the registry, which must not wait for a disk.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::handle::PoolError;
use super::store::{Store, StoredNode};
use crate::telemetry::PoolMetrics;

/// Something to remember, and whoever waits to hear that it is.
pub(super) struct Job {
    pub(super) nodes: Vec<StoredNode>,
    pub(super) done: Box<dyn FnOnce(Result<(), PoolError>) + Send>,
}

/// Writes one job after the other, in order, until the registry is gone and all are written.
pub(super) async fn run(store: Store, mut jobs: mpsc::UnboundedReceiver<Job>, metrics: Arc<PoolMetrics>) {
    while let Some(Job { nodes, done }) = jobs.recv().await {
        let store = store.clone();
        let written = tokio::task::spawn_blocking(move || store.save(nodes)).await;
        let answer = match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "a change of the pool is in effect and would not survive a restart");
                metrics.store_failures.inc();
                Err(PoolError::Store(error))
            }
            // The blocking pool is gone: the process ends.
            Err(_) => Err(PoolError::Stopped),
        };
        done(answer);
    }
}
