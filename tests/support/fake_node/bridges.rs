//! `/bridges`.

use std::collections::{BTreeMap, VecDeque};

use axum::extract::{Path, State as Extract};
use serde_json::json;

use super::channels::when_silent;
use super::playbacks;
use super::reply::{Params, Refusal, Reply, done, ok, refuse};
use super::routes::Node;
use super::state::{Bridge, State, Target, now};

/// The bridge, or 404.
pub(crate) fn find<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Bridge, Refusal> {
    state.bridges.get_mut(id).ok_or_else(|| refuse(404, "Bridge not found"))
}

pub(crate) async fn list(Extract(shared): Node) -> Reply {
    ok(shared.lock().bridges.values().map(Bridge::json).collect())
}

pub(crate) async fn get(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    ok(find(&mut shared.lock(), &id)?.json())
}

pub(crate) async fn create(Extract(shared): Node, params: Params) -> Reply {
    let mut state = shared.lock();
    let id = params.get("bridgeId").unwrap_or_else(|| state.new_id());
    add(&mut state, &id, &params)
}

pub(crate) async fn create_with_id(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    add(&mut shared.lock(), &id, &params)
}

fn add(state: &mut State, id: &str, params: &Params) -> Reply {
    if state.bridges.contains_key(id) {
        return Err(refuse(409, &format!("Bridge with id '{id}' already exists")));
    }
    let is_holding = params.get("type").is_some_and(|attributes| attributes.split(',').any(|one| one == "holding"));
    let bridge = Bridge {
        id: id.to_owned(),
        name: params.get("name").unwrap_or_default(),
        kind: if is_holding { "holding" } else { "mixing" }.to_owned(),
        created: now(),
        channels: Vec::new(),
        variables: params.variables().into_iter().map(|(name, value, _)| (name, value)).collect::<BTreeMap<_, _>>(),
        moh: false,
        playbacks: VecDeque::new(),
        subscribers: Vec::new(),
    };
    let body = bridge.json();
    state.bridges.insert(id.to_owned(), bridge);
    ok(body)
}

pub(crate) async fn destroy(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    let mut state = shared.lock();
    let channels = find(&mut state, &id)?.channels.clone();
    playbacks::fail_all(&mut state, &Target::Bridge(id.clone()));
    let subscribed = state.bridges[&id].subscribers.clone();
    for channel in channels {
        leave(&mut state, &id, &channel);
    }
    if let Some(bridge) = state.bridges.get_mut(&id) {
        bridge.subscribers = subscribed;
    }
    state.emit_bridge(&id, "BridgeDestroyed", None);
    state.bridges.remove(&id);
    drop(state);
    shared.changed.notify_waiters();
    done()
}

/// The channel leaves the bridge, and with it its application's interest in the bridge.
pub(crate) fn leave(state: &mut State, bridge: &str, channel: &str) {
    if let Some(bridge) = state.bridges.get_mut(bridge) {
        bridge.channels.retain(|member| member != channel);
    }
    if let Some(channel) = state.channels.get_mut(channel) {
        channel.bridge = None;
    }
    state.emit_bridge(bridge, "ChannelLeftBridge", Some(channel));
    let apps: Vec<String> = state.bridges.get(bridge).map_or_else(Vec::new, |bridge| {
        bridge.channels.iter().filter_map(|member| state.channels.get(member)?.app.clone()).collect()
    });
    if let Some(bridge) = state.bridges.get_mut(bridge) {
        bridge.subscribers.retain(|subscriber| apps.contains(subscriber));
    }
}

pub(crate) async fn add_channel(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let channels = params.list("channel");
    check_members(&mut shared.lock(), &id, &channels)?;
    let mut state = when_silent(&shared, &channels).await;
    check_members(&mut state, &id, &channels)?;
    for channel in &channels {
        if let Some(other) = state.channels[channel].bridge.clone() {
            leave(&mut state, &other, channel);
        }
        let app = state.channels[channel].app.clone();
        let bridge = find(&mut state, &id)?;
        bridge.channels.push(channel.clone());
        bridge.subscribers.extend(app.filter(|app| !bridge.subscribers.contains(app)));
        if let Some(found) = state.channels.get_mut(channel) {
            found.bridge = Some(id.clone());
        }
        state.emit_bridge(&id, "ChannelEnteredBridge", Some(channel));
    }
    drop(state);
    shared.changed.notify_waiters();
    done()
}

fn check_members(state: &mut State, bridge: &str, channels: &[String]) -> Result<(), Refusal> {
    find(state, bridge)?;
    if channels.is_empty() {
        return Err(refuse(400, "Channel name(s) required"));
    }
    for id in channels {
        match state.channels.get(id) {
            None => return Err(refuse(400, "Channel not found")),
            Some(channel) if channel.app.is_none() => return Err(refuse(422, "Channel not in Stasis application")),
            Some(_) => {}
        }
    }
    Ok(())
}

pub(crate) async fn remove_channel(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let channels = params.list("channel");
    check_members(&mut shared.lock(), &id, &channels)?;
    let mut state = when_silent(&shared, &channels).await;
    check_members(&mut state, &id, &channels)?;
    for channel in &channels {
        if state.channels[channel].bridge.as_deref() != Some(&id) {
            return Err(refuse(422, "Channel not in this bridge"));
        }
        leave(&mut state, &id, channel);
    }
    drop(state);
    shared.changed.notify_waiters();
    done()
}

pub(crate) async fn start_moh(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    find(&mut shared.lock(), &id)?.moh = true;
    done()
}

pub(crate) async fn stop_moh(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    let mut state = shared.lock();
    if std::mem::take(&mut find(&mut state, &id)?.moh) {
        done()
    } else {
        Err(refuse(409, "Bridge isn't playing music"))
    }
}

pub(crate) async fn variable(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    let mut state = shared.lock();
    let value = find(&mut state, &id)?.variables.get(&name).cloned();
    ok(json!({ "value": value.ok_or_else(|| refuse(404, "Provided variable was not found"))? }))
}

pub(crate) async fn set_variable(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    let value = params.get("value").unwrap_or_default();
    find(&mut shared.lock(), &id)?.variables.insert(name, value);
    done()
}

pub(crate) async fn set_variables(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let mut state = shared.lock();
    let bridge = find(&mut state, &id)?;
    bridge.variables.extend(params.variables().into_iter().map(|(name, value, _)| (name, value)));
    done()
}
