//! Bridges: the mixing or holding of the media of several channels.

use serde::{Deserialize, Serialize};

use crate::ari::wire::open_enum;
use crate::ari::wire::{Extra, Timestamp};

/// The merging of media from one or more channels. Everyone on the bridge receives the same audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bridge {
    /// Unique identifier for this bridge.
    pub id: String,
    /// Name of the current bridging technology.
    pub technology: String,
    /// Type of bridge technology.
    pub bridge_type: BridgeType,
    /// `stasis` for a bridge made by an application, `base` for one made by the dialplan.
    pub bridge_class: String,
    /// Entity that created the bridge.
    pub creator: String,
    /// Name the creator gave the bridge.
    pub name: String,
    /// Ids of channels participating in this bridge.
    pub channels: Vec<String>,
    /// The video mode the bridge is using. One of 'none', 'talker', 'sfu', or 'single'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_mode: Option<String>,
    /// The ID of the channel that is the source of video in this bridge, if one exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_source_id: Option<String>,
    /// Timestamp when bridge was created.
    pub creationtime: Timestamp,
    /// Bridge variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridgevars: Option<Extra>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// What a bridge does with the media of its channels.
    pub enum BridgeType {
        /// `mixing`.
        Mixing = "mixing",
        /// `holding`.
        Holding = "holding",
    }
}
