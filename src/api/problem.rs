//! The API's one way to say no: `application/problem+json` (RFC 9457) with the field at fault.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::invalid::Invalid;

/// Why a request was refused (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The kind of refusal, in a few words; the same for the same status.
    pub title: String,
    /// What was wrong with this request, in a sentence.
    pub detail: String,
    /// The field at fault, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// A refusal with `detail`; the title is the status's own name.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into(), field: None }
    }

    /// There is no `what` of this name.
    pub fn not_found(what: &str, name: &str) -> Self {
        // `Invalid` shortens and escapes what came from outside.
        let shown = Invalid::new(what, "", name).found;
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} \"{shown}\""))
    }
}

impl From<Invalid> for Problem {
    fn from(refusal: Invalid) -> Self {
        let detail = refusal.to_string();
        Self { field: Some(refusal.field), ..Self::new(StatusCode::BAD_REQUEST, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        (status, [kind], body).into_response()
    }
}
