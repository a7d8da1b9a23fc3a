//! What a caller does with what he has just said: keep it, hear it, say it again.

use super::ask_key;
use crate::apps::recorder::{Borrowed, Draft};
use crate::call::{AppError, Call, CallError};
use crate::media::{MediaUri, RecordingId};

/// How often nothing, or a key that means nothing, may be pressed.
const PATIENCE: u32 = 3;

/// What he decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Review {
    /// Keep it.
    Accept,
    /// Throw it away and record anew.
    Again,
    /// He pressed nothing that decides.
    Undecided,
}

/// What a key means after a recording.
fn decision(key: Option<char>) -> Option<Choice> {
    match key {
        Some('1') => Some(Choice::Accept),
        Some('2') => Some(Choice::Hear),
        Some('3') => Some(Choice::Again),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Accept,
    Hear,
    Again,
}

/// Asks until it is decided: 1 keeps it, 2 plays it, 3 records anew.
pub(super) async fn review(
    call: &mut Call,
    borrowed: &Borrowed,
    draft: &Draft,
    prompts: &[MediaUri],
) -> Result<Review, AppError> {
    let (mut tries, mut waiting) = (0, None);
    while tries < PATIENCE {
        let key = match waiting.take() {
            Some(key) => Some(key),
            None => ask_key(call, prompts).await?,
        };
        match decision(key) {
            Some(Choice::Accept) => return Ok(Review::Accept),
            Some(Choice::Again) => return Ok(Review::Again),
            Some(Choice::Hear) => waiting = hear(call, borrowed, &draft.recording.id).await?.key,
            None => tries += 1,
        }
    }
    Ok(Review::Undecided)
}

/// How a recording was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// The key that cut it short.
    pub(super) key: Option<char>,
    /// Whether it could be played.
    pub(super) played: bool,
}

/// Plays a recording, until a key is pressed. One that the node cannot play (deleted a moment ago) is passed over.
pub(super) async fn hear(call: &mut Call, borrowed: &Borrowed, id: &RecordingId) -> Result<Heard, CallError> {
    let playback = borrowed.start(call, id).await?;
    let key = tokio::select! {
        biased;
        key = call.digit() => Some(key?),
        played = playback.finished() => match played {
            Err(CallError::Media(_)) => return Ok(Heard { key: None, played: false }),
            played => { played?; None }
        },
    };
    playback.stop().await?;
    Ok(Heard { key, played: true })
}

#[cfg(test)]
mod tests {
    use super::{Choice, decision};

    #[test]
    fn three_keys_decide_and_no_other() {
        let keys = "1230*#ABCD456789".chars().map(|key| decision(Some(key)));
        let decided: Vec<_> = keys.flatten().collect();
        assert_eq!(decided, [Choice::Accept, Choice::Hear, Choice::Again]);
        assert_eq!(decision(None), None);
    }
}
