//! Numbers of recordings: kept ones, and those that nodes still have.

use prometheus::{IntCounter, IntGauge};

use super::Registrar;

/// Metrics of `media` and of what fetches recordings from the nodes.
#[derive(Debug)]
pub struct MediaMetrics {
    /// Recordings kept.
    pub recordings: IntGauge,
    /// Bytes of their audio.
    pub recording_bytes: IntGauge,
    /// Recordings of which a node still has something, or may have.
    pub pending: IntGauge,
    /// Pieces fetched from nodes.
    pub pieces: IntCounter,
    /// Requests for pieces that failed and are repeated.
    pub fetch_failures: IntCounter,
    /// Pieces that a node lost for good.
    pub lost_pieces: IntCounter,
    /// Recordings removed for their age or for the room they took.
    pub expired: IntCounter,
    /// Writes to the recordings folder that failed.
    pub store_failures: IntCounter,
    /// Copies of recordings that nodes' media caches still hold, or may hold.
    pub lent: IntGauge,
    /// PINs of mailboxes that were wrong.
    pub wrong_pins: IntCounter,
    /// Notices of changed mailboxes that were taken.
    pub notices: IntCounter,
    /// Notices that failed; they are repeated for a while.
    pub notice_failures: IntCounter,
}

impl MediaMetrics {
    /// Declares the metrics.
    pub fn new(registrar: &mut Registrar) -> Result<Self, prometheus::Error> {
        let notices = registrar.counter_vec(
            "kamari_mailbox_notices_total",
            "Notices of changed mailboxes sent to webhooks, by how that ended; a failed one is repeated for a while.",
            &["outcome"],
        )?;
        Ok(Self {
            recordings: registrar.int_gauge("kamari_recordings", "Recordings kept.")?,
            recording_bytes: registrar
                .int_gauge("kamari_recordings_bytes", "Size of the audio of all recordings kept.")?,
            pending: registrar.int_gauge(
                "kamari_recordings_pending",
                "Recordings of which a node still has a part, or may have one.",
            )?,
            pieces: registrar.counter("kamari_recording_pieces_total", "Pieces of recordings fetched from nodes.")?,
            fetch_failures: registrar.counter(
                "kamari_recording_fetch_failures_total",
                "Requests for pieces of recordings that failed and are repeated.",
            )?,
            lost_pieces: registrar.counter(
                "kamari_recording_lost_pieces_total",
                "Pieces of recordings that a node no longer had when it was asked.",
            )?,
            expired: registrar.counter(
                "kamari_recordings_expired_total",
                "Recordings removed for their age or for the room they took.",
            )?,
            store_failures: registrar
                .counter("kamari_recording_store_failures_total", "Writes to the recordings folder that failed.")?,
            lent: registrar.int_gauge(
                "kamari_recordings_lent",
                "Copies of recordings that the media caches of nodes hold, or may hold.",
            )?,
            wrong_pins: registrar.counter("kamari_mailbox_wrong_pins_total", "Wrong PINs of mailboxes.")?,
            notices: notices.with_label_values(&["ok"]),
            notice_failures: notices.with_label_values(&["failed"]),
        })
    }
}
