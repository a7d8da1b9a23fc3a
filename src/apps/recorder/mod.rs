//! Recording callers and playing recordings to them, for apps.
//!
//! Why it exists: an app says "record him" and gets a recording. That it lies on a node first, piece by piece, that the node
//! may die, that a copy stays in a node's cache after it was played: all of it is seen to here.
//!
//! Who does what: [`Recorder`] is the apps' handle. [`Collector`] is one task that fetches what nodes recorded, removes it
//! there, and makes nodes forget what they were lent; it goes on when the call is over, and after a restart.
//!
//! What is guaranteed: what the caller said before the last piece began is kept when he hangs up, whatever becomes of
//! the node then. The last piece (`media.piece_s`) is fetched as soon as the node says that it is complete. If the node dies
//! before that, the recording is there without it (`whole` is false), and becomes whole when the node comes back with its disk.

mod attempts;
mod borrow;
mod collector;
mod room;
mod take;
mod tape;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub(super) use borrow::Borrowed;
pub use collector::Collector;
pub(super) use take::{Before, Draft, Take};

use crate::media::{Lender, Loan, MediaSettings, Pending, Recordings, StoreError};
use crate::telemetry::MediaMetrics;
use attempts::Attempts;
use tape::Order;

/// What the apps ask the collector for.
#[derive(Debug)]
enum Job {
    /// Follow a recording.
    Tape(Pending, mpsc::UnboundedReceiver<Order>),
    /// Make a node forget what it was lent.
    Loan(Loan),
}

/// What all recordings share.
#[derive(Debug)]
struct Shared {
    store: Arc<Recordings>,
    lender: Arc<Lender>,
    metrics: Arc<MediaMetrics>,
    piece: Duration,
    attempts: Mutex<Attempts>,
    /// Recordings that an earlier kamari began, by their tapes, until their app or the collector takes them up.
    unclaimed: Mutex<HashMap<String, Pending>>,
}

impl Shared {
    /// Takes up a recording of an earlier kamari, once.
    fn claim(&self, tape: &str) -> Option<Pending> {
        self.unclaimed().remove(tape)
    }

    fn unclaimed(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.unclaimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records callers and plays recordings to them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Recorder {
    /// A recorder on this store, and the task that has to run beside it. Reads what an earlier kamari left to be done.
    pub fn new(
        store: Arc<Recordings>,
        lender: Arc<Lender>,
        settings: &MediaSettings,
        metrics: Arc<MediaMetrics>,
    ) -> Result<(Self, Collector), StoreError> {
        let mut left = HashMap::new();
        for mut pending in store.pending()? {
            store.expect_more(&mut pending)?;
            left.insert(pending.tape.clone(), pending);
        }
        let (jobs, receiver) = mpsc::unbounded_channel();
        let unclaimed = Mutex::new(left);
        let shared =
            Arc::new(Shared { store, lender, metrics, piece: settings.piece(), attempts: Mutex::default(), unclaimed });
        Ok((Self { shared: Arc::clone(&shared), jobs }, Collector::new(shared, receiver)))
    }

    /// The recordings.
    pub(super) fn store(&self) -> &Arc<Recordings> {
        &self.shared.store
    }

    /// Whether this caller may try the PIN of a mailbox now.
    pub(super) fn may_try_pin(&self, tenant: &Arc<str>, mailbox: &str, caller: &str) -> bool {
        self.attempts().allowed(tenant, mailbox, caller, Instant::now())
    }

    /// This caller tried a PIN.
    pub(super) fn tried_pin(&self, tenant: &Arc<str>, mailbox: &str, caller: &str, right: bool) {
        if right {
            self.attempts().right(tenant, mailbox, caller);
        } else {
            self.shared.metrics.wrong_pins.inc();
            self.attempts().wrong(tenant, mailbox, caller, Instant::now());
        }
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.shared.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
