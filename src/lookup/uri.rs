//! SIP URIs written so that nothing a caller sent can end the URI, the header or the JSON string that it stands in.

use std::net::Ipv6Addr;

use crate::pool::is_host;

/// Whether these bytes may be a user part: no control character, neither plain nor escaped. An escaped NUL would be
/// the end of the string for whoever unescapes it in C.
pub(super) fn is_user(bytes: &[u8]) -> bool {
    !bytes.iter().any(u8::is_ascii_control)
        && !bytes.windows(3).any(|three| escape(three).is_some_and(|byte| byte.is_ascii_control()))
}

/// Whether this is a `host` of RFC 3261: a name, an IPv4 address, or an IPv6 address in brackets. No port.
pub(super) fn is_domain(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => is_host(text),
    }
}

/// Appends the user part as RFC 3261 has it (`user`, section 25.1): unreserved and user-unreserved bytes as they are, all
/// others escaped. Escapes that are there already stay: Kamailio passes the user as it was on the wire. A `;` is escaped
/// though the grammar lets it stand, because parsers differ on whether it begins a parameter.
pub(super) fn write_user(out: &mut Vec<u8>, user: &[u8]) {
    for (at, &byte) in user.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')')
            || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b'?' | b'/')
            || (byte == b'%' && user.get(at..at + 3).and_then(escape).is_some());
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

/// The byte that an escape of three bytes stands for.
fn escape(three: &[u8]) -> Option<u8> {
    let [b'%', high, low] = three else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::{is_domain, is_user, write_user};

    fn written(user: &[u8]) -> String {
        let mut out = Vec::new();
        write_user(&mut out, user);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn users_keep_their_meaning_and_break_out_of_nothing() {
        assert_eq!(written(b"+4930123"), "+4930123");
        assert_eq!(written(b"alice"), "alice");
        assert_eq!(written(b"a%20b"), "a%20b", "escaped on the wire already");
        assert_eq!(written(b"100%"), "100%25");
        assert_eq!(written(b"a%2"), "a%252");
        assert_eq!(written(b"a@evil>;x=\"y\"\\<"), "a%40evil%3E%3Bx=%22y%22%5C%3C");
        assert_eq!(written("é:pw".as_bytes()), "%C3%A9%3Apw");
    }

    #[test]
    fn control_characters_are_found_in_both_forms() {
        assert!(is_user(b"a%20b%") && is_user("é".as_bytes()));
        for bad in [&b"a\0"[..], b"\r\n", b"%00", b"a%0Ab", b"%7f"] {
            assert!(!is_user(bad), "{bad:?}");
        }
    }

    #[test]
    fn domains_are_hosts() {
        assert!(["example.test", "10.0.0.1", "[2001:db8::1]", "a_b.c."].into_iter().all(is_domain));
        assert!(!["", "a b", "[::1", "::1", "a:1", "a@b", "a\"", "[a]", "..", "ä.test"].into_iter().any(is_domain));
    }
}
