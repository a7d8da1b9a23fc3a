//! Where a node's ARI is, and as whom to speak to it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::invalid::Invalid;

/// What is left as it is in a path segment or query value: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A node's ARI: address, credentials, and the Stasis application.
#[derive(Debug, Clone)]
pub struct AriTarget {
    base: Url,
    username: String,
    password: SecretString,
    app: String,
}

impl AriTarget {
    /// `base` is the node's HTTP address, `http://10.0.0.1:8088` or with Asterisk's `prefix`; `/ari` may be left out. `app` is the
    /// Stasis application that calls are handed to.
    pub fn new(base: &Url, username: &str, password: SecretString, app: &str) -> Result<Self, Invalid> {
        let expected = "an http or https address with no user, query or fragment, like http://10.0.0.1:8088";
        let refuse = || Invalid::new("ari", expected, base);
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(refuse());
        }
        if !base.username().is_empty() || base.password().is_some() {
            // The address itself would repeat the password.
            return Err(Invalid::new("ari", expected, "an address with a user or password in it"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refuse());
        }
        if username.is_empty() || username.contains(':') || username.chars().any(char::is_control) {
            return Err(Invalid::new("username", "a name without colon or control characters (RFC 7617)", username));
        }
        if password.expose_secret().chars().any(char::is_control) {
            return Err(Invalid::new("password", "no control characters (RFC 7617)", "(redacted)"));
        }
        if app.is_empty() || app.contains([',', ':']) || app.chars().any(char::is_control) {
            return Err(Invalid::new(
                "app",
                "a Stasis application's name without comma, colon or control characters",
                app,
            ));
        }
        let mut base = base.clone();
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&if path.ends_with("/ari") { path } else { format!("{path}/ari") });
        Ok(Self { base, username: username.to_owned(), password, app: app.to_owned() })
    }

    /// The address of the interface, `/ari` included and no slash at its end.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The address of `path`, which is percent-encoded and may have a query. What stands before it is not parsed anew.
    pub(super) fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url.set_query(query);
        url
    }

    /// The Stasis application.
    pub fn app(&self) -> &str {
        &self.app
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// User name and password, for the `Authorization` header (RFC 7617).
    pub(super) fn credentials(&self) -> (&str, &str) {
        (&self.username, self.password.expose_secret())
    }

    /// The host, by name or address, and the port.
    pub(super) fn address(&self) -> (&str, u16) {
        // An IPv6 address stands in brackets in a URL, and without them elsewhere.
        let host = self.base.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        (host, self.base.port_or_known_default().unwrap_or(80))
    }

    /// The address of the event socket: events of this application only.
    pub(super) fn events_url(&self) -> String {
        let base = self.base.as_str();
        let socket = base.strip_prefix("http").unwrap_or(base);
        format!("ws{socket}/events?app={}&subscribeAll=false", encode(&self.app))
    }
}

/// Percent-encodes a path segment or query value.
pub(super) fn encode(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::AriTarget;
    use secrecy::SecretString;

    fn target(base: &str) -> Result<AriTarget, String> {
        let base = base.parse().expect("a URL");
        AriTarget::new(&base, "kamari", SecretString::from("secret"), "EVERY THING")
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn the_interface_is_found_with_and_without_its_path() {
        for base in
            ["http://10.0.0.1:8088", "http://10.0.0.1:8088/", "http://10.0.0.1:8088/ari", "http://10.0.0.1:8088/ari/"]
        {
            let target = target(base).expect("valid");
            assert_eq!(target.base().as_str(), "http://10.0.0.1:8088/ari");
            assert_eq!(target.events_url(), "ws://10.0.0.1:8088/ari/events?app=EVERY%20THING&subscribeAll=false");
        }
        let prefixed = target("https://pbx.example.test/asterisk").expect("valid");
        assert!(prefixed.events_url().starts_with("wss://pbx.example.test/asterisk/ari/events?"));
    }

    #[test]
    fn a_path_is_kept_as_it_was_encoded() {
        let target = target("http://10.0.0.1:8088/pbx").expect("valid");
        for path in ["/channels/a%2F..%2Fb%3Fc%23d%25/play/%C3%A9", "/x?variable=EVAL%28%24%7Ba%7D%29,b"] {
            assert_eq!(target.url(path).as_str(), format!("http://10.0.0.1:8088/pbx/ari{path}"));
        }
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused_without_repeating_its_password() {
        for base in ["ftp://10.0.0.1", "http://10.0.0.1/?x=1", "mailto:x@example.test"] {
            assert!(target(base).expect_err("refused").starts_with("ari: expected an http or https address"));
        }
        assert!(!target("http://me:hunter2@10.0.0.1").expect_err("refused").contains("hunter2"));
        assert!(!format!("{:?}", target("http://10.0.0.1").expect("valid")).contains("secret"));
    }
}
