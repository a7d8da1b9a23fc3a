//! `/playbacks`, and playing to channels and bridges: one at a time for each, the others queued.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use serde_json::json;

use super::reply::{Params, Refusal, Reply, created, done, ok, refuse};
use super::routes::Node;
use super::state::{Playback, State, Target, object};
use super::{Shared, bridges, channels};

/// How long Asterisk's `tt-monkeys` plays.
const LONG_PROMPT: Duration = Duration::from_secs(16);

fn find<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Playback, Refusal> {
    state.playbacks.get_mut(id).ok_or_else(|| refuse(404, "Playback not found"))
}

pub(crate) async fn get(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    ok(find(&mut shared.lock(), &id)?.json())
}

pub(crate) async fn stop(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    find(&mut shared.lock(), &id)?;
    finish(&shared, &id, "done");
    done()
}

pub(crate) async fn control(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let operation = params.get("operation").unwrap_or_default();
    if !["restart", "pause", "unpause", "reverse", "forward"].contains(&operation.as_str()) {
        return Err(refuse(400, "Invalid operation"));
    }
    find(&mut shared.lock(), &id)?;
    done()
}

pub(crate) async fn on_channel(node: Node, Path(id): Path<String>, params: Params) -> Reply {
    play(&node.0, Target::Channel(id), params.get("playbackId"), &params)
}

pub(crate) async fn on_channel_with_id(
    node: Node,
    Path((id, playback)): Path<(String, String)>,
    params: Params,
) -> Reply {
    play(&node.0, Target::Channel(id), Some(playback), &params)
}

pub(crate) async fn on_bridge(node: Node, Path(id): Path<String>, params: Params) -> Reply {
    play(&node.0, Target::Bridge(id), params.get("playbackId"), &params)
}

pub(crate) async fn on_bridge_with_id(
    node: Node,
    Path((id, playback)): Path<(String, String)>,
    params: Params,
) -> Reply {
    play(&node.0, Target::Bridge(id), Some(playback), &params)
}

fn play(shared: &Arc<Shared>, target: Target, id: Option<String>, params: &Params) -> Reply {
    let media: VecDeque<String> = params.list("media").into();
    let mut state = shared.lock();
    let app = match &target {
        Target::Channel(channel) => channels::in_stasis(&mut state, channel)?.app.clone(),
        Target::Bridge(bridge) => bridges::find(&mut state, bridge)?.subscribers.first().cloned(),
    };
    if media.is_empty() {
        return Err(refuse(400, "Media URI(s) required"));
    }
    let id = id.unwrap_or_else(|| state.new_id());
    if state.playbacks.contains_key(&id) {
        return Err(refuse(409, "Playback already exists"));
    }
    let language = params.get("lang").unwrap_or_else(|| "en".to_owned());
    let app = app.unwrap_or_default();
    let playback = Playback { id: id.clone(), media, target: target.clone(), language, state: "queued", app };
    let body = playback.json();
    state.playbacks.insert(id.clone(), playback);
    let Some(queue) = queue(&mut state, &target) else { return Err(refuse(404, "Channel not found")) };
    queue.push_back(id.clone());
    if queue.len() == 1 {
        start(shared, &mut state, &id);
    }
    created(body)
}

fn queue<'a>(state: &'a mut State, target: &Target) -> Option<&'a mut VecDeque<String>> {
    match target {
        Target::Channel(id) => state.channels.get_mut(id).map(|channel| &mut channel.playbacks),
        Target::Bridge(id) => state.bridges.get_mut(id).map(|bridge| &mut bridge.playbacks),
    }
}

fn tell(state: &mut State, id: &str, kind: &str, now: &'static str) {
    let Some(playback) = state.playbacks.get_mut(id) else { return };
    playback.state = now;
    let (app, fields) = (playback.app.clone(), object(json!({ "playback": playback.json() })));
    state.emit(&app, kind, fields);
}

/// Whether the node has what it is to play. Prompts are in its cache; a lent recording, which no cache may keep, is fetched.
async fn is_had(shared: &Shared, media: &str) -> bool {
    let Some(url) = media.strip_prefix("sound:").filter(|url| url.contains("/media/recordings/")) else { return true };
    let answer = shared.http().get(url).send().await;
    shared.lock().fetched += 1;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Begins to play: each medium takes the behaviour's time, one that does not exist none.
fn start(shared: &Arc<Shared>, state: &mut State, id: &str) {
    tell(state, id, "PlaybackStarted", "playing");
    let (shared, id) = (Arc::clone(shared), id.to_owned());
    let length = state.behaviour.play;
    tokio::spawn(async move {
        loop {
            let Some(media) = shared.lock().playbacks.get(&id).and_then(|playback| playback.media.front().cloned())
            else {
                return;
            };
            if media.contains("does-not-exist") || !is_had(&shared, &media).await {
                return finish(&shared, &id, "failed");
            }
            // The one prompt that is as long as on a real node, for tests that need something still playing.
            let is_long = media == "sound:tt-monkeys";
            tokio::time::sleep(if is_long { LONG_PROMPT } else { length }).await;
            let mut state = shared.lock();
            let Some(playback) = state.playbacks.get_mut(&id) else { return };
            if playback.media.len() < 2 {
                break;
            }
            tell(&mut state, &id, "PlaybackContinuing", "continuing");
            if let Some(playback) = state.playbacks.get_mut(&id) {
                playback.media.pop_front();
            }
            tell(&mut state, &id, "PlaybackStarted", "playing");
        }
        finish(&shared, &id, "done");
    });
}

/// Ends a playback, and begins the next one of its target.
fn finish(shared: &Arc<Shared>, id: &str, how: &'static str) {
    let mut state = shared.lock();
    let Some(target) = state.playbacks.get(id).map(|playback| playback.target.clone()) else { return };
    tell(&mut state, id, "PlaybackFinished", how);
    state.playbacks.remove(id);
    let mut next = None;
    if let Some(queue) = queue(&mut state, &target) {
        let was_playing = queue.front().is_some_and(|first| first == id);
        queue.retain(|queued| queued != id);
        next = queue.front().filter(|_| was_playing).cloned();
    }
    if let Some(next) = next {
        start(shared, &mut state, &next);
    }
    drop(state);
    shared.changed.notify_waiters();
}

/// Ends all playbacks of a target that ends: the one that plays fails, and each queued one starts and fails.
pub(crate) fn fail_all(state: &mut State, target: &Target) {
    let Some(queue) = queue(state, target) else { return };
    for id in std::mem::take(queue) {
        if state.playbacks.get(&id).is_some_and(|playback| playback.state == "queued") {
            tell(state, &id, "PlaybackStarted", "playing");
        }
        tell(state, &id, "PlaybackFinished", "failed");
        state.playbacks.remove(&id);
    }
}
