//! What is on the wire: the JSON of nodes, calls and the state of kamari. The command line reads the same types.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name in the pool.
    pub name: String,
    /// Base URL of its ARI.
    pub ari: String,
    /// Where Kamailio sends its calls.
    pub sip: String,
    /// `joining`, `up`, `suspect` or `down`.
    pub state: String,
    /// Why it is in that state, in words.
    pub reason: String,
    /// Seconds since its state last changed.
    pub state_for_s: f64,
    /// What the operator wants: `active`, `draining` or `disabled`.
    pub intent: String,
    /// Whether it is draining and has neither a call nor a promised call left.
    pub drained: bool,
    /// Whether it may be chosen for a call now.
    pub eligible: bool,
    /// `file` when the settings file declares it, `runtime` when it was added or changed by the API.
    pub origin: String,
    /// Calls of kamari's own on the node.
    pub calls: u32,
    /// Calls promised to the node and not yet seen there.
    pub reserved: u32,
    /// Calls on the node that kamari did not place.
    pub foreign: u32,
    /// Calls it may carry at once.
    pub capacity: f64,
    /// The operator's bound on its capacity, if one was set.
    pub configured_capacity: Option<u32>,
    /// How near its limit it is: 0 idle, 1 full.
    pub stress: f64,
    /// Load of its processors as it reports it, 1 is all of them busy; absent until it was read.
    pub cpu: Option<f64>,
    /// Round trip of the last ping, in milliseconds; absent until one was answered.
    pub round_trip_ms: Option<f64>,
    /// Asterisk's version, once it was read.
    pub version: Option<String>,
}

/// A node to add.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NewNodeView {
    /// Its name in the pool: 1 to 63 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Base of its ARI, `http` or `https`, without the trailing `/ari`: `http://192.0.2.7:8088`.
    pub ari: String,
    /// Where Kamailio sends its calls: `sip:192.0.2.7:5060`.
    pub sip: String,
    /// Calls it may carry at once, 1 to 100000; the default bound when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// ARI user; the pool's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// ARI password; the pool's default when absent. Never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Changes of a node. A key left out stays as it is; `null` returns to the default.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct NodePatchView {
    /// New base of its ARI.
    pub ari: Option<String>,
    /// New SIP address.
    pub sip: Option<String>,
    /// New bound on its calls.
    pub capacity: Option<u32>,
    /// New ARI user.
    pub username: Option<String>,
    /// New ARI password.
    pub password: Option<String>,
}

/// A call that kamari serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Its id: the name of its channel on the node, unique over the pool.
    pub id: String,
    /// The node it is on.
    pub node: String,
    /// The SIP Call-ID, where the call came by SIP.
    pub call_id: Option<String>,
    /// The tenant it belongs to, once known.
    pub tenant: Option<String>,
    /// The number or name that was called.
    pub extension: String,
    /// Who calls.
    pub caller: String,
    /// The app that serves it, once known.
    pub app: Option<String>,
    /// Whether it was answered.
    pub answered: bool,
    /// Seconds since it arrived.
    pub age_s: f64,
}

/// kamari in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// This kamari's version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_s: f64,
    /// Whether the first round of checks of all nodes is over.
    pub ready: bool,
    /// Nodes in the pool.
    pub nodes: usize,
    /// Nodes that may be chosen for a call now.
    pub eligible_nodes: usize,
    /// Calls that kamari serves now.
    pub calls: i64,
    /// Lookups answered since the start.
    pub lookups: LookupsView,
}

/// Lookups since the start, by what they were answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LookupsView {
    /// With nodes.
    pub routed: u64,
    /// Again with the same nodes, for the same Call-ID.
    pub repeated: u64,
    /// With a reject: no node could take the call.
    pub rejected: u64,
    /// With 400: the question made no sense.
    pub invalid: u64,
}
