//! Kamailio's question, read by slice: nothing is copied unless it was percent-encoded.
//!
//! Everything here may come from a caller on the open Internet. Each field is held to a length and an alphabet, and the
//! refusal names the field. Keys that are not known are passed over, so that an older kamari serves a newer Kamailio
//! configuration.

use std::borrow::Cow;

use super::uri;
use crate::invalid::Invalid;
use crate::pool::CallId;

/// Longest user part, in bytes. Five of them, each byte escaped, fit the document.
pub(super) const USER_LIMIT: usize = 128;
/// Longest domain, in bytes: DNS's limit.
pub(super) const DOMAIN_LIMIT: usize = 253;
/// Longest `from` and `to`, in bytes.
const ADDRESS_LIMIT: usize = 512;
/// Longest `src`, in bytes: an IPv6 address in brackets, with a port.
const SOURCE_LIMIT: usize = 64;

/// One question. `from`, `to` and `src` are checked and not kept: routing sees performance, never who calls whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query<'a> {
    /// The Call-ID, valid.
    pub(super) call_id: Cow<'a, str>,
    /// User part of the request URI as it was on the wire, without control characters.
    pub(super) user: Option<Cow<'a, [u8]>>,
    /// Domain of the request URI: a host name or an address.
    pub(super) domain: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads the part of a request target behind `?`.
    pub(super) fn parse(query: &'a str) -> Result<Self, Invalid> {
        let (mut call_id, mut user, mut domain) = (None, None, None);
        let (mut from, mut to, mut src) = (None, None, None);
        let mut rest = Some(query);
        while let Some(pairs) = rest {
            let (pair, others) = cut(pairs, b'&');
            let (key, value) = cut(pair, b'=');
            let value = value.unwrap_or("");
            rest = others;
            let field = match key {
                "call_id" => &mut call_id,
                "user" => &mut user,
                "domain" => &mut domain,
                "from" => &mut from,
                "to" => &mut to,
                "src" => &mut src,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(Invalid::new(key, "the field once", "it twice"));
            }
        }
        let call_id = text("call_id", call_id.unwrap_or(""))?;
        CallId::check(&call_id)?;
        let user = given("user", user)?;
        if let Some(user) = &user
            && (user.len() > USER_LIMIT || !uri::is_user(user))
        {
            return Err(Invalid::new("user", "at most 128 bytes without control characters", lossy(user)));
        }
        let domain = match domain {
            None | Some("") => None,
            Some(value) => Some(text("domain", value)?),
        };
        if let Some(domain) = &domain
            && (domain.len() > DOMAIN_LIMIT || !uri::is_domain(domain))
        {
            return Err(Invalid::new("domain", "a host name or an IP address (IPv6 in brackets)", domain));
        }
        for (name, value) in [("from", from), ("to", to)] {
            check(name, value, ADDRESS_LIMIT, "at most 512 bytes without control characters", |byte| {
                !byte.is_ascii_control()
            })?;
        }
        check("src", src, SOURCE_LIMIT, "an IP address", |byte| {
            byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'[' | b']')
        })?;
        Ok(Self { call_id, user, domain })
    }
}

/// The bytes of an optional field; an empty one counts as not given, since Kamailio writes nothing for what it lacks.
fn given<'a>(field: &str, value: Option<&'a str>) -> Result<Option<Cow<'a, [u8]>>, Invalid> {
    match value {
        None | Some("") => Ok(None),
        Some(value) => decode(field, value).map(Some),
    }
}

/// Holds a field that is not kept to its length and alphabet, without decoding it into memory.
fn check(
    field: &str,
    value: Option<&str>,
    limit: usize,
    expected: &str,
    is_good: impl Fn(u8) -> bool,
) -> Result<(), Invalid> {
    let value = value.unwrap_or("");
    let (mut rest, mut left) = (value.as_bytes(), limit);
    let is_right = loop {
        // What is not escaped stands for itself.
        let plain = memchr::memchr(b'%', rest).unwrap_or(rest.len());
        let (before, escaped) = rest.split_at(plain);
        if before.len() > left || !before.iter().copied().all(&is_good) {
            break false;
        }
        left -= before.len();
        let mut decoded = Decoded(escaped);
        match decoded.next() {
            None => break true,
            Some(Some(byte)) if left > 0 && is_good(byte) => left -= 1,
            Some(_) => break false,
        }
        rest = decoded.0;
    };
    if is_right { Ok(()) } else { Err(Invalid::new(field, expected, lossy(&decode(field, value)?))) }
}

/// What is before the first `end`, and what is behind it if there is one. `end` is of ASCII.
fn cut(text: &str, end: u8) -> (&str, Option<&str>) {
    match memchr::memchr(end, text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The bytes that a percent-encoded text stands for. Nothing in the place of an escape that is not whole.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Self::Item> {
        match *self.0 {
            [] => None,
            [b'%', high, low, ref rest @ ..] => {
                self.0 = rest;
                Some(hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low))
            }
            [byte, ref rest @ ..] => {
                self.0 = rest;
                Some((byte != b'%').then_some(byte))
            }
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Undoes percent-encoding. `+` stays `+` (RFC 3986): it begins telephone numbers.
fn decode<'a>(field: &str, value: &'a str) -> Result<Cow<'a, [u8]>, Invalid> {
    let bytes = value.as_bytes();
    let Some(plain) = memchr::memchr(b'%', bytes) else { return Ok(Cow::Borrowed(bytes)) };
    // Decoded, it is shorter: the memory is asked for once.
    let mut decoded = Vec::with_capacity(bytes.len());
    decoded.extend_from_slice(&bytes[..plain]);
    for byte in Decoded(&bytes[plain..]) {
        let whole = byte.ok_or_else(|| Invalid::new(field, "percent-encoding with two hexadecimal digits", value))?;
        decoded.push(whole);
    }
    Ok(Cow::Owned(decoded))
}

fn text<'a>(field: &str, value: &'a str) -> Result<Cow<'a, str>, Invalid> {
    let refuse = |bytes: &[u8]| Invalid::new(field, "UTF-8 text", lossy(bytes));
    match decode(field, value)? {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| refuse(bytes)),
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Owned(text)),
            Err(error) => Err(refuse(error.as_bytes())),
        },
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Decoded, Query};

    fn refused(query: &str) -> String {
        Query::parse(query).expect_err(query).field
    }

    #[test]
    fn a_question_is_read_without_copies() {
        let query =
            Query::parse("call_id=a84b%40h&from=sip:a@b&to=x&user=+4930&domain=example.test&src=::1&new=1").unwrap();
        assert_eq!(query.call_id, "a84b@h");
        assert_eq!(query.user.as_deref(), Some(&b"+4930"[..]));
        assert_eq!(query.domain.as_deref(), Some("example.test"));
        assert!(matches!(query.domain, Some(std::borrow::Cow::Borrowed(_))));
        let bare = Query::parse("call_id=1&user=&domain=").unwrap();
        assert_eq!((bare.user, bare.domain), (None, None));
    }

    #[test]
    fn half_an_escape_is_none() {
        let whole = |text: &str| Decoded(text.as_bytes()).collect::<Option<Vec<u8>>>();
        assert_eq!(whole("a%41%fF+").as_deref(), Some(&b"aA\xff+"[..]));
        assert_eq!(whole("").as_deref(), Some(&b""[..]));
        for text in ["%", "%4", "%g0", "a%4%41", "%+1", "%%41"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn each_field_is_refused_by_its_name() {
        for query in ["", "x=1", "call_id", "call_id=", "call_id=a%20b", "call_id=%0d%0a", "call_id=%zz", "call_id=%e9"]
        {
            assert_eq!(refused(query), "call_id");
        }
        assert_eq!(refused(&format!("call_id={}", "x".repeat(257))), "call_id");
        assert_eq!(refused("call_id=1&call_id=2"), "call_id");
        for user in ["%00", "a%0d%0aVia:x", "%7f", "a%2500", &"x".repeat(129)] {
            assert_eq!(refused(&format!("call_id=1&user={user}")), "user");
        }
        for domain in ["a%20b", "a%22b", "a%3e", "a;x", "%ff", "a:5060", "[::1", "[x]", &"a.".repeat(127)] {
            assert_eq!(refused(&format!("call_id=1&domain={domain}")), "domain");
        }
        assert_eq!(refused("call_id=1&from=%0a"), "from");
        assert_eq!(refused(&format!("call_id=1&to={}", "x".repeat(513))), "to");
        assert_eq!(refused("call_id=1&src=localhost"), "src");
    }
}
