//! Recordings lent to a node, for as long as it plays them.
//!
//! Why it exists: a node plays a message by fetching it, and whatever a node fetches stays in its media cache, on its disk.
//! So a recording is offered under an address that nobody can guess, only while it is played; and when it is withdrawn,
//! the node is made to ask once more: it finds that its copy is stale, removes the file, asks for a new one and gets `410
//! Gone` (tried on 22.10). That last request is how kamari knows that the copy is gone.
//!
//! Invariants:
//! - An address is on the disk before a node hears of it, and goes when the node's copy is gone: after a crash of either the
//!   copies are found again ([`Lender::outstanding`]).
//! - An address says nothing of tenant or mailbox: it may stay in the node's logs and database. It is used again for the
//!   same node, so that these do not grow.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::prompts::MediaUri;
use super::recordings::{Lent, RecordingId, Recordings, StoreError};
use super::settings::MediaSettings;
use crate::telemetry::MediaMetrics;

/// What is lent, and to whom.
#[derive(Debug)]
pub struct Lender {
    store: Arc<Recordings>,
    base: String,
    lent: Mutex<HashMap<RecordingId, Slot>>,
    free: Mutex<HashMap<String, Vec<RecordingId>>>,
    metrics: Arc<MediaMetrics>,
}

#[derive(Debug, Default)]
struct Slot {
    /// What the address gives now.
    offered: Option<PathBuf>,
    /// Told when the node asked although nothing is offered.
    refused: Arc<Notify>,
}

/// An address that one node may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loan {
    /// The node.
    pub node: String,
    /// What the node plays.
    pub uri: MediaUri,
    token: RecordingId,
}

/// What a request for a lent recording gets.
pub(super) enum Answer {
    /// This file.
    File(PathBuf),
    /// It was lent, and is no longer.
    Gone,
    /// There never was such an address.
    Unknown,
}

impl Lender {
    /// Lends what is in `store`.
    pub fn new(store: Arc<Recordings>, settings: &MediaSettings, metrics: Arc<MediaMetrics>) -> Self {
        Self { store, base: settings.base(), lent: Mutex::default(), free: Mutex::default(), metrics }
    }

    /// An address for a node, under which nothing is offered yet.
    pub async fn lend(&self, node: &str) -> Result<Loan, StoreError> {
        let free = lock(&self.free).get_mut(node).and_then(Vec::pop);
        let token = free.unwrap_or_else(RecordingId::random);
        let lent = Lent { token: token.clone(), node: node.to_owned() };
        self.store.run(move |store| store.put_lent(&lent)).await?;
        Ok(self.enter(node, token))
    }

    /// Offers a recording under the address, in place of what was offered there.
    pub fn offer(&self, loan: &Loan, id: &RecordingId) {
        if let Some(slot) = lock(&self.lent).get_mut(&loan.token) {
            slot.offered = Some(self.store.audio(id));
        }
    }

    /// Offers nothing any more. The node's copy is still there: have the node play the address once more, and wait for
    /// [`Lender::refused`].
    pub fn withdraw(&self, loan: &Loan) {
        if let Some(slot) = lock(&self.lent).get_mut(&loan.token) {
            slot.offered = None;
        }
    }

    /// Completes when the node asks for what is withdrawn: its copy is gone. Call it before the node is made to ask.
    pub fn refused(&self, loan: &Loan) -> impl Future<Output = ()> + Send + use<> {
        let refused = lock(&self.lent).get(&loan.token).map(|slot| Arc::clone(&slot.refused));
        async move {
            if let Some(refused) = refused {
                refused.notified().await;
            }
        }
    }

    /// The node's copy is gone: the address may be used again for this node.
    pub async fn give_back(&self, loan: Loan) -> Result<(), StoreError> {
        let token = loan.token.clone();
        self.store.run(move |store| store.remove_lent(&token)).await?;
        lock(&self.lent).remove(&loan.token);
        self.metrics.lent.dec();
        lock(&self.free).entry(loan.node).or_default().push(loan.token);
        Ok(())
    }

    /// The addresses that an earlier kamari gave to nodes and that may still have copies. Call it once.
    pub async fn outstanding(&self) -> Result<Vec<Loan>, StoreError> {
        let lent = self.store.run(Recordings::lent).await?;
        Ok(lent.into_iter().map(|lent| self.enter(&lent.node, lent.token)).collect())
    }

    /// What is offered under a token.
    pub(super) fn answer(&self, token: &str) -> Answer {
        let Ok(token) = RecordingId::parse(token) else { return Answer::Unknown };
        match lock(&self.lent).get(&token) {
            None => Answer::Unknown,
            Some(Slot { offered: Some(path), .. }) => Answer::File(path.clone()),
            Some(_) => Answer::Gone,
        }
    }

    /// A node was told that a recording is gone; a question by `HEAD` is not meant, its copy is still there then.
    pub(super) fn told_gone(&self, token: &str) {
        let Ok(token) = RecordingId::parse(token) else { return };
        if let Some(slot) = lock(&self.lent).get(&token) {
            slot.refused.notify_one();
        }
    }

    fn enter(&self, node: &str, token: RecordingId) -> Loan {
        let uri = MediaUri::of_url(&format!("{}/media/recordings/{token}.wav", self.base));
        if lock(&self.lent).insert(token.clone(), Slot::default()).is_none() {
            self.metrics.lent.inc();
        }
        Loan { node: node.to_owned(), uri, token }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
