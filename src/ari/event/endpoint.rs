//! Endpoints, contacts, device states and text messages.

use super::event;
use crate::ari::model::{ContactInfo, DeviceState, Endpoint, Peer, TextMessage};

event! {
    /// The state of a contact on an endpoint has changed.
    pub struct ContactStatusChange {
        /// The endpoint.
        pub endpoint: Endpoint,
        /// The contact and its state.
        pub contact_info: ContactInfo,
    }
}

event! {
    /// The state of a peer associated with an endpoint has changed.
    pub struct PeerStatusChange {
        /// The endpoint.
        pub endpoint: Endpoint,
        /// The peer and its state.
        pub peer: Peer,
    }
}

event! {
    /// Endpoint state changed.
    pub struct EndpointStateChange {
        /// The endpoint.
        pub endpoint: Endpoint,
    }
}

event! {
    /// Notification that a device state has changed.
    pub struct DeviceStateChanged {
        /// Device state object.
        pub device_state: DeviceState,
    }
}

event! {
    /// A text message was received from an endpoint.
    pub struct TextMessageReceived {
        /// Message.
        pub message: TextMessage,
        /// The endpoint.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub endpoint: Option<Endpoint>,
    }
}
