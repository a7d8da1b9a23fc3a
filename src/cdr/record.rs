//! The record of one call.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// One call that is over. What is not known is left out, but for the fields that every reader counts on, which are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cdr {
    /// kamari's id of the call: the one that `/v1/calls` and the events named last.
    pub id: Arc<str>,
    /// Ids that the call had before it was found again, after a restart of kamari or a lost socket; oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former_ids: Vec<Arc<str>>,
    /// SIP Call-ID of the caller's leg; null if the node said none that can be one.
    pub call_id: Option<String>,
    /// The node that the call was on.
    pub node: String,
    /// The tenant whose number was called; null if the directory knew none.
    pub tenant: Option<Arc<str>>,
    /// Number of the caller as the node saw it. Hostile: he says it himself.
    pub caller: Arc<str>,
    /// What was dialled: the user part of the request URI. Hostile: the caller chose it.
    pub extension: Arc<str>,
    /// The app that had the call last; null if the directory knew none.
    pub app: Option<Arc<str>>,
    /// Every app that had the call, in order (at most 64).
    pub apps: Vec<Arc<str>>,
    /// When the call reached the application, in UTC (RFC 3339, milliseconds). Of a call that was found after a restart and
    /// whose app had saved nothing: when the node made its channel, by the node's clock.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: u64,
    /// When it was answered; null if it was not. Of a call that was found answered and whose app had saved nothing: when it
    /// was found (`playback`: when it came).
    #[serde(serialize_with = "rfc3339_or_null")]
    pub answered_at: Option<u64>,
    /// When it was over. Of a call that was lost with its node: when the node was lost.
    #[serde(serialize_with = "rfc3339")]
    pub ended_at: u64,
    /// Milliseconds from `started_at` to `answered_at`; null if it was not answered.
    pub setup_ms: Option<u64>,
    /// Milliseconds from `answered_at` to `ended_at`; 0 if it was not answered.
    pub talk_ms: u64,
    /// Who or what ended it: `caller`, `app`, `refused` (the app, or whom kamari rang, before an answer), `operator`, `deadline`, `failed` (the
    /// app failed), `node_lost`, `gone` (the node no longer knew the channel, and no event had said why).
    pub ended_by: &'static str,
    /// What went wrong, in words, where something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// The Q.850 cause of the end; null where nobody said one.
    pub cause: Option<u8>,
    /// The final SIP response to the caller's INVITE, or to that of a call that was placed: 200 if it was answered, 487 if he gave up; null where it is not known.
    pub sip: Option<u16>,
    /// What the node measured of the caller's audio, read at the end of the call; null if it had none, or was lost.
    pub media: Option<Media>,
    /// Whether the call was found alive on its node, after a restart of kamari or a lost socket.
    pub adopted: bool,
    /// Whether kamari placed it (`POST /v1/calls`): then `caller` is whom it rang, and `extension` what serves him since he
    /// answered.
    pub placed: bool,
    /// What the apps noted of the call, by name.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub notes: serde_json::Map<String, serde_json::Value>,
}

/// RTP of the caller's leg, as the node counted it until the channel ended (`RTPAUDIOQOS`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Media {
    /// Packets that the node received from the caller.
    pub rx_packets: u64,
    /// Packets that should have come from him and did not.
    pub rx_lost: u64,
    /// Jitter of what came, in milliseconds, at the end.
    pub rx_jitter_ms: f64,
    /// Packets that the node sent to him.
    pub tx_packets: u64,
    /// Packets that he reported as lost (RTCP).
    pub tx_lost: u64,
    /// Jitter that he reported (RTCP), in milliseconds.
    pub tx_jitter_ms: f64,
    /// Round trip by RTCP, in milliseconds; 0 if he sent no report.
    pub rtt_ms: f64,
    /// Asterisk's estimate of how what came would be judged by ear (a MOS of 0 to 100); left out where the node has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_mes: Option<f64>,
    /// The same for what he heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_mes: Option<f64>,
}

impl Media {
    /// Reads Asterisk's `RTPAUDIOQOS`: `ssrc=1;themssrc=2;lp=0;rxjitter=0.001;rxcount=99;...`, times in seconds. Nothing if
    /// one of the values that every version has is missing or makes no sense.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let count = |name| value(name)?.parse::<u64>().ok();
        let real = |name| value(name)?.parse::<f64>().ok().filter(|real| real.is_finite());
        let ms = |name| real(name).map(|seconds| (seconds * 1e6).round() / 1e3);
        Some(Self {
            rx_packets: count("rxcount")?,
            rx_lost: count("lp")?,
            rx_jitter_ms: ms("rxjitter")?,
            tx_packets: count("txcount")?,
            tx_lost: count("rlp")?,
            tx_jitter_ms: ms("txjitter")?,
            rtt_ms: ms("rtt")?,
            rx_mes: real("rxmes"),
            tx_mes: real("txmes"),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over so")]
fn rfc3339<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let moment = i64::try_from(*unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    serializer.collect_str(&format_args!("{:.3}", moment.unwrap_or(Timestamp::MAX)))
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn rfc3339_or_null<S: Serializer>(unix_ms: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match unix_ms {
        Some(unix_ms) => rfc3339(unix_ms, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
pub(super) fn example(id: &str) -> Cdr {
    Cdr {
        id: id.into(),
        former_ids: Vec::new(),
        call_id: Some("a84b4c76e66710@example.test".to_owned()),
        node: "ast1".to_owned(),
        tenant: Some("example".into()),
        caller: "alice".into(),
        extension: "600".into(),
        app: Some("echo".into()),
        apps: vec!["echo".into()],
        started_at: 1_700_000_000_000,
        answered_at: Some(1_700_000_000_012),
        ended_at: 1_700_000_060_012,
        setup_ms: Some(12),
        talk_ms: 60_000,
        ended_by: "caller",
        reason: None,
        cause: Some(16),
        sip: Some(200),
        media: Media::parse(
            "ssrc=1;themssrc=2;lp=3;rxjitter=0.000125;rxcount=3000;txjitter=0.002;txcount=2999;rlp=0;rtt=0.0305",
        ),
        adopted: false,
        placed: false,
        notes: serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Media, example};

    #[test]
    fn a_record_is_one_readable_line() {
        let line = serde_json::to_string(&example("kamari-call-1")).expect("JSON");
        assert!(!line.contains('\n'));
        let record: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(record["started_at"], "2023-11-14T22:13:20.000Z");
        assert_eq!(record["answered_at"], "2023-11-14T22:13:20.012Z");
        assert_eq!(record["media"]["rx_jitter_ms"], json!(0.125));
        assert_eq!(record["media"]["rtt_ms"], json!(30.5));
        assert!(record["media"].get("rx_mes").is_none() && record.get("notes").is_none(), "{record}");
    }

    #[test]
    fn what_a_node_writes_is_read() {
        // Asterisk 22.10.
        let media = Media::parse(
            "ssrc=1714059868;themssrc=7;lp=1;rxjitter=0.000000;rxcount=10;txjitter=0.000000;txcount=11;rlp=2;rtt=0.000000;\
             rxmes=85.500000;txmes=80.000000",
        );
        let media = media.expect("read");
        assert_eq!((media.rx_packets, media.rx_lost, media.tx_packets, media.tx_lost), (10, 1, 11, 2));
        assert_eq!((media.rx_mes, media.tx_mes), (Some(85.5), Some(80.0)));
        assert_eq!(Media::parse("ssrc=1;themssrc=7"), None);
        assert_eq!(Media::parse("lp=0;rxjitter=inf;rxcount=1;txjitter=0;txcount=1;rlp=0;rtt=0"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "([a-z]{1,8}=[-0-9.e]{0,9};?){0,9}|.*") {
            if let Some(media) = Media::parse(&text) {
                prop_assert!(serde_json::to_string(&media).is_ok());
            }
        }
    }
}
