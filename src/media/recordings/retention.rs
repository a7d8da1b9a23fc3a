//! How long recordings are kept, and how much room they may take.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{MissedTickBehavior, interval};

use super::{Recordings, StoreError};

/// The bounds; an absent one does not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// What was begun longer ago goes.
    pub age: Option<Duration>,
    /// While all audio together takes more bytes, the oldest goes.
    pub bytes: Option<u64>,
}

/// How often it is looked for what has become too old or too much.
const LOOK: Duration = Duration::from_mins(1);

impl Recordings {
    /// Deletes what is too old or too much, now and then, for ever.
    pub async fn retain(self: Arc<Self>, bounds: Retention) {
        if (bounds.age, bounds.bytes) == (None, None) {
            return std::future::pending().await;
        }
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
            match self.run(move |store| store.expire(bounds, now)).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "recordings were deleted for their age or for room"),
                Err(error) => tracing::error!(%error, "old recordings could not be deleted"),
            }
        }
    }

    /// Deletes what is too old or too much, oldest first, and says how many. Greetings and drafts stay: they do not age.
    /// Blocks on the disk.
    pub fn expire(&self, bounds: Retention, now_ms: u64) -> Result<usize, StoreError> {
        let ages = self.list(|one| !one.is_draft() && !matches!(one.purpose, super::Purpose::Greeting { .. }));
        let oldest_kept = bounds.age.map_or(0, |age| now_ms.saturating_sub(age.as_millis() as u64));
        let mut room: u64 = self.list(|_| true).iter().map(|one| one.bytes).sum();
        let mut gone = 0;
        for one in ages {
            if one.started_ms >= oldest_kept && bounds.bytes.is_none_or(|bytes| room <= bytes) {
                break;
            }
            room = room.saturating_sub(one.bytes);
            if self.delete(&one.id)? {
                gone += 1;
                self.metrics.expired.inc();
            }
        }
        Ok(gone)
    }
}
