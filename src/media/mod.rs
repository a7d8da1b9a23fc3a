//! Prompts for the nodes and recordings from them, over HTTP.
//!
//! Why it exists: nodes are generic, so no prompt lies on a node's disk, and no recording stays there. A node that is told to play
//! `sound:http://.../hello.wav` fetches the file from here, keeps it in its media cache, and asks again (by `ETag`) when
//! the answer has grown old.
//!
//! Why a listener of its own: every node must reach it, and none should reach the operator's API. The default works for
//! nodes on the same machine; with nodes elsewhere set `listen` and `base_url`.
//!
//! Invariants:
//! - Only files under the prompts folder and the built-in set are served; a name is checked before it becomes a path.
//! - A prompt that is named in the settings exists when the settings are accepted ([`Prompts::resolve`]).
//! - Recordings are kept by [`Recordings`]; a node gets one only while it plays it ([`Lender`]).
//! - Nothing here talks to a node: whoever commands nodes brings what they recorded.

mod builtin;
mod lending;
mod prompts;
mod recordings;
mod server;
mod settings;
mod wav;

pub use lending::{Lender, Loan};
pub use prompts::{Listener, MediaUri, Prompts};
pub use recordings::{
    MailboxChange, MessageState, Pending, Purpose, Recording, RecordingId, Recordings, Retention, StoreError, Verdict,
    check_mailbox,
};
pub use server::{Served, serve};
pub use settings::MediaSettings;
