//! What is kept of a recording beside its audio.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::invalid::Invalid;

/// Longest name of a mailbox in bytes.
const MAILBOX_LIMIT: usize = 64;

/// A recording's name: 32 hexadecimal digits that nobody can guess. Safe in file names and URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordingId(Arc<str>);

impl RecordingId {
    /// A new one, at random.
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string().into())
    }

    /// Reads one; what is not exactly of its form is refused.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32 && text.bytes().all(digit) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new("id", "the id of a recording: 32 hexadecimal digits", text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RecordingId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<RecordingId> for String {
    fn from(id: RecordingId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks the name of a mailbox, as settings, callers and the API give it: 1 to 64 letters, digits and `. _ + -`.
pub fn check_mailbox(name: &str) -> Result<(), Invalid> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    if (1..=MAILBOX_LIMIT).contains(&name.len()) && name.bytes().all(letter) {
        return Ok(());
    }
    Err(Invalid::new("mailbox", "1 to 64 letters, digits, '.', '_', '+' or '-'", name))
}

/// What a recording is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Purpose {
    /// What a caller left in a mailbox of the tenant.
    Message {
        /// The mailbox.
        mailbox: Arc<str>,
        /// Where the message stands.
        state: MessageState,
    },
    /// What callers of a mailbox hear first; a mailbox has one at most, the newest.
    Greeting {
        /// The mailbox.
        mailbox: Arc<str>,
        /// Not accepted yet by whoever recorded it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        draft: bool,
    },
    /// What was said in a room, or a part of it.
    Room {
        /// The room's name within the tenant.
        room: Arc<str>,
        /// 1 for the first part; another follows when the room's home moved or kamari was restarted.
        part: u32,
    },
    /// A recording that the app `record` made.
    Note {
        /// The number that was dialled for it.
        extension: Arc<str>,
    },
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// The caller is still there and may yet throw it away. Nobody else sees it; it becomes `new` when he is gone.
    Draft,
    /// Not heard yet.
    New,
    /// Heard and kept.
    Saved,
}

/// A recording, without its audio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Its name.
    pub id: RecordingId,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// What it is.
    pub purpose: Purpose,
    /// Who was recorded, as the node saw his number.
    pub caller: Arc<str>,
    /// The SIP Call-ID of the recorded call, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<Arc<str>>,
    /// The node that recorded it.
    pub node: Arc<str>,
    /// When it was begun, in milliseconds of Unix time.
    pub started_ms: u64,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// Size of the audio file in bytes.
    pub bytes: u64,
    /// Whether nothing of it is missing. A part is missing while the node that has it is away, and for good when the node
    /// came back without it; and when kamari was away for so long that nobody recorded.
    pub whole: bool,
}

impl Recording {
    /// The mailbox of a message or greeting.
    pub fn mailbox(&self) -> Option<&Arc<str>> {
        match &self.purpose {
            Purpose::Message { mailbox, .. } | Purpose::Greeting { mailbox, .. } => Some(mailbox),
            Purpose::Room { .. } | Purpose::Note { .. } => None,
        }
    }

    /// Where a message stands; nothing if it is no message.
    pub fn state(&self) -> Option<MessageState> {
        match self.purpose {
            Purpose::Message { state, .. } => Some(state),
            _ => None,
        }
    }

    /// Whether its caller may still throw it away: nobody else sees it.
    pub fn is_draft(&self) -> bool {
        matches!(
            self.purpose,
            Purpose::Message { state: MessageState::Draft, .. } | Purpose::Greeting { draft: true, .. }
        )
    }

    /// The same, no longer a draft.
    pub(super) fn accepted(&self) -> Self {
        let mut accepted = self.clone();
        match &mut accepted.purpose {
            Purpose::Message { state, .. } if *state == MessageState::Draft => *state = MessageState::New,
            Purpose::Greeting { draft, .. } => *draft = false,
            _ => {}
        }
        accepted
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordingId, check_mailbox};

    #[test]
    fn an_id_is_one_segment_of_a_path_and_nothing_else() {
        let id = RecordingId::random();
        assert_eq!(RecordingId::parse(id.as_str()), Ok(id.clone()));
        for bad in ["", "..", "../../etc/passwd", &id.as_str()[1..], &id.as_str().replace(|_: char| true, "G")] {
            assert!(RecordingId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mailbox_is_a_plain_name() {
        for good in ["200", "alice", "+49.30-1_2"] {
            check_mailbox(good).expect(good);
        }
        for bad in ["", "a b", "a/b", "a\u{fc}", "\n", &"x".repeat(65)] {
            assert_eq!(check_mailbox(bad).expect_err("refused").field, "mailbox");
        }
    }
}
