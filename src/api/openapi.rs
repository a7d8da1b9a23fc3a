//! The OpenAPI document, made from the handlers' own annotations.

use utoipa::OpenApi;

use super::{calls, events, health, mailboxes, nodes, queues, recordings, rooms, tenants};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "kamari",
        description = "The operator's API of kamari: nodes, calls, events. Every refusal is application/problem+json.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        health::healthz,
        health::readyz,
        health::metrics,
        health::status,
        nodes::list,
        nodes::add,
        nodes::show,
        nodes::patch,
        nodes::remove,
        nodes::drain,
        nodes::undrain,
        calls::list,
        calls::place,
        calls::show,
        calls::hang_up,
        tenants::list,
        tenants::add,
        tenants::show,
        tenants::put,
        tenants::remove,
        tenants::reload,
        queues::list,
        queues::show,
        queues::tell,
        rooms::list,
        rooms::show,
        rooms::end,
        rooms::lock,
        rooms::unlock,
        rooms::record,
        rooms::unrecord,
        rooms::mute,
        rooms::unmute,
        rooms::kick,
        events::events,
        recordings::list,
        recordings::show,
        recordings::audio,
        recordings::delete,
        mailboxes::show,
        mailboxes::mark,
        mailboxes::delete,
        mailboxes::audio,
        mailboxes::delete_greeting,
    )
)]
struct Document;

/// The document that `/openapi.json` answers with, indented.
pub fn document() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json()
}
