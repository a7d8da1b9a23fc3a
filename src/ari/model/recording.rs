//! Recordings: running ones (live) and finished ones (stored).

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;
use crate::ari::wire::open_enum;

/// A recording that is in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveRecording {
    /// Base name for the recording.
    pub name: String,
    /// Recording format (wav, gsm, etc.).
    pub format: String,
    /// URI for the channel or bridge being recorded.
    pub target_uri: String,
    /// Its state.
    pub state: RecordingState,
    /// Duration in seconds of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    /// Duration of talking, in seconds, detected in the recording. This is only available if the recording was
    /// initiated with a non-zero maxSilenceSeconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talking_duration: Option<i64>,
    /// Duration of silence, in seconds, detected in the recording. This is only available if the recording was
    /// initiated with a non-zero maxSilenceSeconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_duration: Option<i64>,
    /// Cause for recording failure if failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A past recording that may be played back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRecording {
    /// Base name of the recording.
    pub name: String,
    /// Format and suffix of its file.
    pub format: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// State of a recording.
    pub enum RecordingState {
        /// `queued`.
        Queued = "queued",
        /// `recording`.
        Recording = "recording",
        /// `paused`.
        Paused = "paused",
        /// `done`.
        Done = "done",
        /// `failed`.
        Failed = "failed",
        /// `canceled`.
        Canceled = "canceled",
    }
}
