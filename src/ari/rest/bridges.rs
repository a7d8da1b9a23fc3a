//! Bridges: creating them, moving channels in and out, playing to and recording all who are in.

use serde::Serialize;

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::{Bridge, LiveRecording, Playback, Variable, Variables};
use crate::ari::wire::Extra;

operations! {
    LIST = GET "/bridges" "bridges.list";
    CREATE = POST "/bridges" "bridges.create";
    CREATE_WITH_ID = POST "/bridges/{bridgeId}" "bridges.create_with_id";
    GET = GET "/bridges/{bridgeId}" "bridges.get";
    DESTROY = DELETE "/bridges/{bridgeId}" "bridges.destroy";
    VARIABLE = GET "/bridges/{bridgeId}/variable" "bridges.variable";
    SET_VARIABLE = POST "/bridges/{bridgeId}/variable" "bridges.set_variable";
    VARIABLES = GET "/bridges/{bridgeId}/variables" "bridges.variables";
    SET_VARIABLES = POST "/bridges/{bridgeId}/variables" "bridges.set_variables";
    ADD_CHANNEL = POST "/bridges/{bridgeId}/addChannel" "bridges.add_channel";
    REMOVE_CHANNEL = POST "/bridges/{bridgeId}/removeChannel" "bridges.remove_channel";
    SET_VIDEO_SOURCE = POST "/bridges/{bridgeId}/videoSource/{channelId}" "bridges.set_video_source";
    CLEAR_VIDEO_SOURCE = DELETE "/bridges/{bridgeId}/videoSource" "bridges.clear_video_source";
    START_MOH = POST "/bridges/{bridgeId}/moh" "bridges.start_moh";
    STOP_MOH = DELETE "/bridges/{bridgeId}/moh" "bridges.stop_moh";
    PLAY = POST "/bridges/{bridgeId}/play" "bridges.play";
    PLAY_WITH_ID = POST "/bridges/{bridgeId}/play/{playbackId}" "bridges.play_with_id";
    RECORD = POST "/bridges/{bridgeId}/record" "bridges.record";
}

/// Operations on `/bridges`.
#[derive(Debug, Clone, Copy)]
pub struct Bridges<'a>(pub(super) &'a AriClient);

impl Bridges<'_> {
    /// List all active bridges in Asterisk.
    pub async fn list(&self) -> Result<Vec<Bridge>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Create a new bridge.
    ///
    /// This bridge persists until it has been shut down, or Asterisk has been shut down.
    pub async fn create(&self, bridge: &CreateBridge) -> Result<Bridge, AriError> {
        self.0.fetch(CREATE.at(&[]).json(bridge)).await
    }

    /// Create a new bridge.
    ///
    /// This bridge persists until it has been shut down, or Asterisk has been shut down.
    pub async fn create_with_id(&self, bridge_id: &str, bridge: &CreateBridge) -> Result<Bridge, AriError> {
        self.0.fetch(CREATE_WITH_ID.at(&[bridge_id]).json(bridge)).await
    }

    /// Get bridge details.
    pub async fn get(&self, bridge_id: &str) -> Result<Bridge, AriError> {
        self.0.fetch(GET.at(&[bridge_id])).await
    }

    /// Shut down a bridge.
    ///
    /// If any channels are in this bridge, they will be removed and resume whatever they were doing beforehand.
    pub async fn destroy(&self, bridge_id: &str) -> Result<(), AriError> {
        self.0.run(DESTROY.at(&[bridge_id])).await
    }

    /// Get the value of a bridge variable or function.
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn variable(&self, bridge_id: &str, variable: &str) -> Result<Variable, AriError> {
        self.0.fetch(VARIABLE.at(&[bridge_id]).query("variable", [variable])).await
    }

    /// Set the value of a bridge variable or function. To have it reported in events, use [`Bridges::set_variables`].
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn set_variable(&self, bridge_id: &str, variable: &str, value: &str) -> Result<(), AriError> {
        self.0.run(SET_VARIABLE.at(&[bridge_id]).field("variable", variable).field("value", value)).await
    }

    /// Get the value of multiple bridge variables or functions.
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn variables(&self, bridge_id: &str, variables: &[&str]) -> Result<Variables, AriError> {
        self.0.fetch(VARIABLES.at(&[bridge_id]).query("variables", variables.iter().copied())).await
    }

    /// Set the values of multiple bridge variables or functions: each value a string, or an object of `value` and
    /// `report_events`.
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn set_variables(&self, bridge_id: &str, variables: &Extra) -> Result<(), AriError> {
        self.0.run(SET_VARIABLES.at(&[bridge_id]).field("variables", variables.clone())).await
    }

    /// Add channels to a bridge. A channel that is gone gives 400, see [`AriError::is_gone`].
    pub async fn add_channel(&self, bridge_id: &str, add: &AddChannel) -> Result<(), AriError> {
        self.0.run(ADD_CHANNEL.at(&[bridge_id]).json(add)).await
    }

    /// Remove a channel from a bridge.
    pub async fn remove_channel(&self, bridge_id: &str, channels: &[&str]) -> Result<(), AriError> {
        self.0.run(REMOVE_CHANNEL.at(&[bridge_id]).field("channel", channels)).await
    }

    /// Set a channel as the video source in a multi-party mixing bridge. This operation has no effect on bridges
    /// with two or fewer participants.
    pub async fn set_video_source(&self, bridge_id: &str, channel_id: &str) -> Result<(), AriError> {
        self.0.run(SET_VIDEO_SOURCE.at(&[bridge_id, channel_id])).await
    }

    /// Removes any explicit video source in a multi-party mixing bridge. This operation has no effect on bridges
    /// with two or fewer participants. When no explicit video source is set, talk detection will be used to
    /// determine the active video stream.
    pub async fn clear_video_source(&self, bridge_id: &str) -> Result<(), AriError> {
        self.0.run(CLEAR_VIDEO_SOURCE.at(&[bridge_id])).await
    }

    /// Play music on hold to a bridge or change the MOH class that is playing.
    pub async fn start_moh(&self, bridge_id: &str, moh_class: Option<&str>) -> Result<(), AriError> {
        self.0.run(START_MOH.at(&[bridge_id]).field("mohClass", moh_class)).await
    }

    /// Stop playing music on hold to a bridge.
    ///
    /// This will only stop music on hold being played via POST bridges/{bridgeId}/moh.
    pub async fn stop_moh(&self, bridge_id: &str) -> Result<(), AriError> {
        self.0.run(STOP_MOH.at(&[bridge_id])).await
    }

    /// Start playback of media on a bridge.
    ///
    /// The media URI may be any of a number of URIs. Currently sound:, recording:, number:, digits:, characters:,
    /// and tone: URIs are supported. This operation creates a playback resource that can be used to control the
    /// playback of media (pause, rewind, fast forward, etc.).
    pub async fn play(&self, bridge_id: &str, play: &Play) -> Result<Playback, AriError> {
        self.0.fetch(PLAY.at(&[bridge_id]).json(play)).await
    }

    /// Start playback of media on a bridge.
    ///
    /// The media URI may be any of a number of URIs. Currently sound:, recording:, number:, digits:, characters:,
    /// and tone: URIs are supported. This operation creates a playback resource that can be used to control the
    /// playback of media (pause, rewind, fast forward, etc.).
    pub async fn play_with_id(&self, bridge_id: &str, playback_id: &str, play: &Play) -> Result<Playback, AriError> {
        self.0.fetch(PLAY_WITH_ID.at(&[bridge_id, playback_id]).json(play)).await
    }

    /// Start a recording.
    ///
    /// This records the mixed audio from all channels participating in this bridge.
    pub async fn record(&self, bridge_id: &str, record: &Record) -> Result<LiveRecording, AriError> {
        self.0.fetch(RECORD.at(&[bridge_id]).json(record)).await
    }
}

/// A bridge to be made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CreateBridge {
    /// Comma separated list of bridge type attributes (mixing, holding, `dtmf_events`, `proxy_media`, `video_sfu`,
    /// `video_single`, `sdp_label`).
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name to give to the bridge being created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}

/// Channels to be put into a bridge.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AddChannel {
    /// Ids of channels to add to bridge.
    pub channel: Vec<String>,
    /// Channel's role in the bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Absorb DTMF coming from this channel, preventing it to pass through to the bridge. Default: no.
    #[serde(rename = "absorbDTMF", skip_serializing_if = "Option::is_none")]
    pub absorb_dtmf: Option<bool>,
    /// Mute audio from this channel, preventing it to pass through to the bridge. Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<bool>,
    /// Do not present the identity of the newly connected channel to other bridge members. Default: no.
    #[serde(rename = "inhibitConnectedLineUpdates", skip_serializing_if = "Option::is_none")]
    pub inhibit_connected_line_updates: Option<bool>,
}

/// Media to be played to all in a bridge.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Play {
    /// Media URIs to play.
    pub media: Vec<String>,
    /// Format of the 'Announcer' channel attached to the bridge. Defaults to the format of the channel in the bridge
    /// with the highest sample rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announcer_format: Option<String>,
    /// For sounds, selects language for sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Number of milliseconds to skip before playing. Only applies to the first URI if multiple media URIs are
    /// specified. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsetms: Option<u32>,
    /// Number of milliseconds to skip for forward/reverse operations. Default: 3000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipms: Option<u32>,
}

/// A recording to be made of a bridge.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// Recording's filename.
    pub name: String,
    /// Format to encode audio in.
    pub format: String,
    /// Format of the 'Recorder' channel attached to the bridge. Defaults to the same format as the 'format'
    /// parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorder_format: Option<String>,
    /// Maximum duration of the recording, in seconds. 0 for no limit. Default: 0.
    #[serde(rename = "maxDurationSeconds", skip_serializing_if = "Option::is_none")]
    pub max_duration_seconds: Option<u32>,
    /// Maximum duration of silence, in seconds. 0 for no limit. Default: 0.
    #[serde(rename = "maxSilenceSeconds", skip_serializing_if = "Option::is_none")]
    pub max_silence_seconds: Option<u32>,
    /// Action to take if a recording with the same name already exists. Default: fail. One of `fail`, `overwrite`,
    /// `append`.
    #[serde(rename = "ifExists", skip_serializing_if = "Option::is_none")]
    pub if_exists: Option<String>,
    /// Play beep when recording begins. Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beep: Option<bool>,
    /// DTMF input to terminate recording. Default: none. One of `none`, `any`, `*`, `#`.
    #[serde(rename = "terminateOn", skip_serializing_if = "Option::is_none")]
    pub terminate_on: Option<String>,
}

impl AddChannel {
    /// One channel, with no role and nothing muted.
    pub fn of(channel_id: impl Into<String>) -> Self {
        Self { channel: vec![channel_id.into()], ..Self::default() }
    }
}
