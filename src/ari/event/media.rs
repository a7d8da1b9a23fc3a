//! Playbacks and recordings.

use super::event;
use crate::ari::model::{LiveRecording, Playback};

event! {
    /// Event showing the start of a media playback operation.
    pub struct PlaybackStarted {
        /// Playback control object.
        pub playback: Playback,
    }
}

event! {
    /// Event showing the continuation of a media playback operation from one media URI to the next in the list.
    pub struct PlaybackContinuing {
        /// Playback control object.
        pub playback: Playback,
    }
}

event! {
    /// Event showing the completion of a media playback operation.
    pub struct PlaybackFinished {
        /// Playback control object.
        pub playback: Playback,
    }
}

event! {
    /// Event showing the start of a recording operation.
    pub struct RecordingStarted {
        /// Recording control object.
        pub recording: LiveRecording,
    }
}

event! {
    /// Event showing the completion of a recording operation.
    pub struct RecordingFinished {
        /// Recording control object.
        pub recording: LiveRecording,
    }
}

event! {
    /// Event showing failure of a recording operation.
    pub struct RecordingFailed {
        /// Recording control object.
        pub recording: LiveRecording,
    }
}
