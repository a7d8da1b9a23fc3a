//! Kamailio with this repository's files.

use std::net::Ipv4Addr;

use super::Script;

/// The versions of Kamailio that the files serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KamailioVersion {
    /// Debian bookworm's 5.6.
    V5_6,
    /// Debian forky's 6.1.
    V6_1,
}

/// A running Kamailio.
#[derive(Clone, Debug)]
pub struct Kamailio {
    script: Script,
    /// Its socket for the world, port 5060.
    pub edge: Ipv4Addr,
    /// Its socket for the nodes, port 5060, and JSON-RPC, port 8090.
    pub core: Ipv4Addr,
}

impl Kamailio {
    pub(super) fn start(
        script: &Script,
        edge: Ipv4Addr,
        core: Ipv4Addr,
        version: KamailioVersion,
        options: &[&str],
    ) -> Self {
        let version = match version {
            KamailioVersion::V5_6 => "5.6",
            KamailioVersion::V6_1 => "6.1",
        };
        script.run(&[&["kamailio", version], options].concat());
        Self { script: script.clone(), edge, core }
    }

    /// URL of its JSON-RPC.
    pub fn rpc_url(&self) -> String {
        format!("http://{}:8090/RPC", self.core)
    }

    /// The answer of one RPC; parameters are JSON values. `Err` is the answer when it is an error.
    pub fn rpc(&self, method: &str, parameters: &[&str]) -> Result<serde_json::Value, String> {
        let answer = self.script.try_run(&[&["rpc", method], parameters].concat())?;
        serde_json::from_str(&answer).map_err(|error| error.to_string())
    }

    /// Adds a user who can register and call.
    pub fn add_user(&self, user_at_domain: &str, password: &str) {
        self.script.run(&["add-user", user_at_domain, password]);
    }

    /// `kill -9`.
    pub fn kill9(&self) {
        self.script.run(&["end", "kamailio", "KILL"]);
    }

    /// Starts it again after [`Kamailio::kill9`], with the files and the store it had.
    pub fn restart(&self) {
        self.script.run(&["restart-kamailio"]);
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.script.run_directory().join("logs/kamailio.log")).unwrap_or_default()
    }
}
