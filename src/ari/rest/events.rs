//! User events and the claiming of broadcast calls.

use serde::Serialize;

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::wire::Extra;

operations! {
    EVENT_WEBSOCKET = GET "/events" "events.event_websocket";
    USER_EVENT = POST "/events/user/{eventName}" "events.user_event";
    CLAIM = POST "/events/claim" "events.claim";
}

/// Operations on `/events`.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a>(pub(super) &'a AriClient);

impl Events<'_> {
    /// Generate a user event.
    pub async fn user_event(&self, event_name: &str, user_event: &UserEvent) -> Result<(), AriError> {
        self.0.run(USER_EVENT.at(&[event_name]).json(user_event)).await
    }

    /// Claim a broadcast channel for this application.
    ///
    /// Atomically claims a channel that is in broadcast state. Only the first claim succeeds.
    ///
    /// Asterisk 20.17.0, 22.7.0, 23.1.0 and later.
    pub async fn claim(&self, channel_id: &str, application: &str) -> Result<(), AriError> {
        self.0.run(CLAIM.at(&[]).field("channelId", channel_id).field("application", application)).await
    }
}

/// A user event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UserEvent {
    /// The name of the application that will receive this event.
    pub application: String,
    /// URI for event source (channel:{channelId}, bridge:{bridgeId}, endpoint:{tech}/{resource},
    /// deviceState:{deviceName}.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Vec<String>>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}
