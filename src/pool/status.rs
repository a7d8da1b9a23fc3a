//! What is told of a node to whoever asks.

use std::sync::Arc;

use serde::Serialize;
use url::Url;

use super::event::Intent;
use super::lifecycle::Availability;
use super::name::{NodeName, SipUri};
use super::store::Origin;

/// A node, for the operator. Passwords are never part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// Base of its ARI.
    pub ari: Url,
    /// Its SIP address.
    pub sip: SipUri,
    /// ARI user, if not the pool's default.
    pub username: Option<String>,
    /// Calls it may carry at once, as set or as learned below that.
    pub capacity: u32,
    /// The operator's bound on its calls, if one was set.
    pub configured_capacity: Option<u32>,
    /// Whether the configuration file's word stands or one that was said at run time.
    pub origin: Origin,
    /// Whether it can be used.
    pub availability: Availability,
    /// Why, in words.
    #[serde(serialize_with = "super::as_text")]
    pub reason: Arc<str>,
    /// For how long its availability has been the same, in seconds.
    pub state_for_s: f64,
    /// What the operator wants of it.
    pub intent: Intent,
    /// Draining, and no call nor promised call is left.
    pub drained: bool,
    /// Whether the next call may go to it.
    pub eligible: bool,
    /// Whether kamari commands it: not while another controller has its application.
    pub commands_allowed: bool,
    /// Its calls.
    pub calls: NodeCalls,
    /// How near its limit it is: 0 idle, 1 full.
    pub stress: f64,
    /// The share of the CPU it may use (its processors, or its cgroup's quota) that its Asterisk used between the last two
    /// readings, 0 to 1, if it can say.
    pub cpu: Option<f64>,
    /// What the last good round of checks read.
    pub sample: Option<NodeSample>,
    /// Asterisk's version.
    pub version: Option<String>,
    /// When its Asterisk started, by its own clock, in milliseconds since the Unix epoch.
    pub started_unix_ms: Option<i64>,
}

/// The calls on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct NodeCalls {
    /// Ours: callers and the legs made for them.
    pub own: u32,
    /// Promised and not yet there.
    pub reserved: u32,
    /// Not ours.
    pub foreign: u32,
}

/// What a round of checks read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeSample {
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// Round trip of the ping, in milliseconds.
    pub round_trip_ms: f64,
    /// Calls on the node, whoever placed them.
    pub calls: Option<u32>,
    /// The host's load average over one minute.
    pub load_average: Option<f32>,
    /// The share of RTP packets that its calls lose, as the median of some of them, 0 to 1, once enough of them said.
    pub rtp_loss: Option<f32>,
    /// Jitter of the RTP packets that it receives, as the median of some of its calls, in milliseconds.
    pub rtp_jitter_ms: Option<f32>,
    /// Why the probe channel could not be read, if so.
    pub probe: Option<String>,
}
