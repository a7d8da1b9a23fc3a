//! What a node can do, read from the node itself: its version, and the operations and event types of its own documentation.
//! Versions differ by branch (an operation of 20.20 and 22.10 is not in 21), so nothing is inferred from a version number.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::client::AriClient;
use super::error::AriError;
use super::rest::Operation;
use super::wire::Timestamp;

/// A file of the node's documentation. Not one of the documented operations itself.
const DOCUMENT: Operation = Operation { name: "api_docs.get", method: http::Method::GET, path: "/api-docs/{file}" };

/// Resources that are read at most, against a node that lists them without end. Asterisk 22 has 11.
const RESOURCE_LIMIT: usize = 32;

/// What a node can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Asterisk's version as it names itself, like `22.10.1`; a distribution may add to it.
    pub version: String,
    /// When Asterisk was started. Another time means another process: all channels of before are gone.
    pub started: Option<Timestamp>,
    /// `None` when the node serves no documentation, as one without `astdatadir/rest-api` does.
    documented: Option<Documented>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Documented {
    /// Method and path, space between.
    operations: BTreeSet<String>,
    events: BTreeSet<String>,
}

impl Capabilities {
    /// Whether the node knows `operation`; `None` when it does not tell.
    pub fn supports(&self, operation: &Operation) -> Option<bool> {
        let key = format!("{} {}", operation.method, operation.path);
        self.documented.as_ref().map(|documented| documented.operations.contains(&key))
    }

    /// Whether the node knows events of this type; `None` when it does not tell.
    pub fn sends(&self, event_type: &str) -> Option<bool> {
        self.documented.as_ref().map(|documented| documented.events.contains(event_type))
    }

    /// The major version, like 22, or `None` if the version does not begin with a number.
    pub fn major(&self) -> Option<u32> {
        self.version.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
    }
}

#[derive(Deserialize)]
struct Resources {
    apis: Vec<ResourcePath>,
}

#[derive(Deserialize)]
struct ResourcePath {
    path: String,
}

#[derive(Deserialize)]
struct Resource {
    apis: Vec<Api>,
    #[serde(default)]
    models: Models,
}

#[derive(Deserialize)]
struct Api {
    path: String,
    operations: Vec<ApiOperation>,
}

#[derive(Deserialize)]
struct ApiOperation {
    #[serde(rename = "httpMethod")]
    method: String,
}

#[derive(Deserialize, Default)]
struct Models {
    #[serde(rename = "Event")]
    event: Option<EventModel>,
}

#[derive(Deserialize)]
struct EventModel {
    #[serde(rename = "subTypes")]
    types: Vec<String>,
}

impl AriClient {
    /// Reads what the node can do: a dozen requests, for when a node has come up.
    pub async fn capabilities(&self) -> Result<Capabilities, AriError> {
        let info = self.asterisk().info(&[]).await?;
        let documented = match self.documented().await {
            Ok(documented) => Some(documented),
            Err(error) if error.is_gone() => None,
            Err(error) => return Err(error),
        };
        let version = info.system.map(|system| system.version).unwrap_or_default();
        Ok(Capabilities { version, started: info.status.map(|status| status.startup_time), documented })
    }

    async fn documented(&self) -> Result<Documented, AriError> {
        let mut documented = Documented::default();
        let resources: Resources = self.fetch(DOCUMENT.at(&["resources.json"])).await?;
        for resource in resources.apis.iter().take(RESOURCE_LIMIT) {
            // `/api-docs/channels.{format}`
            let file = resource.path.rsplit('/').next().unwrap_or_default().replace("{format}", "json");
            let resource: Resource = self.fetch(DOCUMENT.at(&[&file])).await?;
            for api in resource.apis {
                documented.operations.extend(api.operations.iter().map(|one| format!("{} {}", one.method, api.path)));
            }
            documented.events.extend(resource.models.event.into_iter().flat_map(|event| event.types));
        }
        Ok(documented)
    }
}

#[cfg(test)]
mod tests {
    use super::Capabilities;

    #[test]
    fn the_major_version_is_read_from_what_distributions_make_of_it() {
        let major =
            |version: &str| Capabilities { version: version.to_owned(), started: None, documented: None }.major();
        assert_eq!(major("22.10.1+dfsg+~cs6.17.60671434-1"), Some(22));
        assert_eq!(major("16.28.0~dfsg-0+deb11u4"), Some(16));
        assert_eq!((major("GIT-master-abc"), major("")), (None, None));
    }
}
