//! Asterisk's REST Interface (ARI) and nothing else: typed requests, typed events, and the event socket of one node.
//!
//! Knows no other module of kamari but `invalid`. What a node sends is untrusted: lengths are bounded, what is unknown is kept,
//! what is malformed is an error with a name, and nothing from the network can panic or block.
//!
//! - [`AriClient`]: requests, grouped by resource in [`rest`]. Its owner decides deadlines; clones share connections.
//! - [`EventSocket`]: the events of one node, in order, as long as anyone listens.
//! - [`event`] and [`model`]: what comes back.
//! - [`AriError`] and [`ConnectFailure`]: what went wrong, in an operator's words.
//! - [`Observer`]: who measures all this.

mod client;
mod error;
pub mod event;
pub mod model;
mod observer;
pub mod rest;
mod settings;
mod socket;
mod target;
mod tls;
pub mod wire;

pub use client::AriClient;
pub use error::{AriError, ConnectFailure};
pub use event::{DecodeError, Event, EventKind};
pub use observer::{Observer, RequestOutcome};
pub use settings::Settings;
pub use socket::{EventSocket, SocketItem};
pub use target::AriTarget;
