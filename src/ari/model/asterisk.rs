//! What a node says about itself: version, limits, times, modules, log channels, configuration objects, variables.

use serde::{Deserialize, Serialize};

use crate::ari::wire::{Extra, Timestamp};

/// Asterisk system information.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsteriskInfo {
    /// Info about how Asterisk was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildInfo>,
    /// Info about the system running Asterisk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemInfo>,
    /// Info about Asterisk configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigInfo>,
    /// Info about Asterisk status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusInfo>,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Info about how Asterisk was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildInfo {
    /// OS Asterisk was built on.
    pub os: String,
    /// Kernel version Asterisk was built on.
    pub kernel: String,
    /// Compile time options, or empty string if default.
    pub options: String,
    /// Machine architecture (`x86_64`, i686, ppc, etc.).
    pub machine: String,
    /// Date and time when Asterisk was built.
    pub date: String,
    /// Username that build Asterisk.
    pub user: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Info about Asterisk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// Asterisk version.
    pub version: String,
    /// The node's `entityid`: from the MAC address unless set, and then the same for all nodes of a host.
    pub entity_id: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Info about Asterisk configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigInfo {
    /// Asterisk system name.
    pub name: String,
    /// Default language for media playback.
    pub default_language: String,
    /// Maximum number of simultaneous channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<i64>,
    /// Maximum number of open file handles (files, sockets).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_files: Option<i64>,
    /// Maximum load avg on system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_load: Option<f64>,
    /// Effective user/group id for running Asterisk.
    pub setid: SetId,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Effective user/group id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetId {
    /// Effective user id.
    pub user: String,
    /// Effective group id.
    pub group: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Info about Asterisk status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// Time when Asterisk was started.
    pub startup_time: Timestamp,
    /// Time when Asterisk was last reloaded.
    pub last_reload_time: Timestamp,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Asterisk ping information.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsteriskPing {
    /// Asterisk id info.
    pub asterisk_id: String,
    /// Always string value is pong.
    pub ping: String,
    /// The timestamp string of request received time.
    pub timestamp: Timestamp,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Details of an Asterisk module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// The name of this module.
    pub name: String,
    /// The description of this module.
    pub description: String,
    /// The number of times this module is being used.
    pub use_count: i64,
    /// The running status of this module.
    pub status: String,
    /// The support state of this module.
    pub support_level: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Details of an Asterisk log channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogChannel {
    /// The log channel path.
    pub channel: String,
    /// Types of logs for the log channel.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether or not a log type is enabled.
    pub status: String,
    /// The various log levels.
    pub configuration: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A key/value pair that makes up part of a configuration object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigTuple {
    /// A configuration object attribute.
    pub attribute: String,
    /// The value for the attribute.
    pub value: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The value of a channel variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// The value of the variable requested.
    pub value: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A dictionary of channel variables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variables {
    /// A dictionary of channel variables.
    pub variables: Extra,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
