//! `kamari route`: the lookup, asked as Kamailio asks it.

use clap::Args;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::client::Client;
use super::{Failure, print, print_json, table};

/// What a call that was given up before it began is reported as: no failure of the node.
const CANCELLED: u16 = 487;

/// Ask where a call would go, as Kamailio asks, and print the ranked nodes.
///
/// The place that the answer reserves on the best node is given back at once, unless a --call-id is given: then it is
/// kept for as long as a real call's would be.
#[derive(Debug, Args)]
pub(super) struct Route {
    /// Where the lookup of the running kamari is
    #[arg(long = "lookup", value_name = "URL", env = "KAMARI_LOOKUP", default_value = "http://127.0.0.1:8070")]
    url: Url,
    /// The called number or name
    #[arg(long)]
    user: Option<String>,
    /// The called domain
    #[arg(long)]
    domain: Option<String>,
    /// The caller's URI
    #[arg(long)]
    from: Option<String>,
    /// The caller's address
    #[arg(long)]
    src: Option<String>,
    /// The SIP Call-ID to ask for [default: a fresh one]
    #[arg(long)]
    call_id: Option<String>,
    /// Print the answer as Kamailio gets it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    routes: Vec<Target>,
    call: Option<Reserved>,
    reject: Option<Reject>,
}

#[derive(Debug, Deserialize)]
struct Target {
    uri: Option<String>,
    dst_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Reserved {
    node: String,
    reserved_ms: u64,
}

#[derive(Debug, Deserialize)]
struct Reject {
    code: u16,
    reason: String,
    retry_after: Option<u64>,
}

impl Route {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.url)?;
        let call_id = self.call_id.clone().unwrap_or_else(|| format!("kamari-route-{}", Uuid::new_v4()));
        let fields = [
            ("call_id", Some(&call_id)),
            ("user", self.user.as_ref()),
            ("domain", self.domain.as_ref()),
            ("from", self.from.as_ref()),
            ("src", self.src.as_ref()),
        ];
        let query: Vec<(&str, &str)> =
            fields.iter().filter_map(|(name, value)| value.map(|value| (*name, value.as_str()))).collect();
        let (status, text) = client.ask(&["v1", "route"], &query).await?;
        if status != StatusCode::OK {
            return Err(Failure::Failed(format!("{status}: {}", table::plain(&text))));
        }
        let unexpected = |error: serde_json::Error| Failure::Failed(format!("not the answer of a lookup: {error}"));
        let answer: Answer = serde_json::from_str(&text).map_err(unexpected)?;
        if let (None, Some(reserved)) = (&self.call_id, &answer.call) {
            let report = serde_json::json!({ "call_id": call_id, "node": reserved.node, "code": CANCELLED });
            client.call(Method::POST, &["v1", "outcome"], Some(&report)).await?;
        }
        if self.json {
            let document: serde_json::Value = serde_json::from_str(&text).map_err(unexpected)?;
            return print_json(&document);
        }
        match answer.reject {
            Some(reject) => {
                let retry = reject.retry_after.map(|seconds| format!(", retry after {seconds} s")).unwrap_or_default();
                Err(Failure::Failed(format!("rejected: {} {}{retry}", reject.code, table::plain(&reject.reason))))
            }
            None => print(&ranked(&answer)),
        }
    }
}

fn ranked(answer: &Answer) -> String {
    let rows: Vec<Vec<String>> = answer
        .routes
        .iter()
        .enumerate()
        .map(|(index, target)| {
            let node = answer.call.as_ref().filter(|_| index == 0);
            vec![
                (index + 1).to_string(),
                target.dst_uri.clone().unwrap_or_default(),
                target.uri.clone().unwrap_or_default(),
                node.map(|call| format!("{} (reserved for {} ms)", call.node, call.reserved_ms)).unwrap_or_default(),
            ]
        })
        .collect();
    table::lines(&["#", "TO", "REQUEST URI", "NODE"], &rows, &[0])
}
