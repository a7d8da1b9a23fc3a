//! Transfers.

use super::event;
use crate::ari::model::{Bridge, Channel, ReferTo, ReferredBy};

event! {
    /// Notification that a blind transfer has occurred.
    pub struct BridgeBlindTransfer {
        /// The channel performing the blind transfer.
        pub channel: Channel,
        /// The channel that is replacing transferer when the transferee(s) can not be transferred directly.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub replace_channel: Option<Channel>,
        /// The channel that is being transferred.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub transferee: Option<Channel>,
        /// The extension transferred to.
        pub exten: String,
        /// The context transferred to.
        pub context: String,
        /// The result of the transfer attempt.
        pub result: String,
        /// Whether the transfer was externally initiated or not.
        pub is_external: bool,
        /// The bridge being transferred.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge: Option<Bridge>,
    }
}

event! {
    /// Notification that an attended transfer has occurred.
    pub struct BridgeAttendedTransfer {
        /// First leg of the transferer.
        pub transferer_first_leg: Channel,
        /// Second leg of the transferer.
        pub transferer_second_leg: Channel,
        /// The channel that is replacing the first leg of the transferer in the swap.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub replace_channel: Option<Channel>,
        /// The channel that is being transferred.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub transferee: Option<Channel>,
        /// The channel that is being transferred to.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub transfer_target: Option<Channel>,
        /// The result of the transfer attempt.
        pub result: String,
        /// Whether the transfer was externally initiated or not.
        pub is_external: bool,
        /// Bridge the transferer first leg is in.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub transferer_first_leg_bridge: Option<Bridge>,
        /// Bridge the transferer second leg is in.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub transferer_second_leg_bridge: Option<Bridge>,
        /// How the transfer was accomplished.
        pub destination_type: String,
        /// Bridge that survived the merge result.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_bridge: Option<String>,
        /// Application that has been transferred into.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_application: Option<String>,
        /// First leg of a link transfer result.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_link_first_leg: Option<Channel>,
        /// Second leg of a link transfer result.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_link_second_leg: Option<Channel>,
        /// Transferer channel that survived the threeway result.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_threeway_channel: Option<Channel>,
        /// Bridge that survived the threeway result.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub destination_threeway_bridge: Option<Bridge>,
    }
}

event! {
    /// Transfer on a channel.
    pub struct ChannelTransfer {
        /// Transfer State.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub state: Option<String>,
        /// Refer-To information with optionally both affected channels.
        pub refer_to: ReferTo,
        /// Referred-By SIP Header according rfc3892.
        pub referred_by: ReferredBy,
    }
}
