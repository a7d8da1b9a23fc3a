//! Answers of REST over the event socket.

use super::event;

event! {
    /// REST over Websocket Response.
    pub struct RestResponse {
        /// Opaque transaction id. Will be whatever was specified on the original request.
        pub transaction_id: String,
        /// Opaque request id. Will be whatever was specified on the original request.
        pub request_id: String,
        /// HTTP status code.
        pub status_code: i64,
        /// HTTP reason phrase.
        pub reason_phrase: String,
        /// Original request resource URI.
        pub uri: String,
        /// The Content-Type of the message body.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub content_type: Option<String>,
        /// Response message body.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub message_body: Option<String>,
    }
}
