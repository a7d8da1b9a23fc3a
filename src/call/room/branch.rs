//! A room's part on one node: a mixing bridge, the callers in it, and what it plays.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::core::Core;
use super::super::error::CallError;
use super::super::handler::remove_bridge;
use super::super::ids::Kind;
use super::super::playback::PlaybackCore;
use super::super::site::{Site, Target};
use super::member::Member;
use super::relay::{Relay, Side};
use crate::ari::AriError;
use crate::ari::rest::bridges::Play;

/// How long a room waits until legs of an earlier kamari have gone: those who are in it wait to hear each other again.
const LONGEST_SWEEP: Duration = Duration::from_secs(2);

/// One node's part of a room.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) site: Arc<Site>,
    pub(super) bridge: String,
    pub(super) members: Vec<Member>,
    /// The playback of a join or leave sound.
    sound: Option<Arc<PlaybackCore>>,
    /// The playback for one who is alone.
    pub(super) music: Option<Arc<PlaybackCore>>,
    /// What joins it with the home branch; the home branch has none.
    pub(super) relay: Option<Relay>,
    /// Whether an earlier kamari made the bridge: a leg of its own may have been in there.
    found: bool,
}

impl Branch {
    /// A part whose bridge is (to be) `bridge`.
    pub(super) fn new(site: &Arc<Site>, bridge: String) -> Self {
        site.register(&bridge, Target::Bridge);
        Self {
            site: Arc::clone(site),
            bridge,
            members: Vec::new(),
            sound: None,
            music: None,
            relay: None,
            found: false,
        }
    }

    /// A part whose bridge an earlier kamari made.
    pub(super) fn found(site: &Arc<Site>, bridge: String) -> Self {
        let mut branch = Self::new(site, bridge);
        branch.found = true;
        branch
    }

    /// Creates the bridge on behalf of `core`. One that is there already is taken up.
    pub(super) async fn create(&self, core: &Core, name: &str) -> Result<(), CallError> {
        core.create_bridge(&self.bridge, name).await
    }

    /// Whether the node can still be commanded.
    pub(super) fn alive(&self) -> bool {
        self.site.link().commands_allowed()
            && self.members.iter().all(|core| core.end().is_none_or(|end| end.allows_commands()))
    }

    /// Plays a sound to all here, unless one is being played: when many come at once, one sound tells of all.
    pub(super) async fn sound(&mut self, core: &Core, media: &[String]) {
        if media.is_empty() || self.sound.as_ref().is_some_and(|sound| !sound.is_over()) {
            return;
        }
        if let Some(before) = self.sound.take() {
            self.site.forget(&before.id);
        }
        self.sound = self.play(core.shared.ids.next(Kind::Playback), media).await;
    }

    /// Plays to all here what they must hear, after what is being played.
    pub(super) async fn announce(&mut self, id: String, media: &[String]) {
        if media.is_empty() {
            return;
        }
        if let Some(before) = self.sound.take() {
            self.site.forget(&before.id);
        }
        self.sound = self.play(id, media).await;
    }

    /// Plays to one who is alone; ends with the list, see [`Branch::music_over`].
    pub(super) async fn start_music(&mut self, id: String, media: &[String]) {
        self.music = self.play(id, media).await;
    }

    /// Ends what is played to one who is alone.
    pub(super) async fn stop_music(&mut self) {
        let Some(music) = self.music.take() else { return };
        if self.alive()
            && let Err(error) = music.stop(&self.site).await
        {
            self.complain(&error);
        }
        self.site.forget(&music.id);
    }

    /// Takes up the playback that another kamari began, if it still goes on.
    pub(super) async fn take_up_music(&mut self, id: &str) {
        let music = PlaybackCore::new(id.to_owned());
        self.site.register(id, Target::Playback(Arc::clone(&music)));
        music.verify(&self.site).await;
        if music.is_over() {
            self.site.forget(id);
        } else {
            self.music = Some(music);
        }
    }

    async fn play(&self, id: String, media: &[String]) -> Option<Arc<PlaybackCore>> {
        let playback = PlaybackCore::new(id);
        self.site.register(&playback.id, Target::Playback(Arc::clone(&playback)));
        let play = Play { media: media.to_vec(), ..Play::default() };
        match self.site.link().ari.bridges().play_with_id(&self.bridge, &playback.id, &play).await {
            Ok(_) => Some(playback),
            Err(error) => {
                self.site.forget(&playback.id);
                self.complain(&error);
                None
            }
        }
    }

    /// The music is over.
    pub(super) fn forget_music(&mut self) {
        if let Some(music) = self.music.take_if(|music| music.is_over()) {
            self.site.forget(&music.id);
        }
    }

    /// This branch as an end of a relay.
    pub(super) fn side(&self) -> Side {
        Side { site: Arc::clone(&self.site), bridge: self.bridge.clone() }
    }

    /// Has one who is alone in a found bridge leave and enter it, once the leg of an earlier kamari has gone and before another
    /// comes: whoever stayed was deaf to the second leg in a bridge of two, time and again (seen on 22.10).
    pub(super) async fn enter_anew(&mut self) {
        if !self.alive() || !std::mem::take(&mut self.found) {
            return;
        }
        let [member] = &self.members[..] else { return };
        if timeout(LONGEST_SWEEP, self.site.swept()).await.is_err() {
            tracing::warn!(node = %self.site.name, bridge = self.bridge, "a room no longer waits for a sweep of its node");
        }
        let anew = async {
            member.leave_bridge(&self.bridge).await?;
            member.enter_bridge(&self.bridge, &[]).await
        };
        // A member who cannot be moved is one who is leaving.
        if let Err(error) = anew.await {
            tracing::debug!(node = %self.site.name, call = %member.id, %error, "a member did not enter anew");
        }
    }

    /// Removes the bridge; channels that are still in it stay up, on their own.
    pub(super) async fn close(mut self) {
        if let Some(relay) = self.relay.take() {
            relay.stop().await;
        }
        if self.alive() {
            remove_bridge(&self.site, &self.bridge).await;
        }
        self.forget();
    }

    /// Forgets the bridge without a word to the node, which is lost or keeps it for another kamari.
    pub(super) fn forget(mut self) {
        if let Some(relay) = self.relay.take() {
            relay.abandon();
        }
        for playback in [&self.sound, &self.music].into_iter().flatten() {
            self.site.forget(&playback.id);
        }
        self.site.forget(&self.bridge);
    }

    /// A room goes on without a sound; the log says so.
    fn complain(&self, error: &AriError) {
        if !error.is_gone() {
            tracing::warn!(node = %self.site.name, bridge = self.bridge, %error, "a room could not play");
        }
    }
}
