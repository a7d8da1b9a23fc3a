//! `/v1/calls`: the calls that kamari serves.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;

use super::problem::Problem;
use super::state::ApiState;
use super::views::{CallDetail, CallView};

/// All calls, oldest first.
#[utoipa::path(get, path = "/v1/calls", tag = "calls", responses((status = 200, description = "now", body = [CallView])))]
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<CallView>> {
    let mut calls: Vec<CallView> = state.calls.calls().iter().map(CallView::from).collect();
    calls.sort_by(|a, b| (a.started_ms, &a.id).cmp(&(b.started_ms, &b.id)));
    Json(calls)
}

/// One call, with what happened to it so far.
#[utoipa::path(get, path = "/v1/calls/{id}", tag = "calls", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 200, description = "now", body = CallDetail),
    (status = 404, description = "there is no such call", body = Problem),
))]
pub(super) async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<CallDetail>, Problem> {
    match state.calls.call(&id) {
        Some(call) => Ok(Json(CallDetail::from(&call))),
        None => Err(Problem::not_found("call", &id)),
    }
}

/// Ends a call: it is hung up shortly after.
#[utoipa::path(delete, path = "/v1/calls/{id}", tag = "calls", params(("id" = String, Path, description = "The call's id")), responses(
    (status = 204, description = "it is being hung up"),
    (status = 404, description = "there is no such call", body = Problem),
))]
pub(super) async fn hang_up(State(state): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if state.calls.end(&id) { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("call", &id)) }
}
