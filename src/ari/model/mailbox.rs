//! Mailboxes: message counts that an application publishes.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;

/// Represents the state of a mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Name of the mailbox.
    pub name: String,
    /// Count of old messages in the mailbox.
    pub old_messages: i64,
    /// Count of new messages in the mailbox.
    pub new_messages: i64,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
