//! Bridges, and channels entering and leaving them.

use super::event;
use crate::ari::model::{Bridge, Channel};

event! {
    /// Notification that a bridge has been created.
    pub struct BridgeCreated {
        /// The bridge, as it was then.
        pub bridge: Bridge,
    }
}

event! {
    /// Notification that a bridge has been destroyed.
    pub struct BridgeDestroyed {
        /// The bridge, as it was then.
        pub bridge: Bridge,
    }
}

event! {
    /// Notification that one bridge has merged into another.
    pub struct BridgeMerged {
        /// The bridge, as it was then.
        pub bridge: Bridge,
        /// The bridge that is no more.
        pub bridge_from: Bridge,
    }
}

event! {
    /// Notification that the source of video in a bridge has changed.
    pub struct BridgeVideoSourceChanged {
        /// The bridge, as it was then.
        pub bridge: Bridge,
        /// Old video source id.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub old_video_source_id: Option<String>,
    }
}

event! {
    /// Notification that a channel has entered a bridge.
    pub struct ChannelEnteredBridge {
        /// The bridge, as it was then.
        pub bridge: Bridge,
        /// The channel, as it was then.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub channel: Option<Channel>,
    }
}

event! {
    /// Notification that a channel has left a bridge.
    pub struct ChannelLeftBridge {
        /// The bridge, as it was then.
        pub bridge: Bridge,
        /// The channel, as it was then.
        pub channel: Channel,
    }
}
