//! What can go wrong with the folder of recordings.

use std::io;
use std::path::{Path, PathBuf};

use crate::invalid::Invalid;

/// Why the folder of recordings could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something in it cannot be read.
    #[error("{path} cannot be read: {cause}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// A file is not what kamari writes.
    #[error("{path} is damaged: {cause}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: serde_json::Error,
    },
    /// Something in it cannot be written; what was there before is still whole.
    #[error("{path} cannot be written: {cause}")]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// What a node gave is no audio that could be kept.
    #[error("a node gave no recording: {0}")]
    NoAudio(Invalid),
    /// There is no such recording.
    #[error("there is no such recording")]
    Gone,
    /// The process ends.
    #[error("kamari is stopping")]
    Stopping,
}

impl StoreError {
    pub(super) fn unwritable(path: &Path, cause: io::Error) -> Self {
        Self::Unwritable { path: path.to_owned(), cause }
    }
}
