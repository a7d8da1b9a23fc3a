//! Call detail records: what is left of a call when it is over, for the bill, for statistics, for the question of why.
//!
//! Why it exists: `call` knows when a call is over and what it was; where its record goes is nobody's business there.
//!
//! Invariants:
//! - One record a call. Who ends a call makes its record (`call`), and hands it over once.
//! - Handing over never waits: the queue to the file is bounded, and what finds no room is counted and logged.
//! - Lines of the file are whole: what could not be written is kept (up to a bound) and written when that is possible
//!   again, from the byte on at which it stopped.
//! - It knows no other room: the record is plain values.

mod record;
mod settings;
mod writer;

pub use record::{Cdr, Media};
pub use settings::{Destination, Settings};
pub use writer::{Cdrs, Writer};
