//! `/v1/nodes`: the pool, as the operator changes it.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::body::JsonBody;
use super::problem::Problem;
use super::state::ApiState;
use super::views::{NewNodeView, NodePatchView, NodeView};
use crate::pool::{Intent, NodeName, NodePatch, PoolError, RawNode};

/// All nodes, in the order of their names.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", responses((status = 200, description = "now", body = [NodeView])))]
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<Vec<NodeView>>, Problem> {
    Ok(Json(state.pool.list().await?.iter().map(NodeView::from).collect()))
}

/// Adds a node. It takes calls as soon as its checks pass, and is remembered over a restart of kamari.
#[utoipa::path(post, path = "/v1/nodes", tag = "nodes", request_body = NewNodeView, responses(
    (status = 201, description = "added; not checked yet", body = NodeView),
    (status = 400, description = "a field is missing, unknown or wrong", body = Problem),
    (status = 409, description = "a node of this name is in the pool, or the pool is full", body = Problem),
    (status = 500, description = "in effect, but the state file cannot be written: it would not survive a restart", body = Problem),
))]
pub(super) async fn add(State(state): State<ApiState>, JsonBody(raw): JsonBody<RawNode>) -> Result<Response, Problem> {
    let spec = raw.validate()?;
    let place = HeaderValue::try_from(format!("/v1/nodes/{}", spec.name))
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let node = state.pool.add(spec).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(NodeView::from(&node))).into_response())
}

/// One node.
#[utoipa::path(get, path = "/v1/nodes/{name}", tag = "nodes", params(("name" = String, Path, description = "The node's name")), responses(
    (status = 200, description = "now", body = NodeView),
    (status = 404, description = "there is no such node", body = Problem),
))]
pub(super) async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<NodeView>, Problem> {
    let node = state.pool.get(&known(&name)?).await?;
    Ok(Json(NodeView::from(&node)))
}

/// Changes a node: its addresses, capacity or log-in. A new address is checked like a new node's.
#[utoipa::path(patch, path = "/v1/nodes/{name}", tag = "nodes", params(("name" = String, Path, description = "The node's name")),
    request_body = NodePatchView, responses(
    (status = 200, description = "changed", body = NodeView),
    (status = 400, description = "a field is unknown or wrong", body = Problem),
    (status = 404, description = "there is no such node", body = Problem),
    (status = 500, description = "in effect, but the state file cannot be written: it would not survive a restart", body = Problem),
))]
pub(super) async fn patch(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    JsonBody(patch): JsonBody<NodePatch>,
) -> Result<Json<NodeView>, Problem> {
    let node = state.pool.patch(&known(&name)?, patch).await?;
    Ok(Json(NodeView::from(&node)))
}

/// Takes a node out of the pool, for good. Calls that are on it lose their application: drain it first.
#[utoipa::path(delete, path = "/v1/nodes/{name}", tag = "nodes", params(("name" = String, Path, description = "The node's name")), responses(
    (status = 204, description = "removed"),
    (status = 404, description = "there is no such node", body = Problem),
    (status = 500, description = "in effect, but the state file cannot be written: it would not survive a restart", body = Problem),
))]
pub(super) async fn remove(State(state): State<ApiState>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    state.pool.remove(&known(&name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends no new calls to a node. When this is answered, no lookup names it any more; calls on it finish by themselves.
#[utoipa::path(post, path = "/v1/nodes/{name}/drain", tag = "nodes", params(("name" = String, Path, description = "The node's name")), responses(
    (status = 200, description = "draining, or drained already", body = NodeView),
    (status = 404, description = "there is no such node", body = Problem),
    (status = 500, description = "in effect, but the state file cannot be written: it would not survive a restart", body = Problem),
))]
pub(super) async fn drain(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<NodeView>, Problem> {
    intend(&state, &name, Intent::Draining).await
}

/// Sends calls to a node again.
#[utoipa::path(post, path = "/v1/nodes/{name}/undrain", tag = "nodes", params(("name" = String, Path, description = "The node's name")), responses(
    (status = 200, description = "active", body = NodeView),
    (status = 404, description = "there is no such node", body = Problem),
    (status = 500, description = "in effect, but the state file cannot be written: it would not survive a restart", body = Problem),
))]
pub(super) async fn undrain(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<NodeView>, Problem> {
    intend(&state, &name, Intent::Active).await
}

async fn intend(state: &ApiState, name: &str, intent: Intent) -> Result<Json<NodeView>, Problem> {
    let node = state.pool.set_intent(&known(name)?, intent).await?;
    Ok(Json(NodeView::from(&node)))
}

/// A name that can be a node's; one that cannot is no node's.
fn known(name: &str) -> Result<NodeName, Problem> {
    NodeName::new(name).map_err(|_| Problem::not_found("node", name))
}

impl From<PoolError> for Problem {
    fn from(error: PoolError) -> Self {
        let status = match &error {
            PoolError::Unknown(_) => StatusCode::NOT_FOUND,
            PoolError::Exists(_) | PoolError::Full(_) => StatusCode::CONFLICT,
            PoolError::Invalid(refusal) => return Self::from(refusal.clone()),
            PoolError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            PoolError::Store(_) => {
                tracing::error!(%error, "a change of the pool could not be written down");
                let detail = format!("the change is in effect, but would not survive a restart: {error}");
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
            }
        };
        Self::new(status, error.to_string())
    }
}
