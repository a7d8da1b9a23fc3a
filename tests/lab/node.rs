//! One generic Asterisk node.

use std::net::Ipv4Addr;

use super::Script;

/// The versions of Asterisk that Debian has and kamari works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsteriskVersion {
    /// Debian bullseye's 16.28.
    V16,
    /// Debian forky's 22.
    V22,
}

impl AsteriskVersion {
    fn root(self) -> &'static str {
        match self {
            Self::V16 => "bullseye",
            Self::V22 => "forky",
        }
    }
}

/// A node: SIP on port 5060 and ARI on port 8088 of its address.
#[derive(Clone, Debug)]
pub struct Node {
    script: Script,
    number: u8,
    /// Its own address.
    pub address: Ipv4Addr,
}

impl Node {
    pub(super) fn start(script: &Script, address: Ipv4Addr, version: AsteriskVersion, number: u8) -> Self {
        script.run(&["node", &number.to_string(), version.root()]);
        Self { script: script.clone(), number, address }
    }

    /// `node1`, ...: its process in the lab, its `systemname`, and its name in [`Node::toml`].
    pub fn name(&self) -> String {
        format!("node{}", self.number)
    }

    /// Base URL of its ARI, `http://ADDRESS:8088/ari`.
    pub fn ari_url(&self) -> String {
        format!("http://{}:8088/ari", self.address)
    }

    /// The URI by which Kamailio reaches it.
    pub fn sip_uri(&self) -> String {
        format!("sip:{}:5060", self.address)
    }

    /// This node as an entry of kamari's configuration file; the password comes from the lab's file.
    pub fn toml(&self, capacity: u32) -> String {
        format!(
            "[[nodes]]\nname = \"{}\"\nari = \"http://{}:8088/ari\"\nsip = \"{}\"\ncapacity = {capacity}\nusername = \"kamari\"\npassword_file = \"{}\"\n",
            self.name(),
            self.address,
            self.sip_uri(),
            self.script.run_directory().join("ari-password").display(),
        )
    }

    /// `kill -9`: returns when it is gone.
    pub fn kill9(&self) {
        self.script.run(&["end", &self.name(), "KILL"]);
    }

    /// Freezes it (SIGSTOP): its sockets stay open and nothing answers.
    pub fn stop(&self) {
        self.script.run(&["signal", &self.name(), "STOP"]);
    }

    /// Thaws it (SIGCONT).
    pub fn cont(&self) {
        self.script.run(&["signal", &self.name(), "CONT"]);
    }

    /// Gives it at most this share of one processor from now on, by a cgroup.
    pub fn limit(&self, share: f64) {
        self.script.run(&["limit", &self.name(), &format!("{:.0}", share * 100.0)]);
    }

    /// Starts it again after [`Node::kill9`], with the files it had; returns when it is up.
    pub fn restart(&self) {
        self.script.run(&["restart-node", &self.number.to_string()]);
    }

    /// Channels that it holds now, of whatever kind; without the two by which kamari reads its load.
    pub fn channels(&self) -> usize {
        let probe =
            |channel: &serde_json::Value| channel["id"].as_str().is_some_and(|id| id.starts_with("kamari-probe-"));
        self.ari_list("/channels").iter().filter(|channel| !probe(channel)).count()
    }

    /// Bridges that it holds now.
    pub fn bridges(&self) -> usize {
        self.ari_list("/bridges").len()
    }

    /// Calls that entered its dialplan since it started.
    pub fn calls_processed(&self) -> usize {
        let report = self.cli("core show calls");
        let line = report.lines().find(|line| line.contains("processed")).expect("Asterisk counts its calls");
        line.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a count begins the line")
    }

    /// Output of a command on its console.
    pub fn cli(&self, command: &str) -> String {
        self.script.run(&["cli", &self.number.to_string(), command])
    }

    /// A request to its ARI; `Err` holds what curl said of a status of 400 or more.
    pub fn ari(&self, method: &str, path: &str) -> Result<serde_json::Value, String> {
        let body = self.script.try_run(&["ari", &self.number.to_string(), method, path])?;
        if body.is_empty() {
            Ok(serde_json::Value::Null)
        } else {
            serde_json::from_str(&body).map_err(|e| e.to_string())
        }
    }

    fn ari_list(&self, path: &str) -> Vec<serde_json::Value> {
        match self.ari("GET", path) {
            Ok(serde_json::Value::Array(items)) => items,
            other => panic!("{} of {}: {other:?}", path, self.name()),
        }
    }
}
