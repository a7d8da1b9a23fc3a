//! Log lines: logfmt-like for a person at a terminal, JSON for a collector; the level can change while kamari runs.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::invalid::Invalid;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text when standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// One line of text: time, level, message, `key=value` fields.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module as in `info,kamari::pool=debug`.
    pub level: String,
    /// `auto`, `text` or `json`. Lines go to standard error.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl LogSettings {
    /// Refuses a level that is none.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, Invalid> {
        let refused = || {
            let expected = "error, warn, info, debug, trace or off, or levels by module: info,kamari::pool=debug";
            Invalid::new("level", expected, &self.level)
        };
        // The filter takes a word that is no level for a module's name, and would log nothing of all others.
        let is_level = |word: &str| word.contains(['=', '[']) || word.trim().parse::<LevelFilter>().is_ok();
        if !self.level.split(',').all(is_level) {
            return Err(refused());
        }
        EnvFilter::try_new(&self.level).map_err(|_| refused())
    }
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The settings were not validated.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Something in this process logs already.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] TryInitError),
    /// The subscriber is gone.
    #[error("the log level could not be changed: {0}")]
    Reload(#[from] reload::Error),
}

/// Changes the level of a running kamari.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LogControl {
    /// Starts logging to standard error for the whole process. Fails when something already does.
    pub fn start(settings: &LogSettings) -> Result<Self, LogError> {
        let (filter, handle) = reload::Layer::new(settings.filter()?);
        let json = match settings.format {
            LogFormat::Auto => !std::io::stderr().is_terminal(),
            LogFormat::Text => false,
            LogFormat::Json => true,
        };
        let lines = if json {
            fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(std::io::stderr).boxed()
        } else {
            fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed()
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init()?;
        Ok(Self { filter: handle })
    }

    /// Logs by `settings.level` from now on. The format stays as it was at the start.
    pub fn set_level(&self, settings: &LogSettings) -> Result<(), LogError> {
        self.filter.reload(settings.filter()?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::LogSettings;

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let refusal = LogSettings { level: "kamari=loudly".to_owned(), ..LogSettings::default() }.validate();
        assert_eq!(refusal.expect_err("not a level").field, "level");
        assert!(
            LogSettings { level: "info,kamari::pool=debug".to_owned(), ..LogSettings::default() }.validate().is_ok()
        );
    }
}
