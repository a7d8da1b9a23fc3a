//! Section `[fallback]` of the configuration file.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::invalid::Invalid;

/// Which Kamailios get the pool, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// JSON-RPC of each Kamailio, for instance `http://192.0.2.5:8090/RPC`. None: nothing is pushed. At most 32.
    pub rpc: Vec<String>,
    /// Dispatcher set that holds the nodes. 1 to 2147483647.
    pub group: i32,
    /// How often each dispatcher is read and repaired when nothing changes. Seconds, 1 to 3600.
    pub interval_s: u64,
    /// How long one JSON-RPC request may take. Milliseconds, 100 to 60000.
    pub timeout_ms: u64,
    /// Time between two commands that make Kamailio rebuild its list. Milliseconds, 0 to 10000.
    pub spacing_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rpc: Vec::new(), group: 1, interval_s: 10, timeout_ms: 2_000, spacing_ms: 100 }
    }
}

impl Settings {
    /// Refuses the first value that is out of its range; field names are relative to `[fallback]`.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.targets()?;
        whole("group", u64::try_from(self.group).unwrap_or(0), 1..=2_147_483_647, "")?;
        whole("interval_s", self.interval_s, 1..=3_600, " of seconds")?;
        whole("timeout_ms", self.timeout_ms, 100..=60_000, " of milliseconds")?;
        whole("spacing_ms", self.spacing_ms, 0..=10_000, " of milliseconds")
    }

    /// The URLs of `rpc`, checked.
    pub(super) fn targets(&self) -> Result<Vec<Url>, Invalid> {
        whole("rpc", self.rpc.len() as u64, 0..=32, " of URLs")?;
        self.rpc
            .iter()
            .enumerate()
            .map(|(at, text)| target(text).map_err(|expected| refuse(at, expected, text)))
            .collect()
    }

    pub(super) const fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s)
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    pub(super) const fn spacing(&self) -> Duration {
        Duration::from_millis(self.spacing_ms)
    }
}

/// Plain HTTP: the RPC socket stands on the core network, where the SIP to the nodes is plain too.
fn target(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "a URL such as http://192.0.2.5:8090/RPC")?;
    if url.scheme() != "http" || !url.has_host() {
        return Err("an http URL such as http://192.0.2.5:8090/RPC");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL without user and password (Kamailio admits by source address)");
    }
    Ok(url)
}

fn refuse(at: usize, expected: &str, text: &str) -> Invalid {
    // What stands before an @ may be a password.
    let found = text.rsplit_once('@').map_or(text, |(_, host)| host);
    Invalid::new(format!("rpc[{at}]"), expected, found)
}

fn whole(field: &str, found: u64, range: RangeInclusive<u64>, unit: &str) -> Result<(), Invalid> {
    if range.contains(&found) {
        return Ok(());
    }
    let expected = format!("a whole number{unit} from {} to {}", range.start(), range.end());
    Err(Invalid::new(field, expected, found))
}

#[cfg(test)]
mod tests {
    use super::Settings;

    fn refused(settings: &Settings) -> String {
        settings.validate().expect_err("out of range").field
    }

    #[test]
    fn the_defaults_push_nothing_and_are_valid() {
        let settings = Settings::default();
        settings.validate().unwrap();
        assert!(settings.targets().unwrap().is_empty());
    }

    #[test]
    fn each_field_is_refused_by_its_name() {
        let rpc = |url: &str| Settings { rpc: vec!["http://h/RPC".into(), url.into()], ..Settings::default() };
        rpc("http://[::1]:8090/RPC").validate().unwrap();
        for url in ["", "10.0.0.5:8090", "https://h/RPC", "ftp://h", "http://u:secret@h/RPC"] {
            let refusal = rpc(url).validate().expect_err(url);
            assert_eq!(refusal.field, "rpc[1]");
            assert!(!refusal.to_string().contains("secret"));
        }
        assert_eq!(refused(&Settings { rpc: vec!["http://h".into(); 33], ..Settings::default() }), "rpc");
        assert_eq!(refused(&Settings { group: 0, ..Settings::default() }), "group");
        assert_eq!(refused(&Settings { interval_s: 0, ..Settings::default() }), "interval_s");
        assert_eq!(refused(&Settings { timeout_ms: 1, ..Settings::default() }), "timeout_ms");
        assert_eq!(refused(&Settings { spacing_ms: 10_001, ..Settings::default() }), "spacing_ms");
    }
}
