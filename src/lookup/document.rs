//! The answer as Kamailio's `rtjson` module reads it.
//!
//! Written by hand, byte by byte, since every text in it is already free of what JSON would need escaped: node names and
//! addresses by their types, user and domain by `uri`. The tests parse it again with a real parser.

use super::query::Query;
use super::uri::write_user;
use crate::pool::{Routed, Target};

/// Bytes of a route beside the node's part, user and domain; a user of which letters must be escaped takes more.
const ROUTE_REST: usize = 24;
/// Bytes of a document beside its routes, as a rule.
const REST: usize = 144;

/// The routes of an answer, best first, with the node that holds the promise, into an empty `out`.
pub(super) fn routes(out: &mut Vec<u8>, query: &Query<'_>, routed: &Routed, reserved_ms: u64) {
    write_routes(out, query, routed.targets(), reserved_ms, routed.tell_ends);
}

pub(super) fn write_routes<'a>(
    out: &mut Vec<u8>,
    query: &Query<'_>,
    targets: impl Iterator<Item = &'a Target> + Clone,
    reserved_ms: u64,
    tell_ends: bool,
) {
    // In one piece, and looked at together: what is known of a node among many is far from the processor.
    let address =
        query.user.as_ref().map_or(0, |user| user.len()) + query.domain.as_ref().map_or(0, |domain| domain.len());
    out.reserve(targets.clone().map(|target| target.route().len() + address + ROUTE_REST).sum::<usize>() + REST);
    out.extend_from_slice(br#"{"version":"1.0","routing":"serial","routes":["#);
    let mut first = None;
    for target in targets {
        out.extend_from_slice(if first.is_none() { b"{" } else { b",{" });
        first.get_or_insert(target);
        if let Some(domain) = &query.domain {
            out.extend_from_slice(br#""uri":"sip:"#);
            if let Some(user) = &query.user {
                write_user(out, user);
                out.push(b'@');
            }
            out.extend_from_slice(domain.as_bytes());
            out.extend_from_slice(br#"","#);
        }
        out.extend_from_slice(target.route().as_bytes());
    }
    out.push(b']');
    if let Some(target) = first {
        out.extend_from_slice(br#","call":{"node":""#);
        out.extend_from_slice(target.name.as_str().as_bytes());
        out.extend_from_slice(br#"","reserved_ms":"#);
        write_number(out, reserved_ms);
        if tell_ends {
            // At the very end: Kamailio looks at the last letters alone.
            out.extend_from_slice(br#","tell_ends":true"#);
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// Appends a number in decimal digits.
pub(super) fn write_number(out: &mut Vec<u8>, number: u64) {
    let at = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[at..].reverse();
}

/// An answer without a route: Kamailio is to refuse the call with this code. `reason` comes from the code, never from
/// the network. By its empty list of routes Kamailio knows it, as text.
pub(super) fn reject(reason: &'static str, retry_after_s: u32) -> Vec<u8> {
    format!(
        r#"{{"version":"1.0","routing":"serial","routes":[],"reject":{{"code":503,"reason":"{reason}","retry_after":{retry_after_s}}}}}"#
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::query::{DOMAIN_LIMIT, Query, USER_LIMIT};
    use super::{reject, write_number, write_routes};
    use crate::balance::MAX_ROUTES;
    use crate::pool::{NodeName, SipUri, Target};

    fn written<'a>(query: &Query<'_>, targets: impl Iterator<Item = &'a Target> + Clone, reserved_ms: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write_routes(&mut out, query, targets, reserved_ms, false);
        out
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 907, 10_000, u64::MAX] {
            let mut out = b"at ".to_vec();
            write_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("at {number}"));
        }
    }

    fn target(name: &str, sip: &str) -> Target {
        Target::new(NodeName::new(name).unwrap(), SipUri::new(sip).unwrap())
    }

    #[test]
    fn an_answer_reads_as_rtjson() {
        let targets = [target("ast1", "sip:127.101.1.1:5060"), target("ast2", "sip:127.101.1.2:5060")];
        let query = Query::parse("call_id=1&user=600&domain=example.test").unwrap();
        let text = String::from_utf8(written(&query, targets.iter(), 10_000)).unwrap();
        insta::assert_snapshot!(text, @r#"{"version":"1.0","routing":"serial","routes":[{"uri":"sip:600@example.test","dst_uri":"sip:127.101.1.1:5060","node":"ast1"},{"uri":"sip:600@example.test","dst_uri":"sip:127.101.1.2:5060","node":"ast2"}],"call":{"node":"ast1","reserved_ms":10000}}"#);
        let bare = Query::parse("call_id=1&user=600").unwrap();
        let text = String::from_utf8(written(&bare, targets[..1].iter(), 10_000)).unwrap();
        insta::assert_snapshot!(text, @r#"{"version":"1.0","routing":"serial","routes":[{"dst_uri":"sip:127.101.1.1:5060","node":"ast1"}],"call":{"node":"ast1","reserved_ms":10000}}"#);
    }

    #[test]
    fn the_wish_to_hear_of_ends_is_the_last_word() {
        let mut out = Vec::new();
        let query = Query::parse("call_id=1&user=600").unwrap();
        write_routes(&mut out, &query, [target("ast1", "sip:127.101.1.1:5060")].iter(), 10_000, true);
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["call"]["tell_ends"], Value::Bool(true));
        assert!(out.ends_with(b"true}}"), "as kamailio/kamari.cfg reads it");
    }

    #[test]
    fn a_reject_reads_as_json() {
        let document = reject("all nodes are full", 3);
        assert!(String::from_utf8_lossy(&document).contains(r#""routes":[]"#), "as kamailio/kamari.cfg reads it");
        let value: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(value["routes"], Value::Array(vec![]));
        assert_eq!((&value["reject"]["code"], &value["reject"]["retry_after"]), (&503.into(), &3.into()));
    }

    #[test]
    fn the_largest_answer_fits_the_smallest_kamailio() {
        let label = "a".repeat(63);
        let domain = format!("{label}.{label}.{label}.{}", "a".repeat(DOMAIN_LIMIT - 192));
        let query = format!("call_id=1&user={}&domain={domain}", "%ff".repeat(USER_LIMIT));
        let query = Query::parse(&query).unwrap();
        let sip = format!("sip:{label}.{label}.{}:5060;transport=udp", "a".repeat(200 - 128 - 5 - 14 - 4));
        let targets = vec![target(&label, &sip); MAX_ROUTES];
        let size = written(&query, targets.iter(), 120_000).len();
        assert!(size < 8_192, "{size} bytes");
    }

    proptest! {
        #[test]
        fn whatever_the_user_sends_comes_back_as_one_json_string(user in proptest::collection::vec(any::<u8>(), 1..USER_LIMIT)) {
            let encoded = percent_encoding::percent_encode(&user, percent_encoding::NON_ALPHANUMERIC);
            let text = format!("call_id=1&user={encoded}&domain=example.test");
            let Ok(query) = Query::parse(&text) else { return Ok(()) };
            let document = written(&query, [target("n", "sip:h")].iter(), 1);
            prop_assert!(document.iter().all(|byte| (0x20..0x7f).contains(byte)));
            let value: Value = serde_json::from_slice(&document).unwrap();
            let uri = value["routes"][0]["uri"].as_str().unwrap();
            let inner = uri.strip_prefix("sip:").and_then(|rest| rest.strip_suffix("@example.test")).unwrap();
            prop_assert!(!inner.contains(['@', '<', '>', '"', '\\', ';', ':', ' ']));
        }
    }
}
