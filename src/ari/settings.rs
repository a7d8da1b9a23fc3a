//! The `[ari]` section: how nodes are talked to. The same for all nodes.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// How nodes are talked to: deadlines, bounds, and the pace of reconnects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Deadline of a request, its answer included, in milliseconds, 50 to 60000. Requests that Asterisk itself holds back
    /// (`answer` on a channel that plays) need to fit in it too.
    pub request_timeout_ms: u64,
    /// Deadline of a new connection, in milliseconds, 50 to 60000. Within the request's own deadline. With `reconnect_max_ms` it
    /// bounds how long a node stays unheard once the network is back.
    pub connect_timeout_ms: u64,
    /// How long an unused connection is kept, in milliseconds, 1000 to 14000. Asterisk closes it after 15 s, and a request
    /// sent at that moment is lost.
    pub idle_timeout_ms: u64,
    /// Requests to one node under way at once, 1 to 1000. The next ones wait, within their deadline. Asterisk serves at most
    /// `sessionlimit` connections (100 unless http.conf says otherwise), the event socket included, and closes more unanswered.
    pub max_in_flight: usize,
    /// The largest answer that is read, in bytes, 65536 to 1073741824. 1,000 channels take about 350 KB.
    pub max_body_bytes: usize,
    /// The largest event that is read, in bytes, 4096 to 67108864. A larger one ends the connection.
    pub max_event_bytes: usize,
    /// Events of one node that may wait to be handled, 16 to 1048576. More are dropped and counted, and the node is reconciled.
    pub event_queue: usize,
    /// Time between pings on the event socket, in milliseconds, 100 to 60000.
    pub ping_interval_ms: u64,
    /// How long the event socket may be silent after a ping, in milliseconds, 100 to 60000. Then it counts as dead.
    pub ping_timeout_ms: u64,
    /// Shortest wait before the event socket is opened again, in milliseconds, 10 to 60000. Doubles with each failure.
    pub reconnect_min_ms: u64,
    /// Longest wait before the event socket is opened again, in milliseconds, at least `reconnect_min_ms`, up to 600000.
    pub reconnect_max_ms: u64,
    /// File of PEM certificates that sign the nodes' own, for `https`. Without it the system's store is used.
    pub ca_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_timeout_ms: 3_000,
            connect_timeout_ms: 1_000,
            idle_timeout_ms: 10_000,
            max_in_flight: 64,
            max_body_bytes: 16 << 20,
            max_event_bytes: 1 << 20,
            event_queue: 8_192,
            ping_interval_ms: 1_000,
            ping_timeout_ms: 2_000,
            reconnect_min_ms: 100,
            reconnect_max_ms: 500,
            ca_file: None,
        }
    }
}

impl Settings {
    /// Refuses values out of their range, naming the field.
    pub fn validate(&self) -> Result<(), Invalid> {
        in_range("request_timeout_ms", "milliseconds", self.request_timeout_ms, 50, 60_000)?;
        in_range("connect_timeout_ms", "milliseconds", self.connect_timeout_ms, 50, 60_000)?;
        in_range("idle_timeout_ms", "milliseconds", self.idle_timeout_ms, 1_000, 14_000)?;
        in_range("max_in_flight", "requests", self.max_in_flight as u64, 1, 1_000)?;
        in_range("max_body_bytes", "bytes", self.max_body_bytes as u64, 1 << 16, 1 << 30)?;
        in_range("max_event_bytes", "bytes", self.max_event_bytes as u64, 4_096, 1 << 26)?;
        in_range("event_queue", "events", self.event_queue as u64, 16, 1 << 20)?;
        in_range("ping_interval_ms", "milliseconds", self.ping_interval_ms, 100, 60_000)?;
        in_range("ping_timeout_ms", "milliseconds", self.ping_timeout_ms, 100, 60_000)?;
        in_range("reconnect_min_ms", "milliseconds", self.reconnect_min_ms, 10, 60_000)?;
        in_range("reconnect_max_ms", "milliseconds", self.reconnect_max_ms, self.reconnect_min_ms, 600_000)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

fn in_range(field: &str, unit: &str, value: u64, least: u64, most: u64) -> Result<(), Invalid> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("a whole number of {unit} from {least} to {most}"), value))
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_range() {
        let settings = Settings { idle_timeout_ms: 15_000, ..Settings::default() };
        let refusal = settings.validate().expect_err("15 s is when Asterisk closes").to_string();
        assert_eq!(
            refusal,
            "idle_timeout_ms: expected a whole number of milliseconds from 1000 to 14000, found \"15000\""
        );
    }

    #[test]
    fn the_longest_wait_is_not_below_the_shortest() {
        let settings = Settings { reconnect_min_ms: 900, reconnect_max_ms: 500, ..Settings::default() };
        assert_eq!(settings.validate().map_err(|refusal| refusal.field), Err("reconnect_max_ms".to_owned()));
    }
}
