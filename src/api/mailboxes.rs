//! `/v1/mailboxes`: the messages of one mailbox of one tenant, as a phone or a web page shows them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::JsonBody;
use super::problem::Problem;
use super::recordings::{RecordingView, audio_of, delete_one, failed, store};
use super::state::ApiState;
use crate::media::{MessageState, Recording, StoreError};

/// A mailbox: its messages, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailboxView {
    /// Whose it is.
    pub tenant: String,
    /// Its name.
    pub mailbox: String,
    /// Messages that nobody has heard.
    pub new: usize,
    /// Messages that were heard and kept.
    pub saved: usize,
    /// Whether its owner recorded a greeting.
    pub greeting: bool,
    /// The messages.
    pub messages: Vec<RecordingView>,
}

/// What a message becomes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagePatch {
    /// `new` or `saved`.
    pub state: MessageMark,
}

/// How a message can be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageMark {
    /// Nobody has heard it.
    New,
    /// Heard and kept.
    Saved,
}

/// The messages of a mailbox. One that never had any is empty.
#[utoipa::path(get, path = "/v1/mailboxes/{tenant}/{mailbox}", tag = "mailboxes",
    params(("tenant" = String, Path, description = "The tenant's name"), ("mailbox" = String, Path, description = "The mailbox")),
    responses(
        (status = 200, description = "now", body = MailboxView),
        (status = 404, description = "nothing is recorded: media.recordings is not set", body = Problem),
    ))]
pub(super) async fn show(
    State(state): State<ApiState>,
    Path((tenant, mailbox)): Path<(String, String)>,
) -> Result<Json<MailboxView>, Problem> {
    let store = store(&state)?;
    let messages: Vec<_> = store.messages(&tenant, &mailbox).iter().map(|one| RecordingView::from(&**one)).collect();
    let count = |state: &str| messages.iter().filter(|one| one.state.as_deref() == Some(state)).count();
    Ok(Json(MailboxView {
        new: count("new"),
        saved: count("saved"),
        greeting: store.greeting(&tenant, &mailbox).is_some(),
        tenant,
        mailbox,
        messages,
    }))
}

/// Marks a message as new or saved.
#[utoipa::path(patch, path = "/v1/mailboxes/{tenant}/{mailbox}/messages/{id}", tag = "mailboxes",
    params(("tenant" = String, Path, description = "The tenant's name"), ("mailbox" = String, Path, description = "The mailbox"), ("id" = String, Path, description = "The message's id")),
    request_body = MessagePatch,
    responses(
        (status = 200, description = "as it is now", body = RecordingView),
        (status = 400, description = "the body makes no sense", body = Problem),
        (status = 404, description = "the mailbox has no such message", body = Problem),
    ))]
pub(super) async fn mark(
    State(state): State<ApiState>,
    Path((tenant, mailbox, id)): Path<(String, String, String)>,
    JsonBody(patch): JsonBody<MessagePatch>,
) -> Result<Json<RecordingView>, Problem> {
    let message = find(&state, &tenant, &mailbox, &id)?;
    let to = match patch.state {
        MessageMark::New => MessageState::New,
        MessageMark::Saved => MessageState::Saved,
    };
    match store(&state)?.run(move |store| store.mark(&message.id, to)).await {
        Ok(message) => Ok(Json(RecordingView::from(&*message))),
        Err(StoreError::Gone) => Err(Problem::not_found("message", &id)),
        Err(error) => Err(failed(&error)),
    }
}

/// Deletes a message.
#[utoipa::path(delete, path = "/v1/mailboxes/{tenant}/{mailbox}/messages/{id}", tag = "mailboxes",
    params(("tenant" = String, Path, description = "The tenant's name"), ("mailbox" = String, Path, description = "The mailbox"), ("id" = String, Path, description = "The message's id")),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "the mailbox has no such message", body = Problem),
    ))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    Path((tenant, mailbox, id)): Path<(String, String, String)>,
) -> Result<StatusCode, Problem> {
    let message = find(&state, &tenant, &mailbox, &id)?;
    delete_one(store(&state)?, &message).await
}

/// The audio of a message: WAV, 16 bits, one channel, 8 kHz. The message stays as it is marked.
#[utoipa::path(get, path = "/v1/mailboxes/{tenant}/{mailbox}/messages/{id}/audio", tag = "mailboxes",
    params(("tenant" = String, Path, description = "The tenant's name"), ("mailbox" = String, Path, description = "The mailbox"), ("id" = String, Path, description = "The message's id")),
    responses(
        (status = 200, description = "the file", content_type = "audio/wav", body = String),
        (status = 404, description = "the mailbox has no such message", body = Problem),
    ))]
pub(super) async fn audio(
    State(state): State<ApiState>,
    Path((tenant, mailbox, id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let message = find(&state, &tenant, &mailbox, &id)?;
    audio_of(store(&state)?, &message).await
}

/// Deletes the greeting of a mailbox: callers hear the default again.
#[utoipa::path(delete, path = "/v1/mailboxes/{tenant}/{mailbox}/greeting", tag = "mailboxes",
    params(("tenant" = String, Path, description = "The tenant's name"), ("mailbox" = String, Path, description = "The mailbox")),
    responses(
        (status = 204, description = "it is gone"),
        (status = 404, description = "the mailbox has no greeting of its own", body = Problem),
    ))]
pub(super) async fn delete_greeting(
    State(state): State<ApiState>,
    Path((tenant, mailbox)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let store = store(&state)?;
    let greeting = store.greeting(&tenant, &mailbox).ok_or_else(|| Problem::not_found("greeting of", &mailbox))?;
    delete_one(store, &greeting).await
}

/// A message of this mailbox and no other.
fn find(state: &ApiState, tenant: &str, mailbox: &str, id: &str) -> Result<Arc<Recording>, Problem> {
    let messages = store(state)?.messages(tenant, mailbox);
    messages.into_iter().find(|one| one.id.as_str() == id).ok_or_else(|| Problem::not_found("message", id))
}
