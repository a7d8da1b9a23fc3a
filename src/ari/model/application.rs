//! What a node says about a Stasis application: the channels, bridges and endpoints it is subscribed to.

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
