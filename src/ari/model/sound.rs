//! Sounds installed on a node.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;

/// A media file that may be played back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sound {
    /// Sound's identifier.
    pub id: String,
    /// Text description of the sound, usually the words spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The formats and languages in which this sound is available.
    pub formats: Vec<FormatLangPair>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Identifies the format and language of a sound file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormatLangPair {
    /// Language.
    pub language: String,
    /// Format, as in the file's suffix.
    pub format: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
