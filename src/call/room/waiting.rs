//! Callers who came before the moderator: each hears the room's music by himself until the room begins.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::select_all;
use tokio::sync::oneshot;

use super::super::core::Core;
use super::super::error::CallError;
use super::super::ids::Kind;
use super::super::playback::PlaybackCore;
use super::actor::{Actor, MUSIC_REPEATS};
use super::member::{Joined, Role, SavedSeat};
use crate::ari::rest::channels::Play;

/// A caller who waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) core: Arc<Core>,
    pub(super) done: oneshot::Sender<Result<Joined, CallError>>,
    music: Option<Arc<PlaybackCore>>,
}

impl Actor {
    /// Whether a caller has to wait for a moderator.
    pub(super) fn must_wait(&self, role: Role) -> bool {
        self.settings.wait_for_moderator && role == Role::Member && !self.has_moderator()
    }

    pub(super) fn has_moderator(&self) -> bool {
        self.branches.iter().flat_map(|branch| &branch.members).any(|member| member.role == Role::Moderator)
    }

    /// Lets a caller wait. `objects` are the ids that his saved state names.
    pub(super) async fn wait(
        &mut self,
        core: Arc<Core>,
        objects: &[String],
        done: oneshot::Sender<Result<Joined, CallError>>,
    ) {
        let mut music = None;
        if let Some(id) = objects.iter().find(|id| Kind::of(id) == Some(Kind::Playback)) {
            let playback = PlaybackCore::new(id.clone());
            core.own_playback(&playback);
            playback.verify(&core.site).await;
            music = Some(playback);
        }
        let mut waiting = Waiting { core, done, music };
        if waiting.music.take_if(|music| music.is_over()).is_some() || waiting.music.is_none() {
            self.play_to(&mut waiting).await;
        }
        self.waiting.push(waiting);
    }

    /// Plays the list once more to whoever has heard it to its end.
    pub(super) async fn go_on_waiting(&mut self) {
        for mut waiting in std::mem::take(&mut self.waiting) {
            if let Some(music) = waiting.music.take_if(|music| music.is_over()) {
                // Music that cannot be played is not tried again and again.
                if music.over().await {
                    self.play_to(&mut waiting).await;
                }
            }
            self.waiting.push(waiting);
        }
    }

    async fn play_to(&self, waiting: &mut Waiting) {
        waiting.music = None;
        if self.settings.alone.is_empty() {
            return;
        }
        let playback = PlaybackCore::new(self.shared.ids.next(Kind::Playback));
        let core = &waiting.core;
        let play = Play {
            media: std::iter::repeat_n(&self.settings.alone, MUSIC_REPEATS).flatten().cloned().collect(),
            ..Play::default()
        };
        // Saved first: another kamari must be able to stop it.
        let begun = async {
            core.save_seat(&[&playback.id], SavedSeat::default()).await?;
            core.own_playback(&playback);
            let (channel, id) = (Arc::clone(&core.channel), playback.id.clone());
            core.command_while_playing(|ari| async move { ari.channels().play_with_id(&channel, &id, &play).await })
                .await
        };
        match begun.await {
            Ok(_) => waiting.music = Some(playback),
            Err(error) => {
                playback.finish(true);
                core.site.forget(&playback.id);
                tracing::debug!(node = %core.site.name, call = %core.id, %error, "one who waits hears no music");
            }
        }
    }

    /// The moderator is there: all who wait are let in.
    pub(super) async fn begin(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            let joined = self.join(&waiting.core, &[], SavedSeat::default()).await;
            // Whoever waited may have gone; the call's clean-up leaves.
            let _ = waiting.done.send(joined);
        }
    }
}

/// Completes when somebody who waits has heard the music to its end; never while nobody does.
pub(super) async fn heard_all(waiting: &[Waiting]) {
    let playing: Vec<_> =
        waiting.iter().filter_map(|one| one.music.as_ref()).map(|music| Box::pin(music.over())).collect();
    if playing.is_empty() {
        return pending().await;
    }
    pin!(select_all(playing)).await;
}
