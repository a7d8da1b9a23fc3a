//! The types held against a node's own documentation (`/ari/api-docs`): every operation, every property of every model, and
//! every event type of it is known here, with the same kind of value.

use std::collections::{BTreeMap, BTreeSet};

use kamari::ari::model::{
    AdditionalParam, Application, AsteriskInfo, AsteriskPing, Bridge, BuildInfo, CallerId, Channel, ConfigInfo,
    ConfigTuple, ContactInfo, DeviceState, Dialed, DialplanPosition, Endpoint, FormatLangPair, LiveRecording,
    LogChannel, Mailbox, Module, Peer, Playback, ReferTo, ReferredBy, RequiredDestination, RestHeader,
    RestQueryParameter, RestRequest, RtpStatistics, SetId, Sound, StatusInfo, StoredRecording, SystemInfo, TextMessage,
    Variable, Variables,
};
use kamari::ari::rest::OPERATIONS;
use kamari::ari::{Event, EventKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A node's documentation.
pub(crate) struct Documentation {
    operations: BTreeSet<String>,
    models: BTreeMap<String, Value>,
}

/// Decodes a value as a model's type, and gives back what that type writes.
type Reader = fn(&Value) -> Result<Value, String>;

fn read<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(&read).map_err(|error| error.to_string())
}

fn read_event(value: &Value) -> Result<Value, String> {
    let event = Event::decode(value.to_string().as_bytes()).map_err(|error| error.to_string())?;
    if matches!(event.kind, EventKind::Unknown(_)) {
        return Err("no type for this event".to_owned());
    }
    serde_json::to_value(&event).map_err(|error| error.to_string())
}

/// The type of each model that is no event.
fn reader(model: &str) -> Option<Reader> {
    Some(match model {
        "AdditionalParam" => read::<AdditionalParam>,
        "Application" => read::<Application>,
        "AsteriskInfo" => read::<AsteriskInfo>,
        "AsteriskPing" => read::<AsteriskPing>,
        "Bridge" => read::<Bridge>,
        "BuildInfo" => read::<BuildInfo>,
        "CallerID" => read::<CallerId>,
        "Channel" => read::<Channel>,
        "ConfigInfo" => read::<ConfigInfo>,
        "ConfigTuple" => read::<ConfigTuple>,
        "ContactInfo" => read::<ContactInfo>,
        "DeviceState" => read::<DeviceState>,
        "Dialed" => read::<Dialed>,
        "DialplanCEP" => read::<DialplanPosition>,
        "Endpoint" => read::<Endpoint>,
        "FormatLangPair" => read::<FormatLangPair>,
        "LiveRecording" => read::<LiveRecording>,
        "LogChannel" => read::<LogChannel>,
        "Mailbox" => read::<Mailbox>,
        "Module" => read::<Module>,
        "Peer" => read::<Peer>,
        "Playback" => read::<Playback>,
        "RESTHeader" => read::<RestHeader>,
        "RESTQueryStringParameter" => read::<RestQueryParameter>,
        "RESTRequest" => read::<RestRequest>,
        "RTPstat" => read::<RtpStatistics>,
        "ReferTo" => read::<ReferTo>,
        "ReferredBy" => read::<ReferredBy>,
        "RequiredDestination" => read::<RequiredDestination>,
        "SetId" => read::<SetId>,
        "Sound" => read::<Sound>,
        "StatusInfo" => read::<StatusInfo>,
        "StoredRecording" => read::<StoredRecording>,
        "SystemInfo" => read::<SystemInfo>,
        "TextMessage" => read::<TextMessage>,
        "Variable" => read::<Variable>,
        "Variables" => read::<Variables>,
        _ => return None,
    })
}

impl Documentation {
    /// Made of the documents of all resources, as the node serves them.
    pub(crate) fn new(documents: &[Value]) -> Self {
        let mut documentation = Self { operations: BTreeSet::new(), models: BTreeMap::new() };
        for document in documents {
            for api in document["apis"].as_array().expect("apis") {
                for operation in api["operations"].as_array().expect("operations") {
                    let (method, path) = (operation["httpMethod"].as_str(), api["path"].as_str());
                    documentation.operations.insert(format!("{} {}", method.expect("a method"), path.expect("a path")));
                }
            }
            let models = document["models"].as_object().cloned().unwrap_or_default();
            documentation.models.extend(models);
        }
        documentation
    }

    /// Sizes: operations, models, event types.
    pub(crate) fn size(&self) -> (usize, usize, usize) {
        (self.operations.len(), self.models.len(), self.events().len())
    }

    fn events(&self) -> Vec<String> {
        let types = self.models["Event"]["subTypes"].as_array().expect("event types");
        types.iter().map(|kind| kind.as_str().expect("a name").to_owned()).collect()
    }

    /// Every operation of the node is known here.
    pub(crate) fn check_operations(&self) {
        let known: BTreeSet<String> =
            OPERATIONS.iter().copied().flatten().map(|one| format!("{} {}", one.method, one.path)).collect();
        let missing: Vec<&String> = self.operations.difference(&known).collect();
        assert!(missing.is_empty(), "operations without a method: {missing:#?}");
    }

    /// Every operation that is known here is one of the node's: for the newest Asterisk only.
    pub(crate) fn check_nothing_invented(&self) {
        for operation in OPERATIONS.iter().copied().flatten() {
            assert!(self.operations.contains(&format!("{} {}", operation.method, operation.path)), "{operation:?}");
        }
        for kind in EventKind::TYPES {
            assert!(self.models.contains_key(*kind), "{kind}");
        }
    }

    /// Every model is known here, with every property and its kind of value.
    pub(crate) fn check_models(&self) {
        let events = self.events();
        for name in self.models.keys() {
            // The two bases of all events, whose properties every event here has.
            if matches!(name.as_str(), "Message" | "Event") {
                continue;
            }
            let is_event = events.contains(name) || name == "MissingParams";
            let reader =
                if is_event { read_event } else { reader(name).unwrap_or_else(|| panic!("no type for model {name}")) };
            self.check_model(name, reader);
        }
    }

    fn check_model(&self, name: &str, reader: Reader) {
        let properties = self.properties(name);
        let mut whole = Map::new();
        let mut least = Map::new();
        for (property, description) in &properties {
            let value =
                if property == "type" && self.is_message(name) { json!(name) } else { self.example(description) };
            whole.insert(property.clone(), value.clone());
            if description["required"] == true {
                least.insert(property.clone(), value);
            }
        }
        for value in [Value::Object(whole.clone()), Value::Object(least)] {
            assert_eq!(reader(&value).unwrap_or_else(|error| panic!("{name}: {error} in {value}")), value, "{name}");
        }
        for (property, value) in &whole {
            if property == "type" && self.is_message(name) {
                continue;
            }
            // A property that the type did not name would be kept whatever its value.
            let wrong = if value.is_string() { json!(7) } else { json!("text") };
            let mut damaged = whole.clone();
            damaged.insert(property.clone(), wrong);
            assert!(reader(&Value::Object(damaged)).is_err(), "{name}: no property {property}");
        }
    }

    fn is_message(&self, name: &str) -> bool {
        self.events().iter().any(|event| event == name) || name == "MissingParams"
    }

    /// The properties of a model, those of its bases included.
    fn properties(&self, name: &str) -> Map<String, Value> {
        let own = |name: &str| self.models[name]["properties"].as_object().cloned().unwrap_or_default();
        let mut properties = own(name);
        if self.is_message(name) {
            properties.extend(own("Message"));
            if name != "MissingParams" {
                properties.extend(own("Event"));
            }
        }
        properties
    }

    /// A value as the documentation describes it.
    fn example(&self, description: &Value) -> Value {
        if let Some(value) = description["allowableValues"]["values"].get(0) {
            return value.clone();
        }
        let kind = description["type"].as_str().expect("a type");
        if let Some(item) = kind.strip_prefix("List[").and_then(|kind| kind.strip_suffix(']')) {
            return json!([self.example(&json!({ "type": item }))]);
        }
        match kind {
            "string" => json!("text"),
            "Date" => json!("2026-11-22T20:24:40.781+0000"),
            "int" | "long" => json!(7),
            "double" => json!(1.5),
            "boolean" => json!(true),
            "object" | "containers" => json!({ "name": "value" }),
            model => {
                let properties = self.properties(model);
                Value::Object(
                    properties.iter().map(|(name, described)| (name.clone(), self.example(described))).collect(),
                )
            }
        }
    }
}
