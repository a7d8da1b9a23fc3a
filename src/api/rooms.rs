//! `/v1/rooms`: the rooms that are open, who is in them, and what they are told to do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use super::state::ApiState;
use super::views::word;
use crate::call::{self, OrderError, RoomKey, RoomOrder, Who};

/// A room that is open. Legs between nodes are not members of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomView {
    /// Whose it is.
    pub tenant: String,
    /// Its name within the tenant.
    pub name: String,
    /// The node where the legs of the others meet; absent while nobody is in.
    pub home: Option<String>,
    /// Every node with members, the home first.
    pub nodes: Vec<String>,
    /// Whether nobody but moderators is let in.
    pub locked: bool,
    /// Whether it is recorded.
    pub recorded: bool,
    /// Who is in, in the order of joining.
    pub members: Vec<RoomMemberView>,
    /// How many wait for a moderator before they are let in.
    pub waiting: usize,
}

/// A caller in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomMemberView {
    /// kamari's id of the call.
    pub call: String,
    /// Number of the caller as the node saw it.
    pub caller: String,
    /// The node that the call is on.
    pub node: String,
    /// `member` or `moderator`.
    pub role: String,
    /// Whether the others do not hear him.
    pub muted: bool,
    /// When he joined, in milliseconds of Unix time.
    pub joined_ms: u64,
}

impl From<&call::RoomView> for RoomView {
    fn from(room: &call::RoomView) -> Self {
        let member = |member: &call::MemberView| RoomMemberView {
            call: member.call.to_string(),
            caller: member.caller.to_string(),
            node: member.node.to_string(),
            role: word(&member.role),
            muted: member.muted,
            joined_ms: member.joined_ms,
        };
        Self {
            tenant: room.tenant.to_string(),
            name: room.name.to_string(),
            home: room.home.as_ref().map(ToString::to_string),
            nodes: room.nodes.iter().map(ToString::to_string).collect(),
            locked: room.locked,
            recorded: room.recorded,
            members: room.members.iter().map(member).collect(),
            waiting: room.waiting,
        }
    }
}

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Self {
        let status = match error {
            OrderError::NoSuchRoom | OrderError::NoSuchMember => StatusCode::NOT_FOUND,
            OrderError::NothingRecords => StatusCode::CONFLICT,
            OrderError::Call(_) => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error.to_string())
    }
}

/// All open rooms, by tenant and name.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", responses((status = 200, description = "now", body = [RoomView])))]
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<RoomView>> {
    let mut rooms: Vec<RoomView> = state.calls.rooms().iter().map(RoomView::from).collect();
    rooms.sort_by(|a, b| (&a.tenant, &a.name).cmp(&(&b.tenant, &b.name)));
    Json(rooms)
}

/// One open room, with its members.
#[utoipa::path(get, path = "/v1/rooms/{tenant}/{name}", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 200, description = "now", body = RoomView),
    (status = 404, description = "it is not open", body = Problem),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<Json<RoomView>, Problem> {
    match state.calls.room(&key(&tenant, &name)) {
        Some(room) => Ok(Json(RoomView::from(&room))),
        None => Err(Problem::not_found("room", &name)),
    }
}

/// Sends everybody out of a room.
#[utoipa::path(delete, path = "/v1/rooms/{tenant}/{name}", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 204, description = "everybody was sent out"),
    (status = 404, description = "it is not open", body = Problem),
))]
pub(super) async fn end(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    order(&state, &tenant, &name, RoomOrder::End).await
}

/// Lets nobody but moderators in from now on.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/lock", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 204, description = "it is locked"),
    (status = 404, description = "it is not open", body = Problem),
))]
pub(super) async fn lock(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    order(&state, &tenant, &name, RoomOrder::Lock(true)).await
}

/// Lets everybody in again.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/unlock", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 204, description = "it is not locked"),
    (status = 404, description = "it is not open", body = Problem),
))]
pub(super) async fn unlock(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    order(&state, &tenant, &name, RoomOrder::Lock(false)).await
}

/// Records the room from now on; its members hear that it is.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/record", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 204, description = "it is recorded"),
    (status = 404, description = "it is not open", body = Problem),
    (status = 409, description = "nothing is recorded: media.recordings is not set", body = Problem),
))]
pub(super) async fn record(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    order(&state, &tenant, &name, RoomOrder::Record(true)).await
}

/// Records the room no longer; what was recorded becomes a recording of its tenant.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/unrecord", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
), responses(
    (status = 204, description = "it is not recorded"),
    (status = 404, description = "it is not open", body = Problem),
))]
pub(super) async fn unrecord(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    order(&state, &tenant, &name, RoomOrder::Record(false)).await
}

/// Keeps a member from being heard by the others.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/members/{id}/mute", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
    ("id" = String, Path, description = "The member's call"),
), responses(
    (status = 204, description = "he is muted"),
    (status = 404, description = "the room is not open, or he is not in it", body = Problem),
    (status = 502, description = "the node refused or did not answer", body = Problem),
))]
pub(super) async fn mute(State(state): State<ApiState>, Path(path): Path<MemberPath>) -> Result<StatusCode, Problem> {
    let who = Who::Call(path.id.as_str().into());
    order(&state, &path.tenant, &path.name, RoomOrder::Mute(who, true)).await
}

/// Lets a member be heard again.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/members/{id}/unmute", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
    ("id" = String, Path, description = "The member's call"),
), responses(
    (status = 204, description = "he is not muted"),
    (status = 404, description = "the room is not open, or he is not in it", body = Problem),
    (status = 502, description = "the node refused or did not answer", body = Problem),
))]
pub(super) async fn unmute(State(state): State<ApiState>, Path(path): Path<MemberPath>) -> Result<StatusCode, Problem> {
    let who = Who::Call(path.id.as_str().into());
    order(&state, &path.tenant, &path.name, RoomOrder::Mute(who, false)).await
}

/// Sends a member out.
#[utoipa::path(post, path = "/v1/rooms/{tenant}/{name}/members/{id}/kick", tag = "rooms", params(
    ("tenant" = String, Path, description = "The tenant"), ("name" = String, Path, description = "The room's name"),
    ("id" = String, Path, description = "The member's call"),
), responses(
    (status = 204, description = "he was sent out"),
    (status = 404, description = "the room is not open, or he is not in it", body = Problem),
))]
pub(super) async fn kick(State(state): State<ApiState>, Path(path): Path<MemberPath>) -> Result<StatusCode, Problem> {
    let who = Who::Call(path.id.as_str().into());
    order(&state, &path.tenant, &path.name, RoomOrder::Kick(who)).await
}

/// Which member of which room.
#[derive(Debug, Deserialize)]
pub(super) struct MemberPath {
    tenant: String,
    name: String,
    id: String,
}

async fn order(state: &ApiState, tenant: &str, name: &str, order: RoomOrder) -> Result<StatusCode, Problem> {
    state.calls.order_room(&key(tenant, name), order).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn key(tenant: &str, name: &str) -> RoomKey {
    RoomKey::new(&Arc::from(tenant), &Arc::from(name))
}
