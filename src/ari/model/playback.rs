//! Playbacks: media being played to a channel or a bridge.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;
use crate::ari::wire::open_enum;

/// Object representing the playback of media to a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Playback {
    /// ID for this playback operation.
    pub id: String,
    /// The URI for the media currently being played back.
    pub media_uri: String,
    /// If a list of URIs is being played, the next media URI to be played back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_media_uri: Option<String>,
    /// URI for the channel or bridge to play the media on.
    pub target_uri: String,
    /// For media types that support multiple languages, the language requested for playback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Current state of the playback operation.
    pub state: PlaybackState,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// State of a playback.
    pub enum PlaybackState {
        /// `queued`.
        Queued = "queued",
        /// `playing`.
        Playing = "playing",
        /// `continuing`.
        Continuing = "continuing",
        /// `done`.
        Done = "done",
        /// `failed`.
        Failed = "failed",
    }
}
