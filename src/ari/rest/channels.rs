//! Channels: making, answering, steering and ending them.

use serde::Serialize;

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::{Channel, LiveRecording, Playback, RtpStatistics, Variable, Variables};
use crate::ari::wire::Extra;

operations! {
    LIST = GET "/channels" "channels.list";
    ORIGINATE = POST "/channels" "channels.originate";
    CREATE = POST "/channels/create" "channels.create";
    GET = GET "/channels/{channelId}" "channels.get";
    ORIGINATE_WITH_ID = POST "/channels/{channelId}" "channels.originate_with_id";
    HANGUP = DELETE "/channels/{channelId}" "channels.hangup";
    CONTINUE_IN_DIALPLAN = POST "/channels/{channelId}/continue" "channels.continue_in_dialplan";
    MOVE_TO = POST "/channels/{channelId}/move" "channels.move_to";
    REDIRECT = POST "/channels/{channelId}/redirect" "channels.redirect";
    ANSWER = POST "/channels/{channelId}/answer" "channels.answer";
    RING = POST "/channels/{channelId}/ring" "channels.ring";
    RING_STOP = DELETE "/channels/{channelId}/ring" "channels.ring_stop";
    PROGRESS = POST "/channels/{channelId}/progress" "channels.progress";
    SEND_DTMF = POST "/channels/{channelId}/dtmf" "channels.send_dtmf";
    MUTE = POST "/channels/{channelId}/mute" "channels.mute";
    UNMUTE = DELETE "/channels/{channelId}/mute" "channels.unmute";
    HOLD = POST "/channels/{channelId}/hold" "channels.hold";
    UNHOLD = DELETE "/channels/{channelId}/hold" "channels.unhold";
    START_MOH = POST "/channels/{channelId}/moh" "channels.start_moh";
    STOP_MOH = DELETE "/channels/{channelId}/moh" "channels.stop_moh";
    START_SILENCE = POST "/channels/{channelId}/silence" "channels.start_silence";
    STOP_SILENCE = DELETE "/channels/{channelId}/silence" "channels.stop_silence";
    PLAY = POST "/channels/{channelId}/play" "channels.play";
    PLAY_WITH_ID = POST "/channels/{channelId}/play/{playbackId}" "channels.play_with_id";
    RECORD = POST "/channels/{channelId}/record" "channels.record";
    VARIABLE = GET "/channels/{channelId}/variable" "channels.variable";
    SET_VARIABLE = POST "/channels/{channelId}/variable" "channels.set_variable";
    VARIABLES = GET "/channels/{channelId}/variables" "channels.variables";
    SET_VARIABLES = POST "/channels/{channelId}/variables" "channels.set_variables";
    SNOOP = POST "/channels/{channelId}/snoop" "channels.snoop";
    SNOOP_WITH_ID = POST "/channels/{channelId}/snoop/{snoopId}" "channels.snoop_with_id";
    DIAL = POST "/channels/{channelId}/dial" "channels.dial";
    RTP_STATISTICS = GET "/channels/{channelId}/rtp_statistics" "channels.rtp_statistics";
    EXTERNAL_MEDIA = POST "/channels/externalMedia" "channels.external_media";
    TRANSFER_PROGRESS = POST "/channels/{channelId}/transfer_progress" "channels.transfer_progress";
}

/// Operations on `/channels`.
#[derive(Debug, Clone, Copy)]
pub struct Channels<'a>(pub(super) &'a AriClient);

impl Channels<'_> {
    /// List all active channels in Asterisk.
    pub async fn list(&self) -> Result<Vec<Channel>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Create a new channel (originate).
    ///
    /// The new channel is created immediately and a snapshot of it returned. If a Stasis application is provided it
    /// will be automatically subscribed to the originated channel for further events and updates.
    pub async fn originate(&self, originate: &Originate) -> Result<Channel, AriError> {
        self.0.fetch(ORIGINATE.at(&[]).json(originate)).await
    }

    /// Make a channel and hand it to the application at once, in state `Down`. [`Channels::dial`] calls the endpoint.
    pub async fn create(&self, create: &Create) -> Result<Channel, AriError> {
        self.0.fetch(CREATE.at(&[]).json(create)).await
    }

    /// Channel details.
    pub async fn get(&self, channel_id: &str) -> Result<Channel, AriError> {
        self.0.fetch(GET.at(&[channel_id])).await
    }

    /// Create a new channel (originate with id).
    ///
    /// The new channel is created immediately and a snapshot of it returned. If a Stasis application is provided it
    /// will be automatically subscribed to the originated channel for further events and updates.
    pub async fn originate_with_id(&self, channel_id: &str, originate: &Originate) -> Result<Channel, AriError> {
        self.0.fetch(ORIGINATE_WITH_ID.at(&[channel_id]).json(originate)).await
    }

    /// Hang up a channel. `cause` is a hang-up cause of Q.850, which the channel driver turns into its own (a SIP status
    /// for a channel that is not yet answered); `None` is normal clearing.
    pub async fn hangup(&self, channel_id: &str, cause: Option<u16>) -> Result<(), AriError> {
        let cause = cause.map(|cause| cause.to_string());
        self.0.run(HANGUP.at(&[channel_id]).query("reason_code", cause.as_deref())).await
    }

    /// Exit the application; go on in the dialplan.
    pub async fn continue_in_dialplan(&self, channel_id: &str, position: &ContinueInDialplan) -> Result<(), AriError> {
        self.0.run(CONTINUE_IN_DIALPLAN.at(&[channel_id]).json(position)).await
    }

    /// Move the channel from one Stasis application to another.
    pub async fn move_to(&self, channel_id: &str, app: &str, app_args: Option<&str>) -> Result<(), AriError> {
        self.0.run(MOVE_TO.at(&[channel_id]).field("app", app).field("appArgs", app_args)).await
    }

    /// Redirect the channel to a different location.
    pub async fn redirect(&self, channel_id: &str, endpoint: &str) -> Result<(), AriError> {
        self.0.run(REDIRECT.at(&[channel_id]).field("endpoint", endpoint)).await
    }

    /// Answer a channel.
    pub async fn answer(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(ANSWER.at(&[channel_id])).await
    }

    /// Indicate ringing to a channel.
    pub async fn ring(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(RING.at(&[channel_id])).await
    }

    /// Stop ringing indication on a channel if locally generated.
    pub async fn ring_stop(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(RING_STOP.at(&[channel_id])).await
    }

    /// Indicate progress on a channel.
    ///
    /// Asterisk 22.6.0, 21.11.0, 20.16.0 and later.
    pub async fn progress(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(PROGRESS.at(&[channel_id])).await
    }

    /// Send provided DTMF to a given channel.
    pub async fn send_dtmf(&self, channel_id: &str, dtmf: &SendDtmf) -> Result<(), AriError> {
        self.0.run(SEND_DTMF.at(&[channel_id]).json(dtmf)).await
    }

    /// Mute a channel: `in` from the far end, `out` to it, or `both`.
    pub async fn mute(&self, channel_id: &str, direction: &str) -> Result<(), AriError> {
        self.0.run(MUTE.at(&[channel_id]).field("direction", direction)).await
    }

    /// Unmute a channel: `in` from the far end, `out` to it, or `both`.
    pub async fn unmute(&self, channel_id: &str, direction: &str) -> Result<(), AriError> {
        self.0.run(UNMUTE.at(&[channel_id]).query("direction", [direction])).await
    }

    /// Hold a channel.
    pub async fn hold(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(HOLD.at(&[channel_id])).await
    }

    /// Remove a channel from hold.
    pub async fn unhold(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(UNHOLD.at(&[channel_id])).await
    }

    /// Play music on hold to a channel.
    ///
    /// Using media operations such as /play on a channel playing MOH in this manner will suspend MOH without
    /// resuming automatically. If continuing music on hold is desired, the stasis application must reinitiate music
    /// on hold.
    pub async fn start_moh(&self, channel_id: &str, moh_class: Option<&str>) -> Result<(), AriError> {
        self.0.run(START_MOH.at(&[channel_id]).field("mohClass", moh_class)).await
    }

    /// Stop playing music on hold to a channel.
    pub async fn stop_moh(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(STOP_MOH.at(&[channel_id])).await
    }

    /// Play silence to a channel.
    ///
    /// Using media operations such as /play on a channel playing silence in this manner will suspend silence
    /// without resuming automatically.
    pub async fn start_silence(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(START_SILENCE.at(&[channel_id])).await
    }

    /// Stop playing silence to a channel.
    pub async fn stop_silence(&self, channel_id: &str) -> Result<(), AriError> {
        self.0.run(STOP_SILENCE.at(&[channel_id])).await
    }

    /// Start playback of media.
    ///
    /// The media URI may be any of a number of URIs. Currently sound:, recording:, number:, digits:, characters:,
    /// and tone: URIs are supported. This operation creates a playback resource that can be used to control the
    /// playback of media (pause, rewind, fast forward, etc.).
    pub async fn play(&self, channel_id: &str, play: &Play) -> Result<Playback, AriError> {
        self.0.fetch(PLAY.at(&[channel_id]).json(play)).await
    }

    /// Start playback of media and specify the playbackId.
    ///
    /// The media URI may be any of a number of URIs. Currently sound:, recording:, number:, digits:, characters:,
    /// and tone: URIs are supported. This operation creates a playback resource that can be used to control the
    /// playback of media (pause, rewind, fast forward, etc.).
    pub async fn play_with_id(&self, channel_id: &str, playback_id: &str, play: &Play) -> Result<Playback, AriError> {
        self.0.fetch(PLAY_WITH_ID.at(&[channel_id, playback_id]).json(play)).await
    }

    /// Start a recording.
    ///
    /// Record audio from a channel. Note that this will not capture audio sent to the channel. The bridge itself
    /// has a record feature if that's what you want.
    pub async fn record(&self, channel_id: &str, record: &Record) -> Result<LiveRecording, AriError> {
        self.0.fetch(RECORD.at(&[channel_id]).json(record)).await
    }

    /// Get the value of a channel variable or function.
    pub async fn variable(&self, channel_id: &str, variable: &str) -> Result<Variable, AriError> {
        self.0.fetch(VARIABLE.at(&[channel_id]).query("variable", [variable])).await
    }

    /// Set the value of a channel variable or function. Asterisk 16 answers before it is set; `ChannelVarset` tells. To have it reported in events, use [`Channels::set_variables`].
    pub async fn set_variable(&self, channel_id: &str, variable: &str, value: &str) -> Result<(), AriError> {
        self.0.run(SET_VARIABLE.at(&[channel_id]).field("variable", variable).field("value", value)).await
    }

    /// Get the value of multiple channel variables or functions.
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn variables(&self, channel_id: &str, variables: &[&str]) -> Result<Variables, AriError> {
        self.0.fetch(VARIABLES.at(&[channel_id]).query("variables", variables.iter().copied())).await
    }

    /// Set the values of multiple channel variables or functions: each value a string, or an object of `value` and
    /// `report_events`.
    ///
    /// Asterisk 20.20.0, 22.10.0, 23.4.0 and later.
    pub async fn set_variables(&self, channel_id: &str, variables: &Extra) -> Result<(), AriError> {
        self.0.run(SET_VARIABLES.at(&[channel_id]).field("variables", variables.clone())).await
    }

    /// Start snooping.
    ///
    /// Snoop (spy/whisper) on a specific channel.
    pub async fn snoop(&self, channel_id: &str, snoop: &Snoop) -> Result<Channel, AriError> {
        self.0.fetch(SNOOP.at(&[channel_id]).json(snoop)).await
    }

    /// Start snooping.
    ///
    /// Snoop (spy/whisper) on a specific channel.
    pub async fn snoop_with_id(&self, channel_id: &str, snoop_id: &str, snoop: &Snoop) -> Result<Channel, AriError> {
        self.0.fetch(SNOOP_WITH_ID.at(&[channel_id, snoop_id]).json(snoop)).await
    }

    /// Dial a created channel.
    pub async fn dial(&self, channel_id: &str, dial: &Dial) -> Result<(), AriError> {
        self.0.run(DIAL.at(&[channel_id]).json(dial)).await
    }

    /// RTP stats on a channel.
    pub async fn rtp_statistics(&self, channel_id: &str) -> Result<RtpStatistics, AriError> {
        self.0.fetch(RTP_STATISTICS.at(&[channel_id])).await
    }

    /// Start an External Media session.
    ///
    /// Create a channel to an External Media source/sink. The combination of transport and encapsulation will
    /// select one of `chan_rtp(udp/rtp)`, `chan_audiosocket(tcp/audiosocket)` or `chan_websocket(websocket/none)` channel
    /// drivers.
    pub async fn external_media(&self, media: &ExternalMedia) -> Result<Channel, AriError> {
        self.0.fetch(EXTERNAL_MEDIA.at(&[]).json(media)).await
    }

    /// Inform the channel about the progress of the attended/blind transfer.
    ///
    /// Asterisk 22.3.0, 21.8.0, 20.13.0 and later.
    pub async fn transfer_progress(&self, channel_id: &str, states: &str) -> Result<(), AriError> {
        self.0.run(TRANSFER_PROGRESS.at(&[channel_id]).field("states", states)).await
    }
}

/// A call to be placed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Originate {
    /// Endpoint to call.
    pub endpoint: String,
    /// The extension to dial after the endpoint answers. Mutually exclusive with 'app'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The context to dial after the endpoint answers. If omitted, uses 'default'. Mutually exclusive with 'app'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The priority to dial after the endpoint answers. If omitted, uses 1. Mutually exclusive with 'app'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The label to dial after the endpoint answers. Will supersede 'priority' if provided. Mutually exclusive with
    /// 'app'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The application that is subscribed to the originated channel. When the channel is answered, it will be
    /// passed to this Stasis application. Mutually exclusive with 'context', 'extension', 'priority', and 'label'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The application arguments to pass to the Stasis application provided by 'app'. Mutually exclusive with
    /// 'context', 'extension', 'priority', and 'label'.
    #[serde(rename = "appArgs", skip_serializing_if = "Option::is_none")]
    pub app_args: Option<String>,
    /// `CallerID` to use when dialing the endpoint or extension.
    #[serde(rename = "callerId", skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// Timeout (in seconds) before giving up dialing, or -1 for no timeout. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
    /// The unique id to assign the second channel when using local channels.
    #[serde(rename = "otherChannelId", skip_serializing_if = "Option::is_none")]
    pub other_channel_id: Option<String>,
    /// The unique id of the channel which is originating this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub originator: Option<String>,
    /// The format name capability list to use if originator is not specified. Ex. "ulaw,slin16". Format names can
    /// be found with "core show codecs".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<String>,
}

/// A channel to be made and not yet dialled.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Create {
    /// Endpoint for channel communication.
    pub endpoint: String,
    /// Stasis Application to place channel into.
    pub app: String,
    /// The application arguments to pass to the Stasis application provided by 'app'. Mutually exclusive with
    /// 'context', 'extension', 'priority', and 'label'.
    #[serde(rename = "appArgs", skip_serializing_if = "Option::is_none")]
    pub app_args: Option<String>,
    /// The unique id to assign the channel on creation.
    #[serde(rename = "channelId", skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// The unique id to assign the second channel when using local channels.
    #[serde(rename = "otherChannelId", skip_serializing_if = "Option::is_none")]
    pub other_channel_id: Option<String>,
    /// Unique ID of the calling channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub originator: Option<String>,
    /// The format name capability list to use if originator is not specified. Ex. "ulaw,slin16". Format names can
    /// be found with "core show codecs".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formats: Option<String>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}

/// Where in the dialplan a channel goes on; where it left when nothing is given.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ContinueInDialplan {
    /// The context to continue to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The extension to continue to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The priority to continue to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// The label to continue to - will supersede 'priority' if both are provided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// DTMF to be sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SendDtmf {
    /// DTMF To send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtmf: Option<String>,
    /// Amount of time to wait before DTMF digits (specified in milliseconds) start. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// Amount of time in between DTMF digits (specified in milliseconds). Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between: Option<u32>,
    /// Length of each DTMF digit (specified in milliseconds). Default: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<u32>,
    /// Amount of time to wait after DTMF digits (specified in milliseconds) end. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

/// Media to be played to a channel.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Play {
    /// Media URIs to play.
    pub media: Vec<String>,
    /// For sounds, selects language for sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Number of milliseconds to skip before playing. Only applies to the first URI if multiple media URIs are
    /// specified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsetms: Option<u32>,
    /// Number of milliseconds to skip for forward/reverse operations. Default: 3000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipms: Option<u32>,
}

/// A recording to be made of a channel.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// Recording's filename.
    pub name: String,
    /// Format to encode audio in.
    pub format: String,
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

/// How to listen to, or speak into, a channel.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Snoop {
    /// Direction of audio to spy on. Default: none. One of `none`, `both`, `out`, `in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spy: Option<String>,
    /// Direction of audio to whisper into. Default: none. One of `none`, `both`, `out`, `in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper: Option<String>,
    /// Application the snooping channel is placed into.
    pub app: String,
    /// The application arguments to pass to the Stasis application.
    #[serde(rename = "appArgs", skip_serializing_if = "Option::is_none")]
    pub app_args: Option<String>,
}

/// How a created channel is dialled.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dial {
    /// Channel ID of caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// How long to ring, in seconds; 0 for no limit. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
}

/// A media stream to or from another server.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExternalMedia {
    /// The unique id to assign the channel on creation.
    #[serde(rename = "channelId", skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// Stasis Application to place channel into.
    pub app: String,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
    /// Hostname/ip:port or `websocket_client` connection ID of external host. May be empty for a websocket server
    /// connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_host: Option<String>,
    /// Payload encapsulation protocol. Must be 'none' for the websocket transport. Default: rtp. One of `rtp`,
    /// `audiosocket`, `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encapsulation: Option<String>,
    /// Transport protocol. Default: udp. One of `udp`, `tcp`, `websocket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Connection type (client/server). 'server' is only valid for the websocket transport. Default: client. One of
    /// `client`, `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_type: Option<String>,
    /// Format to encode audio in.
    pub format: String,
    /// External media direction. Default: both. One of `both`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// An arbitrary data field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Transport-specific data. For websocket this is appended to the dialstring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport_data: Option<String>,
}
