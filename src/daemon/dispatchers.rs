//! Tells `fallback` what the pool is: every node that Kamailio may use when kamari does not answer.

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fallback::{Destination, DestinationUri, Use};
use crate::invalid::Invalid;
use crate::pool::{Intent, NodeStatus, Pool, PoolError};

/// The pool as dispatchers shall have it. Whether a node answers is for Kamailio's own probes to say: it will ask when
/// kamari cannot.
pub(super) fn wanted(nodes: &[NodeStatus]) -> Result<Vec<Destination>, Invalid> {
    let destination = |node: &NodeStatus| {
        let used = if node.intent == Intent::Active { Use::Active } else { Use::Disabled };
        Ok(Destination { uri: DestinationUri::new(node.sip.as_str())?, used })
    };
    nodes.iter().map(destination).collect()
}

/// Keeps `told` equal to the pool until `stop`.
pub(super) async fn follow(
    pool: Pool,
    told: watch::Sender<Vec<Destination>>,
    stop: CancellationToken,
) -> Result<(), PoolError> {
    let mut changes = pool.subscribe();
    loop {
        let now = wanted(&pool.list().await?)?;
        told.send_if_modified(|before| {
            let differs = *before != now;
            if differs {
                *before = now;
            }
            differs
        });
        match stop.run_until_cancelled(changes.recv()).await {
            None | Some(Err(RecvError::Closed)) => return Ok(()),
            // However many changes were missed, the list is read anew.
            Some(Ok(_) | Err(RecvError::Lagged(_))) => {}
        }
    }
}
