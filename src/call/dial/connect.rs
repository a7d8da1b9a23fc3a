//! Two who talk: the caller and a leg, in a bridge on their node, until they part.
//!
//! The pair is written to the caller's channel before the two are joined: another kamari finds them in their bridge and
//! lets them talk.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::super::bridges::entry;
use super::super::core::{Core, lock};
use super::super::error::CallError;
use super::super::handle::Call;
use super::super::handler::remove_bridge;
use super::super::line::{TRANSFERS, TRANSFERS_ARE_OURS};
use super::super::playback::PlaybackCore;
use super::super::view::Step;
use super::hold::{self, Hold};
use super::leg::{DialledLeg, Outgoing};
use super::transfer::{self, Party};

/// What another kamari must know of two who talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::call) struct Pair {
    pub(in crate::call) bridge: String,
    pub(in crate::call) leg: String,
    pub(in crate::call) to: String,
    /// The last playback to one of the two while the other one held him.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::call) music: Option<String>,
}

/// Whether the app lets somebody be transferred to a number.
pub type Reaches = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How two talk.
#[derive(Clone, Default)]
pub struct Talk {
    /// What one hears, over and over, while the other one holds him. Nothing leaves it to the node, which plays its own music
    /// on hold if it has any.
    pub music_on_hold: Vec<String>,
    /// To which numbers either may transfer the other. Nothing is to none.
    pub transfers_to: Option<Reaches>,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").field("music_on_hold", &self.music_on_hold).finish_non_exhaustive()
    }
}

impl Talk {
    pub(super) fn reaches(&self, number: &str) -> bool {
        self.transfers_to.as_ref().is_some_and(|reaches| reaches(number))
    }
}

/// How two who talked came apart, while the caller is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parted {
    /// The called one hung up.
    Called,
    /// The called one transferred the caller: he is to go on with this number of his tenant.
    Transferred {
        /// The number. It was checked by [`Talk::transfers_to`].
        to: Arc<str>,
    },
    /// The called one joined the caller with another one: [`Call::join_transfer`] lets them talk.
    Joined {
        /// Where they meet.
        room: Arc<str>,
    },
}

impl Parted {
    pub(super) fn to(&self) -> &str {
        match self {
            Self::Called => "",
            Self::Transferred { to } => to,
            Self::Joined { room } => room,
        }
    }
}

/// A leg that a caller talks with, as other calls' transfers find it.
#[derive(Debug)]
pub(in crate::call) struct Talking {
    pub(in crate::call) leg: Arc<Outgoing>,
    pub(in crate::call) to: Arc<str>,
    pub(in crate::call) bridge: String,
    /// What is played to one of the two while the other one holds him.
    pub(in crate::call) music: Mutex<Option<(Party, Arc<PlaybackCore>)>>,
}

impl Call {
    /// Answers the caller if he is not answered, lets him and the leg talk, and waits until they no longer do. Dropping the
    /// wait hangs up the leg.
    pub async fn connect(&self, leg: DialledLeg, talk: &Talk) -> Result<Parted, CallError> {
        self.step(connect(&self.core, leg, talk)).await
    }

    /// Takes up the talk that a call was in before kamari was away, and waits for its end, which may have come meanwhile;
    /// nothing if there was none. Two who were not in their bridge, since one held the other, are joined again.
    pub async fn resume_connected(&mut self, talk: &Talk) -> Result<Option<Parted>, CallError> {
        if let Some(room) = self.saved.as_ref().and_then(|saved| saved.ties.joined.clone()) {
            return Ok(Some(Parted::Joined { room }));
        }
        let Some((leg, pair)) = self.found.take() else { return Ok(None) };
        let core = Arc::clone(&self.core);
        if !self.step(core.bridge_holds(&pair.bridge, &[&pair.leg])).await? {
            // He had answered: that he is gone means that he has hung up, and is not to be called once more.
            if !self.step(core.has_channel(&pair.leg)).await? {
                core.drop_bridge(&pair.bridge).await;
                return Ok(Some(Parted::Called));
            }
            self.step(join_again(&core, &pair)).await?;
        }
        let talking = core.talks(&leg, pair.bridge);
        self.step(until_parted(&core, leg, &talking, talk)).await.map(Some)
    }

    /// Lets the caller talk with the one whom an attended transfer joined him with, on whichever node that one is, until
    /// either hangs up: always ends with `HungUp`.
    pub async fn join_transfer(&self, room: &Arc<str>) -> Result<(), CallError> {
        let tenant = self.tenant().ok_or(CallError::Misuse("a call without a tenant is not transferred"))?;
        self.step(self.core.save_ties(|ties| ties.joined = Some(Arc::clone(room)))).await?;
        let objects = self.saved.as_ref().map(|saved| saved.room.clone()).unwrap_or_default();
        self.step(transfer::enter_room(&self.core, &tenant, room, objects)).await
    }
}

/// Joins two whom an earlier kamari had joined, or was about to.
async fn join_again(core: &Arc<Core>, pair: &Pair) -> Result<(), CallError> {
    if let Some(music) = &pair.music {
        hold::stop_found(core, music).await;
    }
    core.answer().await?;
    core.create_bridge(&pair.bridge, "dial").await?;
    core.join_leg(&pair.bridge, &pair.leg).await
}

async fn connect(core: &Arc<Core>, mut leg: DialledLeg, talk: &Talk) -> Result<Parted, CallError> {
    let early = leg.bridge.take();
    let bridge = early.clone().unwrap_or_else(|| core.own_bridge());
    let pair = Pair { bridge: bridge.clone(), leg: leg.id().to_owned(), to: leg.to().to_owned(), music: None };
    core.save_ties(|ties| ties.pair = Some(pair)).await?;
    let talking = core.talks(&leg, bridge.clone());
    core.answer().await?;
    if early.is_none() {
        core.create_bridge(&bridge, "dial").await?;
    }
    // Also when early media joined them: one of them may have been refused then.
    if early.is_none() || !core.bridge_holds(&bridge, &[leg.id()]).await? {
        core.join_leg(&bridge, leg.id()).await?;
    }
    match core.set_variable(TRANSFERS, TRANSFERS_ARE_OURS.to_owned()).await {
        Err(CallError::HungUp(end)) => return Err(CallError::HungUp(end)),
        // An Asterisk that is too old carries transfers out by itself.
        Err(error) => tracing::debug!(node = %core.site.name, call = %core.id, %error, "transfers are the node's"),
        Ok(()) => {}
    }
    core.step(Step::Connected { to: leg.to().to_owned() });
    until_parted(core, leg, &talking, talk).await
}

/// Lets them talk until the leg is gone, or one of them is transferred. The caller's hang-up ends the wait from outside.
async fn until_parted(
    core: &Arc<Core>,
    leg: DialledLeg,
    talking: &Arc<Talking>,
    talk: &Talk,
) -> Result<Parted, CallError> {
    let mut hold = Hold::new(core, talking, talk);
    let parted = loop {
        // A wish counts before the hang-up that follows it.
        let (by, refer) = tokio::select! {
            biased;
            room = core.line.is_to_join() => break Parted::Joined { room },
            refer = leg.out.line.wants_transfer() => (Party::Leg, refer),
            refer = core.line.wants_transfer() => (Party::Caller, refer),
            () = leg.hung_up() => break Parted::Called,
            () = hold.changes() => {
                hold.follow().await?;
                continue;
            }
        };
        if let Some(parted) = transfer::carry_out(core, talking, talk, by, refer).await? {
            break parted;
        }
    };
    hold.end().await;
    drop(leg);
    core.drop_bridge(&talking.bridge).await;
    let joined = match &parted {
        Parted::Joined { room } => Some(Arc::clone(room)),
        _ => None,
    };
    core.save_ties(|ties| (ties.pair, ties.joined) = (None, joined)).await?;
    Ok(parted)
}

impl Core {
    /// The caller talks with this leg from now on, in this bridge.
    fn talks(&self, leg: &DialledLeg, bridge: String) -> Arc<Talking> {
        let talking =
            Arc::new(Talking { leg: Arc::clone(&leg.out), to: leg.to().into(), bridge, music: Mutex::default() });
        *lock(&self.talking) = Some(Arc::clone(&talking));
        talking
    }

    /// The leg that the caller talks with, if he does.
    pub(super) fn talks_with(&self) -> Option<Arc<Talking>> {
        let talking = lock(&self.talking).clone();
        talking.filter(|talking| talking.leg.progress().gone.is_none())
    }

    /// Puts the caller and a leg into a bridge. That the leg is gone is no error: whoever watches it finds that.
    pub(in crate::call) async fn join_leg(&self, bridge: &str, leg: &str) -> Result<(), CallError> {
        let add = entry(vec![self.channel.as_ref().to_owned(), leg.to_owned()]);
        let (bridge, leg) = (bridge.to_owned(), leg.to_owned());
        let joined = self.command(|ari| async move {
            match ari.bridges().add_channel(&bridge, &add).await {
                // Which of the three is gone, the answer does not say.
                Err(error) if error.is_gone() || error.is_not_in_stasis() => {
                    let leg = ari.channels().get(&leg).await;
                    Ok(leg.is_err_and(|error| error.is_gone()))
                }
                other => other.map(|()| true),
            }
        });
        if joined.await? {
            return Ok(());
        }
        self.still_there().await?;
        Err(CallError::Misuse("the bridge of two who talk is gone"))
    }

    /// Removes a bridge of this call's own before the call's end.
    pub(in crate::call) async fn drop_bridge(self: &Arc<Self>, id: &str) {
        let core = Arc::clone(self);
        let bridge = id.to_owned();
        // In a task that the clean-up waits for, so that the bridge goes also when this wait is dropped.
        let removed = self.spawn(async move {
            if core.end().is_none_or(|end| end.allows_commands()) && core.site.link().commands_allowed() {
                remove_bridge(&core.site, &bridge).await;
            }
            core.site.forget(&bridge);
            core.owned().bridges.retain(|one| *one != bridge);
        });
        if let Err(error) = removed.await {
            tracing::error!(node = %self.site.name, call = %self.id, %error, "the removal of a bridge failed");
        }
    }
}
