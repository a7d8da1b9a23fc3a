//! What the dispatcher shall hold.

use std::fmt;
use std::net::Ipv6Addr;

use crate::invalid::Invalid;

/// Longest URI, in bytes; Kamailio's own limit is higher.
const URI_LIMIT: usize = 200;

/// One node as Kamailio's dispatcher shall list it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where the node takes SIP.
    pub uri: DestinationUri,
    /// Whether it may get calls.
    pub used: Use,
}

/// Whether a destination may get new calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Yes, as long as it answers Kamailio's OPTIONS.
    Active,
    /// No, whatever it answers: it is drained or switched off by the operator.
    Disabled,
}

/// A SIP URI that is safe in a dispatcher list: `sip:` or `sips:`, a host or address, perhaps a port, perhaps one
/// `;transport=`. In lower case, since Kamailio compares some of these letters by case and some not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationUri(String);

impl DestinationUri {
    /// Checks `text`; the refusal's field is `uri`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() <= URI_LIMIT && is_destination(text) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Invalid::new("uri", "a SIP address such as sip:192.0.2.7:5060 or sip:as1.example.com;transport=tcp", text))
    }

    /// The URI as Kamailio gets it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_destination(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let Some(rest) = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")) else { return false };
    let address = match rest.split_once(';') {
        Some((address, "transport=udp" | "transport=tcp" | "transport=tls")) => address,
        Some(_) => return false,
        None => rest,
    };
    let (host_good, port) = match address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inner, after)) => (inner.parse::<Ipv6Addr>().is_ok(), after.strip_prefix(':').or(none_if_empty(after))),
        None => match address.split_once(':') {
            Some((host, port)) => (is_host(host), Some(port)),
            None => (is_host(address), Some("5060")),
        },
    };
    let port_good = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|number| number > 0)
    };
    host_good && port.is_some_and(port_good)
}

/// An absent port counts as a good one.
fn none_if_empty(after: &str) -> Option<&'static str> {
    after.is_empty().then_some("5060")
}

fn is_host(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::DestinationUri;

    #[test]
    fn plain_addresses_pass_in_lower_case() {
        for (text, same) in [
            ("sip:192.0.2.7", "sip:192.0.2.7"),
            ("SIP:As1.Example.com:5062", "sip:as1.example.com:5062"),
            ("sip:[2001:DB8::1]", "sip:[2001:db8::1]"),
            ("sip:[::1]:5060;transport=tcp", "sip:[::1]:5060;transport=tcp"),
            ("sips:a_b;transport=tls", "sips:a_b;transport=tls"),
        ] {
            assert_eq!(DestinationUri::new(text).unwrap().as_str(), same);
        }
    }

    #[test]
    fn whatever_could_break_out_is_refused() {
        for text in [
            "",
            "sip:",
            "http://x",
            "sip:a@b",
            "sip:a b",
            "sip:a\r\n1 sip:evil 0",
            "sip:a\"",
            "sip:a;lr",
            "sip:a;transport=udp;x=1",
            "sip:a..b",
            "sip:a:0",
            "sip:a:65536",
            "sip:a:+1",
            "sip:a:",
            "sip:[::1",
            "sip:[::1]5060",
            "sip:[::1]:",
            "sip:[a]:5060",
            "sip:a%00",
            &format!("sip:{}", "a.".repeat(120)),
        ] {
            assert_eq!(DestinationUri::new(text).expect_err(text).field, "uri");
        }
    }
}
