//! Paths to handlers, and what holds for all of them.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use http::{HeaderValue, StatusCode, Uri, header};
use tokio::net::TcpListener;

use super::problem::Problem;
use super::state::ApiState;
use super::{calls, events, guard, health, mailboxes, nodes, openapi, queues, recordings, rooms, tenants};
use crate::dashboard;
use crate::serving;

/// All paths of the API.
pub fn router(state: ApiState) -> Router {
    let limit = state.settings.max_body_bytes;
    let guarded = Arc::clone(&state.settings);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(document))
        .route("/v1/status", get(health::status))
        .route("/v1/nodes", get(nodes::list).post(nodes::add))
        .route("/v1/nodes/{name}", get(nodes::show).patch(nodes::patch).delete(nodes::remove))
        .route("/v1/nodes/{name}/drain", post(nodes::drain))
        .route("/v1/nodes/{name}/undrain", post(nodes::undrain))
        .route("/v1/calls", get(calls::list).post(calls::place))
        .route("/v1/calls/{id}", get(calls::show).delete(calls::hang_up))
        .route("/v1/tenants", get(tenants::list).post(tenants::add))
        .route("/v1/tenants/{name}", get(tenants::show).put(tenants::put).delete(tenants::remove))
        .route("/v1/directory/reload", post(tenants::reload))
        .route("/v1/queues", get(queues::list))
        .route("/v1/queues/{tenant}/{name}", get(queues::show))
        .route("/v1/queues/{tenant}/{name}/agents/{agent}/{duty}", post(queues::tell))
        .route("/v1/rooms", get(rooms::list))
        .route("/v1/rooms/{tenant}/{name}", get(rooms::show).delete(rooms::end))
        .route("/v1/rooms/{tenant}/{name}/lock", post(rooms::lock))
        .route("/v1/rooms/{tenant}/{name}/unlock", post(rooms::unlock))
        .route("/v1/rooms/{tenant}/{name}/record", post(rooms::record))
        .route("/v1/rooms/{tenant}/{name}/unrecord", post(rooms::unrecord))
        .route("/v1/rooms/{tenant}/{name}/members/{id}/mute", post(rooms::mute))
        .route("/v1/rooms/{tenant}/{name}/members/{id}/unmute", post(rooms::unmute))
        .route("/v1/rooms/{tenant}/{name}/members/{id}/kick", post(rooms::kick))
        .route("/v1/events", get(events::events))
        .route("/v1/recordings", get(recordings::list))
        .route("/v1/recordings/{id}", get(recordings::show).delete(recordings::delete))
        .route("/v1/recordings/{id}/audio", get(recordings::audio))
        .route("/v1/mailboxes/{tenant}/{mailbox}", get(mailboxes::show))
        .route("/v1/mailboxes/{tenant}/{mailbox}/greeting", delete(mailboxes::delete_greeting))
        .route("/v1/mailboxes/{tenant}/{mailbox}/messages/{id}", patch(mailboxes::mark).delete(mailboxes::delete))
        .route("/v1/mailboxes/{tenant}/{mailbox}/messages/{id}/audio", get(mailboxes::audio))
        .merge(dashboard::router())
        .fallback(|uri: Uri| async move { Problem::not_found("path", uri.path()) })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path does not take that method; /openapi.json says which",
            )
        })
        .layer(DefaultBodyLimit::max(limit))
        .layer(from_fn_with_state(guarded, guard::guard))
        .with_state(state)
}

/// Serves the API on `listener` until `stop` completes; requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    state: ApiState,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let connections = state.settings.max_connections;
    serving::serve("api", listener, router(state), connections, stop).await
}

async fn document() -> Result<Response, Problem> {
    let text = openapi::document().map_err(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the document cannot be written; the log says why")
    })?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}
