//! A caller recorded in pieces, so that what he said is off the node while he still speaks.
//!
//! Why it exists: a recording lies on its node until it is fetched, and Asterisk gives a file only when it is complete. A
//! node that dies takes it along. So a long recording is made of short ones, each of which can be fetched at once.
//!
//! How: one piece runs, the next is asked for already and waits on the node. It begins with the very sample after the last of
//! the one before: tried on 16.28 and 22.10 with noise, nothing is lost between them and nothing is there twice.
//!
//! Invariants:
//! - Whoever fetches is told of each piece when it begins and when it is complete.
//! - However it ends, the piece that waits is thrown away on the node, or is complete (and empty, after a hang-up) before
//!   the end is told.
//! - Silence is measured within a piece: one that spans two is noticed in the second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::error::CallError;
use super::handle::Call;
use super::recording::{Progress, RecordRequest, RecordingCore, TerminateOn, node_lost};
use super::view::Step;

/// How much longer than the silence that ends a recording its pieces are at least.
const BEYOND_SILENCE: Duration = Duration::from_secs(2);
/// How many numbers before the first of a tape that is taken up may be those of pieces that still run.
const BEFORE: u32 = 3;
/// Asterisk counts whole seconds.
const LEAST: Duration = Duration::from_secs(1);

/// A recording to be made in pieces, in the format `wav` (16-bit PCM, 8 kHz). No tone is played first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeRequest {
    /// An id of [`Call::new_id`] with [`Kind::Recording`](super::Kind::Recording); the pieces are `TAPE-0`, `TAPE-1`, ... on
    /// the node.
    pub tape: String,
    /// Number of the first piece: 0, unless another kamari began this tape.
    pub first: u32,
    /// Length of a piece, in whole seconds. It may last up to a second longer.
    pub piece: Duration,
    /// Longest recording, in whole seconds; it may last up to two seconds longer.
    pub max_duration: Duration,
    /// Silence that ends the recording, in whole seconds.
    pub max_silence: Option<Duration>,
    /// Keys that end the recording.
    pub terminate_on: TerminateOn,
}

/// What is told of a piece, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The caller is being recorded to it.
    Begun(u32),
    /// It is complete and lies on the node.
    Ended(u32),
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapeEnd {
    /// The caller pressed this key.
    Key(char),
    /// He was silent for so long, or somebody else stopped it.
    Silence,
    /// It has its longest length.
    Full,
    /// The call is over. Every further step of it fails with `HungUp`.
    HungUp,
}

impl TapeRequest {
    /// The name of a piece on the node.
    pub fn name(tape: &str, number: u32) -> String {
        format!("{tape}-{number}")
    }

    /// How long pieces are: so long that the silence fits in.
    fn piece_length(&self) -> Duration {
        let least = self.max_silence.map_or(LEAST, |silence| silence + BEYOND_SILENCE);
        self.piece.max(least)
    }

    fn piece(&self, number: u32, length: Duration) -> RecordRequest {
        RecordRequest {
            max_silence: self.max_silence,
            terminate_on: self.terminate_on,
            beep: false,
            ..RecordRequest::new(Self::name(&self.tape, number), length)
        }
    }
}

/// The length of the piece that begins when `recorded` of at most `most` are there; nothing if there is no room for one.
fn next_length(piece: Duration, most: Duration, recorded: Duration) -> Option<Duration> {
    let left = Duration::from_secs(most.saturating_sub(recorded).as_secs());
    (left >= LEAST).then(|| left.min(piece))
}

impl Call {
    /// Records the caller until he presses a key of `terminate_on`, is silent for `max_silence`, `max_duration` is reached, or
    /// the call is over; all of these are `Ok`. `told` hears of every piece at once, and must not wait.
    ///
    /// Keys that were pressed before are forgotten, and so are those that are pressed meanwhile, the one that ends it
    /// included. What is being played is stopped first. The pieces stay on the node until somebody fetches and removes them,
    /// whatever comes of the call; also when the wait is dropped, or fails because the node is lost.
    pub async fn record_tape(
        &mut self,
        request: &TapeRequest,
        mut told: impl FnMut(Piece) + Send,
    ) -> Result<TapeEnd, CallError> {
        let mut length = request.piece_length().min(request.max_duration.max(LEAST));
        let piece = request.piece(request.first, length);
        piece.validate().map_err(|_| CallError::Misuse("a tape's name, duration or silence is out of range"))?;
        self.forget_digits();
        let core = Arc::clone(&self.core);
        let start = Instant::now();
        let mut running = tokio::select! {
            begun = core.start_recording(&piece) => begun?,
            error = node_lost(&core) => return Err(error),
        };
        let mut number = request.first;
        loop {
            told(Piece::Begun(number));
            let next_length = next_length(request.piece_length(), request.max_duration, start.elapsed() + length);
            let next = match next_length {
                Some(length) => Self::queue(&core, &request.piece(number + 1, length)).await?,
                None => None,
            };
            let progress = core.recorded(&running, length).await;
            core.site.forget(&running.name);
            let early = match progress? {
                Progress::Done { duration, .. } => duration.is_some_and(|duration| duration < length),
                Progress::Failed(cause) if core.end().is_none() => return Err(CallError::Recording(cause)),
                _ => true,
            };
            told(Piece::Ended(number));
            let key = self.ended_by(request.terminate_on);
            let end = match (core.end(), key, early) {
                (Some(_), _, _) => TapeEnd::HungUp,
                (None, Some(key), _) => TapeEnd::Key(key),
                (None, None, true) => TapeEnd::Silence,
                (None, None, false) => TapeEnd::Full,
            };
            match (end, next, next_length) {
                (TapeEnd::Full, Some(next), Some(its_length)) => {
                    (running, length) = (next, its_length);
                    number += 1;
                }
                (end, next, _) => {
                    if let Some(next) = next {
                        throw_away(&core, &next).await;
                    }
                    core.step(Step::Recorded);
                    return Ok(end);
                }
            }
        }
    }

    /// Whether a piece that another kamari asked for before this request still runs. Not known is no: then something may be
    /// missing between that piece and the request's first.
    pub async fn is_taped(&self, request: &TapeRequest) -> bool {
        let link = self.core.site.link();
        for number in request.first.saturating_sub(BEFORE)..request.first {
            if link.ari.recordings().live(&TapeRequest::name(&request.tape, number)).await.is_ok() {
                return true;
            }
        }
        false
    }

    /// Asks for the next piece. That the call is over meanwhile is no failure of the one that runs.
    async fn queue(core: &Arc<Core>, piece: &RecordRequest) -> Result<Option<Arc<RecordingCore>>, CallError> {
        match core.queue_recording(piece).await {
            Ok(next) => Ok(Some(next)),
            Err(CallError::HungUp(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Ends a piece that nobody wants. After a hang-up the node completes it by itself, empty; whoever fetches removes it.
async fn throw_away(core: &Core, piece: &RecordingCore) {
    let ended = if core.end().is_some() {
        core.recorded(piece, Duration::ZERO).await.map(|_| ())
    } else {
        piece.cancel(&core.site).await.map_err(CallError::Ari)
    };
    core.site.forget(&piece.name);
    if let Err(error) = ended {
        tracing::debug!(node = %core.site.name, call = %core.id, %error, "the last piece of a recording was not ended");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TapeRequest, TerminateOn, next_length};

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn pieces_fill_the_recording_and_no_more() {
        assert_eq!(next_length(seconds(5), seconds(60), seconds(5)), Some(seconds(5)));
        assert_eq!(next_length(seconds(5), seconds(12), Duration::from_millis(9_100)), Some(seconds(2)));
        assert_eq!(next_length(seconds(5), seconds(10), Duration::from_millis(9_100)), None);
        assert_eq!(next_length(seconds(5), seconds(10), seconds(11)), None);
    }

    #[test]
    fn the_silence_that_ends_a_recording_fits_into_a_piece() {
        let mut request = TapeRequest {
            tape: "kamari-recording-0-1".to_owned(),
            first: 0,
            piece: seconds(5),
            max_duration: seconds(60),
            max_silence: Some(seconds(2)),
            terminate_on: TerminateOn::Hash,
        };
        assert_eq!(request.piece_length(), seconds(5));
        request.max_silence = Some(seconds(8));
        assert_eq!(request.piece_length(), seconds(10));
        request.piece(3, seconds(10)).validate().expect("a good name");
        assert_eq!(TapeRequest::name(&request.tape, 3), "kamari-recording-0-1-3");
    }
}
