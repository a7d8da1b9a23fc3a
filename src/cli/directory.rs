//! `kamari directory`: the tenants and numbers in files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::ApiAddress;
use super::config::refused;
use super::serve::Overrides;
use super::{Failure, client, print, print_json};
use crate::api::DirectoryView;
use crate::config::{Override, load};

/// Check the tenants and numbers in files, or have a running kamari read them again.
#[derive(Debug, Args)]
pub(super) struct DirectoryCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check all tenants and numbers; every mistake is named with its file, line and column, and what was expected
    Check(Check),
    /// Have a running kamari read the tenants of all files again; a mistake changes nothing
    Reload(Reload),
}

#[derive(Debug, Args)]
struct Check {
    /// A folder of tenants, in place of the one that the settings name
    folder: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Debug, Args)]
struct Reload {
    #[command(flatten)]
    api: ApiAddress,
    /// Print the API's JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

impl DirectoryCommand {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Check(check) => check.run(),
            Action::Reload(reload) => client::block_on(reload.run()),
        }
    }
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let mut sources = self.overrides.sources();
        if let Some(folder) = &self.folder {
            // A folder in the settings is relative to the settings file, this one to where the command runs.
            let folder = std::path::absolute(folder).map_err(|error| Failure::Failed(error.to_string()))?;
            sources.flags.push(Override::flag("FOLDER", "directory.folder", folder.display().to_string()));
        }
        let config = load(&sources).map_err(|problems| Failure::Failed(refused(&problems)))?;
        let numbers: usize = config.tenants.iter().map(|tenant| tenant.extensions.len()).sum();
        print(&format!("good (tenants: {}, numbers: {numbers})", config.tenants.len()))
    }
}

impl Reload {
    async fn run(self) -> Result<(), Failure> {
        let client = self.api.client()?;
        let directory: DirectoryView = client.send(Method::POST, &["v1", "directory", "reload"], None::<&()>).await?;
        if self.json {
            return print_json(&directory);
        }
        print(&format!("read again: files declare {} tenants", directory.tenants))
    }
}
