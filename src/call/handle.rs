//! The call as an app sees it: every method waits for its result, and fails with `HungUp` once the call is over.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::bridges::Entered;
use super::cause::Cause;
use super::core::Core;
use super::dial::{self, DialRequest, Dialled, DialledLeg, Pair};
use super::error::CallError;
use super::ids::{Ids, Kind};
use super::playback::{Playback, PlaybackCore};
use super::room::{Joined, Role, RoomKey, RoomSettings, SavedSeat};
use super::saved::Saved;
use super::site::{Leg, LegPhase, Target};
use super::view::{End, Step};
use crate::ari::rest::channels::{Play, Snoop};
use crate::pool::{CallId, NodeName};
use crate::telemetry::CallOutcome;

/// For how long a channel that was asked for may take to enter the application.
const ENTER_WAIT: Duration = Duration::from_secs(5);

/// A caller's call. One app has it at a time; when the app is done with it, the call is hung up and everything that it
/// made on the node is removed.
#[derive(Debug)]
pub struct Call {
    pub(super) core: Arc<Core>,
    digits: mpsc::Receiver<char>,
    /// The number that the call is served for now.
    pub(super) extension: Arc<str>,
    pub(super) saved: Option<Saved>,
    /// Whom the caller talked with before kamari was away.
    pub(super) found: Option<(DialledLeg, Pair)>,
}

impl Call {
    pub(super) fn new(core: Arc<Core>, digits: mpsc::Receiver<char>) -> Self {
        let extension = Arc::clone(&core.extension);
        Self { core, digits, extension, saved: None, found: None }
    }

    /// A step of the app: it fails as soon as the call is over. Requests that it sent run to their end by themselves, and the
    /// clean-up waits for them.
    pub(super) async fn step<T>(&self, step: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        self.core.unless_over(step).await?
    }

    // What is known of the call.

    /// kamari's id of the call, unique over the pool.
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// The node that the call is on.
    pub fn node(&self) -> &NodeName {
        &self.core.site.name
    }

    /// The SIP Call-ID, if the node said one.
    pub fn call_id(&self) -> Option<&CallId> {
        self.core.call_id.as_ref()
    }

    /// The caller's number or user name as the node saw it. Hostile: whoever called chose it.
    pub fn caller(&self) -> &str {
        &self.core.caller
    }

    /// The number that the call is served for: what was dialled (the user part of the request URI; hostile, whoever called
    /// chose it), or what the call was handed on to.
    pub fn extension(&self) -> &str {
        &self.extension
    }

    /// Whose number was called, once [`Call::assign`] said it.
    pub fn tenant(&self) -> Option<Arc<str>> {
        self.core.tenant()
    }

    /// The domain that was called: the host part of the request URI that the node received. Empty if there was none.
    pub async fn domain(&self) -> Result<String, CallError> {
        self.step(self.core.domain()).await.map(|domain| domain.as_ref().to_owned())
    }

    /// Says whose number it is and which app serves it, for the operator and for the metrics.
    pub fn assign(&self, tenant: &Arc<str>, app: &'static str) {
        self.core.assign(tenant, app);
    }

    // The channel.

    /// Answers the call; nothing happens if it is answered.
    pub async fn answer(&self) -> Result<(), CallError> {
        self.step(self.core.answer()).await
    }

    /// Lets the caller hear ringing (180 Ringing) until the call is answered.
    pub async fn ring(&self) -> Result<(), CallError> {
        let channel = Arc::clone(&self.core.channel);
        self.step(self.core.command_while_playing(|ari| async move { ari.channels().ring(&channel).await })).await
    }

    /// Hangs up. Every later step fails with `HungUp`.
    pub async fn hang_up(&self, cause: Cause) -> Result<(), CallError> {
        self.core.end_with(End::App { cause });
        self.core.delete_channel(cause).await.map_err(CallError::Ari)
    }

    /// Refuses a call that was not answered; an answered one is hung up with the cause. See [`Cause`] for what the caller's
    /// phone gets.
    pub async fn refuse(&self, cause: Cause) -> Result<(), CallError> {
        self.core.outcome_is(CallOutcome::Rejected);
        self.core.end_with(End::Refused { cause });
        self.core.delete_channel(cause).await.map_err(CallError::Ari)
    }

    /// Refuses the call since nothing answers this number: 404 Not Found.
    pub async fn not_found(&self) -> Result<(), CallError> {
        self.core.outcome_is(CallOutcome::Unknown);
        self.core.end_with(End::Refused { cause: Cause::UNALLOCATED });
        self.core.delete_channel(Cause::UNALLOCATED).await.map_err(CallError::Ari)
    }

    /// Completes when the call is over. Dropping the wait is safe.
    pub async fn hung_up(&self) -> End {
        self.core.over().await
    }

    /// The value of a channel variable or of a dialplan function (`CHANNEL(audioreadformat)`); nothing if it has none.
    pub async fn variable(&self, name: &str) -> Result<Option<String>, CallError> {
        self.step(self.core.variable(name)).await
    }

    /// Sets a channel variable. Stops what is being played.
    pub async fn set_variable(&self, name: &str, value: &str) -> Result<(), CallError> {
        self.step(self.core.set_variable(name, value.to_owned())).await
    }

    // Media.

    /// Plays media one after the other, to the end.
    pub async fn play(&self, media: &[impl AsRef<str>]) -> Result<(), CallError> {
        self.start_playing(media).await?.finished().await
    }

    /// Begins to play media, and leaves it playing. What was being played is stopped first.
    pub async fn start_playing(&self, media: &[impl AsRef<str>]) -> Result<Playback, CallError> {
        let media: Vec<String> = media.iter().map(|one| one.as_ref().to_owned()).collect();
        self.play_as(self.new_id(Kind::Playback), media).await
    }

    /// Begins to play under an id of [`Call::new_id`], so that the app can save the id before.
    pub async fn start_playing_as(&self, id: &str, media: &[impl AsRef<str>]) -> Result<Playback, CallError> {
        let media: Vec<String> = media.iter().map(|one| one.as_ref().to_owned()).collect();
        self.play_as(id.to_owned(), media).await
    }

    async fn play_as(&self, id: String, media: Vec<String>) -> Result<Playback, CallError> {
        let playback = PlaybackCore::new(id);
        let (channel, ours) = (Arc::clone(&self.core.channel), Arc::clone(&playback));
        let play = Play { media: media.clone(), ..Play::default() };
        let core = Arc::clone(&self.core);
        let play = self.core.command(move |ari| {
            core.own_playback(&ours);
            async move {
                let begun = ari.channels().play_with_id(&channel, &ours.id, &play).await;
                if begun.is_err() {
                    ours.finish(true);
                    core.site.forget(&ours.id);
                }
                begun.map(|_| ())
            }
        });
        self.step(play).await?;
        self.core.step(Step::Playing { media: media.clone() });
        Ok(Playback::new(Arc::clone(&self.core), playback, media))
    }

    /// Takes up a playback that another kamari began on this call; nothing if it is over.
    pub async fn resume_playing(&self, id: &str, media: &[impl AsRef<str>]) -> Result<Option<Playback>, CallError> {
        let playback = PlaybackCore::new(id.to_owned());
        self.core.own_playback(&playback);
        let (ours, site) = (Arc::clone(&playback), Arc::clone(&self.core.site));
        let asked = self.step(self.core.request(|ari| async move { ari.playbacks().get(&ours.id).await })).await;
        match asked {
            Ok(_) => {
                let media = media.iter().map(|one| one.as_ref().to_owned()).collect();
                Ok(Some(Playback::new(Arc::clone(&self.core), playback, media)))
            }
            Err(error) => {
                playback.finish(true);
                site.forget(id);
                match error {
                    CallError::Ari(error) if error.is_gone() => Ok(None),
                    error => Err(error),
                }
            }
        }
    }

    /// Sends silence, so that the caller's phone receives RTP while nothing is played.
    pub async fn silence(&self) -> Result<(), CallError> {
        self.core.owned().silence = true;
        let channel = Arc::clone(&self.core.channel);
        self.step(self.core.command_while_playing(|ari| async move { ari.channels().start_silence(&channel).await }))
            .await
    }

    /// Ends what [`Call::silence`] began.
    pub async fn stop_silence(&self) -> Result<(), CallError> {
        self.core.owned().silence = false;
        let channel = Arc::clone(&self.core.channel);
        self.step(self.core.command_while_playing(|ari| async move { ari.channels().stop_silence(&channel).await }))
            .await
    }

    /// Plays the node's own music on hold (the class named `default` there) until [`Call::stop_music`].
    pub async fn music(&self) -> Result<(), CallError> {
        self.core.owned().music = true;
        let channel = Arc::clone(&self.core.channel);
        self.step(self.core.command_while_playing(|ari| async move { ari.channels().start_moh(&channel, None).await }))
            .await
    }

    /// Ends what [`Call::music`] began.
    pub async fn stop_music(&self) -> Result<(), CallError> {
        self.core.owned().music = false;
        let channel = Arc::clone(&self.core.channel);
        self.step(self.core.command_while_playing(|ari| async move { ari.channels().stop_moh(&channel).await })).await
    }

    // Digits.

    /// The next key that the caller presses (or pressed and nobody read). Dropping the wait loses no key.
    pub async fn digit(&mut self) -> Result<char, CallError> {
        let core = Arc::clone(&self.core);
        match core.unless_over(self.digits.recv()).await? {
            Some(key) => Ok(key),
            None => Err(CallError::HungUp(core.over().await)),
        }
    }

    /// The next key, or nothing if none is pressed for so long.
    pub async fn digit_within(&mut self, wait: Duration) -> Result<Option<char>, CallError> {
        match timeout(wait, self.digit()).await {
            Ok(key) => key.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// A key that was pressed and not read.
    pub(super) fn waiting_digit(&mut self) -> Option<char> {
        self.digits.try_recv().ok()
    }

    /// Whether a key was pressed and not read.
    pub(super) fn has_digits(&self) -> bool {
        !self.digits.is_empty()
    }

    /// Forgets keys that were pressed and not read.
    pub fn forget_digits(&mut self) {
        while self.digits.try_recv().is_ok() {}
    }

    // Others.

    /// Dials whom the request names, and says who answered, or why nobody did. The caller hears how it stands, if the request
    /// wants that; he is not answered. Dropping the wait hangs up every leg, and so does the caller's hang-up.
    pub async fn dial(&self, request: &DialRequest) -> Result<Dialled, CallError> {
        self.step(dial::dial(&self.core, request)).await
    }

    // Bridges.

    /// Joins the caller to a room: whoever is in it hears everyone else. The call leaves when it is over, or with
    /// [`Call::leave_rooms`]. A call that was in this room before kamari was restarted stays in it, without a sound.
    ///
    /// A room that waits for a moderator keeps the caller waiting here, with the room's music. One that is locked or full
    /// does not let him in, which is `Ok`: see [`Joined`].
    pub async fn join(&self, room: &RoomKey, settings: &RoomSettings) -> Result<Joined, CallError> {
        self.join_as(room, settings, self.saved_role().unwrap_or_default()).await
    }

    /// [`Call::join`] in a role.
    pub async fn join_as(&self, room: &RoomKey, settings: &RoomSettings, role: Role) -> Result<Joined, CallError> {
        let rooms = Arc::clone(&self.core.shared.rooms);
        let saved = self.saved.as_ref();
        let objects = saved.map(|saved| saved.room.clone()).unwrap_or_default();
        let seat = saved.and_then(|saved| saved.seat).unwrap_or_default();
        self.step(rooms.join(&self.core, room, settings, SavedSeat { role, ..seat }, objects)).await
    }

    /// What the call was in its room before kamari was restarted: whoever was let in need not be asked again. Nothing on a
    /// fresh call.
    pub fn saved_role(&self) -> Option<Role> {
        self.saved.as_ref()?.seat.map(|seat| seat.role)
    }

    /// Leaves every room that the call is in.
    pub async fn leave_rooms(&self) -> Result<(), CallError> {
        let memberships = std::mem::take(&mut self.core.owned().memberships);
        for membership in memberships {
            membership.leave().await;
        }
        Ok(())
    }

    /// Creates a bridge of this call's own under an id of [`Call::new_id`]; it goes when the call goes. One that is there
    /// already is taken up.
    pub async fn bridge_as(&self, id: &str, name: &str) -> Result<(), CallError> {
        self.core.owned().bridges.push(id.to_owned());
        self.core.site.register(id, Target::Bridge);
        self.step(self.core.create_bridge(id, name)).await
    }

    /// Puts the caller and other channels of this call into a bridge.
    pub async fn enter_bridge(&self, id: &str, others: &[&str]) -> Result<(), CallError> {
        match self.step(self.core.enter_bridge(id, others)).await? {
            Entered::Yes => {
                self.core.step(Step::Joined { bridge: id.to_owned() });
                Ok(())
            }
            Entered::NoBridge => Err(CallError::Misuse("the bridge is gone")),
        }
    }

    /// Makes a channel, under an id of [`Call::new_id`], that gives what the caller says, and waits until it can be bridged.
    /// It goes when the caller goes.
    pub async fn listen_as(&self, id: &str) -> Result<(), CallError> {
        let leg = Leg::new();
        self.core.owned().snoops.push(id.to_owned());
        self.core.site.register(id, Target::Leg(Arc::clone(&leg)));
        let (channel, snoop) = (Arc::clone(&self.core.channel), id.to_owned());
        let what = Snoop {
            spy: Some("in".to_owned()),
            whisper: Some("none".to_owned()),
            app: self.core.site.link().ari.target().app().to_owned(),
            ..Snoop::default()
        };
        let listen = self
            .core
            .command_while_playing(|ari| async move { ari.channels().snoop_with_id(&channel, &snoop, &what).await });
        self.step(listen).await?;
        let mut phase = leg.watch();
        let entered = async { phase.wait_for(|phase| *phase != LegPhase::New).await.map(|phase| *phase) };
        match timeout(ENTER_WAIT, self.core.unless_over(entered)).await {
            Ok(Ok(Ok(LegPhase::Entered))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => self.core.still_there().await.and(Err(CallError::Misuse("the listening channel is gone"))),
            Err(_) => Err(CallError::Silent("that a channel entered the application")),
        }
    }

    /// Whether a bridge holds all of these channels; false if there is no such bridge.
    pub async fn bridge_holds(&self, id: &str, others: &[&str]) -> Result<bool, CallError> {
        self.step(self.core.bridge_holds(id, others)).await
    }

    /// Takes up the bridges and channels that another kamari made for this call, so that they go when the call goes.
    pub(super) fn take_up(&mut self, saved: Saved) {
        for id in &saved.objects {
            match Kind::of(id) {
                Some(Kind::Bridge) => {
                    self.core.site.register(id, Target::Bridge);
                    self.core.owned().bridges.push(id.clone());
                }
                Some(Kind::Snoop) => {
                    let leg = Leg::new();
                    leg.is_now(LegPhase::Entered);
                    self.core.site.register(id, Target::Leg(leg));
                    self.core.owned().snoops.push(id.clone());
                }
                _ => {}
            }
        }
        if let Some(pair) = &saved.ties.pair {
            self.core.site.register(&pair.bridge, Target::Bridge);
            self.core.owned().bridges.push(pair.bridge.clone());
            let leg = DialledLeg::take_up(&self.core, pair);
            self.found = Some((leg, pair.clone()));
        }
        if let Some(extension) = &saved.extension {
            self.extension = extension.as_str().into();
        }
        {
            let mut state = self.core.state();
            (state.extension, state.hops) = (saved.extension.clone(), saved.hops);
            state.seat = saved.seat;
            state.found = saved.claims();
            state.ties.clone_from(&saved.ties);
        }
        if let Some(past) = saved.past.clone() {
            self.core.continues(past);
        }
        self.saved = Some(saved);
    }

    // State that survives kamari.

    /// An id for an object that the app wants to name in its saved state before it is created.
    pub fn new_id(&self, kind: Kind) -> String {
        self.core.shared.ids.next(kind)
    }

    /// An id for the first playback of a call, which follows from the call's channel: a kamari that finds the call knows it
    /// without any saved state, which spares the call's set-up a request. For one playback; nothing once the call was handed on.
    pub fn first_playback_id(&self) -> Option<String> {
        (self.core.state().hops == 0).then(|| Ids::after(Kind::Playback, &self.core.channel))
    }

    /// Whether the call was found on its node, after a restart of kamari or a lost connection: it may have been served before.
    pub fn is_adopted(&self) -> bool {
        self.core.adopted
    }

    /// For the record of a call that was found without any saved state, by an app that answers at once: it was answered when it came.
    pub fn was_answered_at_once(&self) {
        self.core.was_answered_at_once();
    }

    /// Keeps what the app cannot do without, and the ids of the objects that it is about to create, in a variable of the
    /// caller's channel. It replaces what was saved before. An app that saves nothing is run again from its start when
    /// kamari finds the call after a restart.
    pub async fn save(&self, state: &impl Serialize, objects: &[&str]) -> Result<(), CallError> {
        let data =
            serde_json::to_value(state).map_err(|_| CallError::Misuse("the state does not serialise to JSON"))?;
        self.step(self.core.save(data, objects)).await
    }

    /// What the app `app` saved on this call before kamari was away; nothing on a fresh call, or if it does not fit `T`.
    pub fn saved<T: DeserializeOwned>(&self, app: &str) -> Option<T> {
        let saved = self.saved.as_ref().filter(|saved| saved.app == app)?;
        serde_json::from_value(saved.data.clone()).ok()
    }
}
