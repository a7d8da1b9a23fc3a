//! What a node tells with every event of a channel, because its `ari.conf` says so (`channelvars`): each spares a request or events.
//!
//! A node with another `ari.conf` is served all the same: what was called is asked for, and the records of its calls lack the
//! quality of their audio.

use crate::ari::model::Channel;

/// The host part of the request URI that the node received, without port and brackets. `chan_pjsip` sets it (seen on 16.28 and 22.10).
pub(super) const DOMAIN: &str = "SIPDOMAIN";
/// What the node measured of the channel's audio; it leaves it here just before the channel is hung up.
const QUALITY: &str = "RTPAUDIOQOS";

/// Whether the node tells all of it.
pub(super) fn tells(channel: &Channel) -> bool {
    channel.channelvars.as_ref().is_some_and(|told| [DOMAIN, QUALITY].iter().all(|name| told.contains_key(*name)))
}

/// The domain that was called; nothing if it is not told.
pub(super) fn domain(channel: &Channel) -> Option<&str> {
    variable(channel, DOMAIN)
}

/// What was measured of its audio; nothing if it is not told, or not measured (yet).
pub(super) fn quality(channel: &Channel) -> Option<&str> {
    variable(channel, QUALITY)
}

fn variable<'a>(channel: &'a Channel, name: &str) -> Option<&'a str> {
    channel.channelvars.as_ref()?.get(name)?.as_str().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{domain, quality, tells};
    use crate::ari::model::Channel;

    fn channel(told: Value) -> Channel {
        let nobody = json!({ "name": "", "number": "" });
        let mut channel = json!({
            "id": "n1-1.0", "name": "PJSIP/kamailio-00000000", "state": "Ring", "caller": nobody, "connected": nobody,
            "accountcode": "", "dialplan": { "context": "from-kamailio", "exten": "200", "priority": 3 },
            "creationtime": "2026-11-23T17:31:16.405+0000", "language": "en",
        });
        if !told.is_null() {
            channel["channelvars"] = told;
        }
        serde_json::from_value(channel).expect("a channel")
    }

    #[test]
    fn what_a_node_tells() {
        let told = channel(json!({ "SIPDOMAIN": "example.test", "RTPAUDIOQOS": "" }));
        assert_eq!((tells(&told), domain(&told), quality(&told)), (true, Some("example.test"), None));
        let over = channel(json!({ "SIPDOMAIN": "", "RTPAUDIOQOS": "ssrc=1" }));
        assert_eq!((tells(&over), domain(&over), quality(&over)), (true, None, Some("ssrc=1")));
        for less in [Value::Null, json!({}), json!({ "SIPDOMAIN": "example.test" })] {
            assert!(!tells(&channel(less)));
        }
        let odd = channel(json!({ "SIPDOMAIN": 7, "RTPAUDIOQOS": null }));
        assert_eq!((domain(&odd), quality(&odd)), (None, None));
    }
}
