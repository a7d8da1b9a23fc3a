//! Endpoints, their contacts, and text messages sent to or from them.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;
use crate::ari::wire::open_enum;

/// An external device that may offer/accept calls to/from Asterisk. Unlike most resources, which have a single
/// unique identifier, an endpoint is uniquely identified by the technology/resource pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Technology of the endpoint.
    pub technology: String,
    /// Identifier of the endpoint, specific to the given technology.
    pub resource: String,
    /// Endpoint's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<EndpointState>,
    /// Id's of channels associated with this endpoint.
    pub channel_ids: Vec<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A text message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextMessage {
    /// A technology specific URI specifying the source of the message. For pjsip technology, any SIP URI can be
    /// specified. For xmpp, the URI must correspond to the client connection being used to send the message.
    pub from: String,
    /// A technology specific URI specifying the destination of the message. Valid technologies include pjsip, and
    /// xmp. The destination of a message should be an endpoint.
    pub to: String,
    /// The text of the message.
    pub body: String,
    /// Technology specific key/value pairs (JSON object) associated with the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<Extra>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Detailed information about a contact on an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactInfo {
    /// The location of the contact.
    pub uri: String,
    /// The current status of the contact.
    pub contact_status: ContactStatus,
    /// The Address of Record this contact belongs to.
    pub aor: String,
    /// Current round trip time, in microseconds, for the contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roundtrip_usec: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Detailed information about a remote peer that communicates with Asterisk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// The current state of the peer. Note that the values of the status are dependent on the underlying peer
    /// technology.
    pub peer_status: String,
    /// An optional reason associated with the change in `peer_status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The IP address of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port of the peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The last known time the peer was contacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// Whether an endpoint can be reached.
    pub enum EndpointState {
        /// `offline`.
        Offline = "offline",
        /// `online`.
        Online = "online",
    }
}

open_enum! {
    /// State of a contact, as found by qualifying it.
    pub enum ContactStatus {
        /// `Unreachable`.
        Unreachable = "Unreachable",
        /// `Reachable`.
        Reachable = "Reachable",
        /// `NonQualified`.
        NonQualified = "NonQualified",
        /// `Removed`.
        Removed = "Removed",
    }
}
