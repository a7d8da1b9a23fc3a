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

/// A WAV file of silence: 8 kHz, 16 bits, mono.
fn wav(length: Duration) -> Vec<u8> {
    let bytes = length.as_millis() as u32 * 16;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
    file.extend_from_slice(&bytes.to_le_bytes());
    file.resize(44 + bytes as usize, 0);
    file
}

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
    let recording = Recording {
        name: name.clone(),
        format,
        target,
        state: "queued",
        app,
        began: Instant::now(),
        order: state.next(),
        ends_on_silence: number("maxSilenceSeconds") > 0,
        terminate_on: params.get("terminateOn").unwrap_or_else(|| "none".to_owned()),
    };
    let body = recording.json();
    let target = recording.target.clone();
    state.recordings.insert(name.clone(), recording);
    begin_next(&mut state, &target);
    drop(state);
    let longest = number("maxDurationSeconds");
    if longest > 0 {
        tokio::spawn(end_after(Arc::clone(shared), name, Duration::from_secs(longest)));
    }
    created(body)
}

/// Ends a recording when it has run for so long; it may have to wait for its turn first.
async fn end_after(shared: Arc<Shared>, name: String, longest: Duration) {
    loop {
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        match shared.lock().recordings.get(&name).map(|recording| recording.state) {
            None => return,
            Some("recording") => break,
            Some(_) => {}
        }
        changed.await;
    }
    tokio::time::sleep(longest).await;
    finish(&mut shared.lock(), &name);
    shared.changed.notify_waiters();
}

/// Of a channel's recordings one runs; the others wait for its end, as on a real node. Those of a bridge run side by side.
fn begin_next(state: &mut State, target: &Target) {
    let own = |recording: &&mut Recording| recording.target == *target && recording.state != "recording";
    let bridge = matches!(target, Target::Bridge(_));
    if !bridge
        && state.recordings.values().any(|recording| recording.target == *target && recording.state == "recording")
    {
        return;
    }
    let next = state.recordings.values_mut().filter(own).min_by_key(|recording| recording.order);
    let Some(recording) = next else { return };
    (recording.state, recording.began) = ("recording", Instant::now());
    let name = recording.name.clone();
    tell(state, &name, "RecordingStarted");
}

fn tell(state: &mut State, name: &str, kind: &str) {
    let Some(recording) = state.recordings.get(name) else { return };
    let (app, fields) = (recording.app.clone(), object(json!({ "recording": recording.json() })));
    state.emit(&app, kind, fields);
}

/// Ends and stores the recording of a target that runs, if it is so; says whether it was.
pub(crate) fn finish_of(state: &mut State, target: &Target, which: impl Fn(&Recording) -> bool) -> bool {
    let running = state.recordings.values().find(|one| one.target == *target && one.state == "recording");
    let Some(name) = running.filter(|one| which(one)).map(|one| one.name.clone()) else { return false };
    finish(state, &name);
    true
}

/// The target is gone: every recording of it ends, those that wait for their turn with nothing in them.
pub(crate) fn finish_all(state: &mut State, target: &Target) {
    while finish_of(state, target, |_| true) {}
}

/// Ends and stores a recording, if it runs. One that waits for its turn does not hear of it.
fn finish(state: &mut State, name: &str) {
    let Some(recording) = state.recordings.get_mut(name).filter(|one| one.state == "recording") else { return };
    recording.state = "done";
    tell(state, name, "RecordingFinished");
    if let Some(recording) = state.recordings.remove(name) {
        state.lengths.insert(recording.name.clone(), recording.began.elapsed());
        state.stored.insert(recording.name, recording.format);
        begin_next(state, &recording.target);
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
    let recording = find(&mut state, &name)?;
    if recording.state == "recording" {
        recording.state = "canceled";
        let target = recording.target.clone();
        tell(&mut state, &name, "RecordingFinished");
        state.recordings.remove(&name);
        begin_next(&mut state, &target);
    }
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
    let state = shared.lock();
    if state.stored.contains_key(&name) {
        let length = state.lengths.get(&name).copied().unwrap_or_default();
        Ok(([("content-type", "audio/wav")], wav(length)).into_response())
    } else {
        Err(refuse(404, "Recording not found"))
    }
}
