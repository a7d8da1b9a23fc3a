//! Voicemail: callers leave messages (`voicemail`), and their owner hears them (`mailbox`).
//!
//! A mailbox is a name within a tenant; there is nothing to create. Messages and greetings are recordings
//! ([`Recorder`](super::Recorder)), so they are on no node, and any node can play them.
//!
//! What is spoken is what a node's own standard sounds say (Debian's `asterisk-core-sounds-*`, free to ship, no tenant's
//! data); every prompt can be replaced by one of the prompts folder. A prompt that a node cannot play is passed over: a
//! caller can leave his message all the same.

mod leave;
mod listen;
mod review;

use std::time::Duration;

pub use leave::Voicemail;
pub use listen::Mailbox;

use super::recorder::Recorder;
use crate::call::{AppError, Call, CallError, Gather};
use crate::media::MediaUri;

/// How long a caller may think about one key.
const THINK: Duration = Duration::from_secs(5);

/// Plays prompts; one that the node cannot play is passed over.
pub(super) async fn say(call: &Call, prompts: &[MediaUri]) -> Result<(), CallError> {
    if prompts.is_empty() {
        return Ok(());
    }
    pass_over(call, call.play(prompts).await)
}

/// Plays prompts and takes digits, which cut the prompts short.
async fn ask(call: &mut Call, prompts: &[MediaUri], max_digits: usize) -> Result<String, CallError> {
    let mut asked = Gather {
        prompts: prompts.iter().map(ToString::to_string).collect(),
        max_digits,
        terminator: (max_digits > 1).then_some('#'),
        first_digit_timeout: THINK,
        ..Gather::default()
    };
    match call.gather(&asked).await {
        Err(CallError::Media(media)) => {
            pass_over(call, Err(CallError::Media(media)))?;
            asked.prompts.clear();
            call.gather(&asked).await.map(|gathered| gathered.digits)
        }
        gathered => gathered.map(|gathered| gathered.digits),
    }
}

/// Plays prompts and takes one key; nothing if none is pressed.
async fn ask_key(call: &mut Call, prompts: &[MediaUri]) -> Result<Option<char>, CallError> {
    ask(call, prompts, 1).await.map(|digits| digits.chars().next())
}

fn pass_over(call: &Call, played: Result<(), CallError>) -> Result<(), CallError> {
    match played {
        Err(CallError::Media(media)) => {
            tracing::warn!(node = %call.node(), call = call.id(), media, "a prompt cannot be played; the call goes on");
            Ok(())
        }
        played => played,
    }
}

/// The recorder of an app that was built to serve calls.
fn in_service(recorder: Option<&Recorder>) -> Result<&Recorder, AppError> {
    recorder.ok_or_else(|| AppError::other("nothing records here"))
}
