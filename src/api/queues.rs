//! `/v1/queues`: who waits for agents, and what these do.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::state::ApiState;
use crate::apps::{Duty, QueueView};

/// A queue of callers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    /// The tenant that it belongs to.
    pub tenant: String,
    /// Its name within the tenant.
    pub name: String,
    /// How many callers wait.
    pub waiting: usize,
    /// Its agents, by name.
    pub agents: Vec<Agent>,
}

/// An agent of a queue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// The agent's user name.
    pub name: String,
    /// `logged_out`, `paused`, `free`, `wrap_up`, `ringing` or `talking`.
    pub state: &'static str,
}

impl From<QueueView> for Queue {
    fn from(view: QueueView) -> Self {
        let agents = view.agents.iter().map(|agent| Agent { name: agent.name.to_string(), state: agent.state });
        Self {
            tenant: view.tenant.to_string(),
            name: view.name.to_string(),
            waiting: view.waiting,
            agents: agents.collect(),
        }
    }
}

/// All queues, by tenant and name.
#[utoipa::path(get, path = "/v1/queues", tag = "queues", responses((status = 200, description = "now", body = [Queue])))]
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<Queue>> {
    Json(state.queues.list().into_iter().map(Queue::from).collect())
}

/// One queue.
#[utoipa::path(get, path = "/v1/queues/{tenant}/{name}", tag = "queues", params(
    ("tenant" = String, Path, description = "The tenant's name"), ("name" = String, Path, description = "The queue's name"),
), responses(
    (status = 200, description = "now", body = Queue),
    (status = 404, description = "there is no such queue", body = Problem),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<Json<Queue>, Problem> {
    let view = state.queues.show(&tenant, &name).ok_or_else(|| Problem::not_found("queue", &name))?;
    Ok(Json(view.into()))
}

/// Tells an agent: `login`, `logout`, `pause` or `unpause`.
#[utoipa::path(post, path = "/v1/queues/{tenant}/{name}/agents/{agent}/{duty}", tag = "queues", params(
    ("tenant" = String, Path, description = "The tenant's name"), ("name" = String, Path, description = "The queue's name"),
    ("agent" = String, Path, description = "The agent's user name"),
    ("duty" = String, Path, description = "login, logout, pause or unpause"),
), responses(
    (status = 204, description = "the agent is told; a call that rings or goes on is left alone"),
    (status = 404, description = "there is no such queue, agent or duty", body = Problem),
))]
pub(super) async fn tell(
    State(state): State<ApiState>,
    Path((tenant, name, agent, duty)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Problem> {
    let duty = match duty.as_str() {
        "login" => Duty::Login,
        "logout" => Duty::Logout,
        "pause" => Duty::Pause,
        "unpause" => Duty::Unpause,
        other => return Err(Problem::not_found("duty", other)),
    };
    if state.queues.tell(&tenant, &name, &agent, duty) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("agent of this queue", &agent))
    }
}
