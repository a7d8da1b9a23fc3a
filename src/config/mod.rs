//! Settings: from raw text to a `Config` that, once it exists, is valid.
//!
//! Why it exists: the modules each know their own settings (`Settings`, with defaults, units and ranges); here they come
//! together as the sections of one TOML file, are overridden by environment and flags, and are refused, when they must
//! be, in one list that says where each mistake stands.
//!
//! Invariants:
//! - Flags win over environment over file over defaults; every key has a default, so that no file is needed at all.
//! - Unknown keys are errors. Every error names its field, and its file, line and column, variable or flag.
//! - A secret is never printed: not by `dump`, not in an error, not in a log.

mod folder;
mod load;
mod nodes;
mod overrides;
mod place;
mod shutdown;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::apps::{Catalogue, Switchboard};
use crate::directory::{DirectorySettings, TenantSettings};
use crate::invalid::Invalid;
use crate::media::Prompts;
use crate::pool::NodeSpec;
use crate::{api, ari, balance, call, cdr, fallback, lookup, media, pool, telemetry};

pub use load::{Sources, load};
pub use nodes::NodeEntry;
pub use overrides::Override;
pub use place::{Origin, Problem, Problems};
pub use shutdown::ShutdownSettings;

/// Everything that can be set, validated by [`load`]. The sections are the modules' own settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What Kamailio asks.
    pub lookup: lookup::Settings,
    /// The operator's HTTP API.
    pub api: api::Settings,
    /// How nodes are checked and calls promised.
    pub pool: pool::Settings,
    /// How nodes are talked to.
    pub ari: ari::Settings,
    /// How a node is chosen.
    pub balance: balance::Settings,
    /// How calls are run.
    pub call: call::CallSettings,
    /// Where records of calls go.
    pub cdr: cdr::Settings,
    /// Prompts, as the nodes fetch them.
    pub media: media::MediaSettings,
    /// Which Kamailios get the pool for their dispatcher.
    pub fallback: fallback::Settings,
    /// What is logged, and how.
    pub log: telemetry::LogSettings,
    /// The end of kamari.
    pub shutdown: ShutdownSettings,
    /// The nodes that the file names; more can be added while kamari runs.
    pub nodes: Vec<NodeEntry>,
    /// Where tenants stand beside this file.
    pub directory: DirectorySettings,
    /// Who is served, and which app answers which number. Those of `directory.folder` come after those of the settings file.
    pub tenants: Vec<TenantSettings>,
}

impl Config {
    /// Every value that is out of its range or contradicts another, by full field name.
    fn problems(&self) -> Vec<Invalid> {
        let sections = [
            ("lookup", self.lookup.validate()),
            ("api", self.api.validate()),
            ("pool", self.pool.validate()),
            ("ari", self.ari.validate()),
            ("balance", self.balance.validate()),
            ("call", self.call.validate()),
            ("cdr", self.cdr.validate()),
            ("media", self.media.validate()),
            ("fallback", self.fallback.validate()),
            ("log", self.log.validate()),
            ("shutdown", self.shutdown.validate()),
        ];
        let mut found: Vec<Invalid> = sections
            .into_iter()
            .filter_map(|(name, checked)| checked.err().map(|refusal| inside(refusal, name)))
            .collect();
        found.extend(nodes::problems(&self.nodes));
        let prompts = Arc::new(Prompts::new(&self.media));
        let mut catalogue = Catalogue::default();
        if self.media.recordings.is_some() {
            catalogue = catalogue.recording_unless_called();
        }
        found.extend(Switchboard::problems(&catalogue, &prompts, &self.tenants));
        found
    }

    /// The nodes of the file, as the pool takes them.
    pub fn node_specs(&self) -> Result<Vec<NodeSpec>, Invalid> {
        let checked = self.nodes.iter().enumerate().map(|(index, entry)| entry.spec(index));
        checked.collect()
    }

    /// The effective settings for people to look at: secrets redacted.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self { tenants: self.tenants.iter().map(TenantSettings::without_pins).collect(), ..self.clone() }
    }

    /// The effective settings as TOML, secrets redacted.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(&self.redacted())
    }
}

/// The refusal with the section's name in front, where the section has not said it itself.
fn inside(refusal: Invalid, section: &str) -> Invalid {
    let named = refusal.field.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
    if named { refusal } else { refusal.within(section) }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn a_dump_has_no_pin() {
        let text = r#"
            [[tenants]]
            name = "one"
            domains = ["one.test"]
            [tenants.extensions]
            "97" = { app = "mailbox", pins = { "200" = "4711" } }
            "600" = { app = "conference", pin = "4712", moderator_pin = "4713" }
        "#;
        let config: Config = toml::from_str(text).expect("settings");
        let shown = config.to_toml().expect("TOML");
        assert!(shown.contains("200 = \"[redacted]\"") && !shown.contains("471"), "{shown}");
        let json = serde_json::to_string(&config.redacted()).expect("JSON");
        assert!(json.contains("[redacted]") && !json.contains("471"), "{json}");
    }
}
