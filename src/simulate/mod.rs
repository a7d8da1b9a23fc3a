//! A discrete-event simulator that puts kamari's own balancing code and the rules of its peers before the same calls.
//!
//! It is how the constants of `balance` were found, how their figures are held (`tests/selection.rs`), and a tool for
//! operators (`kamari simulate`). Every run is deterministic: the same seed gives the same calls to every rule, and the
//! same result on every machine. It knows `balance` and nothing else of kamari.

mod compare;
mod document;
mod engine;
mod erlang;
mod html;
mod measure;
mod nodes;
mod rule;
mod rules;
mod scenario;
mod svg;
mod traffic;

pub use crate::balance::Settings;
pub use compare::{Question, Row, compare, sweep};
pub use document::{Documents, Page, document};
pub use erlang::{Plan, erlang_b, erlangs_at, slots_for};
pub use html::{SweepPoint, report};
pub use measure::Outcome;
pub use nodes::{NodeSize, Nodes};
pub use rules::Policy;
pub use scenario::Scenario;
pub use traffic::Holding;
