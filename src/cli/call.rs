//! `kamari call`: the calls of a running kamari.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::client::ApiAddress;
use super::{Failure, print, print_json, table};
use crate::api::CallView;

/// List, show and hang up calls of a running kamari.
#[derive(Debug, Args)]
pub(super) struct Calls {
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
    /// Show all calls, oldest first
    #[command(visible_alias = "ls")]
    List {
        /// Only calls on this node
        #[arg(long)]
        node: Option<String>,
    },
    /// Show everything known of one call
    Show {
        /// The call's id, as listed
        id: String,
    },
    /// End a call
    Hangup {
        /// The call's id, as listed
        id: String,
    },
}

impl Calls {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.api.client()?;
        match &self.action {
            Action::List { node } => {
                let mut calls: Vec<CallView> = client.get(&["v1", "calls"]).await?;
                calls.retain(|call| node.as_ref().is_none_or(|node| *node == call.node));
                if self.json { print_json(&calls) } else { print(&listing(&calls)) }
            }
            Action::Show { id } => {
                let call: CallView = client.get(&["v1", "calls", id]).await?;
                if self.json { print_json(&call) } else { print(&details(&call)) }
            }
            Action::Hangup { id } => {
                client.call(Method::DELETE, &["v1", "calls", id], None::<&()>).await?;
                if self.json {
                    print_json(&serde_json::json!({ "hung_up": id }))
                } else {
                    print(&format!("{} hung up", table::plain(id)))
                }
            }
        }
    }
}

fn listing(calls: &[CallView]) -> String {
    if calls.is_empty() {
        return "No calls.".to_owned();
    }
    let rows: Vec<Vec<String>> = calls
        .iter()
        .map(|call| {
            vec![
                call.id.clone(),
                call.node.clone(),
                call.caller.clone(),
                call.extension.clone(),
                call.tenant.clone().unwrap_or_else(|| "-".to_owned()),
                call.app.clone().unwrap_or_else(|| "-".to_owned()),
                if call.answered { "up" } else { "ringing" }.to_owned(),
                clock(call.age_s),
            ]
        })
        .collect();
    table::lines(&["CALL", "NODE", "FROM", "TO", "TENANT", "APP", "STATE", "AGE"], &rows, &[7])
}

fn details(call: &CallView) -> String {
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows = [
        ("call", call.id.clone()),
        ("node", call.node.clone()),
        ("SIP Call-ID", or_dash(&call.call_id)),
        ("from", call.caller.clone()),
        ("to", call.extension.clone()),
        ("tenant", or_dash(&call.tenant)),
        ("app", or_dash(&call.app)),
        ("state", if call.answered { "answered".to_owned() } else { "not answered".to_owned() }),
        ("age", clock(call.age_s)),
    ];
    rows.iter().map(|(name, value)| format!("{name:<12}{}", table::plain(value))).collect::<Vec<_>>().join("\n")
}

/// Seconds as `h:mm:ss`.
fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}
