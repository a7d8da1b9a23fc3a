//! `[shutdown]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The end of kamari.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShutdownSettings {
    /// How long calls may go on to end by themselves after SIGTERM, in seconds: 0 to 86400. Those that are left then stay
    /// up on their nodes, and the next kamari takes them up.
    pub drain_s: u64,
}

impl Default for ShutdownSettings {
    fn default() -> Self {
        Self { drain_s: 5 }
    }
}

impl ShutdownSettings {
    /// Refuses values out of their ranges.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.drain_s > 86_400 {
            return Err(Invalid::new("drain_s", "a whole number of seconds from 0 to 86400", self.drain_s));
        }
        Ok(())
    }

    /// `drain_s` as a duration.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_s)
    }
}
