//! The `[media]` section of the settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::recordings::Retention;
use crate::invalid::Invalid;

/// Longest time for which a node may play its copy without asking again, in seconds: a day.
const MAX_AGE_LIMIT_S: u32 = 86_400;
/// Longest time for which recordings are kept, in days: a century.
const KEEP_LIMIT_DAYS: u32 = 36_500;

/// Where prompts lie and how nodes reach them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaSettings {
    /// Address and port on which prompts are served to the nodes.
    pub listen: SocketAddr,
    /// Connections of nodes open at the same time; further ones are closed at once: 8 to 65536.
    pub max_connections: usize,
    /// What the nodes put before `/media/prompts/...` to reach `listen`; unset, `http://` and `listen` itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Url>,
    /// Folder with the prompts; unset, there are only the built-in ones. A file here hides a built-in one of its name. In it,
    /// `LANGUAGE/`, `tenants/TENANT/` and `tenants/TENANT/LANGUAGE/` may have others for the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<PathBuf>,
    /// For how long a node may play its copy without asking again, in seconds, 0 to 86400.
    pub max_age_s: u32,
    /// Folder for recordings (messages, greetings, notes); made if there is none. Unset: nothing is recorded, and apps that
    /// record are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recordings: Option<PathBuf>,
    /// Days after which a recording is deleted: 1 to 36500, or 0 for never. Greetings stay.
    pub keep_days: u32,
    /// Room for all recordings together, in MiB (2^20 bytes; an hour of audio takes 55): while they take more, the oldest is
    /// deleted. 0: no bound.
    pub keep_mib: u64,
    /// Where a change of a mailbox is told: an http or https URL that takes `{"tenant", "mailbox", "new", "saved"}` by POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_url: Option<Url>,
    /// Length of the pieces in which a caller is recorded and which are fetched while he speaks, in seconds: 2 to 60. A
    /// piece is at least 2 s longer than the silence that ends the recording. When a node dies with its disk, what is lost is at
    /// most the last piece.
    pub piece_s: u32,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8072)),
            max_connections: 1_024,
            base_url: None,
            prompts: None,
            max_age_s: 60,
            recordings: None,
            keep_days: 0,
            keep_mib: 0,
            notify_url: None,
            piece_s: 5,
        }
    }
}

impl MediaSettings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), Invalid> {
        if !(8..=65_536).contains(&self.max_connections) {
            return Err(Invalid::new("max_connections", "a number from 8 to 65536", self.max_connections));
        }
        if let Some(url) = &self.base_url {
            let plain = matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
                && !url.as_str().contains(',');
            if !plain {
                let expected = "an http or https URL without query, fragment and commas";
                return Err(Invalid::new("media.base_url", expected, url));
            }
        } else if self.listen.ip().is_unspecified() {
            let expected = "the URL at which nodes reach kamari, since media.listen is no address of one machine";
            return Err(Invalid::new("media.base_url", expected, "nothing"));
        }
        if let Some(folder) = self.prompts.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Invalid::new("media.prompts", "a folder that exists", folder.display()));
        }
        if self.max_age_s > MAX_AGE_LIMIT_S {
            return Err(Invalid::new("media.max_age_s", "a whole number of seconds from 0 to 86400", self.max_age_s));
        }
        if self.keep_days > KEEP_LIMIT_DAYS {
            return Err(Invalid::new("media.keep_days", "a whole number of days from 0 to 36500", self.keep_days));
        }
        if let Some(url) = self.notify_url.as_ref().filter(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(Invalid::new("media.notify_url", "an http or https URL", url));
        }
        if !(2..=60).contains(&self.piece_s) {
            return Err(Invalid::new("media.piece_s", "a whole number of seconds from 2 to 60", self.piece_s));
        }
        Ok(())
    }

    /// How long recordings are kept, and how much room they may take.
    pub fn retention(&self) -> Retention {
        Retention {
            age: (self.keep_days > 0).then(|| Duration::from_secs(u64::from(self.keep_days) * 86_400)),
            bytes: (self.keep_mib > 0).then(|| self.keep_mib.saturating_mul(1 << 20)),
        }
    }

    /// Length of the pieces in which callers are recorded.
    pub fn piece(&self) -> Duration {
        Duration::from_secs(self.piece_s.into())
    }

    /// What stands before `/media/prompts/...` in a URL that a node fetches; no slash at its end.
    pub(super) fn base(&self) -> String {
        match &self.base_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.listen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaSettings;

    #[test]
    fn the_defaults_are_good_and_reach_one_machine() {
        let settings = MediaSettings::default();
        settings.validate().expect("good defaults");
        assert_eq!(settings.base(), "http://127.0.0.1:8072");
    }

    #[test]
    fn refusals_name_the_field() {
        let field =
            |toml: &str| toml::from_str::<MediaSettings>(toml).expect("TOML").validate().expect_err("refused").field;
        assert_eq!(field("base_url = \"ftp://x/\""), "media.base_url");
        assert_eq!(field("base_url = \"http://x/?a=1\""), "media.base_url");
        assert_eq!(field("listen = \"0.0.0.0:8072\""), "media.base_url");
        assert_eq!(field("prompts = \"/nonexistent\""), "media.prompts");
        assert_eq!(field("max_age_s = 86401"), "media.max_age_s");
        assert_eq!(field("keep_days = 36501"), "media.keep_days");
        assert_eq!(field("piece_s = 1"), "media.piece_s");
        assert_eq!(field("notify_url = \"mailto:x@example.test\""), "media.notify_url");
        assert!(toml::from_str::<MediaSettings>("listne = \"127.0.0.1:1\"").is_err());
    }
}
