//! kamari stands between Kamailio and a pool of identical Asterisk nodes: it routes each call by performance only,
//! and runs the application logic of every call over ARI.
//!
//! The map of the modules, and the arrows allowed between them, are in `docs/architecture.md`;
//! `tests/architecture.rs` enforces the arrows.

pub mod api;
pub mod apps;
pub mod ari;
pub mod balance;
pub mod call;
pub mod cdr;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod dashboard;
pub mod directory;
pub mod fallback;
pub mod invalid;
pub mod lookup;
pub mod media;
pub mod pool;
mod serving;
pub mod simulate;
pub mod statefile;
pub mod telemetry;
