//! Channels: one leg of a call at a node.

use serde::{Deserialize, Serialize};

use crate::ari::wire::open_enum;
use crate::ari::wire::{Extra, Timestamp};

/// A specific communication connection between Asterisk and an Endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Unique identifier of the channel. This is the same as the Uniqueid field in AMI.
    pub id: String,
    /// Protocol id from underlying channel driver (i.e. Call-ID for `chan_pjsip`; will be empty if not applicable or
    /// not implemented by driver).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_id: Option<String>,
    /// Name of the channel (i.e. SIP/foo-0000a7e3).
    pub name: String,
    /// Its state.
    pub state: ChannelState,
    /// Who calls, as the channel tells the other side.
    pub caller: CallerId,
    /// Whom it is connected to.
    pub connected: CallerId,
    /// Account code for billing.
    pub accountcode: String,
    /// Current location in the dialplan.
    pub dialplan: DialplanPosition,
    /// Timestamp when channel was created.
    pub creationtime: Timestamp,
    /// The default spoken language.
    pub language: String,
    /// Channel variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channelvars: Option<Extra>,
    /// The Caller ID RDNIS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_rdnis: Option<String>,
    /// The Tenant ID for the channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenantid: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Caller identification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallerId {
    /// Display name; empty when unknown.
    pub name: String,
    /// Number or user; empty when unknown.
    pub number: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Dialplan location (context/extension/priority).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DialplanPosition {
    /// Context in the dialplan.
    pub context: String,
    /// Extension in the dialplan.
    pub exten: String,
    /// Priority in the dialplan.
    pub priority: i64,
    /// Name of current dialplan application. Asterisk 16.6 and later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// Parameter of current dialplan application. Asterisk 16.6 and later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_data: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Dialed channel information.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dialed {
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// State of a channel. `Up` is answered; a channel that rings towards us is `Ring`, one that rings at the far end is `Ringing`.
    pub enum ChannelState {
        /// `Down`.
        Down = "Down",
        /// `Rsrved`.
        Reserved = "Rsrved",
        /// `OffHook`.
        OffHook = "OffHook",
        /// `Dialing`.
        Dialing = "Dialing",
        /// `Ring`.
        Ring = "Ring",
        /// `Ringing`.
        Ringing = "Ringing",
        /// `Up`.
        Up = "Up",
        /// `Busy`.
        Busy = "Busy",
        /// `Dialing Offhook`.
        DialingOffHook = "Dialing Offhook",
        /// `Pre-ring`.
        PreRing = "Pre-ring",
    }
}
