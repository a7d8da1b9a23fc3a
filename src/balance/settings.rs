//! Every constant of the choice, with its unit and range. The defaults are meant to be left alone: `docs/selection.md`
//! shows what they reach.

use crate::invalid::Invalid;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Section `[balance]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Nodes answered to one lookup, best first. 1 to 5.
    pub routes: usize,
    /// How old a node's last good poll may be before the node is used only as a last resort. Milliseconds, 500 to 60000.
    pub stale_after_ms: u64,
    /// Most nodes that the pool can hold at once, removed ones that still have calls included. 1 to 65536.
    pub max_nodes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { routes: 3, stale_after_ms: 3_000, max_nodes: 4_096 }
    }
}

impl Settings {
    /// Refuses the first value that is out of its range; field names are relative to `[balance]`.
    pub fn validate(&self) -> Result<(), Invalid> {
        whole("routes", self.routes as u64, 1..=super::MAX_ROUTES as u64, "")?;
        whole("stale_after_ms", self.stale_after_ms, 500..=60_000, " of milliseconds")?;
        whole("max_nodes", self.max_nodes as u64, 1..=65_536, "")
    }

    /// `stale_after_ms` as a duration.
    pub(super) const fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms)
    }
}

fn whole(field: &str, found: u64, range: RangeInclusive<u64>, unit: &str) -> Result<(), Invalid> {
    if range.contains(&found) {
        return Ok(());
    }
    let expected = format!("a whole number{unit} from {} to {}", range.start(), range.end());
    Err(Invalid::new(field, expected, found))
}
