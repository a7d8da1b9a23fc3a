//! Channels entering and leaving the application, the life of the application itself, and dialling.

use super::event;
use crate::ari::model::Channel;

event! {
    /// Notification that a channel has entered a Stasis application.
    pub struct StasisStart {
        /// Arguments to the application.
        pub args: Vec<String>,
        /// The channel, as it was then.
        pub channel: Channel,
        /// The channel whose place it takes, after a transfer.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub replace_channel: Option<Channel>,
    }
}

event! {
    /// Notification that a channel has left a Stasis application.
    pub struct StasisEnd {
        /// The channel, as it was then.
        pub channel: Channel,
    }
}

event! {
    /// Notification that a Stasis app has been registered.
    pub struct ApplicationRegistered {}
}

event! {
    /// Notification that a Stasis app has been unregistered.
    pub struct ApplicationUnregistered {}
}

event! {
    /// Notification that another socket has taken over for an application. An application may only be subscribed to
    /// by a single socket at a time. If several sockets try to subscribe to the same application, the newer
    /// socket wins, and the older one receives this event.
    pub struct ApplicationReplaced {}
}

event! {
    /// Notification that trying to move a channel to another Stasis application failed.
    pub struct ApplicationMoveFailed {
        /// The channel, as it was then.
        pub channel: Channel,
        /// The application that it should have moved to.
        pub destination: String,
        /// Arguments to the application.
        pub args: Vec<String>,
    }
}

event! {
    /// Notification that a channel is being broadcast to ARI applications for claiming.
    pub struct CallBroadcast {
        /// The channel being broadcast.
        pub channel: Channel,
        /// The caller ID number.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub caller: Option<String>,
        /// The called number.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub called: Option<String>,
    }
}

event! {
    /// Notification that a broadcast channel has been successfully claimed by an ARI application.
    pub struct CallClaimed {
        /// The channel that was claimed.
        pub channel: Channel,
        /// The name of the ARI application that claimed the channel.
        pub winner_app: String,
    }
}

event! {
    /// Dialing state has changed.
    pub struct Dial {
        /// The calling channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub caller: Option<Channel>,
        /// The dialed channel.
        pub peer: Channel,
        /// Forwarding target requested by the original dialed channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub forward: Option<String>,
        /// Channel that the caller has been forwarded to.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub forwarded: Option<Channel>,
        /// The dial string for calling the peer channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub dialstring: Option<String>,
        /// Current status of the dialing attempt to the peer.
        pub dialstatus: String,
    }
}
