//! One playback of media on a channel or a bridge.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::core::Core;
use super::error::CallError;
use super::site::Site;
use super::view::Step;

/// For how long a stopped playback's end is awaited before the node is asked.
const END_WAIT: Duration = Duration::from_secs(1);

/// How far a playback is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not finished; counts the events that said so, so that each can be told from the last.
    Playing(u32),
    /// Played to its end, or stopped.
    Done,
    /// Could not be played.
    Failed,
}

/// What the dispatcher tells a playback's owner. The latest state replaces an earlier one, so it needs no queue.
#[derive(Debug)]
pub(super) struct PlaybackCore {
    pub(super) id: String,
    progress: watch::Sender<Progress>,
}

impl PlaybackCore {
    pub(super) fn new(id: String) -> Arc<Self> {
        Arc::new(Self { id, progress: watch::Sender::new(Progress::Playing(0)) })
    }

    /// The node began another item of the list.
    pub(super) fn goes_on(&self) {
        self.progress.send_if_modified(|progress| match progress {
            Progress::Playing(count) => {
                *count = count.wrapping_add(1);
                true
            }
            _ => false,
        });
    }

    /// The node said that it is over, or does not know it (any more).
    pub(super) fn finish(&self, failed: bool) {
        self.progress.send_if_modified(|progress| {
            let first = matches!(progress, Progress::Playing(_));
            if first {
                *progress = if failed { Progress::Failed } else { Progress::Done };
            }
            first
        });
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(*self.progress.borrow(), Progress::Playing(_))
    }

    /// Completes when it is over; says whether it was played.
    pub(super) async fn over(&self) -> bool {
        let mut progress = self.progress.subscribe();
        let over = progress.wait_for(|progress| !matches!(progress, Progress::Playing(_))).await;
        // The sender is `self`, so waiting cannot fail.
        over.is_ok_and(|progress| *progress == Progress::Done)
    }

    /// Asks the node whether it still knows the playback: its end may have been among events that were lost.
    pub(super) async fn verify(&self, site: &Site) {
        if let Err(error) = site.link().ari.playbacks().get(&self.id).await
            && error.is_gone()
        {
            self.finish(false);
        }
    }

    /// Stops it and waits for its end. A list of several media goes on with the next one when it is stopped (tones do so,
    /// tried on 22.10), hence the loop.
    pub(super) async fn stop(&self, site: &Site) -> Result<(), crate::ari::AriError> {
        let mut progress = self.progress.subscribe();
        while matches!(*progress.borrow_and_update(), Progress::Playing(_)) {
            match site.link().ari.playbacks().stop(&self.id).await {
                Ok(()) => {}
                Err(error) if error.is_gone() => self.finish(false),
                Err(error) => return Err(error),
            }
            if timeout(END_WAIT, progress.changed()).await.is_err() {
                self.verify(site).await;
            }
        }
        Ok(())
    }
}

/// A playback that an app started.
///
/// Dropping it leaves the media playing; [`Playback::stop`] stops it, and so does any step that the playback would block.
#[derive(Debug)]
pub struct Playback {
    core: Arc<Core>,
    running: Arc<PlaybackCore>,
    media: Vec<String>,
}

impl Playback {
    pub(super) fn new(core: Arc<Core>, running: Arc<PlaybackCore>, media: Vec<String>) -> Self {
        Self { core, running, media }
    }

    /// The id under which the node knows it.
    pub fn id(&self) -> &str {
        &self.running.id
    }

    /// Completes when the media has been played to its end or was stopped.
    pub async fn finished(&self) -> Result<(), CallError> {
        if self.core.unless_over(self.running.over()).await? {
            self.core.step(Step::Played);
            return Ok(());
        }
        // A hang-up fails the playback too, and its own event may come later.
        self.core.still_there().await?;
        Err(CallError::Media(self.media.join(" ")))
    }

    /// Stops the media and waits until it has stopped.
    pub async fn stop(&self) -> Result<(), CallError> {
        self.core.stop_playback(&self.running).await?;
        self.core.step(Step::Played);
        Ok(())
    }
}
