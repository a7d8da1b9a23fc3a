//! What several test binaries and benches share.

pub mod fake_node;
pub mod pool;
