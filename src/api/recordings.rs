//! `/v1/recordings`: what callers left, whatever it is.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::state::ApiState;
use crate::media::{Purpose, Recording, RecordingId, Recordings, StoreError};

/// A recording, without its audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordingView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// `message`, `greeting`, `note` (of the app `record`) or `room`.
    pub kind: String,
    /// The mailbox of a message or greeting.
    pub mailbox: Option<String>,
    /// Where a message stands: `draft` (its caller is still there), `new` or `saved`.
    pub state: Option<String>,
    /// The number that was dialled for a note.
    pub extension: Option<String>,
    /// The name of the room that was recorded.
    pub room: Option<String>,
    /// Which part of the room's recording it is, from 1.
    pub part: Option<u32>,
    /// Who was recorded, as the node saw his number.
    pub caller: String,
    /// The SIP Call-ID of the recorded call, if it had one.
    pub call_id: Option<String>,
    /// The node that recorded it.
    pub node: String,
    /// When it was begun, in milliseconds of Unix time.
    pub started_ms: u64,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// Size of the audio file in bytes.
    pub bytes: u64,
    /// Whether nothing of it is missing: a part is, while the node that has it is away, and for good when the node came back
    /// without it.
    pub whole: bool,
}

impl From<&Recording> for RecordingView {
    fn from(one: &Recording) -> Self {
        let (kind, extension) = match &one.purpose {
            Purpose::Message { .. } => ("message", None),
            Purpose::Greeting { .. } => ("greeting", None),
            Purpose::Room { .. } => ("room", None),
            Purpose::Note { extension } => ("note", Some(extension.to_string())),
        };
        let (room, part) = match &one.purpose {
            Purpose::Room { room, part } => (Some(room.to_string()), Some(*part)),
            _ => (None, None),
        };
        Self {
            id: one.id.to_string(),
            tenant: one.tenant.to_string(),
            kind: kind.to_owned(),
            mailbox: one.mailbox().map(ToString::to_string),
            state: one.state().as_ref().map(super::views::word),
            extension,
            room,
            part,
            caller: one.caller.to_string(),
            call_id: one.call_id.as_ref().map(ToString::to_string),
            node: one.node.to_string(),
            started_ms: one.started_ms,
            duration_ms: one.duration_ms,
            bytes: one.bytes,
            whole: one.whole,
        }
    }
}

/// Which recordings are wanted; what is left out does not narrow.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Only this tenant's.
    tenant: Option<String>,
    /// Only messages and greetings of this mailbox.
    mailbox: Option<String>,
    /// Only `message`, `greeting`, `note` or `room`.
    kind: Option<String>,
}

/// All recordings, oldest first.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", params(Wanted), responses(
    (status = 200, description = "now", body = [RecordingView]),
    (status = 400, description = "an unknown parameter", body = Problem),
    (status = 404, description = "nothing is recorded: media.recordings is not set", body = Problem),
))]
pub(super) async fn list(
    State(state): State<ApiState>,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Vec<RecordingView>>, Problem> {
    let Query(wanted) = wanted.map_err(|refused| Problem::new(StatusCode::BAD_REQUEST, refused.body_text()))?;
    let fits = |want: &Option<String>, has: Option<&str>| want.as_deref().is_none_or(|want| has == Some(want));
    let views = store(&state)?.list(|_| true).into_iter().map(|one| RecordingView::from(&*one)).filter(|view| {
        fits(&wanted.tenant, Some(&view.tenant))
            && fits(&wanted.mailbox, view.mailbox.as_deref())
            && fits(&wanted.kind, Some(&view.kind))
    });
    Ok(Json(views.collect()))
}

/// One recording.
#[utoipa::path(get, path = "/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path, description = "The recording's id")), responses(
    (status = 200, description = "now", body = RecordingView),
    (status = 404, description = "there is no such recording", body = Problem),
))]
pub(super) async fn show(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<RecordingView>, Problem> {
    Ok(Json(RecordingView::from(&*find(&state, &id)?)))
}

/// The audio of a recording: WAV, 16 bits, one channel, 8 kHz.
#[utoipa::path(get, path = "/v1/recordings/{id}/audio", tag = "recordings", params(("id" = String, Path, description = "The recording's id")), responses(
    (status = 200, description = "the file", content_type = "audio/wav", body = String),
    (status = 404, description = "there is no such recording", body = Problem),
))]
pub(super) async fn audio(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Response, Problem> {
    let recording = find(&state, &id)?;
    audio_of(store(&state)?, &recording).await
}

/// Deletes a recording.
#[utoipa::path(delete, path = "/v1/recordings/{id}", tag = "recordings", params(("id" = String, Path, description = "The recording's id")), responses(
    (status = 204, description = "it is gone"),
    (status = 404, description = "there is no such recording", body = Problem),
))]
pub(super) async fn delete(State(state): State<ApiState>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let recording = find(&state, &id)?;
    delete_one(store(&state)?, &recording).await
}

/// The recordings, or the reason why there are none.
pub(super) fn store(state: &ApiState) -> Result<&Arc<Recordings>, Problem> {
    let detail = "nothing is recorded here: media.recordings names no folder";
    state.recordings.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, detail))
}

fn find(state: &ApiState, id: &str) -> Result<Arc<Recording>, Problem> {
    let found = RecordingId::parse(id).ok().and_then(|id| store(state).map(|store| store.get(&id)).transpose());
    found.unwrap_or_else(|| Err(Problem::not_found("recording", id)))
}

pub(super) async fn audio_of(store: &Recordings, recording: &Recording) -> Result<Response, Problem> {
    match tokio::fs::read(store.audio(&recording.id)).await {
        Ok(audio) => {
            let name = format!("attachment; filename=\"{}.wav\"", recording.id);
            let about = [(header::CONTENT_TYPE, "audio/wav".to_owned()), (header::CONTENT_DISPOSITION, name)];
            Ok((about, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::CACHE_CONTROL, "no-store")], audio)
                .into_response())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Problem::not_found("recording", recording.id.as_str()))
        }
        Err(error) => Err(failed(&StoreError::Unreadable { path: store.audio(&recording.id), cause: error })),
    }
}

pub(super) async fn delete_one(store: &Arc<Recordings>, recording: &Recording) -> Result<StatusCode, Problem> {
    let id = recording.id.clone();
    match store.run(move |store| store.delete(&id)).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) | Err(StoreError::Gone) => Err(Problem::not_found("recording", recording.id.as_str())),
        Err(error) => Err(failed(&error)),
    }
}

/// The disk does not do what it should: the log says how, the client that it was not its fault.
pub(super) fn failed(error: &StoreError) -> Problem {
    tracing::error!(%error, "a request for recordings failed");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the recordings cannot be read or written; the log says why")
}
