//! `[cdr]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Where the record of each call goes. Each is also an event `cdr` of `/v1/events`, wherever it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `none`, `stdout` (standard output), or `file:` and a path: one JSON object a line, appended. On SIGHUP the file is
    /// opened anew, for logrotate.
    pub to: String,
    /// Records that may wait to be written, 16 to 1000000. Beyond it records are dropped, counted and logged; calls never wait.
    pub queue: usize,
    /// How long a call whose node was lost may be found again before its record says that it is over, in seconds, 0 to 3600.
    pub lost_wait_s: u64,
}

/// Where records go, once the settings were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere but to the events.
    None,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self { to: "none".to_owned(), queue: 10_000, lost_wait_s: 60 }
    }
}

impl Settings {
    /// Refuses values out of their ranges.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.destination()?;
        if !(16..=1_000_000).contains(&self.queue) {
            return Err(Invalid::new("queue", "a whole number from 16 to 1000000", self.queue));
        }
        if self.lost_wait_s > 3_600 {
            return Err(Invalid::new("lost_wait_s", "a whole number of seconds from 0 to 3600", self.lost_wait_s));
        }
        Ok(())
    }

    /// Where records go.
    pub fn destination(&self) -> Result<Destination, Invalid> {
        match self.to.as_str() {
            "none" => Ok(Destination::None),
            "stdout" => Ok(Destination::Stdout),
            to => match to.strip_prefix("file:") {
                Some(path) if !path.is_empty() && !path.contains('\0') => Ok(Destination::File(path.into())),
                _ => Err(Invalid::new("to", "none, stdout, or file: and a path", to)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, Settings};

    #[test]
    fn destinations_are_read_and_others_refused_by_name() {
        let to = |to: &str| Settings { to: to.to_owned(), ..Settings::default() }.destination();
        assert_eq!(to("none"), Ok(Destination::None));
        assert_eq!(to("stdout"), Ok(Destination::Stdout));
        assert_eq!(to("file:/var/log/kamari/cdr.jsonl"), Ok(Destination::File("/var/log/kamari/cdr.jsonl".into())));
        for bad in ["", "file:", "stderr", "/var/log/cdr", "file:a\0b"] {
            assert_eq!(to(bad).expect_err(bad).field, "to");
        }
        let refused = |settings: Settings| settings.validate().expect_err("refused").field;
        assert_eq!(refused(Settings { queue: 1, ..Settings::default() }), "queue");
        assert_eq!(refused(Settings { lost_wait_s: 3_601, ..Settings::default() }), "lost_wait_s");
    }
}
