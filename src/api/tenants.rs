//! `/v1/tenants`: who is served, and which app answers which number.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::problem::Problem;
use super::state::ApiState;
use crate::apps::{Tenant, TenantError, TenantOrigin};
use crate::directory::TenantSettings;
use crate::invalid::Invalid;

/// A tenant, in the form that the settings file has too. `origin` is said, never taken; PINs are taken, and said as
/// `[redacted]`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// The tenant's name: 1 to 63 of `A-Z a-z 0-9 . _ -`.
    pub name: String,
    /// SIP domains that belong to the tenant; `*` stands for every domain that no other tenant has.
    pub domains: Vec<String>,
    /// The language of his prompts, such as `en` or `pt_BR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What each number does: `{"600": {"app": "conference", "room": "600"}}`. A key is a number or name, a pattern (`_2XX`)
    /// or a prefix (`prefix:49`).
    #[serde(default)]
    #[schema(value_type = Object)]
    pub extensions: BTreeMap<String, Value>,
    /// `file` when it stands in a file, `runtime` when it was added by the API.
    #[serde(default)]
    #[schema(read_only)]
    pub origin: String,
    /// Why he is not served, though the API added him: what of him contradicted the files when kamari started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only)]
    pub set_aside: Option<String>,
}

/// The directory after it was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DirectoryView {
    /// Tenants that files declare.
    pub tenants: usize,
}

impl From<&Tenant> for TenantView {
    fn from(tenant: &Tenant) -> Self {
        // What cannot be written as JSON is left out: these types can all be.
        let extension = |(number, extension)| Some((String::clone(number), serde_json::to_value(extension).ok()?));
        let shown = tenant.settings.without_pins();
        Self {
            name: shown.name,
            domains: shown.domains,
            language: shown.language,
            extensions: shown.extensions.iter().filter_map(extension).collect(),
            origin: match tenant.origin {
                TenantOrigin::File => "file".to_owned(),
                TenantOrigin::Runtime => "runtime".to_owned(),
            },
            set_aside: tenant.set_aside.as_ref().map(ToString::to_string),
        }
    }
}

/// All tenants: those of files in their order, then those that the API added, by name.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", responses((status = 200, description = "now", body = [TenantView])))]
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<TenantView>> {
    Json(state.tenants.list().await.iter().map(TenantView::from).collect())
}

/// Adds a tenant. It is served at once, and kept over a restart of kamari when `directory.state_file` is set.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", request_body = TenantView, responses(
    (status = 201, description = "added", body = TenantView),
    (status = 400, description = "a field is missing, unknown or wrong; nothing changed", body = Problem),
    (status = 409, description = "there is a tenant of this name", body = Problem),
    (status = 500, description = "it could not be written down; nothing changed", body = Problem),
))]
pub(super) async fn add(
    State(state): State<ApiState>,
    JsonBody(tenant): JsonBody<TenantSettings>,
) -> Result<Response, Problem> {
    let tenant = TenantView::from(&state.tenants.add(tenant).await?);
    let place = format!("/v1/tenants/{}", utf8_percent_encode(&tenant.name, NON_ALPHANUMERIC));
    let place = HeaderValue::try_from(place)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(tenant)).into_response())
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{name}", tag = "tenants", params(("name" = String, Path, description = "The tenant's name")), responses(
    (status = 200, description = "now", body = TenantView),
    (status = 404, description = "there is no such tenant", body = Problem),
))]
pub(super) async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<TenantView>, Problem> {
    let tenant = state.tenants.get(&name).await.map_err(|error| problem(error, &name))?;
    Ok(Json(TenantView::from(&tenant)))
}

/// Puts a tenant in place of the one that the API added under this name, or adds it. Calls that run keep what they were given.
#[utoipa::path(put, path = "/v1/tenants/{name}", tag = "tenants", params(("name" = String, Path, description = "The tenant's name")),
    request_body = TenantView, responses(
    (status = 200, description = "in effect", body = TenantView),
    (status = 400, description = "a field is missing, unknown or wrong; nothing changed", body = Problem),
    (status = 409, description = "it stands in a file, and is changed there", body = Problem),
    (status = 500, description = "it could not be written down; nothing changed", body = Problem),
))]
pub(super) async fn put(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    JsonBody(tenant): JsonBody<TenantSettings>,
) -> Result<Json<TenantView>, Problem> {
    if tenant.name != name {
        return Err(Invalid::new("name", "the name in the path", &tenant.name).into());
    }
    Ok(Json(TenantView::from(&state.tenants.put(tenant).await?)))
}

/// Removes a tenant that the API added. Calls that run go on.
#[utoipa::path(delete, path = "/v1/tenants/{name}", tag = "tenants", params(("name" = String, Path, description = "The tenant's name")), responses(
    (status = 204, description = "removed"),
    (status = 404, description = "there is no such tenant", body = Problem),
    (status = 409, description = "it stands in a file, and is removed there", body = Problem),
    (status = 500, description = "it could not be written down; nothing changed", body = Problem),
))]
pub(super) async fn remove(State(state): State<ApiState>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    state.tenants.remove(&name).await.map_err(|error| problem(error, &name))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads the tenants of the settings file and of `directory.folder` again. If anything in them is wrong, everything stays as
/// it was.
#[utoipa::path(post, path = "/v1/directory/reload", tag = "tenants", responses(
    (status = 200, description = "in effect", body = DirectoryView),
    (status = 422, description = "the files have mistakes, each named with its place; nothing changed", body = Problem),
))]
pub(super) async fn reload(State(state): State<ApiState>) -> Result<Json<DirectoryView>, Problem> {
    let stopping = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "kamari is shutting down");
    let (reply, done) = oneshot::channel();
    state.reload.send(reply).await.map_err(|_| stopping())?;
    match done.await.map_err(|_| stopping())? {
        Ok(tenants) => Ok(Json(DirectoryView { tenants })),
        Err(mistakes) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, mistakes)),
    }
}

/// The refusal of what was asked of the tenant `name`.
pub(super) fn problem(error: TenantError, name: &str) -> Problem {
    match error {
        TenantError::Unknown => Problem::not_found("tenant", name),
        other => other.into(),
    }
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        let status = match &error {
            TenantError::Unknown => StatusCode::NOT_FOUND,
            TenantError::Exists(_) | TenantError::OfFile(_) | TenantError::Full => StatusCode::CONFLICT,
            TenantError::Invalid(refusal) => return Self::from(refusal.clone()),
            TenantError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            TenantError::Store(_) => {
                tracing::error!(%error, "a tenant could not be written down");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}
