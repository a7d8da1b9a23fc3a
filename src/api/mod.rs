//! The operator's HTTP API, with the metrics and the web page beside it.
//!
//! Why it exists: whatever an operator, a script, Prometheus or the page wants of kamari comes through here, apart from
//! the lookup and its threads.
//!
//! Invariants: bodies are bounded; an unknown key is an error that names it; every refusal is `application/problem+json`;
//! a handler only asks the owners of the state (pool, calls), and keeps none itself. The document at `/openapi.json` is
//! made from the handlers and committed as `docs/openapi.json`; a test fails when they drift.

mod body;
mod calls;
mod events;
mod guard;
mod health;
mod mailboxes;
mod nodes;
mod openapi;
mod problem;
mod queues;
mod recordings;
mod rooms;
mod router;
mod settings;
mod state;
mod tenants;
mod views;

pub use calls::NewCallView;
pub use mailboxes::{MailboxView, MessageMark, MessagePatch};
pub use openapi::document;
pub use problem::Problem;
pub use recordings::RecordingView;
pub use rooms::{RoomMemberView, RoomView};
pub use router::{router, serve};
pub use settings::Settings;
pub use state::{ApiState, ReloadReply};
pub use tenants::{DirectoryView, TenantView};
pub use views::{CallDetail, CallView, LookupsView, NewNodeView, NodePatchView, NodeView, StatusView};
