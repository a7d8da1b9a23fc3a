//! Tenants as they stand in the settings, before anything is checked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where tenants stand beside the settings file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectorySettings {
    /// A folder of files `*.toml`, each with one or more `[[tenants]]`; relative to the settings file. They are read after those
    /// of the settings file, in the order of their names, and read again by SIGHUP and `POST /v1/directory/reload`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// A file in which tenants that are added by the API are kept over restarts. Without one they end with the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_file: Option<PathBuf>,
}

/// One customer: the SIP domains that are his, and what his numbers do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// The operator's name of the tenant: 1 to 63 of `A-Z a-z 0-9 . _ -`. Two tenants never share one.
    pub name: String,
    /// SIP domains (the host part of the request URI) that belong to the tenant, in any case of letters; each to one
    /// tenant only. `*` stands for every domain that no other tenant has.
    pub domains: Vec<String>,
    /// The language of his prompts: `en`, `pt_BR`. Prompts that are there in this language are played before others; an extension
    /// may name another. Without one, those in no language's folder are played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What each number does. A key is a number or name (`600`, `alice`), an Asterisk-style pattern (`_2XX`, `_9.`), or
    /// a prefix (`prefix:49`). The most specific that matches wins: a number before any pattern, then, position by
    /// position, the smaller set of characters.
    #[serde(default)]
    pub extensions: BTreeMap<String, ExtensionSettings>,
}

/// What one extension does: an app and its parameters, side by side in one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtensionSettings {
    /// The app's name: one of `docs/apps.md`, or one that the author registered.
    pub app: String,
    /// The app's parameters; the app says which there are.
    #[serde(flatten)]
    pub parameters: Parameters,
}

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// Whether a parameter of this name is a PIN, or a table of them: never shown, whatever stands there.
pub(crate) fn is_pin(name: &str) -> bool {
    matches!(name, "pin" | "moderator_pin" | "pins")
}

impl TenantSettings {
    /// The same for people to look at: without PINs.
    #[must_use]
    pub fn without_pins(&self) -> Self {
        let mut shown = self.clone();
        let parameters = shown.extensions.values_mut().flat_map(|extension| &mut extension.parameters);
        for (_, value) in parameters.filter(|(name, _)| is_pin(name)) {
            match value {
                Value::Object(table) => table.values_mut().for_each(|pin| *pin = REDACTED.into()),
                other => *other = REDACTED.into(),
            }
        }
        shown
    }
}

/// Parameters of an app by name, still unchecked.
pub type Parameters = serde_json::Map<String, serde_json::Value>;
