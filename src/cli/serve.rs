//! `kamari serve`: run kamari.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::config::refused;
use crate::config::{Config, Override, Problems, Sources, load};

/// Run kamari in the foreground until SIGTERM.
///
/// Runs without any settings: an empty pool, the lookup at 127.0.0.1:8070, the API at 127.0.0.1:8071.
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    overrides: Overrides,
}

/// Where settings come from; flags win over the environment (`KAMARI_SECTION__KEY`), that over the file.
#[derive(Debug, Clone, Args)]
pub(super) struct Overrides {
    /// Settings file (TOML)
    #[arg(long, short, value_name = "FILE", env = "KAMARI_CONFIG")]
    config: Option<PathBuf>,
    /// Set one key: --set pool.poll_interval_ms=500 (may be given often)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    /// Address and port of the lookup [key: lookup.listen]
    #[arg(long, value_name = "ADDRESS")]
    lookup_listen: Option<String>,
    /// Address and port of the API, the metrics and the web page [key: api.listen]
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or by module [key: log.level]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected SECTION.KEY=VALUE".to_owned()),
    }
}

impl Overrides {
    /// The sources that these flags and this process's environment name.
    pub(super) fn sources(&self) -> Sources {
        let mut flags: Vec<Override> =
            self.set.iter().map(|(key, value)| Override::flag(&format!("--set {key}"), key, value.clone())).collect();
        let named = [
            ("--lookup-listen", "lookup.listen", &self.lookup_listen),
            ("--api-listen", "api.listen", &self.api_listen),
            ("--log-level", "log.level", &self.log_level),
        ];
        let given = named.into_iter().filter_map(|(flag, key, value)| Some(Override::flag(flag, key, value.clone()?)));
        flags.extend(given);
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Sources { file: self.config.clone(), environment, flags }
    }

    /// The settings in effect.
    pub(super) fn load(&self) -> Result<Config, Problems> {
        load(&self.sources())
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let sources = self.overrides.sources();
        let config = load(&sources).map_err(|problems| Failure::Failed(refused(&problems)))?;
        crate::daemon::run(config, sources).map_err(Failure::from)
    }
}
