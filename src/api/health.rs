//! `/healthz`, `/readyz`, `/metrics` and `/v1/status`: for service managers, Prometheus and the web page.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::problem::Problem;
use super::state::{ApiState, Phase};
use super::views::{LookupsView, StatusView};

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "kamari runs", body = String)))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Every node was looked at once since the start, and kamari is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "ready", body = String),
    (status = 503, description = "the first round of checks is not over, or kamari is stopping", body = String),
))]
pub(super) async fn readyz(State(state): State<ApiState>) -> (StatusCode, &'static str) {
    match state.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting: not every node has been looked at\n"),
        Phase::Ready => (StatusCode::OK, "ok\n"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// Every number, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "metrics, text format 0.0.4", body = String)))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let text = state.metrics.render().map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written; the log says why")
    })?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

/// kamari in a few numbers.
#[utoipa::path(get, path = "/v1/status", tag = "health", responses((status = 200, description = "now", body = StatusView)))]
pub(super) async fn status(State(state): State<ApiState>) -> Result<Json<StatusView>, Problem> {
    let nodes = state.pool.list().await?;
    let lookup = &state.metrics.lookup;
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: state.started.elapsed().as_secs_f64(),
        ready: state.phase() == Phase::Ready,
        nodes: nodes.len(),
        eligible_nodes: nodes.iter().filter(|node| node.eligible).count(),
        calls: state.metrics.calls.active.get(),
        call_tasks: state.metrics.calls.tasks(),
        lookups: LookupsView {
            routed: lookup.routed.get(),
            repeated: lookup.repeated.get(),
            rejected: lookup.rejected.get(),
            invalid: lookup.invalid.get(),
        },
    }))
}
