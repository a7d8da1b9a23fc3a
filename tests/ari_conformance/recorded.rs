//! What real nodes said decodes without anything left over, and encodes to what it was.

use std::fs;
use std::path::Path;

use kamari::ari::model::{
    Application, AsteriskInfo, AsteriskPing, Bridge, Channel, ConfigTuple, DeviceState, Endpoint,
};
use kamari::ari::model::{LiveRecording, Module, Playback, RtpStatistics, Sound, StoredRecording, Variable, Variables};
use kamari::ari::{Event, EventKind};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The lines of a recording, of every version.
fn lines(file: &str) -> Vec<String> {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ari");
    let mut lines = Vec::new();
    for version in fs::read_dir(recordings).expect("the recordings") {
        let path = version.expect("an entry").path().join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        lines.extend(text.lines().map(str::to_owned));
    }
    assert!(lines.len() >= 75, "few lines in {file}: {}", lines.len());
    lines
}

#[test]
fn every_recorded_event_is_known_and_written_back_as_it_was() {
    for line in lines("events.jsonl") {
        let event = Event::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert!(!matches!(event.kind, EventKind::Unknown(_)), "unknown: {line}");
        assert!(event.extra.is_empty(), "{:?} left over in {line}", event.extra);
        assert!(
            event.timestamp.as_ref().and_then(kamari::ari::wire::Timestamp::unix_ms).is_some(),
            "no time in {line}"
        );
        let written = serde_json::to_value(&event).expect("JSON");
        assert_eq!(written, serde_json::from_str::<Value>(&line).expect("JSON"));
    }
}

fn read_and_write_back<T: DeserializeOwned + Serialize>(body: &Value) {
    let read: T = serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error} in {body}"));
    assert_eq!(&serde_json::to_value(&read).expect("JSON"), body);
}

/// Holds `body` to the type that answers such a request.
fn check(path: &str, body: &Value) -> bool {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["applications"] => read_and_write_back::<Vec<Application>>(body),
        ["applications", ..] => read_and_write_back::<Application>(body),
        ["asterisk", "config", ..] => read_and_write_back::<Vec<ConfigTuple>>(body),
        ["asterisk", "info"] => read_and_write_back::<AsteriskInfo>(body),
        ["asterisk", "ping"] => read_and_write_back::<AsteriskPing>(body),
        ["asterisk", "modules", _] => read_and_write_back::<Module>(body),
        ["bridges"] => read_and_write_back::<Vec<Bridge>>(body),
        ["bridges", _] => read_and_write_back::<Bridge>(body),
        ["bridges" | "channels", _, "play", _] | ["playbacks", _] => read_and_write_back::<Playback>(body),
        ["bridges" | "channels", _, "record"] | ["recordings", "live", _] => read_and_write_back::<LiveRecording>(body),
        ["channels"] => read_and_write_back::<Vec<Channel>>(body),
        ["channels", _] | ["channels", _, "snoop", _] => read_and_write_back::<Channel>(body),
        [.., "variable"] => read_and_write_back::<Variable>(body),
        [.., "variables"] => read_and_write_back::<Variables>(body),
        ["channels", _, "rtp_statistics"] => read_and_write_back::<RtpStatistics>(body),
        ["deviceStates"] => read_and_write_back::<Vec<DeviceState>>(body),
        ["deviceStates", _] => read_and_write_back::<DeviceState>(body),
        ["endpoints"] => read_and_write_back::<Vec<Endpoint>>(body),
        ["endpoints", _, _] => read_and_write_back::<Endpoint>(body),
        ["recordings", "stored"] => read_and_write_back::<Vec<StoredRecording>>(body),
        ["recordings", "stored", _] => read_and_write_back::<StoredRecording>(body),
        ["sounds", _] => read_and_write_back::<Sound>(body),
        _ => return false,
    }
    true
}

#[test]
fn every_recorded_answer_is_read_and_written_back_as_it_was() {
    for line in lines("responses.jsonl") {
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let path = answer["path"].as_str().expect("a path");
        if answer["status"].as_u64().is_some_and(|status| status < 300) {
            assert!(check(path, &answer["body"]), "no type for {line}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A recorded event with a byte changed, a piece cut out, or a piece repeated is read or refused, and what is read can be
    /// written.
    #[test]
    fn a_damaged_recording_never_panics(
        line in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        until in any::<prop::sample::Index>(),
        damage in 0..3,
        byte: u8,
    ) {
        let lines = recorded_once();
        let mut frame = lines[line.index(lines.len())].clone().into_bytes();
        let (at, until) = (at.index(frame.len()), until.index(frame.len()));
        let piece = at.min(until)..at.max(until);
        match damage {
            0 => frame[at] = byte,
            1 => drop(frame.drain(piece)),
            _ => {
                let repeated = frame[piece].to_vec();
                frame.splice(at..at, repeated);
            }
        }
        if let Ok(event) = Event::decode(&frame) {
            prop_assert!(serde_json::to_string(&event).is_ok());
            let _ = (event.channel_id(), event.bridge_id(), event.playback_id(), event.recording_name());
        }
    }
}

fn recorded_once() -> &'static [String] {
    static LINES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    LINES.get_or_init(|| lines("events.jsonl"))
}
