//! Kamailio's dispatcher over JSON-RPC (`jsonrpcs` over `xhttp`), Kamailio 5.6 and later.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::destination::Use;
use super::plan::{Command, Listed};

/// Most bytes of an answer that are read. A destination takes some 150; an answer beyond this is no dispatcher list.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;
/// `dispatcher.add` takes the state as a number: `DS_DISABLED_DST` in Kamailio's `dispatch.h`.
const FLAG_DISABLED: u32 = 4;
/// How Kamailio says that its list is empty.
const NO_SETS: &str = "No Destination Sets";

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum RpcError {
    /// No connection, or none that lasted, or no answer in time.
    #[error("Kamailio does not answer: {0}")]
    Transport(String),
    /// It answered, and not with JSON-RPC.
    #[error("the answer (HTTP {status}) is not JSON-RPC: {what}")]
    Unreadable {
        /// HTTP status of the answer.
        status: u16,
        /// What was wrong with it.
        what: String,
    },
    /// It understood and refused.
    #[error("Kamailio refuses {method}: {message}")]
    Refused {
        /// The command.
        method: &'static str,
        /// Kamailio's reason.
        message: String,
    },
}

/// One Kamailio's JSON-RPC.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    http: reqwest::Client,
    url: Url,
    group: i32,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Value>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

#[derive(Deserialize)]
struct Listing {
    #[serde(rename = "RECORDS", default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "SET")]
    set: Set,
}

#[derive(Deserialize)]
struct Set {
    #[serde(rename = "ID")]
    id: i32,
    #[serde(rename = "TARGETS", default)]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "DEST")]
    dest: Dest,
}

#[derive(Deserialize)]
struct Dest {
    #[serde(rename = "URI")]
    uri: String,
    #[serde(rename = "FLAGS")]
    flags: String,
}

impl Rpc {
    /// A client of its own for one Kamailio. Fails only when the process can hold no TLS settings at all.
    pub(super) fn new(url: Url, group: i32, timeout: Duration) -> Result<Self, RpcError> {
        // reqwest asks for a TLS backend even where every URL is http; this one trusts nobody.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| RpcError::Transport(error.to_string()))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(timeout)
            // Kamailio closes after each answer (`set_reply_close`), and a proxy has no business in between.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| transport(&error))?;
        Ok(Self { http, url, group })
    }

    /// The destinations of our set; none when Kamailio has no list at all.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, RpcError> {
        let result = match self.call("dispatcher.list", json!([])).await {
            Err(RpcError::Refused { message, .. }) if message.contains(NO_SETS) => return Ok(Vec::new()),
            other => other?,
        };
        let listing: Listing = serde_json::from_value(result)
            .map_err(|error| RpcError::Unreadable { status: 200, what: format!("dispatcher.list: {error}") })?;
        let ours = listing.records.into_iter().filter(|record| record.set.id == self.group);
        // FLAGS is AX, AP, IP, TP, DX, ...: the first letter is the state.
        Ok(ours
            .flat_map(|record| record.set.targets)
            .map(|target| Listed { uri: target.dest.uri, disabled: target.dest.flags.starts_with('D') })
            .collect())
    }

    /// Carries out one command.
    pub(super) async fn execute(&self, command: &Command) -> Result<(), RpcError> {
        let group = self.group;
        let (method, params) = match command {
            Command::Add(uri, used) => {
                let flags = if *used == Use::Disabled { FLAG_DISABLED } else { 0 };
                ("dispatcher.add", json!([group, uri.as_str(), flags, 0]))
            }
            Command::SetState(uri, used) => {
                let state = if *used == Use::Disabled { "d" } else { "a" };
                ("dispatcher.set_state", json!([state, group, uri.as_str()]))
            }
            Command::Remove(uri) => ("dispatcher.remove", json!([group, uri])),
        };
        self.call(method, params).await.map(drop)
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut response =
            self.http.post(self.url.clone()).json(&body).send().await.map_err(|error| transport(&error))?;
        let status = response.status().as_u16();
        let unreadable = |what: String| RpcError::Unreadable { status, what };
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
            text.extend_from_slice(&chunk);
            if text.len() > ANSWER_LIMIT {
                return Err(unreadable(format!("more than {ANSWER_LIMIT} bytes")));
            }
        }
        let answer: Answer = serde_json::from_slice(&text).map_err(|error| {
            let start: String = String::from_utf8_lossy(&text).chars().take(80).flat_map(char::escape_debug).collect();
            unreadable(format!("{error}: \"{start}\""))
        })?;
        match (answer.error, answer.result) {
            (Some(fault), _) => Err(RpcError::Refused { method, message: fault.message }),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(unreadable("neither result nor error".to_owned())),
        }
    }
}

/// The innermost cause says what happened ("Connection refused"); the outer ones repeat the URL.
fn transport(error: &reqwest::Error) -> RpcError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    RpcError::Transport(cause.to_string())
}
