//! `/v1/events`: every change of nodes and calls as it happens, and the record of each call, as server-sent events.
//!
//! Invariant: a reader that does not keep up holds nobody back. It misses the oldest changes and is told how many.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use http::StatusCode;
use serde::Serialize;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::problem::Problem;
use super::state::ApiState;

/// How often a silent stream says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Changes of nodes (event `node`) and of calls (event `call`), and the record of each call that is over (event `cdr`), from now on; `missed` says how many a slow reader lost.
#[utoipa::path(get, path = "/v1/events", tag = "events", responses(
    (status = 200, description = "a stream that ends when kamari stops", content_type = "text/event-stream", body = String),
    (status = 503, description = "as many streams as the settings allow are open", body = Problem),
))]
pub(super) async fn events(
    State(state): State<ApiState>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = Arc::clone(&state.streams).try_acquire_owned().map_err(|_| {
        let detail = "as many event streams as api.max_event_streams allows are open";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let nodes = BroadcastStream::new(state.pool.subscribe()).map(|item| told("node", &item.as_ref()));
    let calls = BroadcastStream::new(state.calls.subscribe()).map(|item| told("call", &item.as_deref()));
    let cdrs = BroadcastStream::new(state.calls.subscribe_cdrs()).map(|item| told("cdr", &item.as_deref()));
    let changes = stream::select(stream::select(nodes, calls), cdrs).take_until(state.stop.clone().cancelled_owned());
    let changes = changes.map(move |event| {
        // The place is free again when the stream is dropped.
        let _held = &place;
        Ok(event)
    });
    Ok(Sse::new(changes).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn told<T: Serialize>(kind: &str, item: &Result<&T, &BroadcastStreamRecvError>) -> Event {
    let said = match item {
        Ok(change) => Event::default().event(kind).json_data(change),
        Err(BroadcastStreamRecvError::Lagged(count)) => {
            Event::default().event("missed").json_data(serde_json::json!({ "count": count }))
        }
    };
    said.unwrap_or_else(|error| Event::default().comment(error.to_string()))
}
