//! Message counts of mailboxes that the application publishes.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::Mailbox;

operations! {
    LIST = GET "/mailboxes" "mailboxes.list";
    GET = GET "/mailboxes/{mailboxName}" "mailboxes.get";
    UPDATE = PUT "/mailboxes/{mailboxName}" "mailboxes.update";
    DELETE = DELETE "/mailboxes/{mailboxName}" "mailboxes.delete";
}

/// Operations on `/mailboxes`.
#[derive(Debug, Clone, Copy)]
pub struct Mailboxes<'a>(pub(super) &'a AriClient);

impl Mailboxes<'_> {
    /// List all mailboxes.
    pub async fn list(&self) -> Result<Vec<Mailbox>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Retrieve the current state of a mailbox.
    pub async fn get(&self, mailbox_name: &str) -> Result<Mailbox, AriError> {
        self.0.fetch(GET.at(&[mailbox_name])).await
    }

    /// Change the state of a mailbox. (Note - implicitly creates the mailbox).
    pub async fn update(&self, mailbox_name: &str, old_messages: u32, new_messages: u32) -> Result<(), AriError> {
        self.0
            .run(UPDATE.at(&[mailbox_name]).field("oldMessages", old_messages).field("newMessages", new_messages))
            .await
    }

    /// Destroy a mailbox.
    pub async fn delete(&self, mailbox_name: &str) -> Result<(), AriError> {
        self.0.run(DELETE.at(&[mailbox_name])).await
    }
}
