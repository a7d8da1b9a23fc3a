//! `kamari config`: check a settings file, print the settings in effect.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::serve::Overrides;
use super::{Failure, print, print_json};
use crate::config;

/// Check a settings file, or print the settings in effect.
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a settings file, and the environment over it; every mistake is named with its line and column
    Check {
        /// The TOML file
        file: PathBuf,
    },
    /// Print the settings in effect: defaults, file, environment and flags; secrets are redacted
    Dump(Dump),
}

#[derive(Debug, Args)]
struct Dump {
    #[command(flatten)]
    overrides: Overrides,
    /// Print JSON instead of TOML
    #[arg(long)]
    json: bool,
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Check { file } => {
                let shown = file.display().to_string();
                let environment = std::env::vars_os()
                    .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
                let sources =
                    config::Sources { file: Some(file), environment: environment.collect(), flags: Vec::new() };
                let config = config::load(&sources).map_err(|problems| Failure::Failed(refused(&problems)))?;
                print(&format!("{shown}: good ({})", summary(&config)))
            }
            Action::Dump(dump) => {
                let config = dump.overrides.load().map_err(|problems| Failure::Failed(refused(&problems)))?;
                if dump.json {
                    return print_json(&config.redacted());
                }
                print(config.to_toml().map_err(|error| Failure::Failed(error.to_string()))?.trim_end())
            }
        }
    }
}

/// The problems, one a line.
pub(super) fn refused(problems: &config::Problems) -> String {
    let count = problems.0.len();
    format!("the settings have {count} mistake{}:\n{problems}", if count == 1 { "" } else { "s" })
}

fn summary(config: &config::Config) -> String {
    format!("nodes: {}, tenants: {}", config.nodes.len(), config.tenants.len())
}
