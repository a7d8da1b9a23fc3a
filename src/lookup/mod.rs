//! Kamailio's question, asked for every INVITE: which nodes shall take this call?
//!
//! `GET /v1/route` -> `query` (read by slice, every field held to length and alphabet) -> [`Routing`](crate::pool::Routing)
//! (snapshot, choice, promise) -> `document` (rtjson). `POST /v1/outcome` tells of a route that failed. `server` owns the
//! listener and its threads; `plain` answers Kamailio's usual request in few steps, and leaves all others to hyper.
//!
//! Invariants: an answer never waits for another task and never logs; whatever a caller sends, the status is 200 or 400,
//! and the document is one JSON object of plain ASCII below 8 KiB, the smallest buffer a supported Kamailio has.

mod aside;
mod document;
mod handler;
mod plain;
mod query;
mod server;
mod settings;
mod uri;

use crate::invalid::Invalid;
use crate::pool::Target;

pub use server::{LookupError, Running, Server};
pub use settings::Settings;

/// The rtjson document that answers the query of a `GET /v1/route` with these nodes; a refusal names the field. For
/// whoever wants to see or try an answer without a pool and a connection.
pub fn answer_to(query: &str, targets: &[Target]) -> Result<Vec<u8>, Invalid> {
    let mut document = Vec::new();
    document::write_routes(&mut document, &query::Query::parse(query)?, targets.iter(), 0, false);
    Ok(document)
}
