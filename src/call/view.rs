//! What others may see of calls: the list for the operator, the timeline of one call, and the stream of changes.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::cause::Cause;
use crate::pool::{CallId, NodeName};

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Arrived, not answered.
    Ringing,
    /// Answered.
    Up,
    /// Over; what it left is being removed.
    Ending,
}

/// Why a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum End {
    /// The caller (or the network) hung up or cancelled.
    Caller,
    /// The node no longer knows the channel, and no event said why.
    Gone,
    /// The app hung up.
    App {
        /// With this cause.
        cause: Cause,
    },
    /// The app refused the call before it was answered, or whom kamari rang did.
    Refused {
        /// With this cause.
        cause: Cause,
    },
    /// The operator ended it.
    Operator,
    /// It lasted longer than any call may.
    Deadline,
    /// The app failed, or panicked.
    Failed {
        /// What went wrong.
        reason: Arc<str>,
    },
    /// The node was lost, or its events are: if the call is alive, it is found again when the node is back.
    NodeLost {
        /// What happened to the node.
        reason: Arc<str>,
    },
    /// kamari stops; the call stays on its node.
    Released,
}

impl End {
    /// Who or what ended the call, in the word that its record and its events have.
    pub fn by(&self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gone => "gone",
            Self::App { .. } => "app",
            Self::Refused { .. } => "refused",
            Self::Operator => "operator",
            Self::Deadline => "deadline",
            Self::Failed { .. } => "failed",
            Self::NodeLost { .. } => "node_lost",
            Self::Released => "released",
        }
    }

    /// Whether the node may still be commanded for this call.
    pub(super) fn allows_commands(&self) -> bool {
        !matches!(self, Self::NodeLost { .. } | Self::Released)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Caller => f.write_str("the caller hung up"),
            Self::Gone => f.write_str("the channel is gone"),
            Self::App { cause } => write!(f, "the app hung up with cause {}", cause.number()),
            Self::Refused { cause } => write!(f, "the app refused the call with cause {}", cause.number()),
            Self::Operator => f.write_str("the operator ended the call"),
            Self::Deadline => f.write_str("the call lasted longer than allowed"),
            Self::Failed { reason } => write!(f, "the app failed: {reason}"),
            Self::NodeLost { reason } => write!(f, "the node was lost: {reason}"),
            Self::Released => f.write_str("kamari stops and leaves the call on its node"),
        }
    }
}

/// One step of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The call came.
    Arrived,
    /// The call was found on its node after a restart of kamari or a lost socket.
    Adopted,
    /// The directory named the app.
    Assigned {
        /// Whose number was called.
        tenant: Arc<str>,
        /// What serves it.
        app: &'static str,
    },
    /// An app handed the call on to another number of the tenant.
    HandedOn {
        /// Which.
        extension: Arc<str>,
    },
    /// Answered.
    Answered,
    /// Media began.
    Playing {
        /// What is played.
        media: Vec<String>,
    },
    /// Media ended or was stopped.
    Played,
    /// The caller is being recorded.
    Recording {
        /// The recording's name on the node.
        name: String,
    },
    /// The recording is complete.
    Recorded,
    /// The caller pressed a key; which one is nobody's business (it may be a PIN).
    Digit,
    /// The caller joined a room or another bridge.
    Joined {
        /// Its name.
        bridge: String,
    },
    /// The caller left it.
    Left {
        /// Its name.
        bridge: String,
    },
    /// Somebody is dialled for the caller.
    Dialling {
        /// Whom: `user@domain`.
        to: String,
    },
    /// The caller and somebody who was dialled talk.
    Connected {
        /// With whom: `user@domain`.
        to: String,
    },
    /// Caller or called one was transferred.
    Transferred {
        /// To this number, or into this room of an attended transfer.
        to: String,
    },
    /// The call is over.
    Ended {
        /// Why.
        end: End,
    },
}

/// A step and when it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimedStep {
    /// Milliseconds since the call came to this process.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// One call, as the operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct CallView {
    /// kamari's id of the call.
    pub id: Arc<str>,
    /// The node that it is on.
    pub node: NodeName,
    /// The caller's channel on that node.
    pub channel: Arc<str>,
    /// The SIP Call-ID, if the node said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
    /// Number of the caller as the node saw it.
    pub caller: Arc<str>,
    /// What was dialled: the user part of the request URI.
    pub extension: Arc<str>,
    /// The tenant, once the directory named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Arc<str>>,
    /// The app, once the directory named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<&'static str>,
    /// Where it stands.
    pub state: CallState,
    /// Whether it was found alive rather than seen to arrive.
    pub adopted: bool,
    /// Whether kamari placed it: then the caller is whom it rang.
    pub placed: bool,
    /// When it came to this process, in milliseconds of Unix time.
    pub started_ms: u64,
    /// When it was answered, in milliseconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// Why it ended, if it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What happened so far, oldest first.
    pub steps: Vec<TimedStep>,
    /// Steps that found no room in the timeline.
    pub steps_left_out: u64,
}

/// A change of a call, on the runtime's one stream.
#[derive(Debug, Clone, Serialize)]
pub struct CallEvent {
    /// kamari's id of the call.
    pub id: Arc<str>,
    /// The node that it is on.
    pub node: NodeName,
    /// What happened, and when.
    #[serde(flatten)]
    pub step: TimedStep,
}

/// Unix time in milliseconds.
pub(super) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
