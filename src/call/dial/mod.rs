//! Dialling: legs from the caller's node to others, by way of Kamailio's core socket.
//!
//! An app asks with a [`DialRequest`]; [`Call::dial`](super::Call::dial) rings whoever it names (`race`), passes ringing and
//! early media on, and gives the leg that answered first, or why nobody did. [`Call::connect`](super::Call::connect) lets
//! the caller and the leg talk (`connect`), with music for who is held (`hold`), until one hangs up or is transferred
//! (`transfer`). A leg is one channel with one owner, a task of the call that dialled it (`leg`).

mod connect;
mod hold;
mod leg;
mod race;
mod request;
mod transfer;

pub(super) use connect::{Pair, Talking};
pub use connect::{Parted, Reaches, Talk};
pub(super) use hold::stop as stop_music;
pub use leg::DialledLeg;
pub(super) use leg::{Outgoing, Plan, create, enters, ring};
pub use race::Dialled;
pub(super) use race::dial;
pub(super) use request::is_domain;
pub use request::{Address, CallerId, DialRequest, Strategy};
pub(super) use transfer::{Party, enter_room};
