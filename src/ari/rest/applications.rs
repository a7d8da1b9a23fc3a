//! Stasis applications: what they are subscribed to and which events they hear.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::{Application, ChannelIds};
use crate::ari::wire::Extra;

operations! {
    LIST = GET "/applications" "applications.list";
    GET = GET "/applications/{applicationName}" "applications.get";
    SUBSCRIBE = POST "/applications/{applicationName}/subscription" "applications.subscribe";
    UNSUBSCRIBE = DELETE "/applications/{applicationName}/subscription" "applications.unsubscribe";
    FILTER = PUT "/applications/{applicationName}/eventFilter" "applications.filter";
}

/// Operations on `/applications`.
#[derive(Debug, Clone, Copy)]
pub struct Applications<'a>(pub(super) &'a AriClient);

impl Applications<'_> {
    /// List all applications.
    pub async fn list(&self) -> Result<Vec<Application>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Get details of an application.
    pub async fn get(&self, application_name: &str) -> Result<Application, AriError> {
        self.0.fetch(GET.at(&[application_name])).await
    }

    /// The ids alone of the channels that an application is subscribed to.
    pub async fn channel_ids(&self, application_name: &str) -> Result<ChannelIds, AriError> {
        self.0.decode(GET.at(&[application_name]), |body| ChannelIds::read(&body)).await
    }

    /// Subscribe an application to a event source.
    ///
    /// Returns the state of the application after the subscriptions have changed.
    pub async fn subscribe(&self, application_name: &str, event_sources: &[&str]) -> Result<Application, AriError> {
        self.0.fetch(SUBSCRIBE.at(&[application_name]).field("eventSource", event_sources)).await
    }

    /// Unsubscribe an application from an event source.
    ///
    /// Returns the state of the application after the subscriptions have changed.
    pub async fn unsubscribe(&self, application_name: &str, event_sources: &[&str]) -> Result<Application, AriError> {
        self.0.fetch(UNSUBSCRIBE.at(&[application_name]).query("eventSource", event_sources.iter().copied())).await
    }

    /// Filter application events types.
    ///
    /// `filter` holds `allowed`, `disallowed` or both: arrays of `{"type": "<event type>"}`. What is disallowed is not sent even
    /// if it is allowed; an empty `allowed` allows all. A list that is not given stays as it is; an empty filter empties both.
    pub async fn filter(&self, application_name: &str, filter: &Extra) -> Result<Application, AriError> {
        self.0.fetch(FILTER.at(&[application_name]).json(filter)).await
    }
}
