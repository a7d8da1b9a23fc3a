//! `/channels`.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use axum::extract::{Path, State as Extract};
use serde_json::{Map, Value, json};

use super::calls::{Dialled, end_stasis, hang_up, ring};
use super::reply::{Params, Refusal, Reply, done, ok, refuse};
use super::routes::Node;
use super::state::{Channel, State, object};
use super::{FakeNode, Shared};

/// The channel, or 404.
pub(crate) fn find<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Channel, Refusal> {
    state.channels.get_mut(id).ok_or_else(|| refuse(404, "Channel not found"))
}

/// The channel, if it is in an application: 404 or 409 otherwise.
pub(crate) fn in_stasis<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Channel, Refusal> {
    let channel = find(state, id)?;
    if channel.app.is_none() {
        return Err(refuse(409, "Channel not in Stasis application"));
    }
    Ok(channel)
}

/// The state once nothing plays on the channels: what real nodes make `answer`, setting variables and bridging wait for.
pub(crate) async fn when_silent<'a>(shared: &'a Shared, channels: &[String]) -> MutexGuard<'a, State> {
    loop {
        let changed = shared.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if let Some(state) = silent(shared, channels) {
            return state;
        }
        changed.await;
    }
}

fn silent<'a>(shared: &'a Shared, channels: &[String]) -> Option<MutexGuard<'a, State>> {
    let state = shared.lock();
    let plays = |id: &String| state.channels.get(id).is_some_and(|channel| !channel.playbacks.is_empty());
    if channels.iter().any(plays) { None } else { Some(state) }
}

pub(crate) async fn list(Extract(shared): Node) -> Reply {
    let state = shared.lock();
    let mut channels: Vec<Value> = state.channels.values().map(Channel::json).collect();
    if state.behaviour.backwards {
        channels.reverse();
    }
    ok(channels.into())
}

pub(crate) async fn get(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    ok(find(&mut shared.lock(), &id)?.json())
}

pub(crate) async fn hangup(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    find(&mut shared.lock(), &id)?;
    hang_up(&shared, &id, object(json!({ "cause": 32, "soft": true })), 16);
    done()
}

pub(crate) async fn answer(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    in_stasis(&mut shared.lock(), &id)?;
    let mut state = when_silent(&shared, std::slice::from_ref(&id)).await;
    let channel = in_stasis(&mut state, &id)?;
    if channel.state != "Up" {
        channel.state = "Up";
        state.emit_channel(&id, "ChannelStateChange", Map::new());
        drop(state);
        shared.changed.notify_waiters();
    }
    done()
}

/// Operations that change nothing that ARI shows.
pub(crate) async fn accept(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    in_stasis(&mut shared.lock(), &id)?;
    done()
}

pub(crate) async fn mute(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    if params.get("direction").is_none() {
        return Err(refuse(400, "Direction is required"));
    }
    in_stasis(&mut shared.lock(), &id)?;
    done()
}

pub(crate) async fn continue_in_dialplan(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    let mut state = shared.lock();
    in_stasis(&mut state, &id)?;
    end_stasis(&mut state, &id);
    drop(state);
    // The dialplan of a generic node has nothing to go on with but a hang-up, which no application hears of.
    hang_up(&shared, &id, Map::new(), 16);
    done()
}

pub(crate) async fn move_to(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let app = params.get("app").ok_or_else(|| refuse(400, "App parameter is required"))?;
    let mut state = shared.lock();
    in_stasis(&mut state, &id)?;
    let args: Vec<String> =
        params.get("appArgs").map(|args| args.split(',').map(str::to_owned).collect()).unwrap_or_default();
    if !state.has_listener(&app) {
        state.emit_channel(&id, "ApplicationMoveFailed", object(json!({ "destination": app, "args": args })));
        return done();
    }
    end_stasis(&mut state, &id);
    in_application(&mut state, &id, &app, &args);
    done()
}

/// The channel enters an application.
fn in_application(state: &mut State, id: &str, app: &str, args: &[String]) {
    if let Some(channel) = state.channels.get_mut(id) {
        channel.app = Some(app.to_owned());
    }
    state.emit_subscribed(id, "ChannelVarset", object(json!({ "variable": "STASISSTATUS", "value": "" })));
    state.emit_channel(id, "StasisStart", object(json!({ "args": args })));
}

pub(crate) async fn create(Extract(shared): Node, params: Params) -> Reply {
    let app = params.get("app").ok_or_else(|| refuse(400, "Application must be specified"))?;
    let id = params.get("channelId");
    let channel = add(&shared, id, &params, &app)?;
    let (id, body) = (channel.id.clone(), channel.json());
    // As on a real node, the answer and the events come in any order, and the channel is in Stasis a moment later.
    tokio::spawn(async move {
        tokio::task::yield_now().await;
        let mut state = shared.lock();
        if state.has_listener(&app) {
            in_application(&mut state, &id, &app, &[]);
            drop(state);
        } else {
            state.channels.remove(&id);
            drop(state);
        }
        shared.changed.notify_waiters();
    });
    ok(body)
}

fn add(shared: &Shared, id: Option<String>, params: &Params, app: &str) -> Result<Channel, Refusal> {
    let endpoint = params.get("endpoint").ok_or_else(|| refuse(400, "Endpoint must be specified"))?;
    let Some((technology, _)) = endpoint.split_once('/') else {
        return Err(refuse(400, "Invalid endpoint specified"));
    };
    let mut state = shared.lock();
    let id = id.unwrap_or_else(|| state.new_id());
    if state.channels.contains_key(&id) {
        return Err(refuse(409, "Channel with given unique ID already exists"));
    }
    let mut channel = Channel::new(&id, &format!("{endpoint}-{:08x}", state.next()));
    if technology == "PJSIP" {
        channel.protocol_id = format!("{}@fake", uuid::Uuid::new_v4());
    }
    channel.endpoint = endpoint;
    channel.subscriber = Some(app.to_owned());
    channel.caller = params.get("callerId").unwrap_or_default();
    state.channels.insert(id.clone(), channel.clone());
    for (name, value, reported) in params.variables() {
        set(&mut state, &id, &name, &value, reported);
    }
    Ok(channel)
}

pub(crate) async fn originate(node: Node, params: Params) -> Reply {
    let id = params.get("channelId");
    originate_as(&node.0, id, &params)
}

pub(crate) async fn originate_with_id(node: Node, Path(id): Path<String>, params: Params) -> Reply {
    originate_as(&node.0, Some(id), &params)
}

fn originate_as(shared: &Arc<Shared>, id: Option<String>, params: &Params) -> Reply {
    let app = params.get("app").ok_or_else(|| refuse(400, "Application or extension must be specified"))?;
    let channel = add(shared, id, params, &app)?;
    let args: Vec<String> =
        params.get("appArgs").map(|args| args.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let timeout = params.get("timeout").and_then(|timeout| timeout.parse().ok()).unwrap_or(30);
    let (shared, id) = (Arc::clone(shared), channel.id.clone());
    let (what, ringing) = dialled(&shared.lock(), &channel.endpoint);
    tokio::spawn(async move {
        ring(Arc::clone(&shared), id.clone(), what, ringing, Duration::from_secs(timeout)).await;
        let mut state = shared.lock();
        if state.channels.get(&id).is_some_and(|channel| channel.state == "Up") {
            in_application(&mut state, &id, &app, &args);
        }
    });
    ok(channel.json())
}

fn dialled(state: &State, endpoint: &str) -> (Dialled, Duration) {
    let rule = state.dial_rules.iter().rev().find(|(part, _)| endpoint.contains(part.as_str()));
    (rule.map_or(Dialled::Answers, |(_, what)| *what), state.behaviour.ring)
}

pub(crate) async fn dial(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let mut state = shared.lock();
    let channel = in_stasis(&mut state, &id)?;
    if channel.state != "Down" {
        return Err(refuse(409, "Channel is not in the 'Down' state"));
    }
    let endpoint = channel.endpoint.clone();
    let (what, ringing) = dialled(&state, &endpoint);
    drop(state);
    let timeout = params.get("timeout").and_then(|timeout| timeout.parse().ok()).unwrap_or(0);
    tokio::spawn(ring(Arc::clone(&shared), id, what, ringing, Duration::from_secs(timeout)));
    done()
}

fn read(state: &mut State, id: &str, name: &str) -> Result<Value, Refusal> {
    if let Some(text) = name.strip_prefix("EVAL(").and_then(|rest| rest.strip_suffix(')')) {
        find(state, id)?;
        return Ok(substitute(state, id, text).into());
    }
    let calls = state.channels.values().filter(|channel| channel.is_caller).count();
    let function = state.functions.get(name).cloned();
    let channel = find(state, id)?;
    let value = channel.variables.get(name).cloned().or(function).or_else(|| match name {
        "SYSINFO(loadavg)" => Some("0.100000".to_owned()),
        "SYSINFO(numcalls)" => Some(calls.to_string()),
        _ => None,
    });
    value.map(Value::from).ok_or_else(|| {
        if name.ends_with(')') {
            refuse(500, "Unable to read provided function")
        } else {
            refuse(404, "Provided variable was not found")
        }
    })
}

/// `text` with each `${NAME}` replaced by its value: nothing where there is none.
fn substitute(state: &mut State, id: &str, text: &str) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = read(state, id, name).ok();
        done.push_str(before);
        done.push_str(value.as_ref().and_then(Value::as_str).unwrap_or_default());
        rest = after;
    }
    done + rest
}

fn set(state: &mut State, id: &str, name: &str, value: &str, reported: bool) {
    if let Some(channel) = state.channels.get_mut(id) {
        channel.variables.insert(name.to_owned(), value.to_owned());
        if reported && !channel.reported.iter().any(|known| known == name) {
            channel.reported.push(name.to_owned());
        }
    }
    state.emit_channel(id, "ChannelVarset", object(json!({ "variable": name, "value": value })));
}

pub(crate) async fn variable(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    ok(json!({ "value": read(&mut shared.lock(), &id, &name)? }))
}

pub(crate) async fn variables(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let mut state = shared.lock();
    let mut values = Map::new();
    for name in params.list("variables") {
        let value = read(&mut state, &id, &name)?;
        values.insert(name, value);
    }
    ok(json!({ "variables": values }))
}

pub(crate) async fn set_variable(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    let value = params.get("value").unwrap_or_default();
    in_stasis(&mut shared.lock(), &id)?;
    let mut state = when_silent(&shared, std::slice::from_ref(&id)).await;
    in_stasis(&mut state, &id)?;
    set(&mut state, &id, &name, &value, false);
    done()
}

pub(crate) async fn set_variables(Extract(shared): Node, Path(id): Path<String>, params: Params) -> Reply {
    in_stasis(&mut shared.lock(), &id)?;
    let mut state = when_silent(&shared, std::slice::from_ref(&id)).await;
    in_stasis(&mut state, &id)?;
    for (name, value, reported) in params.variables() {
        set(&mut state, &id, &name, &value, reported);
    }
    done()
}

pub(crate) async fn rtp_statistics(Extract(shared): Node, Path(id): Path<String>) -> Reply {
    let mut state = shared.lock();
    if !find(&mut state, &id)?.name.starts_with("PJSIP/") {
        return Err(refuse(403, "Unsupported channel type"));
    }
    let zeros =
        ["txcount", "rxcount", "txploss", "rxploss", "local_ssrc", "remote_ssrc", "txoctetcount", "rxoctetcount"];
    let mut statistics: Map<String, Value> = zeros.iter().map(|&name| (name.to_owned(), json!(0))).collect();
    for name in ["txjitter", "rxjitter", "rtt"] {
        statistics.insert(name.to_owned(), json!(0.0));
    }
    statistics.insert("channel_uniqueid".to_owned(), json!(id));
    ok(Value::Object(statistics))
}

pub(crate) async fn snoop(Extract(shared): Node, Path((id, snoop)): Path<(String, String)>, params: Params) -> Reply {
    let app = params.get("app").ok_or_else(|| refuse(400, "Application name is required"))?;
    let mut state = shared.lock();
    find(&mut state, &id)?;
    let mut channel = Channel::new(&snoop, &format!("Snoop/{id}-{:08x}", state.next()));
    channel.state = "Up";
    state.channels.insert(snoop.clone(), channel);
    in_application(&mut state, &snoop, &app, &[]);
    ok(find(&mut state, &snoop)?.json())
}

impl FakeNode {
    /// The value of a channel's variable.
    pub fn channel_variable(&self, channel: &str, name: &str) -> Option<String> {
        self.shared.lock().channels.get(channel)?.variables.get(name).cloned()
    }
}
