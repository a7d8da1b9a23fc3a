//! Recordings: the audio that callers left, with what is known of it.
//!
//! Why it exists: a node keeps nothing. What it recorded is fetched piece by piece while the caller still speaks (who
//! fetches is no business of this module), and is kept here until somebody deletes it or its time is over.
//!
//! How it lies on the disk: `ID.wav` and, written last, `ID.json`; in `pending/` what is still to be fetched, as
//! `TAPE.json`, with the pieces that came, `TAPE.N.pcm`; in `lent/` the addresses under which nodes were lent a copy.
//!
//! Invariants:
//! - Files are whole at every instant (`disk`). A recording is there when its JSON is; audio without it is removed.
//! - The index is in memory, and is what the disk says; writers take turns, readers never wait for a disk.
//! - Nothing that came from outside becomes part of a path: ids and tapes are checked.
//! - Methods that write block on the disk. Async code calls them through [`Recordings::run`].

mod disk;
mod error;
mod lent;
mod pending;
mod record;
mod retention;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

pub use error::StoreError;
pub(in crate::media) use lent::Lent;
pub use pending::{Pending, Verdict};
pub use record::{MessageState, Purpose, Recording, RecordingId, check_mailbox};
pub use retention::Retention;

use super::wav;
use crate::telemetry::MediaMetrics;

/// Changes of mailboxes that a slow reader may be behind; after that it looks at all of them.
const CHANGES: usize = 1_024;

/// A mailbox of which messages came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MailboxChange {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Which.
    pub mailbox: Arc<str>,
}

/// All recordings.
#[derive(Debug)]
pub struct Recordings {
    folder: PathBuf,
    kept: Mutex<BTreeMap<RecordingId, Arc<Recording>>>,
    turn: Mutex<()>,
    changes: broadcast::Sender<MailboxChange>,
    metrics: Arc<MediaMetrics>,
}

impl Recordings {
    /// Opens the folder, which is made if there is none, and reads what is in it. Drafts of messages, whose
    /// callers are gone with an earlier kamari, become messages; those of greetings go. A damaged file is said in the log and left as it is.
    pub fn open(folder: &Path, metrics: Arc<MediaMetrics>) -> Result<Self, StoreError> {
        disk::make_folder(&folder.join(pending::FOLDER))?;
        disk::make_folder(&folder.join(lent::FOLDER))?;
        for part in [folder.to_owned(), folder.join(pending::FOLDER), folder.join(lent::FOLDER)] {
            disk::sweep(&part)?;
        }
        let store = Self {
            folder: folder.to_owned(),
            kept: Mutex::default(),
            turn: Mutex::default(),
            changes: broadcast::Sender::new(CHANGES),
            metrics,
        };
        store.read_all()?;
        Ok(store)
    }

    fn read_all(&self) -> Result<(), StoreError> {
        let names = disk::names(&self.folder)?;
        let stems = |ending: &str| -> HashSet<&str> {
            names.iter().filter_map(|name| name.strip_suffix(ending)?.strip_suffix('.')).collect()
        };
        let (described, audible) = (stems("json"), stems("wav"));
        for stem in &described {
            match disk::read_json::<Recording>(&self.described(stem)) {
                // Whoever recorded a greeting is gone, and did not accept it.
                Ok(Recording { id, purpose: Purpose::Greeting { draft: true, .. }, .. }) if id.as_str() == *stem => {
                    disk::remove(&self.described(stem))?;
                    disk::remove(&self.audible(stem))?;
                }
                Ok(recording) if recording.id.as_str() == *stem && audible.contains(stem) => {
                    let accepted = recording.accepted();
                    if accepted != recording {
                        disk::put_json(&self.described(stem), &accepted)?;
                    }
                    lock(&self.kept).insert(accepted.id.clone(), Arc::new(accepted));
                }
                Ok(_) => tracing::error!(recording = stem, "a recording without its audio, or under another's name"),
                Err(error) => tracing::error!(%error, "a recording cannot be read; it is left as it is"),
            }
        }
        for stem in audible.difference(&described).filter(|stem| RecordingId::parse(stem).is_ok()) {
            disk::remove(&self.audible(stem))?;
        }
        self.count();
        Ok(())
    }

    // Reading: never waits for the disk.

    /// Every recording that satisfies `wanted`, oldest first; drafts are among them.
    pub fn list(&self, wanted: impl Fn(&Recording) -> bool) -> Vec<Arc<Recording>> {
        let mut found: Vec<_> = lock(&self.kept).values().filter(|one| wanted(one)).cloned().collect();
        found.sort_by(|a, b| (a.started_ms, &a.id).cmp(&(b.started_ms, &b.id)));
        found
    }

    /// The messages of a mailbox, oldest first, without drafts.
    pub fn messages(&self, tenant: &str, mailbox: &str) -> Vec<Arc<Recording>> {
        self.list(|one| {
            *one.tenant == *tenant
                && one.mailbox().is_some_and(|name| **name == *mailbox)
                && one.state().is_some()
                && !one.is_draft()
        })
    }

    /// The greeting of a mailbox, if its owner recorded one.
    pub fn greeting(&self, tenant: &str, mailbox: &str) -> Option<Arc<Recording>> {
        let own = |one: &Recording| {
            *one.tenant == *tenant
                && matches!(&one.purpose, Purpose::Greeting { mailbox: name, draft: false } if **name == *mailbox)
        };
        self.list(own).pop()
    }

    /// One recording.
    pub fn get(&self, id: &RecordingId) -> Option<Arc<Recording>> {
        lock(&self.kept).get(id).cloned()
    }

    /// Where the audio of a recording is. It may be deleted at any moment.
    pub fn audio(&self, id: &RecordingId) -> PathBuf {
        self.audible(id.as_str())
    }

    /// Every change of a mailbox from now on.
    pub fn changes(&self) -> broadcast::Receiver<MailboxChange> {
        self.changes.subscribe()
    }

    // Writing: blocks on the disk.

    /// Does something that blocks on the disk, from async code. A failure is counted.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or(Err(StoreError::Stopping));
        if matches!(done, Err(StoreError::Unwritable { .. } | StoreError::Unreadable { .. })) {
            self.metrics.store_failures.inc();
        }
        done
    }

    /// Deletes a recording; says whether it was there.
    pub fn delete(&self, id: &RecordingId) -> Result<bool, StoreError> {
        let _turn = lock(&self.turn);
        self.delete_now(id)
    }

    fn delete_now(&self, id: &RecordingId) -> Result<bool, StoreError> {
        let Some(recording) = self.get(id) else { return Ok(false) };
        disk::remove(&self.described(id.as_str()))?;
        lock(&self.kept).remove(id);
        self.told(&recording);
        disk::remove(&self.audible(id.as_str()))?;
        Ok(true)
    }

    /// Says that a message is new, or heard and kept.
    pub fn mark(&self, id: &RecordingId, to: MessageState) -> Result<Arc<Recording>, StoreError> {
        self.change(id, |recording| {
            if let Purpose::Message { state, .. } = &mut recording.purpose {
                *state = to;
            }
        })
    }

    /// A draft becomes a message, or the mailbox's greeting in place of the one before. Anything else stays as it is.
    pub fn accept(&self, id: &RecordingId) -> Result<Arc<Recording>, StoreError> {
        let accepted = self.change(id, |recording| *recording = recording.accepted())?;
        if let Purpose::Greeting { mailbox, .. } = &accepted.purpose {
            let _turn = lock(&self.turn);
            let older = |one: &Recording| {
                one.id != *id
                    && one.tenant == accepted.tenant
                    && matches!(&one.purpose, Purpose::Greeting { mailbox: name, draft: false } if name == mailbox)
            };
            for one in self.list(older) {
                self.delete_now(&one.id)?;
            }
        }
        Ok(accepted)
    }

    fn change(&self, id: &RecordingId, change: impl FnOnce(&mut Recording)) -> Result<Arc<Recording>, StoreError> {
        let _turn = lock(&self.turn);
        let mut recording = (*self.get(id).ok_or(StoreError::Gone)?).clone();
        let before = recording.clone();
        change(&mut recording);
        if recording == before {
            return Ok(Arc::new(before));
        }
        self.keep(recording)
    }

    /// Writes a recording's description, which makes it a recording.
    fn keep(&self, recording: Recording) -> Result<Arc<Recording>, StoreError> {
        disk::put_json(&self.described(recording.id.as_str()), &recording)?;
        let recording = Arc::new(recording);
        lock(&self.kept).insert(recording.id.clone(), Arc::clone(&recording));
        self.told(&recording);
        Ok(recording)
    }

    /// Writes a recording's audio of pieces of samples, in their order. Gives its size and length.
    fn write_audio(&self, id: &RecordingId, pieces: &[PathBuf]) -> Result<(u64, u64), StoreError> {
        let sizes = pieces.iter().map(|piece| fs::metadata(piece).map(|about| about.len()));
        let path = self.audible(id.as_str());
        let total: u64 = sizes.sum::<io::Result<u64>>().map_err(|cause| StoreError::unwritable(&path, cause))?;
        disk::put(&path, |file| {
            file.write_all(&wav::header(total))?;
            for piece in pieces {
                io::copy(&mut fs::File::open(piece)?, file)?;
            }
            Ok(())
        })?;
        Ok((total + 44, wav::milliseconds(total)))
    }

    fn told(&self, recording: &Recording) {
        self.count();
        if let Some(mailbox) = recording.mailbox().filter(|_| !recording.is_draft()) {
            let change = MailboxChange { tenant: Arc::clone(&recording.tenant), mailbox: Arc::clone(mailbox) };
            // That nobody listens is fine.
            let _ = self.changes.send(change);
        }
    }

    fn count(&self) {
        let kept = lock(&self.kept);
        self.metrics.recordings.set(kept.len().cast_signed() as i64);
        self.metrics.recording_bytes.set(kept.values().map(|one| one.bytes.cast_signed()).sum());
    }

    fn described(&self, stem: &str) -> PathBuf {
        disk::with_ending(&self.folder, stem, "json")
    }

    fn audible(&self, stem: &str) -> PathBuf {
        disk::with_ending(&self.folder, stem, "wav")
    }
}

/// Locks; a panic elsewhere leaves these plain records usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
