//! `/recordings`, and recording channels and bridges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State as Extract};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::reply::{Params, Refusal, Reply, created, done, ok, refuse};
use super::routes::Node;
use super::state::{Recording, State, Target, object};
use super::{Shared, bridges, channels};

/// A WAV file of no samples: RIFF, 8 kHz, 16 bits, mono.
const WAV: &[u8] = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";

fn find<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Recording, Refusal> {
    state.recordings.get_mut(name).ok_or_else(|| refuse(404, "Recording not found"))
}

pub(crate) async fn of_channel(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let app = channels::in_stasis(&mut shared.lock(), &id)?.app.clone();
    record(&shared, Target::Channel(id), app.unwrap_or_default(), &params)
}

pub(crate) async fn of_bridge(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let app = bridges::find(&mut shared.lock(), &id)?.subscribers.first().cloned();
    record(&shared, Target::Bridge(id), app.unwrap_or_default(), &params)
}

fn record(shared: &Arc<Shared>, target: Target, app: String, params: &Params) -> Reply {
    let (Some(name), Some(format)) = (params.get("name"), params.get("format")) else {
        return Err(refuse(400, "Recording name and format are required"));
    };
    if !["wav", "ulaw", "alaw", "gsm", "sln", "sln16"].contains(&format.as_str()) {
        return Err(refuse(422, "specified format is unknown on this system"));
    }
    let mut state = shared.lock();
    let overwrites = params.get("ifExists").is_some_and(|what| what != "fail");
    if state.recordings.contains_key(&name) || (!overwrites && state.stored.contains_key(&name)) {
        return Err(refuse(409, &format!("Recording '{name}' already exists and can not be overwritten")));
    }
    let number = |name: &str| params.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut recording = Recording {
        name: name.clone(),
        format,
        target,
        state: "queued",
        app,
        began: Instant::now(),
        ends_on_silence: number("maxSilenceSeconds") > 0,
        terminate_on: params.get("terminateOn").unwrap_or_else(|| "none".to_owned()),
    };
    let body = recording.json();
    recording.state = "recording";
    state.recordings.insert(name.clone(), recording);
    tell(&mut state, &name, "RecordingStarted");
    drop(state);
    let longest = number("maxDurationSeconds");
    if longest > 0 {
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(longest)).await;
            finish(&mut shared.lock(), &name);
            shared.changed.notify_waiters();
        });
    }
    created(body)
}

fn tell(state: &mut State, name: &str, kind: &str) {
    let Some(recording) = state.recordings.get(name) else { return };
    let (app, fields) = (recording.app.clone(), object(json!({ "recording": recording.json() })));
    state.emit(&app, kind, fields);
}

/// Ends and stores the recordings of a target that are so.
pub(crate) fn finish_of(state: &mut State, target: &Target, which: impl Fn(&Recording) -> bool) {
    let of_target = |recording: &&Recording| recording.target == *target && which(recording);
    let ended: Vec<_> = state.recordings.values().filter(of_target).map(|recording| recording.name.clone()).collect();
    for name in ended {
        finish(state, &name);
    }
}

/// Ends and stores a recording, if it runs.
fn finish(state: &mut State, name: &str) {
    let Some(recording) = state.recordings.get_mut(name) else { return };
    recording.state = "done";
    tell(state, name, "RecordingFinished");
    if let Some(recording) = state.recordings.remove(name) {
        state.stored.insert(recording.name, recording.format);
    }
}

pub(crate) async fn live(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    ok(find(&mut shared.lock(), &name)?.json())
}

pub(crate) async fn stop(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    let mut state = shared.lock();
    find(&mut state, &name)?;
    finish(&mut state, &name);
    drop(state);
    shared.changed.notify_waiters();
    done()
}

pub(crate) async fn cancel(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    let mut state = shared.lock();
    find(&mut state, &name)?.state = "canceled";
    tell(&mut state, &name, "RecordingFinished");
    state.recordings.remove(&name);
    drop(state);
    shared.changed.notify_waiters();
    done()
}

pub(crate) async fn accept(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    find(&mut shared.lock(), &name)?;
    done()
}

fn stored_json(name: &str, format: &str) -> Value {
    json!({ "name": name, "format": format })
}

pub(crate) async fn list_stored(Extract(shared): Node) -> Reply {
    ok(shared.lock().stored.iter().map(|(name, format)| stored_json(name, format)).collect())
}

pub(crate) async fn stored(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    let state = shared.lock();
    let format = state.stored.get(&name).ok_or_else(|| refuse(404, "Recording not found"))?;
    ok(stored_json(&name, format))
}

pub(crate) async fn delete_stored(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    match shared.lock().stored.remove(&name) {
        Some(_) => done(),
        None => Err(refuse(404, "Recording not found")),
    }
}

pub(crate) async fn file(Extract(shared): Node, Path(name): Path<String>) -> Reply {
    if shared.lock().stored.contains_key(&name) {
        Ok(([("content-type", "audio/wav")], WAV).into_response())
    } else {
        Err(refuse(404, "Recording not found"))
    }
}
