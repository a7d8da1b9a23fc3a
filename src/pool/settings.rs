//! `[pool]`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use crate::invalid::Invalid;

/// The nodes: how they are checked, how long a call is promised, where run-time changes are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// File that keeps what the operator changes at run time (nodes added, changed, drained, removed). Unset: such
    /// changes end with the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_file: Option<PathBuf>,
    /// Calls that a node may carry at once when its entry does not say: 1 to 100000.
    pub default_capacity: u32,
    /// ARI user of nodes whose entry names none.
    pub username: String,
    /// ARI password of nodes whose entry names none.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "redacted")]
    pub password: Option<SecretString>,
    /// Time between two rounds of checks of a node, in milliseconds: 100 to 60000. A tenth of it is jitter.
    pub poll_interval_ms: u64,
    /// Longest that one check may take before the round counts as failed, in milliseconds: 50 to 60000.
    pub check_timeout_ms: u64,
    /// Good rounds in a row until a node is up: 1 to 100.
    pub up_after: u32,
    /// Failed rounds in a row until a node is down: 1 to 100. The first already makes an up node suspect.
    pub down_after: u32,
    /// How long a call stays promised to a node when it does not arrive there, in milliseconds: 1000 to 120000.
    pub reservation_ms: u64,
    /// Most calls that are remembered at once, promised and running ones together: 100 to 10000000. Beyond it lookups
    /// are refused. About 300 bytes each.
    pub max_reservations: usize,
    /// Channels in our application on one node beyond which its further calls are not served: 100 to 1000000. No node carries
    /// so many; one that says so is broken, or lies.
    pub max_node_channels: usize,
    /// Seconds after another controller took a node over until kamari takes it back by itself, doubled each time up to an
    /// hour: 5 to 3600. The operator can do it at once.
    pub take_back_after_s: u64,
    /// Dialplan context that the probe channel, through which a node's load is read, is created with. The channel never runs there.
    pub probe_context: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            state_file: None,
            default_capacity: 100,
            username: "kamari".to_owned(),
            password: None,
            poll_interval_ms: 1_000,
            check_timeout_ms: 1_000,
            up_after: 2,
            down_after: 3,
            reservation_ms: 10_000,
            max_reservations: 200_000,
            max_node_channels: 20_000,
            take_back_after_s: 60,
            probe_context: "from-kamailio".to_owned(),
        }
    }
}

impl Settings {
    /// Refuses the first value that is out of its range; field names are relative to `[pool]`.
    pub fn validate(&self) -> Result<(), Invalid> {
        let whole = |field: &str, found: u64, least: u64, most: u64, of: &str| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(Invalid::new(field, format!("a whole number of {of} from {least} to {most}"), found))
        };
        whole("default_capacity", self.default_capacity.into(), 1, 100_000, "calls")?;
        whole("poll_interval_ms", self.poll_interval_ms, 100, 60_000, "milliseconds")?;
        whole("check_timeout_ms", self.check_timeout_ms, 50, 60_000, "milliseconds")?;
        whole("up_after", self.up_after.into(), 1, 100, "rounds")?;
        whole("down_after", self.down_after.into(), 1, 100, "rounds")?;
        whole("reservation_ms", self.reservation_ms, 1_000, 120_000, "milliseconds")?;
        whole("max_reservations", self.max_reservations as u64, 100, 10_000_000, "calls")?;
        whole("max_node_channels", self.max_node_channels as u64, 100, 1_000_000, "channels")?;
        whole("take_back_after_s", self.take_back_after_s, 5, 3_600, "seconds")?;
        if self.username.is_empty() || self.username.contains([':', '\r', '\n', '\0']) {
            return Err(Invalid::new("username", "a user name without ':' or line ends", &self.username));
        }
        let context_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if self.probe_context.is_empty() || !self.probe_context.bytes().all(context_good) {
            return Err(Invalid::new("probe_context", "letters, digits, '-' and '_'", &self.probe_context));
        }
        Ok(())
    }

    /// `poll_interval_ms` as a duration.
    pub const fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    /// How long a node may be without a good check, or without its events, until it is down.
    pub fn down_time(&self) -> Duration {
        self.poll_interval() * self.down_after
    }

    /// `check_timeout_ms` as a duration.
    pub const fn check_timeout(&self) -> Duration {
        Duration::from_millis(self.check_timeout_ms)
    }

    /// `reservation_ms` as a duration.
    pub const fn reservation(&self) -> Duration {
        Duration::from_millis(self.reservation_ms)
    }

    /// `take_back_after_s` as a duration.
    pub const fn take_back_after(&self) -> Duration {
        Duration::from_secs(self.take_back_after_s)
    }
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn redacted<S: Serializer>(_: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("[redacted]")
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_defaults_are_valid_and_bounds_are_named() {
        Settings::default().validate().expect("defaults");
        let wrong = Settings { poll_interval_ms: 10, ..Settings::default() };
        assert_eq!(wrong.validate().expect_err("too fast").field, "poll_interval_ms");
        let wrong = Settings { probe_context: "a,b".into(), ..Settings::default() };
        assert_eq!(wrong.validate().expect_err("separators").field, "probe_context");
    }
}
