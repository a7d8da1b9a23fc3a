//! Every constant of the choice, with its unit and range. The defaults are meant to be left alone: `docs/selection.md`
//! shows what they reach, `ALGORITHM.md` beside this file why they are what they are.

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
    /// Share of its CPU at which a node counts as full for the ranking. 0.1 to 1.
    pub cpu_limit: f64,
    /// Calls a second at which a node counts as full for the ranking; 0 for no such bound. 0 to 10000.
    pub max_call_rate: f64,
    /// How long a node is eased in after it joined, came back or was mended. Seconds, 0 to 3600.
    pub slow_start_s: u64,
    /// Calls that a node gets while it is eased in, as a multiple of its fair share. 0.1 to 100.
    pub slow_start_share: f64,
    /// Failures in a row after which a node gets no calls for a while. 1 to 100.
    pub breaker_failures: u32,
    /// How long that is the first time; each further time it is ten times as long. Seconds, 1 to 3600.
    pub breaker_open_s: u64,
    /// The longest it gets. Seconds, 1 to 86400, not below `breaker_open_s`.
    pub breaker_open_max_s: u64,
    /// How long after a refusal a node that proved smaller than configured is tried with one call more; doubles while it
    /// refuses. Seconds, 1 to 3600.
    pub capacity_probe_s: u64,
    /// The longest that gets. Seconds, 1 to 86400, not below `capacity_probe_s`.
    pub capacity_probe_max_s: u64,
    /// Multiple of the pool's median set-up time that costs a node nothing. 1 to 100.
    pub setup_tolerance: f64,
    /// What each doubling of set-up time beyond that costs, in units of utilisation. 0 to 10.
    pub setup_penalty: f64,
    /// How long a slow set-up is remembered. Seconds, 1 to 3600.
    pub setup_memory_s: f64,
    /// What a node that fails every call costs, in units of utilisation; half of the calls, half of it. 0 to 10.
    pub failure_penalty: f64,
    /// How long a failed call is remembered. Seconds, 1 to 3600.
    pub failure_memory_s: f64,
    /// What RTP loss beyond the pool's median costs, in units of utilisation for each unit of loss: 20 makes 1% of loss
    /// weigh as much as 20% of capacity in use. 0 to 1000.
    pub loss_penalty: f64,
    /// What each millisecond of jitter beyond the pool's median and 20 ms costs, in units of utilisation. 0 to 10.
    pub jitter_penalty: f64,
    /// How long bad audio is remembered when no calls confirm or deny it. Seconds, 1 to 86400.
    pub media_memory_s: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            routes: 3,
            stale_after_ms: 3_000,
            max_nodes: 4_096,
            cpu_limit: 0.75,
            max_call_rate: 0.0,
            slow_start_s: 60,
            slow_start_share: 2.0,
            breaker_failures: 2,
            breaker_open_s: 30,
            breaker_open_max_s: 300,
            capacity_probe_s: 30,
            capacity_probe_max_s: 600,
            setup_tolerance: 2.0,
            setup_penalty: 0.1,
            setup_memory_s: 10.0,
            failure_penalty: 1.0,
            failure_memory_s: 30.0,
            loss_penalty: 20.0,
            jitter_penalty: 0.01,
            media_memory_s: 120.0,
        }
    }
}

impl Settings {
    /// Refuses the first value that is out of its range; field names are relative to `[balance]`.
    pub fn validate(&self) -> Result<(), Invalid> {
        const DAY: u64 = 86_400;
        whole("routes", self.routes as u64, 1..=super::MAX_ROUTES as u64, "")?;
        whole("stale_after_ms", self.stale_after_ms, 500..=60_000, " of milliseconds")?;
        whole("max_nodes", self.max_nodes as u64, 1..=65_536, "")?;
        number("cpu_limit", self.cpu_limit, 0.1..=1.0)?;
        number("max_call_rate", self.max_call_rate, 0.0..=10_000.0)?;
        whole("slow_start_s", self.slow_start_s, 0..=3_600, " of seconds")?;
        number("slow_start_share", self.slow_start_share, 0.1..=100.0)?;
        whole("breaker_failures", u64::from(self.breaker_failures), 1..=100, "")?;
        whole("breaker_open_s", self.breaker_open_s, 1..=3_600, " of seconds")?;
        whole("breaker_open_max_s", self.breaker_open_max_s, self.breaker_open_s..=DAY, " of seconds")?;
        whole("capacity_probe_s", self.capacity_probe_s, 1..=3_600, " of seconds")?;
        whole("capacity_probe_max_s", self.capacity_probe_max_s, self.capacity_probe_s..=DAY, " of seconds")?;
        number("setup_tolerance", self.setup_tolerance, 1.0..=100.0)?;
        number("setup_penalty", self.setup_penalty, 0.0..=10.0)?;
        number("setup_memory_s", self.setup_memory_s, 1.0..=3_600.0)?;
        number("failure_penalty", self.failure_penalty, 0.0..=10.0)?;
        number("failure_memory_s", self.failure_memory_s, 1.0..=3_600.0)?;
        number("loss_penalty", self.loss_penalty, 0.0..=1_000.0)?;
        number("jitter_penalty", self.jitter_penalty, 0.0..=10.0)?;
        number("media_memory_s", self.media_memory_s, 1.0..=DAY as f64)
    }

    pub(super) const fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms)
    }

    /// What is left of a node's freshness when its next poll is overdue: polls come at a third of that time, and two fifths
    /// leave room for a slow one.
    pub(super) const fn overdue_left(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms * 3 / 5)
    }

    pub(super) const fn slow_start(&self) -> Duration {
        Duration::from_secs(self.slow_start_s)
    }

    pub(super) const fn breaker_open(&self) -> Duration {
        Duration::from_secs(self.breaker_open_s)
    }

    pub(super) const fn breaker_open_max(&self) -> Duration {
        Duration::from_secs(self.breaker_open_max_s)
    }

    pub(super) const fn capacity_probe(&self) -> Duration {
        Duration::from_secs(self.capacity_probe_s)
    }

    pub(super) const fn capacity_probe_max(&self) -> Duration {
        Duration::from_secs(self.capacity_probe_max_s)
    }
}

fn whole(field: &str, found: u64, range: RangeInclusive<u64>, unit: &str) -> Result<(), Invalid> {
    if range.contains(&found) {
        return Ok(());
    }
    let expected = format!("a whole number{unit} from {} to {}", range.start(), range.end());
    Err(Invalid::new(field, expected, found))
}

fn number(field: &str, found: f64, range: RangeInclusive<f64>) -> Result<(), Invalid> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("a number from {} to {}", range.start(), range.end()), found))
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_defaults_are_valid_and_nonsense_is_named() {
        Settings::default().validate().unwrap();
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().unwrap_err().field
        };
        assert_eq!(refused(|s| s.routes = 6), "routes");
        assert_eq!(refused(|s| s.cpu_limit = f64::NAN), "cpu_limit");
        assert_eq!(refused(|s| s.breaker_open_max_s = 10), "breaker_open_max_s");
        assert_eq!(refused(|s| s.media_memory_s = 0.0), "media_memory_s");
    }
}
