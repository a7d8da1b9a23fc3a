//! Endpoints, text messages and referrals.

use serde::Serialize;

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::Endpoint;
use crate::ari::wire::Extra;

operations! {
    LIST = GET "/endpoints" "endpoints.list";
    SEND_MESSAGE = PUT "/endpoints/sendMessage" "endpoints.send_message";
    REFER = POST "/endpoints/refer" "endpoints.refer";
    LIST_BY_TECH = GET "/endpoints/{tech}" "endpoints.list_by_tech";
    GET = GET "/endpoints/{tech}/{resource}" "endpoints.get";
    SEND_MESSAGE_TO_ENDPOINT = PUT "/endpoints/{tech}/{resource}/sendMessage" "endpoints.send_message_to_endpoint";
    REFER_TO_ENDPOINT = POST "/endpoints/{tech}/{resource}/refer" "endpoints.refer_to_endpoint";
}

/// Operations on `/endpoints`.
#[derive(Debug, Clone, Copy)]
pub struct Endpoints<'a>(pub(super) &'a AriClient);

impl Endpoints<'_> {
    /// List all endpoints.
    pub async fn list(&self) -> Result<Vec<Endpoint>, AriError> {
        self.0.fetch(LIST.at(&[])).await
    }

    /// Send a message to some technology URI or endpoint.
    pub async fn send_message(&self, send_message: &SendMessage) -> Result<(), AriError> {
        self.0.run(SEND_MESSAGE.at(&[]).json(send_message)).await
    }

    /// Refer an endpoint or technology URI to some technology URI or endpoint.
    ///
    /// Asterisk 18.20.0, 20.5.0 and later.
    pub async fn refer(&self, refer: &Refer) -> Result<(), AriError> {
        self.0.run(REFER.at(&[]).json(refer)).await
    }

    /// List available endoints for a given endpoint technology.
    pub async fn list_by_tech(&self, tech: &str) -> Result<Vec<Endpoint>, AriError> {
        self.0.fetch(LIST_BY_TECH.at(&[tech])).await
    }

    /// Details for an endpoint.
    pub async fn get(&self, tech: &str, resource: &str) -> Result<Endpoint, AriError> {
        self.0.fetch(GET.at(&[tech, resource])).await
    }

    /// Send a message to some endpoint in a technology.
    pub async fn send_message_to_endpoint(
        &self,
        tech: &str,
        resource: &str,
        send_message_to_endpoint: &SendMessageToEndpoint,
    ) -> Result<(), AriError> {
        self.0.run(SEND_MESSAGE_TO_ENDPOINT.at(&[tech, resource]).json(send_message_to_endpoint)).await
    }

    /// Refer an endpoint or technology URI to some technology URI or endpoint.
    ///
    /// Asterisk 18.20.0, 20.5.0 and later.
    pub async fn refer_to_endpoint(
        &self,
        tech: &str,
        resource: &str,
        refer_to_endpoint: &ReferToEndpoint,
    ) -> Result<(), AriError> {
        self.0.run(REFER_TO_ENDPOINT.at(&[tech, resource]).json(refer_to_endpoint)).await
    }
}

/// A text message.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SendMessage {
    /// The endpoint resource or technology specific URI to send the message to. Valid resources are pjsip, and
    /// xmpp.
    pub to: String,
    /// The endpoint resource or technology specific identity to send this message from. Valid resources are pjsip,
    /// and xmpp.
    pub from: String,
    /// The body of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}

/// A referral.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Refer {
    /// The endpoint resource or technology specific URI that should be referred to somewhere. Valid resource is
    /// pjsip.
    pub to: String,
    /// The endpoint resource or technology specific identity to refer from.
    pub from: String,
    /// The endpoint resource or technology specific URI to refer to.
    pub refer_to: String,
    /// If true and "`refer_to`" refers to an Asterisk endpoint, the "`refer_to`" value is set to point to this Asterisk
    /// endpoint - so the referee is referred to Asterisk. Otherwise, use the contact URI associated with the
    /// endpoint. Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_self: Option<bool>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}

/// A text message to the endpoint in the path.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SendMessageToEndpoint {
    /// The endpoint resource or technology specific identity to send this message from. Valid resources are pjsip
    /// and xmpp.
    pub from: String,
    /// The body of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}

/// A referral of the endpoint in the path.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReferToEndpoint {
    /// The endpoint resource or technology specific identity to refer from.
    pub from: String,
    /// The endpoint resource or technology specific URI to refer to.
    pub refer_to: String,
    /// If true and "`refer_to`" refers to an Asterisk endpoint, the "`refer_to`" value is set to point to this Asterisk
    /// endpoint - so the referee is referred to Asterisk. Otherwise, use the contact URI associated with the
    /// endpoint. Default: no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_self: Option<bool>,
    /// Variables to set: each value a string, or an object of `value` and `report_events`.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub variables: Extra,
}
