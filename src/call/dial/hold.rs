//! What one hears while the other one holds him.
//!
//! A phone that holds sends a re-INVITE (`sendonly`, RFC 6337); Asterisk tells of it and, if the node has music on hold of its
//! own, plays that. An app that has music of its own plays it instead: who is held is taken out of the bridge meanwhile,
//! since nothing can be played to one channel of a bridge.

use std::iter::repeat_n;
use std::sync::Arc;

use tokio::sync::watch;

use super::super::bridges::entry;
use super::super::core::{Core, lock};
use super::super::error::CallError;
use super::super::ids::Kind;
use super::super::playback::PlaybackCore;
use super::super::site::Target;
use super::connect::{Talk, Talking};
use super::transfer::Party;
use crate::ari::rest::channels::Play;

/// How often the music's list is put into one playback: hours of it.
const REPEATS: usize = 100;

/// Follows what both phones want.
pub(super) struct Hold<'a> {
    core: &'a Arc<Core>,
    talking: &'a Arc<Talking>,
    media: Vec<String>,
    caller: watch::Receiver<bool>,
    leg: watch::Receiver<bool>,
}

impl<'a> Hold<'a> {
    pub(super) fn new(core: &'a Arc<Core>, talking: &'a Arc<Talking>, talk: &Talk) -> Self {
        let media = repeat_n(&talk.music_on_hold, REPEATS).flatten().cloned().collect();
        let mut caller = core.line.watch_hold();
        let mut leg = talking.leg.line.watch_hold();
        // One that holds already is followed too.
        caller.mark_changed();
        leg.mark_changed();
        Self { core, talking, media, caller, leg }
    }

    /// Completes when either phone holds or no longer holds.
    pub(super) async fn changes(&mut self) {
        // The senders are in `core` and in the leg, so waiting cannot fail.
        tokio::select! {
            _ = self.caller.changed() => {}
            _ = self.leg.changed() => {}
        }
    }

    /// Plays to the one who is held, and lets them talk again when nobody is.
    pub(super) async fn follow(&mut self) -> Result<(), CallError> {
        let held = match (*self.caller.borrow_and_update(), *self.leg.borrow_and_update()) {
            (true, _) => Some(Party::Leg),
            (_, true) => Some(Party::Caller),
            _ => None,
        };
        let before = lock(&self.talking.music).as_ref().map(|(party, _)| *party);
        if held == before || self.media.is_empty() {
            return Ok(());
        }
        if let Some(party) = before {
            self.end().await;
            self.add(party).await?;
        }
        if let Some(party) = held {
            self.begin(party).await?;
        }
        Ok(())
    }

    fn channel(&self, party: Party) -> String {
        match party {
            Party::Caller => self.core.channel.as_ref().to_owned(),
            Party::Leg => self.talking.leg.id.clone(),
        }
    }

    async fn begin(&mut self, party: Party) -> Result<(), CallError> {
        let (channel, bridge) = (self.channel(party), self.talking.bridge.clone());
        let playback = PlaybackCore::new(self.core.shared.ids.next(Kind::Playback));
        self.core.site.register(&playback.id, Target::Playback(Arc::clone(&playback)));
        *lock(&self.talking.music) = Some((party, Arc::clone(&playback)));
        let play = Play { media: self.media.clone(), ..Play::default() };
        let ours = Arc::clone(&playback);
        let begun = async {
            // Saved first: another kamari must be able to stop it, and to join the two again.
            let id = Some(ours.id.clone());
            self.core
                .save_ties(|ties| {
                    if let Some(pair) = &mut ties.pair {
                        pair.music = id;
                    }
                })
                .await?;
            let begun = self.core.request(|ari| async move {
                ari.bridges().remove_channel(&bridge, &[&channel]).await?;
                ari.channels().play_with_id(&channel, &ours.id, &play).await
            });
            begun.await
        };
        match begun.await {
            Ok(_) => Ok(()),
            Err(CallError::HungUp(end)) => Err(CallError::HungUp(end)),
            // They hear silence, and are joined again when the hold ends.
            Err(error) => {
                playback.finish(true);
                self.core.site.forget(&playback.id);
                tracing::warn!(node = %self.core.site.name, call = %self.core.id, %error, "no music on hold");
                Ok(())
            }
        }
    }

    async fn add(&self, party: Party) -> Result<(), CallError> {
        let (add, bridge) = (entry(vec![self.channel(party)]), self.talking.bridge.clone());
        let added = self.core.request(|ari| async move { ari.bridges().add_channel(&bridge, &add).await });
        match added.await {
            // Whoever is gone is found to be by whoever watches him.
            Err(CallError::Ari(error)) if error.is_gone() || error.is_not_in_stasis() => Ok(()),
            other => other,
        }
    }

    /// Stops the music.
    pub(super) async fn end(&mut self) {
        let music = lock(&self.talking.music).take();
        if let Some((_, playback)) = music {
            stop(self.core, &playback).await;
        }
    }
}

/// Stops music on hold, wherever it is played.
pub(in crate::call) async fn stop(core: &Core, playback: &Arc<PlaybackCore>) {
    if core.site.link().commands_allowed()
        && let Err(error) = playback.stop(&core.site).await
    {
        tracing::warn!(node = %core.site.name, call = %core.id, %error, "music on hold was not stopped");
    }
    core.site.forget(&playback.id);
}

/// Stops music on hold that an earlier kamari began, if it is still played.
pub(super) async fn stop_found(core: &Core, id: &str) {
    let playback = PlaybackCore::new(id.to_owned());
    core.site.register(id, Target::Playback(Arc::clone(&playback)));
    stop(core, &playback).await;
}
