//! Reading all of a node at once: what it says of itself, and what is in the application there when events begin to arrive.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::link::{OWN_PREFIX, PROBE_PREFIX, Resync};
use crate::ari::model::Application;
use crate::ari::wire::Extra;
use crate::ari::{AriClient, AriError};

/// What a node says of itself when its events begin to arrive.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    /// Asterisk's version.
    pub(super) version: Option<String>,
    /// When its Asterisk started, by its own clock: another value is another process.
    pub(super) started_unix_ms: Option<i64>,
}

/// Events that nobody here reads: each made channel goes through dialplan steps, each hang-up sets five variables, and that a
/// playback begins is what it was asked for.
const UNHEARD: [&str; 3] = ["ChannelDialplan", "ChannelVarset", "PlaybackStarted"];

/// Asks the node to spare us what nobody reads, and gives the application as it is then. A node that cannot (Asterisk
/// before 16.3) tells all.
async fn silence(ari: &AriClient) -> Result<Application, AriError> {
    let types: Vec<Value> = UNHEARD.iter().map(|name| json!({ "type": name })).collect();
    let filter = Extra::from_iter([("disallowed".to_owned(), Value::Array(types))]);
    match ari.applications().filter(ari.target().app(), &filter).await {
        Err(AriError::Status { .. }) => ari.applications().get(ari.target().app()).await,
        answer => answer,
    }
}

/// The node's description, and what is in our application on it: at most `limit` channels.
pub(super) async fn read(ari: &AriClient, limit: usize) -> Result<(About, Resync), AriError> {
    let asked = Instant::now();
    let info = ari.asterisk().info(&[]).await?;
    let about = About {
        version: info.system.map(|system| system.version),
        started_unix_ms: info.status.and_then(|status| status.startup_time.unix_ms()),
    };
    let application = silence(ari).await?;
    let ours: HashSet<&str> = application.channel_ids.iter().map(String::as_str).collect();
    let mut channels = Vec::new();
    if ours.iter().any(|id| !id.starts_with(PROBE_PREFIX)) {
        channels = ari.channels().list().await?;
        channels.truncate(limit);
        channels.retain(|one| ours.contains(one.id.as_str()) && !one.id.starts_with(PROBE_PREFIX));
    }
    let heard: HashSet<&str> = application.bridge_ids.iter().map(String::as_str).collect();
    let mut bridges = ari.bridges().list().await?;
    bridges.retain(|one| heard.contains(one.id.as_str()) || one.id.starts_with(OWN_PREFIX));
    Ok((about, Resync { asked, channels, bridges }))
}
