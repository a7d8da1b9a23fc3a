//! `[lookup]`.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The listener that Kamailio asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port to listen on. Whoever reaches it may have calls routed: keep it where only Kamailio is.
    pub listen: SocketAddr,
    /// Threads that do nothing but answer lookups: 1 to 64. One answers tens of thousands a second.
    pub threads: usize,
    /// Connections open at the same time: 1 to 100000. Kamailio keeps one per SIP worker.
    pub max_connections: usize,
    /// Longest that a connection may stay silent, or take to send one request, in milliseconds: 1000 to 3600000.
    pub idle_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8070)),
            threads: 1,
            max_connections: 4_096,
            idle_timeout_ms: 60_000,
        }
    }
}

impl Settings {
    /// Refuses the first value that is out of its range; field names are relative to `[lookup]`.
    pub fn validate(&self) -> Result<(), Invalid> {
        let whole = |field: &str, found: u64, least: u64, most: u64, of: &str| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Invalid::new(field, format!("a whole number of {of} from {least} to {most}"), found))
        };
        whole("threads", self.threads as u64, 1, 64, "threads")?;
        whole("max_connections", self.max_connections as u64, 1, 100_000, "connections")?;
        whole("idle_timeout_ms", self.idle_timeout_ms, 1_000, 3_600_000, "milliseconds")
    }

    /// `idle_timeout_ms` as a duration.
    pub const fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}
