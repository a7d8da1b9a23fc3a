//! Keeps the dispatcher of every configured Kamailio equal to the pool, so that calls find the nodes while kamari is away.
//!
//! Why it exists: the lookup fails open. When kamari does not answer, Kamailio routes by its own dispatcher list, and
//! that list is only as good as what kamari wrote into it while it still could.
//!
//! How: for each Kamailio one task compares what its dispatcher lists with what the pool wants, and sends the commands
//! that lead from the one to the other ([`plan`](plan::plan), pure), by JSON-RPC, until a fresh list agrees. It looks
//! again on every change of the pool and every `interval_s`, which also repairs what a restart of Kamailio, a
//! `dispatcher.reload` or somebody's hand has changed.
//!
//! Invariants:
//! - One request at a time to each Kamailio. Commands that make it rebuild its list are `spacing_ms` apart: Kamailio
//!   frees the list before last at each rebuild, whoever still reads it.
//! - A node that takes no new calls is *disabled*, which no successful probe undoes (an inactive one would be used again
//!   at its first good OPTIONS).
//! - An empty pool changes nothing: it says that kamari knows no node, not that there is none.
//!
//! Owner of: what kamari knows about each Kamailio's dispatcher ([`TargetStatus`]). It does not know the pool: whoever
//! composes the daemon feeds it [`Destination`]s.

mod destination;
mod keeper;
mod plan;
mod rpc;
mod settings;

pub use destination::{Destination, DestinationUri, Use};
pub use keeper::{Fallback, Status, TargetStatus};
pub use settings::Settings;
