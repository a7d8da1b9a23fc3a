//! One recording on its way from its node to the store.
//!
//! While the caller speaks each piece is fetched, kept, and removed from the node when it is complete. At the end the node
//! is asked for what it still has of the tape, until it has nothing: a node that is away is asked again when it returns.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::Shared;
use crate::ari::{AriClient, AriError};
use crate::call::{Piece, Runtime, TapeRequest};
use crate::media::{Pending, Purpose, Recording, StoreError, Verdict};

/// How long a node may be away until its recording is kept as far as it came.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two attempts with a node, at first; and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// So many pieces more than are known may be on a node: kamari may have died after it asked for them and before it wrote that
/// down, more than once.
const UNKNOWN_PIECES: u32 = 16;

/// What an app says of a recording.
#[derive(Debug)]
pub(super) enum Order {
    /// A piece began or is complete.
    Piece(Piece),
    /// Nobody recorded for a while before what comes now.
    Gap,
    /// The recording is over: give it, unless it is too short.
    Finish(oneshot::Sender<Option<Arc<Recording>>>),
    /// Keep it.
    Accept,
    /// Throw it away.
    Discard,
}

/// Why something has to be done again.
#[derive(Debug, thiserror::Error)]
enum Later {
    #[error("the node is away")]
    Away,
    #[error("a piece is still being recorded")]
    Running,
    #[error("the node still has something of it")]
    Left,
    #[error(transparent)]
    Node(#[from] AriError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) struct Tape {
    shared: Arc<Shared>,
    calls: Runtime,
    pending: Pending,
}

impl Tape {
    pub(super) fn new(shared: Arc<Shared>, calls: Runtime, pending: Pending) -> Self {
        Self { shared, calls, pending }
    }

    /// Does what the app says until it says no more, and then brings the recording to its end.
    pub(super) async fn follow(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Piece(Piece::Begun(number)) if self.pending.expected.contains(&number) => {}
                Order::Piece(Piece::Begun(number)) => {
                    self.pending.expected.push(number);
                    self.write_down().await;
                }
                Order::Piece(Piece::Ended(number)) => self.piece_ended(number).await,
                Order::Finish(done) => {
                    let kept = self.keep().await.unwrap_or_else(|later| {
                        tracing::warn!(error = %later, "a recording could not be kept at once");
                        None
                    });
                    // The call may be over meanwhile.
                    let _ = done.send(kept);
                }
                Order::Gap => {
                    self.pending.gap = true;
                    self.write_down().await;
                }
                Order::Accept => self.pending.verdict = Verdict::Keep,
                Order::Discard => self.pending.verdict = Verdict::Discard,
            }
        }
        self.finish().await;
    }

    /// Fetches a piece. What fails is done again at the end.
    async fn piece_ended(&mut self, number: u32) {
        let Some(ari) = self.calls.ari(&self.pending.recording.node) else { return };
        if let Err(later) = self.fetch(&ari, number).await {
            self.failed(&later);
        }
    }

    /// Writes down what is known, for another kamari. What fails is done again at the end.
    async fn write_down(&self) {
        let entry = self.pending.clone();
        if let Err(error) = self.shared.store.run(move |store| store.put_pending(&entry)).await {
            self.failed(&error.into());
        }
    }

    /// Brings the recording to its end, however long that takes.
    pub(super) async fn finish(mut self) {
        if self.pending.verdict == Verdict::Open {
            // What a caller left is kept when he is gone; a greeting is one when its owner said so.
            let greeting = matches!(self.pending.recording.purpose, Purpose::Greeting { .. });
            self.pending.verdict = if greeting { Verdict::Discard } else { Verdict::Keep };
        }
        let began = Instant::now();
        let (mut pause, mut partly) = (PAUSE.0, false);
        while let Err(later) = self.bring_home().await {
            self.failed(&later);
            if !partly && began.elapsed() > PATIENCE {
                partly = true;
                if let Err(later) = self.keep_accepted().await {
                    self.failed(&later);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Fetches or removes all that the node has, then settles what becomes of it.
    async fn bring_home(&mut self) -> Result<(), Later> {
        let entry = self.pending.clone();
        self.shared.store.run(move |store| store.put_pending(&entry)).await?;
        let ari = self.calls.ari(&self.pending.recording.node).ok_or(Later::Away)?;
        let there = self.on_node(&ari).await?;
        let last = there.iter().chain(&self.pending.expected).max().copied();
        // The last one may run although the node does not list it yet, and the next may wait.
        let latest = last.into_iter().flat_map(|last| [last, last.saturating_add(1)]);
        for number in there.iter().copied().chain(latest) {
            self.still_runs(&ari, number).await?;
        }
        for number in there {
            if self.pending.verdict == Verdict::Discard {
                self.remove(&ari, number).await?;
            } else {
                self.fetch(&ari, number).await?;
            }
        }
        if !self.on_node(&ari).await?.is_empty() {
            return Err(Later::Left);
        }
        if self.pending.verdict == Verdict::Discard {
            let id = self.pending.recording.id.clone();
            self.shared.store.run(move |store| store.delete(&id)).await?;
        } else {
            self.keep_accepted().await?;
        }
        let tape = self.pending.tape.clone();
        self.shared.store.run(move |store| store.settle(&tape)).await?;
        Ok(())
    }

    /// The numbers of the pieces that the node has, in their order.
    async fn on_node(&self, ari: &AriClient) -> Result<Vec<u32>, Later> {
        let stored = ari.recordings().list_stored().await?;
        let mut numbers: Vec<u32> = stored.iter().filter_map(|one| number(&self.pending, &one.name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A piece that is being recorded has a file already, and must be left alone.
    async fn still_runs(&self, ari: &AriClient, number: u32) -> Result<(), Later> {
        match ari.recordings().live(&TapeRequest::name(&self.pending.tape, number)).await {
            Ok(_) => Err(Later::Running),
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a complete piece and removes it from the node. One that the node does not have is lost; so is one without
    /// audio.
    async fn fetch(&self, ari: &AriClient, number: u32) -> Result<(), Later> {
        let file = match ari.recordings().stored_file(&TapeRequest::name(&self.pending.tape, number)).await {
            Err(error) if error.is_gone() => return Ok(()),
            file => file?,
        };
        let tape = self.pending.tape.clone();
        match self.shared.store.run(move |store| store.put_piece(&tape, number, &file)).await {
            Ok(()) => self.shared.metrics.pieces.inc(),
            Err(error @ StoreError::NoAudio(_)) => {
                self.shared.metrics.lost_pieces.inc();
                tracing::error!(node = %self.pending.recording.node, %error, "a piece of a recording is lost");
            }
            Err(error) => return Err(error.into()),
        }
        self.remove(ari, number).await
    }

    async fn remove(&self, ari: &AriClient, number: u32) -> Result<(), Later> {
        match ari.recordings().delete_stored(&TapeRequest::name(&self.pending.tape, number)).await {
            Err(error) if !error.is_gone() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Makes a recording, still a draft, of the pieces that came.
    async fn keep(&mut self) -> Result<Option<Arc<Recording>>, Later> {
        let mut pending = self.pending.clone();
        let (kept, pending) =
            self.shared.store.run(move |store| store.keep_pieces(&mut pending).map(|kept| (kept, pending))).await?;
        self.pending = pending;
        Ok(kept)
    }

    /// Makes a recording of the pieces that came, for everybody to see; unless it is to be thrown away.
    async fn keep_accepted(&mut self) -> Result<(), Later> {
        if self.pending.verdict == Verdict::Discard {
            return Ok(());
        }
        if let Some(kept) = self.keep().await? {
            if !kept.whole {
                let (node, id) = (&self.pending.recording.node, &kept.id);
                tracing::warn!(%node, recording = %id, "a recording is not whole: its node does not have all of it");
            }
            self.shared.store.run(move |store| store.accept(&kept.id)).await?;
        }
        Ok(())
    }

    fn failed(&self, later: &Later) {
        if !matches!(later, Later::Running | Later::Left) {
            self.shared.metrics.fetch_failures.inc();
        }
        let (node, tape) = (&self.pending.recording.node, &self.pending.tape);
        tracing::debug!(%node, tape, error = %later, "a recording is not fetched yet");
    }
}

/// The number of a piece by its name on the node; nothing for what is no piece of the tape. A node may list what it likes: it
/// does not have kamari fetch more than was ever asked of it.
fn number(pending: &Pending, name: &str) -> Option<u32> {
    let number = name.strip_prefix(&pending.tape)?.strip_prefix('-')?.parse().ok()?;
    let most = pending.expected.iter().max().map_or(0, |last| *last).saturating_add(UNKNOWN_PIECES);
    (number <= most && TapeRequest::name(&pending.tape, number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{UNKNOWN_PIECES, number};
    use crate::media::Pending;

    #[test]
    fn a_node_has_no_more_pieces_than_were_asked_for() {
        let pending: Pending = serde_json::from_value(serde_json::json!({
            "tape": "kamari-recording-0-1", "verdict": "keep", "least_ms": 0, "expected": [0, 1, 7],
            "recording": {
                "id": "0123456789abcdef0123456789abcdef", "tenant": "one", "purpose": { "kind": "note", "extension": "7" },
                "caller": "", "node": "n1", "started_ms": 0, "duration_ms": 0, "bytes": 0, "whole": false,
            },
        }))
        .expect("an entry");
        let last = 7 + UNKNOWN_PIECES;
        for (name, is) in [
            ("kamari-recording-0-1-0".to_owned(), Some(0)),
            (format!("kamari-recording-0-1-{last}"), Some(last)),
            (format!("kamari-recording-0-1-{}", last + 1), None),
            ("kamari-recording-0-1-4294967295".to_owned(), None),
            ("kamari-recording-0-1-+3".to_owned(), None),
            ("kamari-recording-0-1-03".to_owned(), None),
            ("kamari-recording-0-12".to_owned(), None),
            ("other".to_owned(), None),
        ] {
            assert_eq!(number(&pending, &name), is, "{name}");
        }
    }
}
