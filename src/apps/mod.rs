//! The apps: what a call does.
//!
//! Why it exists: an Asterisk node knows no extension and no customer. What a number means is written here, one app a file,
//! each a short straight-line function over [`Call`](crate::call::Call). `docs/writing-apps.md` shows how to write one.
//!
//! How a call gets its app: [`Switchboard`] reads the domain that was called, asks the directory for the extension, and
//! runs what it finds. The directory holds apps that are built: parameters were checked when the settings were loaded.

/// The example of the guide compiles and runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-apps.md")]
struct WritingApps;

mod app;
mod conference;
mod dial;
mod echo;
mod hours;
mod ivr;
mod music;
mod notices;
mod parameters;
mod parted;
mod placing;
mod playback;
mod queue;
mod record;
mod recorder;
mod reject;
mod switchboard;
mod tenants;
mod voicemail;

pub use app::{App, Catalogue, Next};
pub use conference::Conference;
pub use dial::Dial;
pub use echo::Echo;
pub use ivr::Ivr;
pub use music::Music;
pub use notices::Notices;
pub use parameters::Reader;
pub use placing::Placing;
pub use playback::Playback;
pub use queue::{AgentView, Duty, Queue, QueueAgent, QueueView, Queues};
pub use record::Record;
pub use recorder::{Collector, Recorder};
pub use reject::Reject;
pub use switchboard::Switchboard;
pub use tenants::{Tenant, TenantError, TenantOrigin, Tenants};
pub use voicemail::{Mailbox, Voicemail};
