//! Whom to dial, how, and in whose name.

use std::sync::Arc;
use std::time::Duration;

use crate::invalid::Invalid;

/// Longest user part and longest host part of an address, in bytes.
const PART_LIMIT: usize = 128;
/// Longest number or name of a caller that is passed on, in characters.
const IDENTITY_LIMIT: usize = 64;

/// Whom to dial: `user@domain`, which Kamailio finds among the registered users of its domains, or hands to a gateway.
///
/// Only characters that mean nothing to Asterisk's dial string and to a SIP URI, so it can be put into both as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address(Arc<str>);

impl Address {
    /// An address from `user@domain` or `sip:user@domain`. The user part has 1 to 128 letters, digits and `-_.~+*!`; the
    /// domain is a host name or an IPv4 address, with a port if need be.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let bare = text.strip_prefix("sip:").unwrap_or(text);
        match bare.split_once('@') {
            Some((user, domain)) if is_user(user) && is_domain(domain) => Ok(Self(bare.into())),
            _ => Err(Invalid::new("address", "user@domain, of letters, digits and -_.~+*!", text)),
        }
    }

    /// The address of a user or number: what has no domain of its own is one of `domain`.
    pub fn within(text: &str, domain: &str) -> Result<Self, Invalid> {
        if text.contains('@') { Self::new(text) } else { Self::new(&format!("{text}@{domain}")) }
    }

    /// `user@domain`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_user(user: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+*!".contains(&byte);
    (1..=PART_LIMIT).contains(&user.len()) && user.bytes().all(fits)
}

/// Whether it is a host name or an IPv4 address, with a port if need be.
pub(in crate::call) fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let begins = host.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    begins && host.len() <= PART_LIMIT && host.bytes().all(fits) && port
}

/// Who the called ones are told that calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerId {
    number: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl CallerId {
    /// From a number (or user name) and a name to show. Both may be a caller's own words: what does not fit a SIP header
    /// is left out of them, and nothing that is left is none.
    pub fn new(number: &str, name: &str) -> Self {
        let number: String =
            number.chars().filter(|one| one.is_ascii_alphanumeric() || "-_.~+*!".contains(*one)).collect();
        let name: String = name.chars().filter(|one| !one.is_control() && !"\"\\<>".contains(*one)).collect();
        let some = |text: &str| {
            let text: String = text.trim().chars().take(IDENTITY_LIMIT).collect();
            (!text.is_empty()).then(|| text.into())
        };
        Self { number: some(&number), name: some(&name) }
    }

    /// This one, with the number or name of `other` where it has none.
    pub(super) fn or(&self, other: Self) -> Self {
        Self { number: self.number.clone().or(other.number), name: self.name.clone().or(other.name) }
    }

    /// The number, if there is one.
    pub fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }

    /// The name, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// In which order several are dialled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// All at once; who answers first has the call.
    #[default]
    Parallel,
    /// One after the other, each for the whole ring timeout.
    Serial,
}

/// What [`Call::dial`](crate::call::Call::dial) is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialRequest {
    /// Whom to dial.
    pub targets: Vec<Address>,
    /// In which order.
    pub strategy: Strategy,
    /// For how long each may ring.
    pub ring_timeout: Duration,
    /// In whose name: the caller's own number and name where there is none.
    pub caller_id: Option<CallerId>,
    /// Whether the caller hears that it rings, and what a single called one plays before he answers. Without it, what the
    /// caller hears is the app's business.
    pub ringing: bool,
}

impl DialRequest {
    /// Dials all at once for 30 s in the caller's name, and lets him hear it.
    pub fn to(targets: Vec<Address>) -> Self {
        let ring_timeout = Duration::from_secs(30);
        Self { targets, strategy: Strategy::Parallel, ring_timeout, caller_id: None, ringing: true }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Address, CallerId};

    #[test]
    fn addresses_are_what_fits_a_dial_string() {
        for good in ["bob@example.test", "sip:+4930123@example.test", "b.o_b-~*!1@192.0.2.1:5062"] {
            assert_eq!(Address::new(good).expect("good").as_str(), good.trim_start_matches("sip:"));
        }
        for bad in [
            "",
            "bob",
            "@example.test",
            "bob@",
            "a/b@example.test",
            "a&b@example.test",
            "a b@example.test",
            "bob@example.test;x=y",
            "bob@example.test:port",
            "bob@example.test:99999",
            "bob@-x",
            "bob@exa\r\nmple.test",
            "a@b@c",
        ] {
            assert_eq!(Address::new(bad).expect_err("refused").field, "address", "{bad}");
        }
        assert_eq!(Address::within("bob", "example.test"), Address::new("bob@example.test"));
        assert_eq!(Address::within("bob@other.test", "example.test"), Address::new("bob@other.test"));
    }

    proptest! {
        #[test]
        fn a_caller_cannot_write_a_header(number in ".*", name in ".*") {
            let id = CallerId::new(&number, &name);
            for text in [id.number(), id.name()].into_iter().flatten() {
                prop_assert!(!text.is_empty() && !text.contains(['\r', '\n', '"', '<', '>', '\\']));
            }
        }
    }
}
