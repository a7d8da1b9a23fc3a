//! `kamari call`: the calls of a running kamari.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::ApiAddress;
use super::{Failure, clock, print, print_json, table};
use crate::api::{CallDetail, CallView, NewCallView};

/// List, show, place and hang up calls of a running kamari.
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
    /// Ring somebody, and let a number of his tenant serve him once he answers
    Place {
        /// Whose call it is
        #[arg(long)]
        tenant: String,
        /// The number that he sees calling; EXTENSION when absent
        #[arg(long, value_name = "NUMBER")]
        from: Option<String>,
        /// The name that he sees calling
        #[arg(long, value_name = "NAME")]
        from_name: Option<String>,
        /// How long he may ring, in seconds, 1 to 600; 30 when absent
        #[arg(long, value_name = "SECONDS")]
        ring_s: Option<u64>,
        /// Who is rung: a user or a number, or either with @domain
        to: String,
        /// The tenant's number that serves him
        extension: String,
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
                let call: CallDetail = client.get(&["v1", "calls", id]).await?;
                if self.json { print_json(&call) } else { print(&details(&call)) }
            }
            Action::Place { tenant, from, from_name, ring_s, to, extension } => {
                let wanted = NewCallView {
                    tenant: tenant.clone(),
                    to: to.clone(),
                    extension: extension.clone(),
                    from: from.clone(),
                    from_name: from_name.clone(),
                    ring_s: *ring_s,
                };
                let call: CallView = client.send(Method::POST, &["v1", "calls"], Some(&wanted)).await?;
                if self.json {
                    print_json(&call)
                } else {
                    print(&format!("{} rings {} from {}", call.id, table::plain(to), call.node))
                }
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
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let row = |call: &CallView| {
        let (tenant, app) = (or_dash(&call.tenant), or_dash(&call.app));
        let state = call.state.clone();
        vec![
            call.id.clone(),
            call.node.clone(),
            call.caller.clone(),
            call.extension.clone(),
            tenant,
            app,
            state,
            clock::since(call.started_ms),
        ]
    };
    let rows: Vec<Vec<String>> = calls.iter().map(row).collect();
    table::lines(&["CALL", "NODE", "FROM", "TO", "TENANT", "APP", "STATE", "AGE"], &rows, &[7])
}

fn details(detail: &CallDetail) -> String {
    let call = &detail.call;
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let found = if call.adopted { " (found alive on its node)" } else { "" };
    let rows = [
        ("call", call.id.clone()),
        ("node", call.node.clone()),
        ("channel", call.channel.clone()),
        ("SIP Call-ID", or_dash(&call.call_id)),
        ("from", call.caller.clone()),
        ("to", call.extension.clone()),
        ("tenant", or_dash(&call.tenant)),
        ("app", or_dash(&call.app)),
        ("state", format!("{}{found}", call.state)),
        ("age", clock::since(call.started_ms)),
    ];
    let mut lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<12}{}", table::plain(value))).collect();
    lines.push(String::new());
    lines.extend(detail.steps.iter().map(|step| table::plain(&step_line(step))));
    if detail.steps_left_out > 0 {
        lines.push(format!("and {} more steps that found no room", detail.steps_left_out));
    }
    lines.join("\n")
}

/// A step as `+12.345 s  answered`, with what else it says as `key=value`.
fn step_line(step: &Value) -> String {
    let at = step["at_ms"].as_u64().unwrap_or(0);
    let name = step["step"].as_str().unwrap_or("?").replace('_', " ");
    let others = step.as_object().into_iter().flatten().filter(|(key, _)| !matches!(key.as_str(), "at_ms" | "step"));
    let others: Vec<String> = others.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{:>+10.3} s  {name} {}", at as f64 / 1000.0, others.join(" "))
}
