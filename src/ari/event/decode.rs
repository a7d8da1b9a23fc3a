//! From a frame to an event: the type first, cheaply, then one pass into that type.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Event, EventKind};
use crate::ari::wire::{Extra, Timestamp};

/// A frame that is no event: which type it claimed to be, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} that cannot be read: {reason}", .event_type.as_deref().unwrap_or("a frame"))]
pub struct DecodeError {
    /// The frame's `type`, if it had one.
    pub event_type: Option<String>,
    /// The property that is missing or of the wrong kind, or where the text stops being JSON.
    pub reason: String,
}

/// What every event carries.
pub(super) struct Envelope {
    pub application: String,
    pub timestamp: Option<Timestamp>,
    pub asterisk_id: Option<String>,
    pub extra: Extra,
}

/// The longest event type that is repeated in an error, in characters.
const TYPE_LIMIT: usize = 80;
/// The longest reason that is kept, in characters.
const REASON_LIMIT: usize = 200;

pub(super) fn decode(frame: &[u8]) -> Result<Event, DecodeError> {
    let kind = event_type(frame).map_err(|error| DecodeError { event_type: None, reason: shown(&error) })?;
    let (envelope, event) = EventKind::decode(&kind, frame).map_err(|error| DecodeError {
        event_type: Some(kind.chars().take(TYPE_LIMIT).collect()),
        reason: shown(&error),
    })?;
    let Envelope { application, timestamp, asterisk_id, extra } = envelope;
    Ok(Event { application, timestamp, asterisk_id, kind: event, extra })
}

/// What is wrong, shortened: the library repeats whole strings of the frame, which are a log line's length at most here.
fn shown(error: &serde_json::Error) -> String {
    error.to_string().chars().take(REASON_LIMIT).collect()
}

/// The frame's `type`. Asterisk writes it first in nearly every event, where it is found without parsing.
fn event_type(frame: &[u8]) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }

    match leading_type(frame) {
        Some(kind) => Ok(Cow::Borrowed(kind)),
        None => serde_json::from_slice(frame).map(|Head { kind }| kind),
    }
}

/// The value of `type` if it is the frame's first property and a plain name.
fn leading_type(frame: &[u8]) -> Option<&str> {
    let rest = frame.trim_ascii_start().strip_prefix(b"{")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"type\"")?;
    let rest = rest.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let name = &rest[..rest.iter().position(|byte| !byte.is_ascii_alphanumeric())?];
    rest[name.len()..].starts_with(b"\"").then_some(std::str::from_utf8(name).ok()?)
}

/// An event of a type that is not known here. All it carried is in [`Event::extra`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownEvent {
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
}

impl UnknownEvent {
    pub(super) fn decode(frame: &[u8]) -> Result<(Envelope, Self), serde_json::Error> {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(rename = "type")]
            kind: String,
            #[serde(default)]
            application: String,
            timestamp: Option<Timestamp>,
            asterisk_id: Option<String>,
            #[serde(flatten)]
            extra: Extra,
        }
        let Frame { kind, application, timestamp, asterisk_id, extra } = serde_json::from_slice(frame)?;
        Ok((Envelope { application, timestamp, asterisk_id, extra }, Self { kind }))
    }
}

/// The node's complaint that a request over the socket lacked parameters. The one message that is no event: it belongs to no
/// application and bears no time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingParams {
    /// The parameters that were missing.
    pub params: Vec<String>,
}

impl MissingParams {
    pub(super) fn decode(frame: &[u8]) -> Result<(Envelope, Self), serde_json::Error> {
        #[derive(Deserialize)]
        struct Frame {
            #[serde(rename = "type")]
            _type: serde::de::IgnoredAny,
            asterisk_id: Option<String>,
            params: Vec<String>,
            #[serde(flatten)]
            extra: Extra,
        }
        let Frame { _type: _, asterisk_id, params, extra } = serde_json::from_slice(frame)?;
        Ok((Envelope { application: String::new(), timestamp: None, asterisk_id, extra }, Self { params }))
    }
}

#[cfg(test)]
mod tests {
    use crate::ari::event::{Event, EventKind};
    use proptest::prelude::*;

    const CHANNEL: &str = r#"{"id":"c1","name":"PJSIP/kamailio-00000001","state":"Ring","protocol_id":"a84b4c76e66710@example.test",
        "caller":{"name":"Alice","number":"alice"},"connected":{"name":"","number":""},"accountcode":"",
        "dialplan":{"context":"from-kamailio","exten":"600","priority":1,"app_name":"Stasis","app_data":"EVERYTHING"},
        "creationtime":"2026-11-22T20:24:40.781+0000","language":"en"}"#;

    fn stasis_start(channel: &str) -> String {
        format!(
            r#"{{"type":"StasisStart","timestamp":"2026-11-22T20:24:40.783+0000","args":[],"channel":{channel},
               "asterisk_id":"02:00:00:00:00:01","application":"EVERYTHING"}}"#
        )
    }

    #[test]
    fn a_call_is_read_with_all_that_it_carries() {
        let event = Event::decode(stasis_start(CHANNEL).as_bytes()).expect("an event");
        assert_eq!((event.application.as_str(), event.channel_id()), ("EVERYTHING", Some("c1")));
        let EventKind::StasisStart(start) = &event.kind else { panic!("not a StasisStart: {event:?}") };
        assert_eq!(start.channel.protocol_id.as_deref(), Some("a84b4c76e66710@example.test"));
        assert_eq!(start.channel.dialplan.exten, "600");
        assert!(event.extra.is_empty() && start.channel.extra.is_empty());
    }

    #[test]
    fn the_type_may_stand_anywhere() {
        let untyped = stasis_start(CHANNEL).replacen(r#""type":"StasisStart","#, "", 1);
        let moved = format!(r#"{},"type":"StasisStart"}}"#, untyped.trim_end_matches('}'));
        let event = Event::decode(moved.as_bytes()).expect("an event");
        assert_eq!(event, Event::decode(stasis_start(CHANNEL).as_bytes()).expect("an event"));
    }

    #[test]
    fn what_is_unknown_is_kept_and_written_back() {
        let newer = CHANNEL
            .replace(r#""Ring""#, r#""Teleporting""#)
            .replace(r#""language":"#, r#""mood":["calm"],"language":"#);
        for frame in [stasis_start(&newer), stasis_start(CHANNEL).replace("StasisStart", "ChannelTeleported")] {
            let event = Event::decode(frame.as_bytes()).expect("an event");
            let written: serde_json::Value = serde_json::to_value(&event).expect("JSON");
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(&frame).expect("JSON"));
        }
    }

    #[test]
    fn what_is_no_event_is_refused_by_name() {
        let refusal = |frame: &str| Event::decode(frame.as_bytes()).expect_err("no event").to_string();
        assert!(refusal(&stasis_start("{}")).starts_with("StasisStart that cannot be read: missing field `id`"));
        assert!(refusal("{}").starts_with("a frame that cannot be read: missing field `type`"));
        assert!(refusal("<html>").starts_with("a frame that cannot be read: expected value"));
    }

    #[test]
    fn a_refusal_does_not_repeat_the_frame() {
        let frame = stasis_start(&format!("\"{}\"", "x".repeat(100_000)));
        assert!(Event::decode(frame.as_bytes()).expect_err("no event").reason.len() <= 200);
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let frame = stasis_start(CHANNEL).replace(r#""args":[]"#, &format!(r#""args":[],"x":{}"#, "[".repeat(100_000)));
        assert!(Event::decode(frame.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Event::decode(&frame);
        }

        #[test]
        fn a_damaged_event_never_panics(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
            let mut frame = stasis_start(CHANNEL).into_bytes();
            let index = at.index(frame.len());
            frame[index] = byte;
            let _ = Event::decode(&frame);
            let _ = Event::decode(&frame[..cut.index(frame.len())]);
        }
    }
}
