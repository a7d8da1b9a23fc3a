//! `[api]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The operator's HTTP API, metrics and web page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port to listen on. Whoever reaches it may change the pool and end calls: keep it on loopback, or
    /// behind a proxy that asks who is there.
    pub listen: SocketAddr,
    /// Host names by which browsers and programs reach the API, beside addresses and `localhost`: a request for any other
    /// name is refused, since a web page could have made it point here.
    pub hosts: Vec<String>,
    /// Largest request body taken, in bytes: 1024 to 1048576.
    pub max_body_bytes: usize,
    /// Connections open at the same time, streams of events among them; further ones are closed at once: 8 to 65536.
    pub max_connections: usize,
    /// Streams of events (`/v1/events`) open at the same time: 1 to 10000.
    pub max_event_streams: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8071)),
            hosts: Vec::new(),
            max_body_bytes: 65_536,
            max_connections: 512,
            max_event_streams: 64,
        }
    }
}

impl Settings {
    /// Refuses values out of their ranges.
    pub fn validate(&self) -> Result<(), Invalid> {
        let plain =
            |name: &String| !name.is_empty() && name.parse::<http::uri::Authority>().is_ok_and(|a| a.host() == name);
        if let Some(name) = self.hosts.iter().find(|name| !plain(name)) {
            return Err(Invalid::new("hosts", "host names without port", name));
        }
        if !(1024..=1_048_576).contains(&self.max_body_bytes) {
            return Err(Invalid::new("max_body_bytes", "a number of bytes from 1024 to 1048576", self.max_body_bytes));
        }
        if !(8..=65_536).contains(&self.max_connections) {
            return Err(Invalid::new("max_connections", "a number from 8 to 65536", self.max_connections));
        }
        if !(1..=10_000).contains(&self.max_event_streams) {
            return Err(Invalid::new("max_event_streams", "a number from 1 to 10000", self.max_event_streams));
        }
        Ok(())
    }
}
