//! What is still to be fetched from a node, or to be removed there: a durable list, one file a recording.
//!
//! A recording lies on its node as one file or several, its *pieces*: `TAPE-0`, `TAPE-1`, ... The entry is written before the
//! node is asked to record, and goes when the node has nothing of it any more; so whatever dies in between, the node is
//! asked again.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::Recording;
use super::{Recordings, StoreError, disk, lock};
use crate::invalid::Invalid;
use crate::media::wav;

/// The folder of the list.
pub(super) const FOLDER: &str = "pending";
/// Largest piece, in bytes of samples. Pieces are asked for of up to 62 seconds, which take half of it; a node that sends more
/// would fill the disk.
const PIECE_LIMIT: usize = 2 << 20;
/// Longest name of a tape in bytes.
const TAPE_LIMIT: usize = 120;

/// What is to become of what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The caller is still being recorded. If kamari dies, it is kept.
    Open,
    /// Keep it.
    Keep,
    /// Throw it away.
    Discard,
}

/// A recording of which its node still has something, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What the names of its pieces on the node begin with.
    pub tape: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What is shorter is thrown away, in milliseconds.
    pub least_ms: u64,
    /// Numbers of the pieces that were begun, as far as they are known: it is whole when all of them came.
    #[serde(default)]
    pub expected: Vec<u32>,
    /// Whether nobody recorded for a while: kamari was away for longer than what it had asked for.
    #[serde(default)]
    pub gap: bool,
    /// Whether it was kept already, with the pieces that there were; more may come.
    #[serde(default)]
    pub kept: bool,
    /// The recording, as far as it is known.
    pub recording: Recording,
}

impl Recordings {
    /// Every entry of the list; one that cannot be read is said in the log and left as it is.
    pub fn pending(&self) -> Result<Vec<Pending>, StoreError> {
        let folder = self.folder.join(FOLDER);
        let mut found = Vec::new();
        for name in disk::names(&folder)?.iter().filter(|name| name.strip_suffix(".json").is_some()) {
            match disk::read_json::<Pending>(&folder.join(name)) {
                Ok(pending) if is_tape(&pending.tape) => found.push(pending),
                Ok(_) => tracing::error!(name, "an entry of recordings to fetch under another's name"),
                Err(error) => tracing::error!(%error, "an entry of recordings to fetch cannot be read"),
            }
        }
        self.metrics.pending.set(found.len().cast_signed() as i64);
        Ok(found)
    }

    /// Puts an entry on the list, in place of the one of its tape. Blocks on the disk.
    pub fn put_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        debug_assert!(is_tape(&pending.tape), "{}", pending.tape);
        let path = self.tape(&pending.tape, "json");
        let new = !path.exists();
        disk::put_json(&path, pending)?;
        if new {
            self.metrics.pending.inc();
        }
        Ok(())
    }

    /// Keeps a piece as it came from the node, an untrusted WAV file. Blocks on the disk.
    pub fn put_piece(&self, tape: &str, number: u32, file: &[u8]) -> Result<(), StoreError> {
        let samples = wav::samples(file).map_err(StoreError::NoAudio)?;
        if samples.len() > PIECE_LIMIT {
            let found = format!("{} bytes", samples.len());
            return Err(StoreError::NoAudio(Invalid::new("audio", "at most 2 MiB of samples", found)));
        }
        disk::put(&self.tape(tape, &format!("{number}.pcm")), |file| std::io::Write::write_all(file, samples))
    }

    /// The numbers of the pieces that came, in their order. Blocks on the disk.
    pub fn pieces(&self, tape: &str) -> Result<Vec<u32>, StoreError> {
        let number = |name: &String| -> Option<u32> {
            name.strip_prefix(tape)?.strip_prefix('.')?.strip_suffix(".pcm")?.parse().ok()
        };
        let mut numbers: Vec<u32> = disk::names(&self.folder.join(FOLDER))?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Has one that an earlier kamari left open wait for a piece that has not come: while somebody is recorded there always is
    /// one, and that kamari may have died before it wrote down which. Blocks on the disk.
    pub fn expect_more(&self, pending: &mut Pending) -> Result<(), StoreError> {
        let numbers = self.pieces(&pending.tape)?;
        if pending.verdict == Verdict::Open && pending.expected.iter().all(|number| numbers.contains(number)) {
            pending.expected.push(numbers.last().map_or(0, |last| last.saturating_add(1)));
        }
        Ok(())
    }

    /// Makes a recording of the pieces that came so far, which is whole if these are all. One that was kept before gets
    /// its new audio, unless it was deleted meanwhile. Nothing comes of less than the least length. Blocks on the disk.
    pub fn keep_pieces(&self, pending: &mut Pending) -> Result<Option<Arc<Recording>>, StoreError> {
        let _turn = lock(&self.turn);
        let now = self.get(&pending.recording.id);
        if pending.kept && now.is_none() {
            return Ok(None);
        }
        let numbers = self.pieces(&pending.tape)?;
        let whole = !pending.gap && pending.expected.iter().all(|number| numbers.contains(number));
        let path = |number: &u32| self.tape(&pending.tape, &format!("{number}.pcm"));
        let paths: Vec<PathBuf> = numbers.iter().map(path).collect();
        let mut recording = now.map_or_else(|| pending.recording.clone(), |now| (*now).clone());
        (recording.bytes, recording.duration_ms) = self.write_audio(&recording.id, &paths)?;
        recording.whole = whole;
        if recording.duration_ms < pending.least_ms.max(1) {
            self.forget_audio(&recording)?;
            return Ok(None);
        }
        let kept = self.keep(recording)?;
        pending.kept = true;
        disk::put_json(&self.tape(&pending.tape, "json"), pending)?;
        Ok(Some(kept))
    }

    /// Takes an entry off the list with the pieces that came: the node has nothing of it any more. Blocks on the disk.
    pub fn settle(&self, tape: &str) -> Result<(), StoreError> {
        if disk::remove(&self.tape(tape, "json"))? {
            self.metrics.pending.dec();
        }
        for number in self.pieces(tape)? {
            disk::remove(&self.tape(tape, &format!("{number}.pcm")))?;
        }
        Ok(())
    }

    /// Removes audio that became no recording.
    fn forget_audio(&self, recording: &Recording) -> Result<(), StoreError> {
        if !self.delete_now(&recording.id)? {
            disk::remove(&self.audible(recording.id.as_str()))?;
        }
        Ok(())
    }

    fn tape(&self, tape: &str, ending: &str) -> PathBuf {
        disk::with_ending(&self.folder.join(FOLDER), tape, ending)
    }
}

/// Whether a name is one that kamari gives to what it records: it becomes part of a path.
fn is_tape(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=TAPE_LIMIT).contains(&name.len()) && name.bytes().all(letter)
}
