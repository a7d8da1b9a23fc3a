//! `/v1/calls`: the calls that kamari serves.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::problem::Problem;
use super::state::ApiState;
use super::views::{CallDetail, CallView};
use crate::apps::Placing;
use crate::call::{CallError, CallerId, End, PlaceRequest};
use crate::invalid::Invalid;
use crate::pool::NoPlace;

/// How long somebody is rung, unless said.
const RING_S: u64 = 30;

/// A call to be placed: somebody is rung, and is served by a number of the tenant once he answers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCallView {
    /// Whose call it is.
    pub tenant: String,
    /// Who is rung: a user or a number, or either with `@domain`; without one it is of the tenant's first domain.
    pub to: String,
    /// The tenant's number that serves him once he answers, as if he had dialled it: a conference, an announcement, or whom he
    /// is to talk with (a number whose app is `dial`).
    pub extension: String,
    /// The number that he sees calling; `extension` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The name that he sees calling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// How long he may ring, in seconds, 1 to 600; 30 when absent. `call.unanswered_s` bounds it as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_s: Option<u64>,
}

/// Places a call from the node that would take the next call from outside. It is answered as soon as that node has the call,
/// which rings from then on; how it goes on is seen at `/v1/calls/{id}`, in the events and in its record. If a node cannot
/// make the call, the next best is asked.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", request_body = NewCallView, responses(
    (status = 201, description = "it is being rung", body = CallView),
    (status = 400, description = "a field is missing, unknown or wrong", body = Problem),
    (status = 404, description = "there is no such tenant", body = Problem),
    (status = 502, description = "no node that was asked could make the call", body = Problem),
    (status = 503, description = "no node can take a call now; `Retry-After` says when to try again", body = Problem),
))]
pub(super) async fn place(
    State(state): State<ApiState>,
    JsonBody(wanted): JsonBody<NewCallView>,
) -> Result<Response, Problem> {
    let ring_s = wanted.ring_s.unwrap_or(RING_S);
    if !(1..=600).contains(&ring_s) {
        return Err(Invalid::new("ring_s", "a whole number of seconds from 1 to 600", ring_s).into());
    }
    let caller_id =
        CallerId::new(wanted.from.as_ref().unwrap_or(&wanted.extension), wanted.from_name.as_deref().unwrap_or(""));
    let placing = state.tenants.placing(&wanted.tenant, &wanted.to, &wanted.extension).await;
    let Placing { to, domain, extension } = placing.map_err(|error| super::tenants::problem(error, &wanted.tenant))?;
    let request = PlaceRequest { to, caller_id, ring_timeout: Duration::from_secs(ring_s), domain, extension };
    let place = match state.pool.routing().take(&mut rand::rng()) {
        Ok(place) => place,
        Err(refusal) => return Ok(refused(refusal)),
    };
    for node in place.nodes() {
        match state.calls.place(node, &request).await {
            Ok(call) => return created(&CallView::from(&call)),
            Err(CallError::HungUp(End::Released)) => {
                return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "kamari is shutting down"));
            }
            Err(error) => tracing::warn!(%node, to = %request.to, %error, "a node could not place a call"),
        }
    }
    Err(Problem::new(StatusCode::BAD_GATEWAY, "no node that was asked could make the call; the log says why"))
}

fn created(call: &CallView) -> Result<Response, Problem> {
    let place = HeaderValue::try_from(format!("/v1/calls/{}", call.id))
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(call)).into_response())
}

fn refused(refusal: NoPlace) -> Response {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("no node takes the call: {refusal}"));
    ([(header::RETRY_AFTER, HeaderValue::from(refusal.retry_after_s))], problem).into_response()
}

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
