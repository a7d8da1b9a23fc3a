//! Recordings, running and finished.

use super::operations;
use crate::ari::AriClient;
use crate::ari::error::AriError;
use crate::ari::model::{LiveRecording, StoredRecording};

operations! {
    LIST_STORED = GET "/recordings/stored" "recordings.list_stored";
    STORED = GET "/recordings/stored/{recordingName}" "recordings.stored";
    DELETE_STORED = DELETE "/recordings/stored/{recordingName}" "recordings.delete_stored";
    STORED_FILE = GET "/recordings/stored/{recordingName}/file" "recordings.stored_file";
    COPY_STORED = POST "/recordings/stored/{recordingName}/copy" "recordings.copy_stored";
    LIVE = GET "/recordings/live/{recordingName}" "recordings.live";
    CANCEL = DELETE "/recordings/live/{recordingName}" "recordings.cancel";
    STOP = POST "/recordings/live/{recordingName}/stop" "recordings.stop";
    PAUSE = POST "/recordings/live/{recordingName}/pause" "recordings.pause";
    UNPAUSE = DELETE "/recordings/live/{recordingName}/pause" "recordings.unpause";
    MUTE = POST "/recordings/live/{recordingName}/mute" "recordings.mute";
    UNMUTE = DELETE "/recordings/live/{recordingName}/mute" "recordings.unmute";
}

/// Operations on `/recordings`.
#[derive(Debug, Clone, Copy)]
pub struct Recordings<'a>(pub(super) &'a AriClient);

impl Recordings<'_> {
    /// List recordings that are complete.
    pub async fn list_stored(&self) -> Result<Vec<StoredRecording>, AriError> {
        self.0.fetch(LIST_STORED.at(&[])).await
    }

    /// Get a stored recording's details.
    pub async fn stored(&self, recording_name: &str) -> Result<StoredRecording, AriError> {
        self.0.fetch(STORED.at(&[recording_name])).await
    }

    /// Delete a stored recording.
    pub async fn delete_stored(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(DELETE_STORED.at(&[recording_name])).await
    }

    /// Get the file associated with the stored recording.
    pub async fn stored_file(&self, recording_name: &str) -> Result<Vec<u8>, AriError> {
        self.0.bytes(STORED_FILE.at(&[recording_name])).await
    }

    /// Copy a stored recording.
    pub async fn copy_stored(
        &self,
        recording_name: &str,
        destination_recording_name: &str,
    ) -> Result<StoredRecording, AriError> {
        self.0
            .fetch(COPY_STORED.at(&[recording_name]).field("destinationRecordingName", destination_recording_name))
            .await
    }

    /// List live recordings.
    pub async fn live(&self, recording_name: &str) -> Result<LiveRecording, AriError> {
        self.0.fetch(LIVE.at(&[recording_name])).await
    }

    /// Stop a live recording and discard it.
    pub async fn cancel(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(CANCEL.at(&[recording_name])).await
    }

    /// Stop a live recording and store it.
    pub async fn stop(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(STOP.at(&[recording_name])).await
    }

    /// Pause a live recording.
    ///
    /// Pausing a recording suspends silence detection, which will be restarted when the recording is unpaused.
    /// Paused time is not included in the accounting for maxDurationSeconds.
    pub async fn pause(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(PAUSE.at(&[recording_name])).await
    }

    /// Unpause a live recording.
    pub async fn unpause(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(UNPAUSE.at(&[recording_name])).await
    }

    /// Mute a live recording.
    ///
    /// Muting a recording suspends silence detection, which will be restarted when the recording is unmuted.
    pub async fn mute(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(MUTE.at(&[recording_name])).await
    }

    /// Unmute a live recording.
    pub async fn unmute(&self, recording_name: &str) -> Result<(), AriError> {
        self.0.run(UNMUTE.at(&[recording_name])).await
    }
}
