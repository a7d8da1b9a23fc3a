//! What the operator says of a node, checked.
//!
//! [`RawNode`] is what a file or a request carries; [`NodeSpec`] is what the pool takes. Nothing else in the program
//! checks a node's fields.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::name::{NodeName, SipUri};
use crate::invalid::Invalid;

/// The most calls that may be declared for one node: far above what one Asterisk carries.
const CAPACITY_LIMIT: u32 = 100_000;
/// Longest user name or password, in bytes.
const CREDENTIAL_LIMIT: usize = 256;

/// A node as written down by a person: field names are those of `[[nodes]]` in the file and of `POST /v1/nodes`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNode {
    /// Its name: 1 to 63 letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Base of its ARI, `http` or `https`, without the trailing `/ari`: `http://192.0.2.7:8088`.
    pub ari: String,
    /// Where Kamailio sends its calls: `sip:192.0.2.7:5060`.
    pub sip: String,
    /// Most calls to have there at once, 1 to 100,000; without it the balancer's default bound.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// ARI user; without it the pool's default.
    #[serde(default)]
    pub username: Option<String>,
    /// ARI password; without it the pool's default.
    #[serde(default)]
    pub password: Option<SecretString>,
}

impl RawNode {
    /// Checks every field; the refusal names the first that is wrong.
    pub fn validate(self) -> Result<NodeSpec, Invalid> {
        let spec = NodeSpec {
            name: NodeName::new(&self.name)?,
            ari: ari_base(&self.ari)?,
            sip: SipUri::new(&self.sip)?,
            capacity: self.capacity,
            username: self.username,
            password: self.password,
        };
        spec.check()?;
        Ok(spec)
    }
}

/// A node as declared by the operator: where it is, how much it may carry, how to log in. A spec that exists is valid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The operator's name for it; the key everywhere.
    pub name: NodeName,
    /// Base URL of its HTTP server, without `/ari`.
    pub ari: Url,
    /// Its SIP address for Kamailio.
    pub sip: SipUri,
    /// Most calls at once, if the operator sets a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// ARI user, if not the pool's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// ARI password, if not the pool's default. Written to the state file (which only its owner may read), never shown.
    #[serde(default, serialize_with = "write_secret", deserialize_with = "read_secret")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretString>,
}

/// What the operator changes of a node; a field left out stays as it is, and a `null` returns to the default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodePatch {
    /// New ARI base.
    pub ari: Option<String>,
    /// New SIP address.
    pub sip: Option<String>,
    /// New bound on calls; `null` for the default.
    #[serde(deserialize_with = "present")]
    pub capacity: Option<Option<u32>>,
    /// New ARI user; `null` for the default.
    #[serde(deserialize_with = "present")]
    pub username: Option<Option<String>>,
    /// New ARI password; `null` for the default.
    #[serde(deserialize_with = "present")]
    pub password: Option<Option<SecretString>>,
}

impl NodeSpec {
    /// This spec with `patch` applied, checked again.
    pub fn patched(&self, patch: NodePatch) -> Result<Self, Invalid> {
        let mut spec = self.clone();
        if let Some(ari) = patch.ari {
            spec.ari = ari_base(&ari)?;
        }
        if let Some(sip) = patch.sip {
            spec.sip = SipUri::new(&sip)?;
        }
        if let Some(capacity) = patch.capacity {
            spec.capacity = capacity;
        }
        if let Some(username) = patch.username {
            spec.username = username;
        }
        if let Some(password) = patch.password {
            spec.password = password;
        }
        spec.check()?;
        Ok(spec)
    }

    /// Whether everything that matters to a connection or a route is the same.
    pub fn same_as(&self, other: &Self) -> bool {
        let secret = |spec: &Self| spec.password.as_ref().map(|password| password.expose_secret().to_owned());
        self.name == other.name
            && self.ari == other.ari
            && self.sip == other.sip
            && self.capacity == other.capacity
            && self.username == other.username
            && secret(self) == secret(other)
    }

    fn check(&self) -> Result<(), Invalid> {
        if let Some(capacity) = self.capacity
            && !(1..=CAPACITY_LIMIT).contains(&capacity)
        {
            return Err(Invalid::new("capacity", "a number of calls from 1 to 100000", capacity));
        }
        if let Some(username) = &self.username
            && (username.is_empty() || username.len() > CREDENTIAL_LIMIT || username.contains([':', '\r', '\n', '\0']))
        {
            return Err(Invalid::new("username", "1 to 256 characters without ':' or line ends", username));
        }
        if let Some(password) = &self.password {
            let length = password.expose_secret().len();
            if length == 0 || length > CREDENTIAL_LIMIT {
                return Err(Invalid::new("password", "1 to 256 characters", format_args!("{length} characters")));
            }
        }
        Ok(())
    }
}

/// The base of a node's HTTP server. What ARI's client would silently ignore, or leak into a log line, is refused.
fn ari_base(text: &str) -> Result<Url, Invalid> {
    let expected = "an http or https address without user, query or fragment, such as http://192.0.2.7:8088";
    let refuse = || Invalid::new("ari", expected, text);
    let url = Url::parse(text).map_err(|_| refuse())?;
    let plain = url.username().is_empty() && url.password().is_none();
    if text.len() > 512 || !plain || url.query().is_some() || url.fragment().is_some() || url.host().is_none() {
        return Err(refuse());
    }
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(refuse()) }
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn write_secret<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(serializer)
}

fn read_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<SecretString>::deserialize(deserializer)
}

/// Tells "given as null" from "not given".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{NodePatch, RawNode};

    fn raw(ari: &str) -> RawNode {
        RawNode {
            name: "ast1".into(),
            ari: ari.into(),
            sip: "sip:127.101.1.1:5060".into(),
            capacity: Some(100),
            username: None,
            password: None,
        }
    }

    #[test]
    fn each_field_is_refused_by_its_name() {
        for ari in ["", "127.0.0.1:8088", "ftp://a", "http://u:p@a", "http://a/?x=1", "http://a#x", "unix:/x"] {
            assert_eq!(raw(ari).validate().expect_err(ari).field, "ari");
        }
        let good = "http://127.101.1.1:8088";
        assert_eq!(RawNode { sip: "x".into(), ..raw(good) }.validate().expect_err("sip").field, "sip");
        assert_eq!(RawNode { capacity: Some(0), ..raw(good) }.validate().expect_err("0").field, "capacity");
        assert_eq!(RawNode { username: Some("a:b".into()), ..raw(good) }.validate().expect_err(":").field, "username");
        assert_eq!(
            RawNode { password: Some(String::new().into()), ..raw(good) }.validate().expect_err("").field,
            "password"
        );
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_returns_to_the_default() {
        let spec = raw("http://127.101.1.1:8088").validate().expect("valid");
        let patch: NodePatch = serde_json::from_str(r#"{"capacity":null,"username":"ops"}"#).expect("a patch");
        let changed = spec.patched(patch).expect("valid");
        assert_eq!((changed.capacity, changed.username.as_deref()), (None, Some("ops")));
        assert_eq!(changed.sip, spec.sip);
        assert!(!changed.same_as(&spec) && spec.same_as(&spec.clone()));
        assert!(serde_json::from_str::<NodePatch>(r#"{"name":"other"}"#).is_err(), "a node is never renamed");
    }

    #[test]
    fn a_password_is_stored_and_never_shown() {
        let mut node = raw("http://127.101.1.1:8088");
        node.password = Some("sesame".to_owned().into());
        let spec = node.validate().expect("valid");
        assert!(serde_json::to_string(&spec).expect("json").contains("sesame"), "the state file needs it");
        assert!(!format!("{spec:?}").contains("sesame"));
    }
}
