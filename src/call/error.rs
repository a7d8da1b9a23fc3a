//! What a step of a call can come to, other than its result.

use super::cause::Cause;
use super::view::End;
use crate::ari::AriError;

/// Why a step of a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The call is over. The ordinary end of most calls: an app passes it on with `?`.
    #[error("the call is over: {0}")]
    HungUp(End),
    /// The node refused a request, or did not answer it.
    #[error("the node refused or did not answer: {0}")]
    Ari(#[from] AriError),
    /// Media could not be played: it does not exist, or the node could not fetch or decode it.
    #[error("{0} cannot be played")]
    Media(String),
    /// The caller could not be recorded: what the node said.
    #[error("the caller cannot be recorded: {0}")]
    Recording(String),
    /// Something that the node had to report did not come in time.
    #[error("the node did not report {0} in time")]
    Silent(&'static str),
    /// An app wants to keep more than a channel variable takes.
    #[error("the state to be saved is too long")]
    StateTooLong,
    /// The operation is not for this call: what was asked, and why not.
    #[error("{0}")]
    Misuse(&'static str),
}

/// Why an app gave up.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A step of the call did not succeed, or the call is over.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Something of the app's own.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl AppError {
    /// An app's own error.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl End {
    /// The cause with which a call that ended so is hung up, where kamari hangs it up.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::App { cause } | Self::Refused { cause } => *cause,
            Self::Failed { .. } => Cause::FAILURE,
            _ => Cause::NORMAL,
        }
    }
}
