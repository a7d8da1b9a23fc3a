//! Asterisk's resources as its REST interface and its events show them: one type per model of the node's own api-docs.
//!
//! Invariants, held by the conformance test against a real node:
//! - what a node sends is kept whole: a property that a type does not name lands in its `extra`, a value that an
//!   enumeration does not name in its `Unknown` variant, and encoding gives back what was decoded;
//! - a property that some version from 16 on leaves out is an `Option`;
//! - property names are Asterisk's own, apart from `type`, which is `kind`.

mod application;
mod asterisk;
mod bridge;
mod channel;
mod device_state;
mod endpoint;
mod mailbox;
mod playback;
mod recording;
mod rest_message;
mod rtp;
mod sound;
mod transfer;

pub use application::{Application, ChannelIds};
pub use asterisk::{
    AsteriskInfo, AsteriskPing, BuildInfo, ConfigInfo, ConfigTuple, LogChannel, Module, SetId, StatusInfo, SystemInfo,
    Variable, Variables,
};
pub use bridge::{Bridge, BridgeType};
pub use channel::{CallerId, Channel, ChannelState, Dialed, DialplanPosition};
pub use device_state::{DeviceState, DeviceStateValue};
pub use endpoint::{ContactInfo, ContactStatus, Endpoint, EndpointState, Peer, TextMessage};
pub use mailbox::Mailbox;
pub use playback::{Playback, PlaybackState};
pub use recording::{LiveRecording, RecordingState, StoredRecording};
pub use rest_message::{RestHeader, RestQueryParameter, RestRequest};
pub use rtp::RtpStatistics;
pub use sound::{FormatLangPair, Sound};
pub use transfer::{AdditionalParam, ReferTo, ReferredBy, RequiredDestination};
