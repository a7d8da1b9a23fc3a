//! Addresses under which a node was lent a recording: remembered over restarts until the node's cache has let go of it.

use super::{Recordings, StoreError, disk};
use crate::media::recordings::RecordingId;

/// The folder of the list.
pub(super) const FOLDER: &str = "lent";

/// An address that was given to a node. `token` is of a [`RecordingId`]'s form.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::media) struct Lent {
    pub(in crate::media) token: RecordingId,
    pub(in crate::media) node: String,
}

impl Recordings {
    /// Remembers an address before the node is told of it.
    pub(in crate::media) fn put_lent(&self, lent: &Lent) -> Result<(), StoreError> {
        disk::put_json(&disk::with_ending(&self.folder.join(FOLDER), lent.token.as_str(), "json"), lent)
    }

    /// The node's cache has nothing under this address any more.
    pub(in crate::media) fn remove_lent(&self, token: &RecordingId) -> Result<(), StoreError> {
        disk::remove(&disk::with_ending(&self.folder.join(FOLDER), token.as_str(), "json")).map(|_| ())
    }

    /// Every address of an earlier kamari.
    pub(in crate::media) fn lent(&self) -> Result<Vec<Lent>, StoreError> {
        let folder = self.folder.join(FOLDER);
        let mut found = Vec::new();
        for name in disk::names(&folder)? {
            match disk::read_json(&folder.join(name)) {
                Ok(lent) => found.push(lent),
                Err(error) => tracing::error!(%error, "the memory of a lent recording cannot be read"),
            }
        }
        Ok(found)
    }
}
