//! What a node says about a Stasis application: the channels, bridges and endpoints it is subscribed to.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;

/// Details of a Stasis application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Name of this application.
    pub name: String,
    /// Id's for channels subscribed to.
    pub channel_ids: Vec<String>,
    /// Id's for bridges subscribed to.
    pub bridge_ids: Vec<String>,
    /// {tech}/{resource} for endpoints subscribed to.
    pub endpoint_ids: Vec<String>,
    /// Names of the devices subscribed to.
    pub device_names: Vec<String>,
    /// Event types sent to the application.
    pub events_allowed: Vec<Extra>,
    /// Event types not sent to the application.
    pub events_disallowed: Vec<Extra>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The ids alone of the channels that an application is subscribed to: two allocations, however many they are. For who asks
/// often.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelIds {
    /// All ids, one behind the other.
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl ChannelIds {
    /// Of an [`Application`] in JSON; the error is what is wrong with it.
    pub(in crate::ari) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let Ids { channel_ids } = serde_json::from_slice(json)?;
        let (mut text, mut ends) = (String::with_capacity(json.len()), Vec::with_capacity(channel_ids.len()));
        for Id(id) in channel_ids {
            text.push_str(&id);
            ends.push(text.len());
        }
        Ok(Self { text, ends })
    }

    /// The ids, in the order in which the node named them.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.text[begin..end])
    }
}

#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    channel_ids: Vec<Id<'a>>,
}

#[derive(Deserialize)]
struct Id<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::ChannelIds;

    #[test]
    fn ids_are_read_whatever_else_is_said() {
        let json = r#"{"name":"x","channel_ids":["1.1","a\u0062"],"bridge_ids":["b"],"new":{"a":[1]}}"#;
        assert_eq!(ChannelIds::read(json.as_bytes()).unwrap().iter().collect::<Vec<_>>(), ["1.1", "ab"]);
        for wrong in ["{}", "[]", r#"{"channel_ids":[1]}"#, r#"{"channel_ids":["a"]"#] {
            assert!(ChannelIds::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
