//! `kamari node`: the pool of a running kamari.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::client::{ApiAddress, Client};
use super::{Failure, clock, print, print_json, table};
use crate::api::{NewNodeView, NodeView};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Add, watch, drain and remove Asterisk nodes of a running kamari.
#[derive(Debug, Args)]
pub(super) struct Node {
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
    /// Add an Asterisk to the pool; it takes calls as soon as its checks pass
    Add(Add),
    /// Show all nodes: state, calls, load
    #[command(visible_alias = "ls")]
    List,
    /// Show everything known of one node
    Show(Named),
    /// Send no new calls to a node; calls on it finish by themselves
    Drain(Drain),
    /// Send calls to a drained node again
    Undrain(Named),
    /// Take a node out of the pool; survives a restart of kamari. Drain it first: its calls lose their application
    #[command(visible_alias = "rm")]
    Remove(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The node's name
    name: String,
}

#[derive(Debug, Args)]
struct Drain {
    /// The node's name
    name: String,
    /// Return only when the last call has left the node
    #[arg(long)]
    wait: bool,
    /// Give up waiting after so many seconds (exit code 1; the node goes on draining)
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "wait")]
    timeout: u64,
}

#[derive(Debug, Args)]
struct Add {
    /// A name for it: letters, digits, '.', '_' and '-'
    name: String,
    /// Its HTTP server with ARI, without /ari: http://192.0.2.11:8088
    #[arg(long, value_name = "URL")]
    ari: String,
    /// Where Kamailio sends its calls: sip:192.0.2.11:5060
    #[arg(long, value_name = "URI")]
    sip: String,
    /// Calls it may carry at once [default: what the settings say]
    #[arg(long, value_name = "CALLS")]
    capacity: Option<u32>,
    /// ARI user [default: what the settings say]
    #[arg(long, value_name = "USER")]
    username: Option<String>,
    /// A file with the ARI password in its first line [default: the password in the settings]
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// The ARI password, from the environment only: a command line is visible to every user of the machine
    #[arg(long, env = "KAMARI_NODE_PASSWORD", hide = true, hide_env_values = true)]
    password: Option<String>,
    /// Return only when the node is up
    #[arg(long)]
    wait: bool,
    /// Give up waiting after so many seconds (exit code 1; the node stays added)
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "wait")]
    timeout: u64,
}

impl Node {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = self.api.client()?;
        match &self.action {
            Action::Add(add) => self.add(&client, add).await,
            Action::List => {
                let nodes: Vec<NodeView> = client.get(&["v1", "nodes"]).await?;
                if self.json { print_json(&nodes) } else { print(&listing(&nodes)) }
            }
            Action::Show(named) => {
                let node: NodeView = client.get(&["v1", "nodes", &named.name]).await?;
                self.show(&node, &details(&node))
            }
            Action::Drain(drain) => self.drain(&client, drain).await,
            Action::Undrain(named) => {
                let node: NodeView =
                    client.send(Method::POST, &["v1", "nodes", &named.name, "undrain"], None::<&()>).await?;
                self.show(&node, &format!("{} takes calls again ({})", node.name, node.state))
            }
            Action::Remove(named) => {
                client.call(Method::DELETE, &["v1", "nodes", &named.name], None::<&()>).await?;
                if self.json {
                    print_json(&serde_json::json!({ "removed": named.name }))
                } else {
                    print(&format!("{} removed", table::plain(&named.name)))
                }
            }
        }
    }

    async fn add(&self, client: &Client, add: &Add) -> Result<(), Failure> {
        let new = NewNodeView {
            name: add.name.clone(),
            ari: add.ari.clone(),
            sip: add.sip.clone(),
            capacity: add.capacity,
            username: add.username.clone(),
            password: add.password()?,
        };
        let mut node: NodeView = client.send(Method::POST, &["v1", "nodes"], Some(&new)).await?;
        if add.wait {
            let done = |node: &NodeView| node.state == "up";
            node = wait_for(client, &node.name, add.timeout, done).await?.map_err(|last| {
                Failure::Failed(format!(
                    "{} is added but not up after {} s: {}: {}",
                    last.name, add.timeout, last.state, last.reason
                ))
            })?;
        }
        self.show(&node, &format!("{} added ({}: {})", node.name, node.state, node.reason))
    }

    async fn drain(&self, client: &Client, drain: &Drain) -> Result<(), Failure> {
        let mut node: NodeView = client.send(Method::POST, &["v1", "nodes", &drain.name, "drain"], None::<&()>).await?;
        if drain.wait {
            node = wait_for(client, &node.name, drain.timeout, |node| node.drained).await?.map_err(|last| {
                let left = last.calls + last.reserved;
                Failure::Failed(format!(
                    "{} still has calls ({left}) after {} s; it goes on draining",
                    last.name, drain.timeout
                ))
            })?;
        }
        let said = if node.drained {
            format!("{} is drained", node.name)
        } else {
            format!("{} takes no new calls; {} left on it", node.name, node.calls + node.reserved)
        };
        self.show(&node, &said)
    }

    fn show(&self, node: &NodeView, said: &str) -> Result<(), Failure> {
        if self.json { print_json(node) } else { print(said) }
    }
}

impl Add {
    fn password(&self) -> Result<Option<String>, Failure> {
        let Some(file) = &self.password_file else { return Ok(self.password.clone()) };
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
            _ => {
                Err(Failure::Failed(format!("{}: its first line is empty, the password belongs there", file.display())))
            }
        }
    }
}

/// Looks at a node until `done`; the inner error is the node as it was when the time was over.
async fn wait_for(
    client: &Client,
    name: &str,
    seconds: u64,
    done: impl Fn(&NodeView) -> bool,
) -> Result<Result<NodeView, NodeView>, Failure> {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let node: NodeView = client.get(&["v1", "nodes", name]).await?;
        if done(&node) {
            return Ok(Ok(node));
        }
        if Instant::now() >= end {
            return Ok(Err(node));
        }
        sleep(LOOK_EVERY).await;
    }
}

fn listing(nodes: &[NodeView]) -> String {
    if nodes.is_empty() {
        return "The pool is empty. Add an Asterisk: kamari node add NAME --ari http://HOST:8088 --sip sip:HOST:5060"
            .to_owned();
    }
    let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
    let head = ["NODE", "STATE", "INTENT", "CALLS", "RESERVED", "FOREIGN", "CAPACITY", "STRESS", "SIP", "REASON"];
    table::lines(&head, &rows, &[3, 4, 5, 6, 7])
}

fn row(node: &NodeView) -> Vec<String> {
    let intent = if node.drained { "drained" } else { &node.intent };
    let reason = if node.state == "up" { "" } else { &node.reason };
    vec![
        node.name.clone(),
        node.state.clone(),
        intent.to_owned(),
        node.calls.to_string(),
        node.reserved.to_string(),
        node.foreign.to_string(),
        node.capacity.to_string(),
        format!("{:.2}", node.stress),
        node.sip.clone(),
        reason.to_owned(),
    ]
}

fn details(node: &NodeView) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let commands = if node.commands_allowed { "" } else { "; another controller has its application" };
    let rows = [
        ("node", node.name.clone()),
        ("state", format!("{} for {}: {}{commands}", node.state, clock::hours(node.state_for_s as u64), node.reason)),
        ("intent", if node.drained { format!("{}, drained", node.intent) } else { node.intent.clone() }),
        ("takes calls", if node.eligible { "yes".to_owned() } else { "no".to_owned() }),
        ("calls", format!("{} own, {} reserved, {} foreign", node.calls, node.reserved, node.foreign)),
        (
            "capacity",
            format!("{} calls{}", node.capacity, if node.configured_capacity.is_some() { "" } else { " (not set)" }),
        ),
        ("stress", format!("{:.3}", node.stress)),
        ("cpu", or_dash(node.cpu.map(|cpu| format!("{:.0} %", cpu * 100.0)))),
        ("load average", or_dash(node.load_average.map(|load| format!("{load:.2}")))),
        ("round trip", or_dash(node.round_trip_ms.map(|time| format!("{time:.2} ms")))),
        ("last reading", or_dash(node.sample_age_ms.map(|age| format!("{age} ms ago")))),
        ("asterisk", or_dash(node.version.clone())),
        ("ari", node.ari.clone()),
        ("ari user", node.username.clone().unwrap_or_else(|| "the pool's".to_owned())),
        ("sip", node.sip.clone()),
        ("declared by", if node.origin == "file" { "the settings file".to_owned() } else { "the API".to_owned() }),
    ];
    let lines = rows.iter().map(|(name, value)| format!("{name:<14}{}", table::plain(value)));
    lines.collect::<Vec<_>>().join("\n")
}
