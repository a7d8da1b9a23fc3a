//! The nodes: who they are, how they are, how much they carry, and which call was promised to which.
//!
//! `registry` is the sole owner of every node. One `monitor` task per node asks it questions and hears its events; what
//! it learns goes to the registry, which keeps the state machine (`lifecycle`), the balancer and the state file
//! (`store`), says every change once (`event`), and publishes an immutable snapshot. Lookup threads read that, and
//! promise calls (`reservation`) through `routing`, without ever waiting for anybody.

mod event;
mod lifecycle;
mod name;
mod settings;
mod spec;

pub use event::{Intent, PoolEvent};
pub use lifecycle::{Availability, Change, Lifecycle};
pub use name::{CallId, NodeName, SipUri};
pub use settings::Settings;
pub use spec::{NodePatch, NodeSpec, RawNode};

/// Writes shared text as text.
fn as_text<S: serde::Serializer>(text: &std::sync::Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
