//! Parties of a transfer that the application is asked to carry out (`ChannelTransfer`).

use serde::{Deserialize, Serialize};

use super::{Bridge, Channel};
use crate::ari::wire::Extra;

/// Transfer destination requested by transferee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferTo {
    /// Where it is to go.
    pub requested_destination: RequiredDestination,
    /// The Channel Object, that is to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_channel: Option<Channel>,
    /// Channel, connected to the to be replaced channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_channel: Option<Channel>,
    /// Bridge connecting both destination channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Transfer destination requested by transferee.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReferredBy {
    /// The channel on which the refer was received.
    pub source_channel: Channel,
    /// Channel, Connected to the channel, receiving the transfer request on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_channel: Option<Channel>,
    /// Bridge connecting both Channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Information about the requested destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequiredDestination {
    /// The requested protocol-id by the referee in case of SIP channel, this is a SIP Call ID, Mutually exclusive
    /// to destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_id: Option<String>,
    /// Destination User Part. Only for Blind transfer. Mutually exclusive to `protocol_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// List of additional protocol specific information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_protocol_params: Option<Vec<AdditionalParam>>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Protocol specific additional parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdditionalParam {
    /// Name of the parameter.
    pub parameter_name: String,
    /// Value of the parameter.
    pub parameter_value: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
