//! RTP statistics of a channel, from the node's own RTP stack and the peer's RTCP reports.

use serde::{Deserialize, Serialize};

use crate::ari::wire::Extra;

/// A statistics of a RTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RtpStatistics {
    /// Number of packets transmitted.
    pub txcount: i64,
    /// Number of packets received.
    pub rxcount: i64,
    /// Jitter on transmitted packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txjitter: Option<f64>,
    /// Jitter on received packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rxjitter: Option<f64>,
    /// Maximum jitter on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_maxjitter: Option<f64>,
    /// Minimum jitter on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_minjitter: Option<f64>,
    /// Average jitter on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_normdevjitter: Option<f64>,
    /// Standard deviation jitter on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_stdevjitter: Option<f64>,
    /// Maximum jitter on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_maxjitter: Option<f64>,
    /// Minimum jitter on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_minjitter: Option<f64>,
    /// Average jitter on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_normdevjitter: Option<f64>,
    /// Standard deviation jitter on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_stdevjitter: Option<f64>,
    /// Number of transmitted packets lost.
    pub txploss: i64,
    /// Number of received packets lost.
    pub rxploss: i64,
    /// Maximum number of packets lost on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_maxrxploss: Option<f64>,
    /// Minimum number of packets lost on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_minrxploss: Option<f64>,
    /// Average number of packets lost on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_normdevrxploss: Option<f64>,
    /// Standard deviation packets lost on remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_stdevrxploss: Option<f64>,
    /// Maximum number of packets lost on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_maxrxploss: Option<f64>,
    /// Minimum number of packets lost on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_minrxploss: Option<f64>,
    /// Average number of packets lost on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_normdevrxploss: Option<f64>,
    /// Standard deviation packets lost on local side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_stdevrxploss: Option<f64>,
    /// Total round trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<f64>,
    /// Maximum round trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxrtt: Option<f64>,
    /// Minimum round trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minrtt: Option<f64>,
    /// Average round trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normdevrtt: Option<f64>,
    /// Standard deviation round trip time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdevrtt: Option<f64>,
    /// Our SSRC.
    pub local_ssrc: i64,
    /// Their SSRC.
    pub remote_ssrc: i64,
    /// Number of octets transmitted.
    pub txoctetcount: i64,
    /// Number of octets received.
    pub rxoctetcount: i64,
    /// The Asterisk channel's unique ID that owns this instance.
    pub channel_uniqueid: String,
    /// Properties that this type does not name.
    #[serde(flatten)]
    pub extra: Extra,
}
