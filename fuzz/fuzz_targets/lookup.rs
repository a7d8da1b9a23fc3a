//! Any bytes as the query of a lookup: they are refused, or answered with one clean rtjson document.
#![no_main]

use kamari::lookup::answer_to;
use kamari::pool::{NodeName, SipUri, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let target = Target::new(NodeName::new("ast1").unwrap(), SipUri::new("sip:127.0.0.1:5060").unwrap());
    if let Ok(document) = answer_to(query, &[target]) {
        assert!(document.len() < 8_192);
        assert!(document.iter().all(|byte| (0x20..0x7f).contains(byte)));
        let value: serde_json::Value = serde_json::from_slice(&document).unwrap();
        if let Some(uri) = value["routes"][0]["uri"].as_str() {
            assert!(uri.starts_with("sip:") && uri.matches('@').count() <= 1);
            assert!(!uri.contains(['"', '\\', '<', '>', ' ', ';']));
        }
    }
});
