//! Playbacks under way.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::Playback;

operations! {
    GET = GET "/playbacks/{playbackId}" "playbacks.get";
    STOP = DELETE "/playbacks/{playbackId}" "playbacks.stop";
    CONTROL = POST "/playbacks/{playbackId}/control" "playbacks.control";
}

/// Operations on `/playbacks`.
#[derive(Debug, Clone, Copy)]
pub struct Playbacks<'a>(pub(super) &'a AriClient);

impl Playbacks<'_> {
    /// Get a playback's details.
    pub async fn get(&self, playback_id: &str) -> Result<Playback, AriError> {
        self.0.fetch(GET.at(&[playback_id])).await
    }

    /// Stop a playback.
    pub async fn stop(&self, playback_id: &str) -> Result<(), AriError> {
        self.0.run(STOP.at(&[playback_id])).await
    }

    /// Control a playback.
    pub async fn control(&self, playback_id: &str, operation: &str) -> Result<(), AriError> {
        self.0.run(CONTROL.at(&[playback_id]).field("operation", operation)).await
    }
}
