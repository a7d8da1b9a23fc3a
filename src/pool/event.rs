//! The one stream of what happens to nodes: every change once, typed, in order. Server-sent events, metrics, the log
//! and the fallback's dispatcher push all read it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lifecycle::Availability;
use super::name::NodeName;

/// What the operator wants of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// Take calls.
    #[default]
    Active,
    /// Take no new calls; those that are there finish by themselves.
    Draining,
    /// Take no calls, and let kamari command nothing there.
    Disabled,
}

impl Intent {
    /// The word used in the API, in events and as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// A change in the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PoolEvent {
    /// A node was added; nothing is known of it yet.
    NodeAdded {
        /// Which.
        node: NodeName,
    },
    /// The operator changed a node's address, capacity or log-in.
    NodeChanged {
        /// Which.
        node: NodeName,
    },
    /// A node was removed; nothing is said of it after this.
    NodeRemoved {
        /// Which.
        node: NodeName,
    },
    /// A node's availability changed, or the reason given for it (then `from` equals `to`).
    AvailabilityChanged {
        /// Which.
        node: NodeName,
        /// Before.
        from: Availability,
        /// After.
        to: Availability,
        /// Why, in words for the operator.
        #[serde(serialize_with = "super::as_text")]
        reason: Arc<str>,
    },
    /// The operator's intent for a node changed.
    IntentChanged {
        /// Which.
        node: NodeName,
        /// Before.
        from: Intent,
        /// After.
        to: Intent,
    },
    /// A draining node has neither a call nor a promised call left. Said once for each drain.
    Drained {
        /// Which.
        node: NodeName,
    },
    /// Another controller took the node's application over: kamari commands nothing there until `commands` returns.
    TakenOver {
        /// Which.
        node: NodeName,
    },
    /// The node's Asterisk is another process than before: its calls are gone.
    Restarted {
        /// Which.
        node: NodeName,
    },
}

impl PoolEvent {
    /// The node it is about.
    pub fn node(&self) -> &NodeName {
        match self {
            Self::NodeAdded { node }
            | Self::NodeChanged { node }
            | Self::NodeRemoved { node }
            | Self::AvailabilityChanged { node, .. }
            | Self::IntentChanged { node, .. }
            | Self::Drained { node }
            | Self::TakenOver { node }
            | Self::Restarted { node } => node,
        }
    }
}

impl fmt::Display for PoolEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeAdded { .. } => f.write_str("node added"),
            Self::NodeChanged { .. } => f.write_str("node changed"),
            Self::NodeRemoved { .. } => f.write_str("node removed"),
            Self::AvailabilityChanged { from, to, reason, .. } if from == to => {
                write!(f, "node still {}: {reason}", to.as_str())
            }
            Self::AvailabilityChanged { from, to, reason, .. } => {
                write!(f, "node {} after {}: {reason}", to.as_str(), from.as_str())
            }
            Self::IntentChanged { to, .. } => write!(f, "node {} by the operator", to.as_str()),
            Self::Drained { .. } => f.write_str("node drained: no call is left"),
            Self::TakenOver { .. } => f.write_str("node taken over by another controller"),
            Self::Restarted { .. } => f.write_str("node restarted"),
        }
    }
}
