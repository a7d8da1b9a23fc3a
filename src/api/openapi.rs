//! The OpenAPI document, made from the handlers' own annotations.

use utoipa::OpenApi;

use super::health;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kamari",
        description = "The operator's API of kamari: nodes, calls, events. Every refusal is application/problem+json.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(health::healthz, health::readyz, health::metrics, health::status)
)]
struct Document;

/// The document that `/openapi.json` answers with, indented.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json()
}
