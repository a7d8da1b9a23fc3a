//! What is on the wire: the JSON of nodes, calls and the state of kamari. The command line reads the same types.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::call;
use crate::pool::NodeStatus;

/// A node as the operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name in the pool.
    pub name: String,
    /// Base URL of its ARI.
    pub ari: String,
    /// Where Kamailio sends its calls.
    pub sip: String,
    /// ARI user, where it is not the pool's default.
    pub username: Option<String>,
    /// `file` when the settings file's word stands, `runtime` when it was added or changed while kamari ran.
    pub origin: String,
    /// `joining`, `up`, `suspect` or `down`.
    pub state: String,
    /// Why it is in that state, in words.
    pub reason: String,
    /// For how long its state has been the same, in seconds.
    pub state_for_s: f64,
    /// What the operator wants: `active`, `draining` or `disabled`.
    pub intent: String,
    /// Whether it is draining and has neither a call nor a promised call left.
    pub drained: bool,
    /// Whether the next call may go to it.
    pub eligible: bool,
    /// Whether kamari commands it: not while another controller has taken its application over.
    pub commands_allowed: bool,
    /// Calls of kamari's own on the node, legs included.
    pub calls: u32,
    /// Calls promised to the node and not yet seen there.
    pub reserved: u32,
    /// Calls on the node that kamari did not place.
    pub foreign: u32,
    /// Calls it may carry at once.
    pub capacity: u32,
    /// The operator's bound on its calls, if one was set.
    pub configured_capacity: Option<u32>,
    /// How near its limit it is: 0 idle, 1 full.
    pub stress: f64,
    /// How old the last good reading of it is, in milliseconds; absent until there was one.
    pub sample_age_ms: Option<u64>,
    /// Round trip of its last ping, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// The share of the CPU it may use (its processors, or its cgroup's quota) that its Asterisk used between the last two
    /// readings, 0 to 1; absent when it cannot say.
    pub cpu: Option<f64>,
    /// The share of RTP packets that its calls lose, 0 to 1: the median of some of them; absent until enough of them said.
    pub rtp_loss: Option<f64>,
    /// Jitter of the RTP packets that it receives, in milliseconds: the median of some of its calls.
    pub rtp_jitter_ms: Option<f64>,
    /// Its host's load average over one minute: an alarm, no measure of what it can take.
    pub load_average: Option<f64>,
    /// Asterisk's version, once it was read.
    pub version: Option<String>,
    /// When its Asterisk started, by its own clock, in milliseconds of Unix time.
    pub asterisk_started_ms: Option<i64>,
}

impl From<&NodeStatus> for NodeView {
    fn from(node: &NodeStatus) -> Self {
        let sample = node.sample.as_ref();
        Self {
            name: node.name.to_string(),
            ari: node.ari.to_string(),
            sip: node.sip.to_string(),
            username: node.username.clone(),
            origin: word(&node.origin),
            state: node.availability.as_str().to_owned(),
            reason: node.reason.to_string(),
            state_for_s: node.state_for_s,
            intent: node.intent.as_str().to_owned(),
            drained: node.drained,
            eligible: node.eligible,
            commands_allowed: node.commands_allowed,
            calls: node.calls.own,
            reserved: node.calls.reserved,
            foreign: node.calls.foreign,
            capacity: node.capacity,
            configured_capacity: node.configured_capacity,
            stress: node.stress,
            sample_age_ms: sample.map(|sample| sample.age_ms),
            round_trip_ms: sample.map(|sample| sample.round_trip_ms),
            cpu: node.cpu,
            rtp_loss: sample.and_then(|sample| sample.rtp_loss).map(f64::from),
            rtp_jitter_ms: sample.and_then(|sample| sample.rtp_jitter_ms).map(f64::from),
            load_average: sample.and_then(|sample| sample.load_average).map(f64::from),
            version: node.version.clone(),
            asterisk_started_ms: node.started_unix_ms,
        }
    }
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
    /// kamari's id of the call.
    pub id: String,
    /// The node that it is on.
    pub node: String,
    /// The caller's channel on that node.
    pub channel: String,
    /// The SIP Call-ID, if the node said one.
    pub call_id: Option<String>,
    /// Number of the caller as the node saw it.
    pub caller: String,
    /// What was dialled: the user part of the request URI.
    pub extension: String,
    /// The tenant, once the directory named it.
    pub tenant: Option<String>,
    /// The app that serves it, once the directory named it.
    pub app: Option<String>,
    /// `ringing` (arrived, not answered), `up` (answered) or `ending`.
    pub state: String,
    /// Whether it was found alive, after a restart or a lost socket, rather than seen to arrive.
    pub adopted: bool,
    /// Whether kamari placed it: then `caller` is whom it rang.
    #[serde(default)]
    pub placed: bool,
    /// When it came to this process, in milliseconds of Unix time.
    pub started_ms: u64,
    /// When it was answered, in milliseconds of Unix time.
    pub answered_ms: Option<u64>,
}

/// A call, with what happened to it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallDetail {
    /// The call as it is listed.
    #[serde(flatten)]
    pub call: CallView,
    /// Why it ended, if it has: `by` names who or what ended it.
    #[schema(value_type = Option<Object>)]
    pub end: Option<Value>,
    /// Its timeline, oldest first: `at_ms` since it came, `step` names what happened, other keys say more.
    #[schema(value_type = Vec<Object>)]
    pub steps: Vec<Value>,
    /// Steps that found no room in the timeline.
    pub steps_left_out: u64,
}

impl From<&call::CallView> for CallView {
    fn from(view: &call::CallView) -> Self {
        Self {
            id: view.id.to_string(),
            node: view.node.to_string(),
            channel: view.channel.to_string(),
            call_id: view.call_id.as_ref().map(ToString::to_string),
            caller: view.caller.to_string(),
            extension: view.extension.to_string(),
            tenant: view.tenant.as_ref().map(ToString::to_string),
            app: view.app.map(ToOwned::to_owned),
            state: word(&view.state),
            adopted: view.adopted,
            placed: view.placed,
            started_ms: view.started_ms,
            answered_ms: view.answered_ms,
        }
    }
}

impl From<&call::CallView> for CallDetail {
    fn from(view: &call::CallView) -> Self {
        // What cannot be written as JSON is left out: these types can all be.
        let json = |step| serde_json::to_value(step).ok();
        Self {
            call: CallView::from(view),
            end: view.end.as_ref().and_then(|end| serde_json::to_value(end).ok()),
            steps: view.steps.iter().filter_map(json).collect(),
            steps_left_out: view.steps_left_out,
        }
    }
}

/// The word that a unit variant is on the wire.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
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
    /// Tasks that serve calls, rooms and the legs between nodes now: none when there is no call.
    pub call_tasks: i64,
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
