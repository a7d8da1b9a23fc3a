//! Which node takes the next call. Pure: functions of (state, input, time, randomness), with no I/O, no clock and no task.
//!
//! Who owns what. One task (the pool's registry in the daemon, the event loop in the simulator) owns the `Balancer` and
//! tells it everything that happens. Lookup threads share the `LoadTable` (atomics, by slot) and the latest published
//! `Scores` (immutable but for what they remember of the table), and call `place`, which ranks the nodes and reserves a place on the best one.
//!
//! Invariants: a withheld (draining, disabled, down, joining) or full node is never named; a node's total of
//! own, reserved and foreign calls never exceeds its limit by reservations, however many threads race; a ranking never depends on
//! the order in which nodes were added; ties are fair. The rules and their sources are in `ALGORITHM.md`.

mod balancer;
mod breaker;
mod capacity;
mod choose;
mod cpu;
mod front;
mod minima;
mod node;
#[cfg(test)]
mod properties;
mod quality;
mod ration;
mod scores;
mod settings;
mod table;

pub use balancer::Balancer;
pub use choose::{MAX_ROUTES, Placement, Ranked, Refusal, choose, is_heard, place, reserve};
pub use node::{NodeState, PollMark, Sample, Standing};
pub use scores::{Class, Record, Scores};
pub use settings::Settings;
pub use table::{Load, LoadTable, Slot};
