//! What a node holds, and how it tells of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use kamari::ari::wire::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;

use super::{Behaviour, Dialled};

/// A channel.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub id: String,
    pub name: String,
    pub state: &'static str,
    pub protocol_id: String,
    pub caller: String,
    pub context: String,
    pub exten: String,
    pub created: Timestamp,
    pub variables: BTreeMap<String, String>,
    /// Variables reported in every event.
    pub reported: Vec<String>,
    /// The Stasis application that it is in.
    pub app: Option<String>,
    /// The application that hears everything of it, as that of a created channel does.
    pub subscriber: Option<String>,
    pub endpoint: String,
    pub bridge: Option<String>,
    /// Playbacks, the first one playing.
    pub playbacks: VecDeque<String>,
    /// Whether it entered by the dialplan, and was not made by an application.
    pub is_caller: bool,
}

/// A bridge.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub created: Timestamp,
    pub channels: Vec<String>,
    pub variables: BTreeMap<String, String>,
    pub moh: bool,
    pub playbacks: VecDeque<String>,
    /// Applications that hear of it: those with a channel or a recording in it.
    pub subscribers: Vec<String>,
}

/// A playback that is not over.
#[derive(Debug, Clone)]
pub(crate) struct Playback {
    pub id: String,
    pub media: VecDeque<String>,
    pub target: Target,
    pub language: String,
    pub state: &'static str,
    pub app: String,
}

/// What media is played to or recorded from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Channel(String),
    Bridge(String),
}

impl Target {
    pub fn uri(&self) -> String {
        match self {
            Self::Channel(id) => format!("channel:{id}"),
            Self::Bridge(id) => format!("bridge:{id}"),
        }
    }
}

/// A recording that is not over.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub name: String,
    pub format: String,
    pub target: Target,
    pub state: &'static str,
    pub app: String,
    pub began: Instant,
    /// Which was asked for first.
    pub order: u64,
    /// Whether it ends on silence; only then is silence measured.
    pub ends_on_silence: bool,
    /// `none`, `any`, `*` or `#`.
    pub terminate_on: String,
}

/// Counts of what is on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Channels.
    pub channels: usize,
    /// Bridges.
    pub bridges: usize,
    /// Playbacks, queued ones included.
    pub playbacks: usize,
    /// Live recordings.
    pub recordings: usize,
}

/// The node.
#[derive(Debug)]
pub(crate) struct State {
    pub behaviour: Behaviour,
    pub started: Timestamp,
    pub channels: BTreeMap<String, Channel>,
    pub bridges: BTreeMap<String, Bridge>,
    pub playbacks: BTreeMap<String, Playback>,
    pub recordings: BTreeMap<String, Recording>,
    pub stored: BTreeMap<String, String>,
    /// How long the stored recordings are.
    pub lengths: BTreeMap<String, std::time::Duration>,
    pub globals: BTreeMap<String, String>,
    /// Event sockets by application.
    pub sessions: BTreeMap<String, UnboundedSender<String>>,
    /// Event types that applications do not want.
    pub disallowed: BTreeMap<String, Vec<String>>,
    pub requests: BTreeMap<String, u64>,
    /// How often the node asked for a recording that it was to play.
    pub fetched: u64,
    /// Functions and variables that every channel has.
    pub functions: BTreeMap<String, String>,
    /// What happens when an endpoint is dialled whose name contains this.
    pub dial_rules: Vec<(String, Dialled)>,
    held: Option<Vec<(String, String)>>,
    sequence: u64,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp::from_unix_ms(i64::try_from(since.as_millis()).expect("the clock is before the year 292 million"))
}

impl State {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            started: now(),
            channels: BTreeMap::new(),
            bridges: BTreeMap::new(),
            playbacks: BTreeMap::new(),
            recordings: BTreeMap::new(),
            stored: BTreeMap::new(),
            lengths: BTreeMap::new(),
            globals: BTreeMap::new(),
            sessions: BTreeMap::new(),
            disallowed: BTreeMap::new(),
            requests: BTreeMap::new(),
            fetched: 0,
            functions: BTreeMap::new(),
            dial_rules: Vec::new(),
            held: None,
            sequence: 0,
        }
    }

    /// A number never given before, also not before a restart.
    pub fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// An id as Asterisk makes them: `<systemname>-<time>.<number>`.
    pub fn new_id(&mut self) -> String {
        let seconds = now().unix_ms().unwrap_or_default() / 1000;
        let number = self.next();
        format!("{}-{seconds}.{number}", self.behaviour.name)
    }

    pub fn leftovers(&self) -> Leftovers {
        Leftovers {
            channels: self.channels.len(),
            bridges: self.bridges.len(),
            playbacks: self.playbacks.len(),
            recordings: self.recordings.len(),
        }
    }

    pub fn restart(&mut self) {
        self.started = Timestamp::from_unix_ms(now().unix_ms().unwrap_or_default() + 1);
        self.channels.clear();
        self.bridges.clear();
        self.playbacks.clear();
        self.recordings.clear();
        self.sessions.clear();
        self.disallowed.clear();
    }

    pub fn has_listener(&self, app: &str) -> bool {
        self.sessions.get(app).is_some_and(|session| !session.is_closed())
    }

    pub fn replace(&mut self, app: &str) {
        self.emit(app, "ApplicationReplaced", Map::new());
        // The old socket stays open and hears nothing more: its sender lives on under a name that no event is sent to.
        if let Some(session) = self.sessions.remove(app) {
            let deaf = format!("{app} (replaced {})", self.next());
            self.sessions.insert(deaf, session);
        }
    }

    pub fn hold_events(&mut self, hold: bool) {
        if hold {
            self.held.get_or_insert_default();
        } else {
            for (app, frame) in self.held.take().into_iter().flatten() {
                self.send_frame(&app, frame);
            }
        }
    }

    pub fn send_frame(&mut self, app: &str, frame: String) {
        if let Some(held) = &mut self.held {
            held.push((app.to_owned(), frame));
        } else if let Some(session) = self.sessions.get(app) {
            // A closed session is one whose socket is gone: its events are lost, as Asterisk's are.
            let _ = session.send(frame);
        }
    }

    /// Sends an event to an application, if it listens.
    pub fn emit(&mut self, app: &str, kind: &str, fields: Map<String, Value>) {
        if self.disallowed.get(app).is_some_and(|types| types.iter().any(|disallowed| disallowed == kind)) {
            return;
        }
        let fields = serde_json::to_string(&fields).expect("JSON");
        let separator = if fields.len() > 2 { "," } else { "" };
        let frame = format!(
            r#"{{"type":"{kind}","timestamp":"{}",{}{separator}"asterisk_id":"02:00:00:00:00:01","application":{}}}"#,
            now(),
            &fields[1..fields.len() - 1],
            json!(app)
        );
        self.send_frame(app, frame);
    }

    /// Sends an event about a channel to the application that it is in.
    pub fn emit_channel(&mut self, id: &str, kind: &str, mut fields: Map<String, Value>) {
        let Some(channel) = self.channels.get(id) else { return };
        let Some(app) = channel.app.clone().or_else(|| channel.subscriber.clone()) else { return };
        fields.insert("channel".to_owned(), channel.json());
        self.emit(&app, kind, fields);
    }

    /// Sends an event about a channel to the application that is subscribed to all of it, which a caller's is not.
    pub fn emit_subscribed(&mut self, id: &str, kind: &str, mut fields: Map<String, Value>) {
        let Some(channel) = self.channels.get(id) else { return };
        let Some(app) = channel.subscriber.clone() else { return };
        fields.insert("channel".to_owned(), channel.json());
        self.emit(&app, kind, fields);
    }

    /// Sends an event about a bridge, and maybe a channel in it, to every application that hears of the bridge.
    pub fn emit_bridge(&mut self, id: &str, kind: &str, channel: Option<&str>) {
        let Some(bridge) = self.bridges.get(id) else { return };
        let mut fields = object(json!({ "bridge": bridge.json() }));
        if let Some(channel) = channel.and_then(|id| self.channels.get(id)) {
            fields.insert("channel".to_owned(), channel.json());
        }
        for app in bridge.subscribers.clone() {
            self.emit(&app, kind, fields.clone());
        }
    }
}

impl Channel {
    pub fn json(&self) -> Value {
        let in_stasis = self.app.as_deref();
        let mut value = json!({
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": self.protocol_id,
            "caller": { "name": self.caller, "number": self.caller },
            "connected": { "name": "", "number": "" },
            "accountcode": "",
            "dialplan": {
                "context": self.context,
                "exten": self.exten,
                "priority": 1,
                "app_name": if in_stasis.is_some() { "Stasis" } else { "" },
                "app_data": in_stasis.unwrap_or_default(),
            },
            "creationtime": self.created.to_string(),
            "language": "en",
        });
        if !self.reported.is_empty() {
            let reported = |name: &String| (name.clone(), json!(self.variables.get(name)));
            value["channelvars"] = Value::Object(self.reported.iter().map(reported).collect());
        }
        value
    }
}

impl Bridge {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "technology": if self.kind == "holding" { "holding_bridge" } else { "simple_bridge" },
            "bridge_type": self.kind,
            "bridge_class": "stasis",
            "creator": "Stasis",
            "name": self.name,
            "channels": self.channels,
            "creationtime": self.created.to_string(),
            "video_mode": "talker",
        })
    }
}

impl Playback {
    pub fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "media_uri": self.media.front(),
            "target_uri": self.target.uri(),
            "language": self.language,
            "state": self.state,
        });
        if let Some(next) = self.media.get(1) {
            value["next_media_uri"] = json!(next);
        }
        value
    }
}

impl Recording {
    pub fn json(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "format": self.format,
            "state": self.state,
            "target_uri": self.target.uri(),
        });
        if self.state == "done" {
            let seconds = self.began.elapsed().as_secs();
            value["duration"] = json!(seconds);
            if self.ends_on_silence {
                value["talking_duration"] = json!(seconds);
                value["silence_duration"] = json!(0);
            }
        }
        value
    }
}

/// The fields of a JSON object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => unreachable!("not an object: {other}"),
    }
}
