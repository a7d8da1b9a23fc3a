//! Events as they come over the event socket: one type per event of the node's own api-docs, decoded in one pass.
//!
//! A frame's `type` is read from its first bytes, then the frame is parsed once, straight into that type. An event that is
//! not known is no error: it is [`EventKind::Unknown`], with all it carried in [`Event::extra`]. A frame that is no JSON, or
//! lacks a property that makes it what it is, is a [`DecodeError`] that names it.

mod bridge;
mod channel;
mod decode;
mod endpoint;
mod media;
mod rest;
mod stasis;
mod transfer;

pub use bridge::*;
pub use channel::*;
pub use decode::{DecodeError, MissingParams, UnknownEvent};
pub use endpoint::*;
pub use media::*;
pub use rest::*;
pub use stasis::*;
pub use transfer::*;

use serde::Serialize;

use super::model::{Bridge, Channel, LiveRecording, Playback};
use super::wire::{Extra, Timestamp};

/// One event of a node. Shared as `Arc<Event>`: large, and read by several parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The Stasis application that the event was sent to. Empty in a `MissingParams` message, which has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// When it happened, by the node's clock. Absent only in a `MissingParams` message and in unknown events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The node's `entityid`; the same on several nodes unless they were given their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asterisk_id: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Properties that the event's type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Declares an event: its public type, with the properties of its own, and how a frame becomes an [`Event`] of it. The frame
/// is decoded into one flat private type, since flattening one struct into another would buffer every property.
macro_rules! event {
    ($(#[$doc:meta])* pub struct $Name:ident { $( $(#[$field_meta:meta])* pub $field:ident: $Type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $Name { $( $(#[$field_meta])* pub $field: $Type, )* }

        impl $Name {
            pub(super) fn decode(frame: &[u8]) -> Result<(super::decode::Envelope, Self), serde_json::Error> {
                #[derive(serde::Deserialize)]
                struct Frame {
                    #[serde(rename = "type")]
                    _type: serde::de::IgnoredAny,
                    application: String,
                    timestamp: crate::ari::wire::Timestamp,
                    asterisk_id: Option<String>,
                    $( $(#[$field_meta])* $field: $Type, )*
                    #[serde(flatten)]
                    extra: crate::ari::wire::Extra,
                }
                let frame: Frame = serde_json::from_slice(frame)?;
                let envelope = super::decode::Envelope {
                    application: frame.application,
                    timestamp: Some(frame.timestamp),
                    asterisk_id: frame.asterisk_id,
                    extra: frame.extra,
                };
                Ok((envelope, $Name { $( $field: frame.$field, )* }))
            }
        }
    };
}
use event;

/// Lists the events: builds [`EventKind`], its names, and the choice of decoder by a frame's `type`.
macro_rules! event_kinds {
    ($( $(#[$meta:meta])* $Name:ident = $wire:literal, )+) => {
        /// What happened: the event's type and its own properties.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "type")]
        pub enum EventKind {
            $(
                #[doc = concat!("See [`", stringify!($Name), "`].")]
                #[serde(rename = $wire)]
                $Name(Box<$Name>),
            )+
            /// An event type that this list does not know; all its properties are in [`Event::extra`].
            #[serde(untagged)]
            Unknown(UnknownEvent),
        }

        impl EventKind {
            /// Every event type known here, by Asterisk's name.
            pub const TYPES: &[&str] = &[$( $wire ),+];

            /// The event's type by Asterisk's name.
            pub fn name(&self) -> &str {
                match self {
                    $( Self::$Name(_) => $wire, )+
                    Self::Unknown(unknown) => &unknown.kind,
                }
            }

            fn decode(kind: &str, frame: &[u8]) -> Result<(decode::Envelope, Self), serde_json::Error> {
                match kind {
                    $( $wire => $Name::decode(frame).map(|(envelope, event)| (envelope, Self::$Name(Box::new(event)))), )+
                    _ => UnknownEvent::decode(frame).map(|(envelope, event)| (envelope, Self::Unknown(event))),
                }
            }
        }
    };
}

event_kinds! {
    ApplicationMoveFailed = "ApplicationMoveFailed",
    ApplicationRegistered = "ApplicationRegistered",
    ApplicationReplaced = "ApplicationReplaced",
    ApplicationUnregistered = "ApplicationUnregistered",
    BridgeAttendedTransfer = "BridgeAttendedTransfer",
    BridgeBlindTransfer = "BridgeBlindTransfer",
    BridgeCreated = "BridgeCreated",
    BridgeDestroyed = "BridgeDestroyed",
    BridgeMerged = "BridgeMerged",
    BridgeVideoSourceChanged = "BridgeVideoSourceChanged",
    CallBroadcast = "CallBroadcast",
    CallClaimed = "CallClaimed",
    ChannelCallerId = "ChannelCallerId",
    ChannelConnectedLine = "ChannelConnectedLine",
    ChannelCreated = "ChannelCreated",
    ChannelDestroyed = "ChannelDestroyed",
    ChannelDialplan = "ChannelDialplan",
    ChannelDtmfReceived = "ChannelDtmfReceived",
    ChannelEnteredBridge = "ChannelEnteredBridge",
    ChannelHangupRequest = "ChannelHangupRequest",
    ChannelHold = "ChannelHold",
    ChannelLeftBridge = "ChannelLeftBridge",
    ChannelStateChange = "ChannelStateChange",
    ChannelTalkingFinished = "ChannelTalkingFinished",
    ChannelTalkingStarted = "ChannelTalkingStarted",
    ChannelToneDetected = "ChannelToneDetected",
    ChannelTransfer = "ChannelTransfer",
    ChannelUnhold = "ChannelUnhold",
    ChannelUserevent = "ChannelUserevent",
    ChannelVarset = "ChannelVarset",
    ContactStatusChange = "ContactStatusChange",
    DeviceStateChanged = "DeviceStateChanged",
    Dial = "Dial",
    EndpointStateChange = "EndpointStateChange",
    MissingParams = "MissingParams",
    PeerStatusChange = "PeerStatusChange",
    PlaybackContinuing = "PlaybackContinuing",
    PlaybackFinished = "PlaybackFinished",
    PlaybackStarted = "PlaybackStarted",
    RecordingFailed = "RecordingFailed",
    RecordingFinished = "RecordingFinished",
    RecordingStarted = "RecordingStarted",
    RestResponse = "RESTResponse",
    StasisEnd = "StasisEnd",
    StasisStart = "StasisStart",
    TextMessageReceived = "TextMessageReceived",
}

impl Event {
    /// Decodes one frame of the event socket.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        decode::decode(frame)
    }

    /// The channel that the event is about. Of a `Dial` it is the dialled one; of a playback or recording it is not known as
    /// a channel but by id alone, see [`Event::channel_id`].
    pub fn channel(&self) -> Option<&Channel> {
        use EventKind as K;
        match &self.kind {
            K::ApplicationMoveFailed(event) => Some(&event.channel),
            K::BridgeAttendedTransfer(event) => Some(&event.transferer_first_leg),
            K::BridgeBlindTransfer(event) => Some(&event.channel),
            K::CallBroadcast(event) => Some(&event.channel),
            K::CallClaimed(event) => Some(&event.channel),
            K::ChannelCallerId(event) => Some(&event.channel),
            K::ChannelConnectedLine(event) => Some(&event.channel),
            K::ChannelCreated(event) => Some(&event.channel),
            K::ChannelDestroyed(event) => Some(&event.channel),
            K::ChannelDialplan(event) => Some(&event.channel),
            K::ChannelDtmfReceived(event) => Some(&event.channel),
            K::ChannelEnteredBridge(event) => event.channel.as_ref(),
            K::ChannelHangupRequest(event) => Some(&event.channel),
            K::ChannelHold(event) => Some(&event.channel),
            K::ChannelLeftBridge(event) => Some(&event.channel),
            K::ChannelStateChange(event) => Some(&event.channel),
            K::ChannelTalkingFinished(event) => Some(&event.channel),
            K::ChannelTalkingStarted(event) => Some(&event.channel),
            K::ChannelToneDetected(event) => Some(&event.channel),
            K::ChannelTransfer(event) => Some(&event.referred_by.source_channel),
            K::ChannelUnhold(event) => Some(&event.channel),
            K::ChannelUserevent(event) => event.channel.as_ref(),
            K::ChannelVarset(event) => event.channel.as_ref(),
            K::Dial(event) => Some(&event.peer),
            K::StasisEnd(event) => Some(&event.channel),
            K::StasisStart(event) => Some(&event.channel),
            _ => None,
        }
    }

    /// The id of the channel that the event is about; for a playback or recording on a channel, that channel's.
    pub fn channel_id(&self) -> Option<&str> {
        match self.channel() {
            Some(channel) => Some(&channel.id),
            None => self.target_uri()?.strip_prefix("channel:"),
        }
    }

    /// The bridge that the event is about.
    pub fn bridge(&self) -> Option<&Bridge> {
        use EventKind as K;
        match &self.kind {
            K::BridgeAttendedTransfer(event) => event.transferer_first_leg_bridge.as_ref(),
            K::BridgeBlindTransfer(event) => event.bridge.as_ref(),
            K::BridgeCreated(event) => Some(&event.bridge),
            K::BridgeDestroyed(event) => Some(&event.bridge),
            K::BridgeMerged(event) => Some(&event.bridge),
            K::BridgeVideoSourceChanged(event) => Some(&event.bridge),
            K::ChannelEnteredBridge(event) => Some(&event.bridge),
            K::ChannelLeftBridge(event) => Some(&event.bridge),
            K::ChannelUserevent(event) => event.bridge.as_ref(),
            _ => None,
        }
    }

    /// The id of the bridge that the event is about; for a playback or recording on a bridge, that bridge's.
    pub fn bridge_id(&self) -> Option<&str> {
        match self.bridge() {
            Some(bridge) => Some(&bridge.id),
            None => self.target_uri()?.strip_prefix("bridge:"),
        }
    }

    /// The playback that the event is about.
    pub fn playback(&self) -> Option<&Playback> {
        match &self.kind {
            EventKind::PlaybackStarted(event) => Some(&event.playback),
            EventKind::PlaybackContinuing(event) => Some(&event.playback),
            EventKind::PlaybackFinished(event) => Some(&event.playback),
            _ => None,
        }
    }

    /// The id of the playback that the event is about.
    pub fn playback_id(&self) -> Option<&str> {
        self.playback().map(|playback| playback.id.as_str())
    }

    /// The recording that the event is about.
    pub fn recording(&self) -> Option<&LiveRecording> {
        match &self.kind {
            EventKind::RecordingStarted(event) => Some(&event.recording),
            EventKind::RecordingFinished(event) => Some(&event.recording),
            EventKind::RecordingFailed(event) => Some(&event.recording),
            _ => None,
        }
    }

    /// The name of the recording that the event is about.
    pub fn recording_name(&self) -> Option<&str> {
        self.recording().map(|recording| recording.name.as_str())
    }

    /// What a playback or recording event's media goes to or comes from: `channel:<id>` or `bridge:<id>`.
    fn target_uri(&self) -> Option<&str> {
        let playback = self.playback().map(|playback| playback.target_uri.as_str());
        playback.or_else(|| self.recording().map(|recording| recording.target_uri.as_str()))
    }
}
