//! What an app cannot do without after kamari was killed: kept in a variable of the caller's channel, on the node.
//!
//! Invariants:
//! - Written before the step that depends on it: an object that another kamari must find is named here before it is
//!   created.
//! - Versioned: a state of another version is not guessed at; its call is served anew.
//! - Ids in `objects` and `room` are claimed: when a kamari takes a node over, objects of ours that nobody claims are removed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cdr::Past;
use super::dial::Pair;
use super::onward::Onward;
use super::room::SavedSeat;

/// The channel variable.
pub(super) const VARIABLE: &str = "KAMARI_STATE";
/// The version that this code writes, and the only one that it reads.
const VERSION: u32 = 1;
/// Longest state in bytes: Asterisk's HTTP server takes bodies of up to 40,960.
const SIZE_LIMIT: usize = 16_384;

/// A state as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    v: u32,
    /// The app that saved it, by name.
    pub(super) app: String,
    /// The number that the call was handed on to last; nothing while it is served for what was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extension: Option<String>,
    /// How often the call was handed on.
    #[serde(default)]
    pub(super) hops: u32,
    /// Ids of objects that belong to the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) objects: Vec<String>,
    /// Ids of objects of the room that the call is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) room: Vec<String>,
    /// What the call was until now, for its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) past: Option<Past>,
    /// What it has to do with others.
    #[serde(flatten)]
    pub(super) ties: Ties,
    /// What the call is in that room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seat: Option<SavedSeat>,
    /// The app's own facts.
    pub(super) data: serde_json::Value,
}

/// What a call has to do with others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ties {
    /// Whom the caller talks with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pair: Option<Pair>,
    /// The room in which an attended transfer joined him with somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) joined: Option<Arc<str>>,
    /// What a channel that was dialled as a leg goes on with as a call of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) onward: Option<Onward>,
}

impl Saved {
    pub(super) fn new(app: &str, objects: Vec<String>, room: Vec<String>, data: serde_json::Value) -> Self {
        Self {
            v: VERSION,
            app: app.to_owned(),
            extension: None,
            hops: 0,
            objects,
            room,
            past: None,
            seat: None,
            ties: Ties::default(),
            data,
        }
    }

    /// The same state of a call that was handed on.
    #[must_use]
    pub(super) fn handed_on(mut self, extension: Option<String>, hops: u32) -> Self {
        (self.extension, self.hops) = (extension, hops);
        self
    }

    /// The same state with what the call's record needs.
    #[must_use]
    pub(super) fn after(mut self, past: Past) -> Self {
        self.past = Some(past);
        self
    }

    /// The same state of a call that has a place in a room.
    #[must_use]
    pub(super) fn seated(mut self, seat: Option<SavedSeat>) -> Self {
        self.seat = seat;
        self
    }

    /// Every id that the call claims.
    pub(super) fn claims(&self) -> Vec<String> {
        let pair = self.ties.pair.iter().flat_map(|pair| [&pair.bridge, &pair.leg]);
        self.objects.iter().chain(&self.room).chain(pair).cloned().collect()
    }

    /// The variable's value; nothing if it would be too long to store.
    pub(super) fn encode(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|text| text.len() <= SIZE_LIMIT)
    }

    /// The state in a variable's value; nothing if it is not one of this version.
    pub(super) fn decode(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text).ok().filter(|saved| saved.v == VERSION)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SIZE_LIMIT, Saved};

    #[test]
    fn a_state_comes_back_as_it_was() {
        let saved = Saved::new(
            "echo",
            vec!["kamari-bridge-0-1".into()],
            vec!["kamari-bridge-0-2".into()],
            serde_json::json!({"a": [1, "ü\"\\,"]}),
        )
        .handed_on(Some("700".into()), 2);
        assert_eq!(Saved::decode(&saved.encode().expect("short enough")), Some(saved));
    }

    #[test]
    fn another_version_and_too_much_are_refused() {
        let text = Saved::new("echo", Vec::new(), Vec::new(), serde_json::Value::Null).encode().expect("short enough");
        assert_eq!(Saved::decode(&text.replace("\"v\":1", "\"v\":2")), None);
        assert_eq!(Saved::new("x", Vec::new(), Vec::new(), "y".repeat(SIZE_LIMIT).into()).encode(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_state_or_not(text in ".*") {
            if let Some(saved) = Saved::decode(&text) {
                prop_assert!(saved.encode().is_some());
            }
        }
    }
}
