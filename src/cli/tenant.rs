//! `kamari tenant`: the tenants of a running kamari.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde::Deserialize;

use super::client::ApiAddress;
use super::{Failure, print, print_json, table};
use crate::api::TenantView;
use crate::directory::TenantSettings;

/// List, show, add and remove tenants of a running kamari.
#[derive(Debug, Args)]
pub(super) struct TenantCommand {
    #[command(flatten)]
    api: ApiAddress,
    /// Print the API's JSON instead of a table
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all tenants
    #[command(visible_alias = "ls")]
    List,
    /// Show the domains and numbers of one tenant
    Show {
        /// The tenant's name
        name: String,
    },
    /// Add the tenants of a file, in the form of the settings file: [[tenants]]
    Add {
        /// The TOML file
        file: PathBuf,
        /// Replace tenants of the same names that were added before
        #[arg(long)]
        replace: bool,
    },
    /// Remove a tenant that was added; calls that run go on
    #[command(visible_alias = "rm")]
    Remove {
        /// The tenant's name
        name: String,
    },
}

/// What a file of tenants holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tenants: Vec<TenantSettings>,
}

impl TenantCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.api.client()?;
        match &self.action {
            Action::List => {
                let tenants: Vec<TenantView> = client.get(&["v1", "tenants"]).await?;
                if self.json { print_json(&tenants) } else { print(&listing(&tenants)) }
            }
            Action::Show { name } => {
                let tenant: TenantView = client.get(&["v1", "tenants", name]).await?;
                if self.json { print_json(&tenant) } else { print(&details(&tenant)) }
            }
            Action::Add { file, replace } => {
                let mut added = Vec::new();
                for tenant in tenants_in(file)? {
                    let one: TenantView = if *replace {
                        client.send(Method::PUT, &["v1", "tenants", &tenant.name], Some(&tenant)).await?
                    } else {
                        client.send(Method::POST, &["v1", "tenants"], Some(&tenant)).await?
                    };
                    if !self.json {
                        print(&format!("{} added (numbers: {})", table::plain(&one.name), one.extensions.len()))?;
                    }
                    added.push(one);
                }
                if self.json { print_json(&added) } else { Ok(()) }
            }
            Action::Remove { name } => {
                client.call(Method::DELETE, &["v1", "tenants", name], None::<&()>).await?;
                if self.json {
                    print_json(&serde_json::json!({ "removed": name }))
                } else {
                    print(&format!("{} removed", table::plain(name)))
                }
            }
        }
    }
}

fn tenants_in(file: &Path) -> Result<Vec<TenantSettings>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let content: Content = toml::from_str(&text).map_err(|error| failed(&error))?;
    Ok(content.tenants)
}

fn listing(tenants: &[TenantView]) -> String {
    if tenants.is_empty() {
        return "No tenants. Declare them in the settings file, or add some: kamari tenant add FILE".to_owned();
    }
    let row = |tenant: &TenantView| {
        let (domains, numbers) = (tenant.domains.join(" "), tenant.extensions.len().to_string());
        vec![tenant.name.clone(), domains, numbers, said_by(tenant)]
    };
    let rows: Vec<Vec<String>> = tenants.iter().map(row).collect();
    table::lines(&["TENANT", "DOMAINS", "NUMBERS", "DECLARED BY"], &rows, &[2])
}

fn details(tenant: &TenantView) -> String {
    let head = [
        ("tenant", tenant.name.clone()),
        ("domains", tenant.domains.join(" ")),
        ("language", tenant.language.clone().unwrap_or_else(|| "-".to_owned())),
        ("declared by", said_by(tenant)),
    ];
    let mut lines: Vec<String> =
        head.iter().map(|(name, value)| format!("{name:<14}{}", table::plain(value))).collect();
    lines.push(String::new());
    let row = |(number, extension): (&String, &serde_json::Value)| {
        let parameters = extension.as_object().into_iter().flatten().filter(|(key, _)| *key != "app");
        let parameters: Vec<String> = parameters.map(|(key, value)| format!("{key}={value}")).collect();
        vec![number.clone(), extension["app"].as_str().unwrap_or("?").to_owned(), parameters.join(" ")]
    };
    let rows: Vec<Vec<String>> = tenant.extensions.iter().map(row).collect();
    lines.push(table::lines(&["NUMBER", "APP", "PARAMETERS"], &rows, &[]));
    lines.join("\n")
}

fn said_by(tenant: &TenantView) -> String {
    match (&tenant.set_aside, tenant.origin.as_str()) {
        (Some(why), _) => format!("the API; not served: {}", table::plain(why)),
        (None, "file") => "a file".to_owned(),
        (None, _) => "the API".to_owned(),
    }
}
