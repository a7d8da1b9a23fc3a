//! Prompts for the nodes, over HTTP.
//!
//! Why it exists: nodes are generic, so no prompt lies on a node's disk. A node that is told to play
//! `sound:http://.../hello.wav` fetches the file from here, keeps it in its media cache, and asks again (by `ETag`) when
//! the answer has grown old.
//!
//! Why a listener of its own: every node must reach it, and none should reach the operator's API. The default works for
//! nodes on the same machine; with nodes elsewhere set `listen` and `base_url`.
//!
//! Invariants:
//! - Only files under the prompts folder and the built-in set are served; a name is checked before it becomes a path.
//! - A prompt that is named in the settings exists when the settings are accepted ([`Prompts::resolve`]).

mod builtin;
mod prompts;
mod server;
mod settings;

pub use prompts::{MediaUri, Prompts};
pub use server::serve;
pub use settings::MediaSettings;
