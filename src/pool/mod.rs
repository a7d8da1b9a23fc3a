//! The nodes: who they are, how they are, how much they carry, and which call was promised to which.
//!
//! `registry` is the sole owner of every node. One `monitor` task per node asks it questions and hears its events; what
//! it learns goes to the registry, which keeps the state machine (`lifecycle`), the balancer and the state file
//! (`store`), says every change once (`event`), and publishes an immutable [`Snapshot`]. Lookup threads read that, and
//! promise calls (`reservation`) through [`Routing`], without ever waiting for anybody.

mod beat;
mod calls;
mod cpu;
mod event;
mod handle;
mod ledger;
mod lifecycle;
mod link;
mod monitor;
mod name;
mod node;
mod observer;
mod panel;
mod probe;
mod registry;
mod reservation;
mod round;
mod routing;
mod saver;
mod settings;
mod snapshot;
mod spec;
mod status;
mod store;
mod whole;

pub use event::{Intent, PoolEvent};
pub use handle::{Parts, Pool, PoolError};
pub use lifecycle::{Availability, Change, Lifecycle};
pub use link::{APPLICATION, NodeLink, NodeListener, OWN_PREFIX, PROBE_PREFIX, Resync};
pub(crate) use name::is_host;
pub use name::{CallId, NodeName, SipUri};
pub use routing::{Answer, NoPlace, Place, Routed, Routing, StandaloneNotes};
pub use settings::Settings;
pub use snapshot::{Snapshot, Target};
pub use spec::{NodePatch, NodeSpec, RawNode};
pub use status::{NodeCalls, NodeSample, NodeStatus};
pub use store::{Origin, StoreError};

/// Writes shared text as text.
fn as_text<S: serde::Serializer>(text: &std::sync::Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}
