//! `/asterisk`, `/applications`, `/events/user`, `/endpoints`, and the node's own documentation.

use std::collections::BTreeMap;

use axum::extract::{Path, State as Extract};
use kamari::ari::EventKind;
use kamari::ari::rest::OPERATIONS;
use serde_json::{Value, json};

use super::reply::{Params, Reply, done, ok, refuse};
use super::routes::Node;
use super::state::{State, now, object};

pub(crate) async fn info(Extract(shared): Node) -> Reply {
    let state = shared.lock();
    let started = state.started.to_string();
    ok(json!({
        "build": { "os": "Linux", "kernel": "fake", "machine": "fake", "options": "", "date": "2026-01-01", "user": "nobody" },
        "system": { "version": state.behaviour.version, "entity_id": "02:00:00:00:00:01" },
        "config": { "name": state.behaviour.name, "default_language": "en", "setid": { "user": "", "group": "" } },
        "status": { "startup_time": started, "last_reload_time": started },
    }))
}

pub(crate) async fn ping() -> Reply {
    ok(json!({ "ping": "pong", "timestamp": now().to_string(), "asterisk_id": "02:00:00:00:00:01" }))
}

pub(crate) async fn variable(Extract(shared): Node, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    ok(json!({ "value": shared.lock().globals.get(&name).cloned().unwrap_or_default() }))
}

pub(crate) async fn set_variable(Extract(shared): Node, params: Params) -> Reply {
    let name = params.get("variable").ok_or_else(|| refuse(400, "Variable name is required"))?;
    shared.lock().globals.insert(name, params.get("value").unwrap_or_default());
    done()
}

pub(crate) async fn accept() -> Reply {
    done()
}

pub(crate) async fn endpoints() -> Reply {
    ok(json!([{ "technology": "PJSIP", "resource": "kamailio", "state": "online", "channel_ids": [] }]))
}

fn describe(state: &State, app: &str) -> Value {
    let concerns = |interested: &Option<String>| interested.as_deref() == Some(app);
    let channels = state.channels.values().filter(|channel| concerns(&channel.app) || concerns(&channel.subscriber));
    let bridges = state.bridges.values().filter(|bridge| bridge.subscribers.iter().any(|subscriber| subscriber == app));
    let disallowed = state.disallowed.get(app).into_iter().flatten();
    json!({
        "name": app,
        "channel_ids": channels.map(|channel| &channel.id).collect::<Vec<_>>(),
        "bridge_ids": bridges.map(|bridge| &bridge.id).collect::<Vec<_>>(),
        "endpoint_ids": [],
        "device_names": [],
        "events_allowed": [],
        "events_disallowed": disallowed.map(|kind| json!({ "type": kind })).collect::<Vec<_>>(),
    })
}

pub(crate) async fn applications(Extract(shared): Node) -> Reply {
    let state = shared.lock();
    ok(state.sessions.keys().filter(|app| !app.contains(' ')).map(|app| describe(&state, app)).collect())
}

pub(crate) async fn application(Extract(shared): Node, Path(app): Path<String>) -> Reply {
    let state = shared.lock();
    // An application whose socket is gone is known as long as it has channels.
    let is_known =
        state.has_listener(&app) || state.channels.values().any(|channel| channel.app.as_ref() == Some(&app));
    if is_known { ok(describe(&state, &app)) } else { Err(refuse(404, "Application not found")) }
}

fn change(state: &mut State, app: &str, params: &Params, subscriber: Option<&str>) -> Reply {
    for source in params.list("eventSource") {
        match source.split_once(':') {
            Some(("channel", id)) => {
                let channel = state.channels.get_mut(id).ok_or_else(|| refuse(422, "Event source does not exist"))?;
                channel.subscriber = subscriber.map(str::to_owned);
            }
            Some(("bridge", id)) => {
                let bridge = state.bridges.get_mut(id).ok_or_else(|| refuse(422, "Event source does not exist"))?;
                bridge.subscribers.retain(|known| known != app);
                bridge.subscribers.extend(subscriber.map(str::to_owned));
            }
            Some(("endpoint" | "deviceState", _)) => {}
            _ => return Err(refuse(400, "Invalid event source URI scheme")),
        }
    }
    ok(describe(state, app))
}

pub(crate) async fn subscribe(Extract(shared): Node, Path(app): Path<String>, params: Params) -> Reply {
    change(&mut shared.lock(), &app, &params, Some(&app))
}

pub(crate) async fn unsubscribe(Extract(shared): Node, Path(app): Path<String>, params: Params) -> Reply {
    change(&mut shared.lock(), &app, &params, None)
}

pub(crate) async fn filter(Extract(shared): Node, Path(app): Path<String>, params: Params) -> Reply {
    let mut state = shared.lock();
    if !state.has_listener(&app) {
        return Err(refuse(404, "Application not found"));
    }
    let types = params.body.get("disallowed").and_then(Value::as_array).into_iter().flatten();
    let types = types.filter_map(|entry| entry["type"].as_str().map(str::to_owned)).collect();
    state.disallowed.insert(app.clone(), types);
    ok(describe(&state, &app))
}

pub(crate) async fn user_event(Extract(shared): Node, Path(name): Path<String>, params: Params) -> Reply {
    let app = params.get("application").ok_or_else(|| refuse(400, "Application is required"))?;
    let mut state = shared.lock();
    if !state.has_listener(&app) {
        return Err(refuse(404, "Application not found"));
    }
    let mut userevent = params.body.get("variables").cloned().unwrap_or_else(|| json!({}));
    userevent["eventname"] = json!(name);
    state.emit(&app, "ChannelUserevent", object(json!({ "eventname": name, "userevent": userevent })));
    done()
}
