//! Messages of REST over the event socket (Asterisk 20.14, 21.9, 22.4 and later).

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;

/// REST over Websocket Request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestRequest {
    /// Message type. Must be '`RESTRequest`'.
    #[serde(rename = "type")]
    pub kind: String,
    /// Opaque transaction id. Can be any valid string. Will be returned in any response to this request.
    pub transaction_id: String,
    /// Opaque request id. Can be any valid string. Will be returned in any response to this request.
    pub request_id: String,
    /// HTTP method (GET, PUT, POST, DELETE, etc.).
    pub method: String,
    /// Resource URI with optional query string parameters.
    pub uri: String,
    /// The Content-Type of the message body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Request query string parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_strings: Option<Vec<RestQueryParameter>>,
    /// Request message body. Only content types application/json and application/x-www-form-urlencoded are
    /// supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_body: Option<String>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// REST over Websocket Query String Parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestQueryParameter {
    /// Parameter name.
    pub name: String,
    /// Parameter value.
    pub value: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// REST over Websocket header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestHeader {
    /// Header name.
    pub name: String,
    /// Header value.
    pub value: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
