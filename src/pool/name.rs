//! Names that come from outside, as types: whoever holds one holds a valid one.
//!
//! They exist so that length and alphabet are checked once, at the door, and never again on the way to a SIP URI, a
//! JSON document, a file name or a metric's label.

use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Longest node name, in bytes: a DNS label's limit, so that a host name's first label always fits.
const NODE_NAME_LIMIT: usize = 63;
/// Longest Call-ID, in bytes. RFC 3261 sets none; phones send 30 to 80.
const CALL_ID_LIMIT: usize = 256;
/// Longest SIP URI of a node, in bytes: five of them, and five request URIs, must fit one rtjson document.
const SIP_URI_LIMIT: usize = 200;

/// The operator's name of a node: 1 to 63 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// Checks `text`; the refusal's field is `name`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let all_good = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if text.len() <= NODE_NAME_LIMIT && begins_well && all_good {
            return Ok(Self(text.into()));
        }
        let expected = "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit";
        Err(Invalid::new("name", expected, text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SIP Call-ID: 1 to 256 printable ASCII bytes without spaces. That is a little more than RFC 3261's `callid`, since
/// what Kamailio let through is to be routed, and nothing here puts it into a header. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(Arc<str>);

impl CallId {
    /// Checks `text`; the refusal's field is `call_id`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        Self::check(text)?;
        Ok(Self(text.into()))
    }

    /// Checks `text` without keeping it: for a look-up that need not allocate.
    pub fn check(text: &str) -> Result<(), Invalid> {
        if (1..=CALL_ID_LIMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(());
        }
        Err(Invalid::new("call_id", "1 to 256 printable ASCII characters without spaces", text))
    }

    /// The Call-ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A node's own SIP address, as Kamailio is to dial it: `sip:HOST[:PORT][;transport=udp|tcp|tls]`, with no user part.
/// At most 200 bytes, and free of every byte that JSON or a SIP header would need escaped.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SipUri(Arc<str>);

impl SipUri {
    /// Checks `text`; the refusal's field is `sip`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() <= SIP_URI_LIMIT && is_node_uri(text) {
            return Ok(Self(text.into()));
        }
        Err(Invalid::new("sip", "a SIP address such as sip:192.0.2.7:5060 or sip:as1.example.com;transport=tcp", text))
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_node_uri(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else { return false };
    let (address, transport) = match rest.split_once(';') {
        Some((address, parameter)) => (address, parameter.strip_prefix("transport=")),
        None => (rest, Some("udp")),
    };
    if !matches!(transport, Some("udp" | "tcp" | "tls")) {
        return false;
    }
    let (host, port) = match address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, "")) => return inner.parse::<Ipv6Addr>().is_ok(),
        Some((inner, after)) if inner.parse::<Ipv6Addr>().is_ok() => ("v6", after.strip_prefix(':')),
        Some(_) => return false,
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => return is_host(address),
        },
    };
    let port_good = port.is_some_and(|digits| {
        digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|number| number > 0)
    });
    is_host(host) && port_good
}

/// Whether `text` is a host name or an IPv4 address by its letters (RFC 3261 `host`, underscores let through, as DNS
/// names of real sites have them): labels of letters, digits, `-`, `_`, at most 253 bytes in all.
pub(crate) fn is_host(text: &str) -> bool {
    let label_good = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label_good)
}

macro_rules! text_like {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_like!(NodeName);
text_like!(CallId);
text_like!(SipUri);

#[cfg(test)]
mod tests {
    use super::{CallId, NodeName, SipUri};

    #[test]
    fn node_names_are_labels() {
        for good in ["a", "ast-1.example_2", &"x".repeat(63)] {
            assert_eq!(NodeName::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "a\"", "ä", &"x".repeat(64)] {
            assert_eq!(NodeName::new(bad).expect_err(bad).field, "name");
        }
    }

    #[test]
    fn call_ids_are_printable_and_bounded() {
        for good in ["1", "a84b4c76e66710@pc33.example.com", "{<\"\\/>}", &"x".repeat(256)] {
            assert_eq!(CallId::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "a b", "a\r\nVia: x", "é", "\0", &"x".repeat(257)] {
            assert_eq!(CallId::new(bad).expect_err("refused").field, "call_id");
        }
    }

    #[test]
    fn node_addresses_are_plain_sip_uris() {
        for good in [
            "sip:127.101.1.1",
            "sip:127.101.1.1:5060",
            "sips:as1.example.com:5061",
            "sip:as1.example.com;transport=tcp",
            "sip:[2001:db8::1]:5060;transport=tls",
            "sip:[::1]",
        ] {
            assert_eq!(SipUri::new(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "127.0.0.1",
            "sip:",
            "sip:alice@host",
            "sip:host:0",
            "sip:host:70000",
            "sip:host:+5060",
            "sip:host:",
            "sip:ho st",
            "sip:host;transport=sctp",
            "sip:host;lr;transport=udp",
            "sip:[::1",
            "sip:[zz]:5060",
            "sip:[::1]5060",
            "sip:a..b",
            "sip:host\"",
            &format!("sip:{}", "a.".repeat(120)),
        ] {
            assert_eq!(SipUri::new(bad).expect_err(bad).field, "sip");
        }
    }
}
