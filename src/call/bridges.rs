//! Steps with bridges, and with the state that names them, as rooms and the app's handle both take them.

use std::sync::Arc;

use super::core::Core;
use super::error::CallError;
use super::room::SavedSeat;
use super::saved::{self, Saved, Ties};
use crate::ari::AriError;
use crate::ari::rest::bridges::{AddChannel, CreateBridge};

/// Mixing, and never by handing RTP through from one channel to the other: such a bridge of two lost one direction when a
/// relay leg took the place of another (seen on 22.10).
const BRIDGE_TYPE: &str = "mixing,proxy_media";

/// Whether a channel could be put into a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    /// It is in.
    Yes,
    /// There is no such bridge (any more).
    NoBridge,
}

impl Core {
    /// Creates a mixing bridge. One that is there already is taken up.
    pub(super) async fn create_bridge(&self, id: &str, name: &str) -> Result<(), CallError> {
        let (id, name) = (id.to_owned(), name.to_owned());
        let create = CreateBridge { kind: Some(BRIDGE_TYPE.to_owned()), name: Some(name), ..CreateBridge::default() };
        match self.request(|ari| async move { ari.bridges().create_with_id(&id, &create).await }).await {
            Err(CallError::Ari(AriError::Status { status: 409, .. })) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    pub(super) async fn bridge_exists(&self, id: &str) -> Result<bool, CallError> {
        self.bridge_channels(id).await.map(|channels| channels.is_some())
    }

    /// Whether a bridge holds the caller and all of these channels; false if there is no such bridge.
    pub(super) async fn bridge_holds(&self, id: &str, others: &[&str]) -> Result<bool, CallError> {
        let channels = self.bridge_channels(id).await?.unwrap_or_default();
        let holds = |channel: &str| channels.iter().any(|one| one == channel);
        Ok(holds(&self.channel) && others.iter().all(|other| holds(other)))
    }

    async fn bridge_channels(&self, id: &str) -> Result<Option<Vec<String>>, CallError> {
        let id = id.to_owned();
        match self.request(|ari| async move { ari.bridges().get(&id).await }).await {
            Ok(bridge) => Ok(Some(bridge.channels)),
            Err(CallError::Ari(error)) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts the caller and other channels into a bridge.
    pub(super) async fn enter_bridge(&self, id: &str, others: &[&str]) -> Result<Entered, CallError> {
        let mut channel = vec![self.channel.as_ref().to_owned()];
        channel.extend(others.iter().map(|&other| other.to_owned()));
        let (bridge, add) = (id.to_owned(), entry(channel));
        // The bridge may be what is gone, so the answer is not to be taken for the caller's hang-up unheard.
        let added = self
            .command(|ari| async move {
                match ari.bridges().add_channel(&bridge, &add).await {
                    Err(AriError::Status { status: 404, .. }) => Ok(Entered::NoBridge),
                    other => other.map(|()| Entered::Yes),
                }
            })
            .await?;
        if added == Entered::NoBridge {
            self.still_there().await?;
        }
        Ok(added)
    }

    /// Takes the caller out of a bridge; that he is not in it is fine.
    pub(super) async fn leave_bridge(&self, id: &str) -> Result<(), CallError> {
        let (bridge, channel) = (id.to_owned(), Arc::clone(&self.channel));
        self.command(|ari| async move {
            match ari.bridges().remove_channel(&bridge, &[&channel]).await {
                Err(AriError::Status { status: 400 | 404 | 409 | 422, .. }) => Ok(()),
                other => other,
            }
        })
        .await
    }

    /// Saves the app's own facts and the objects that it is about to create.
    pub(super) async fn save(&self, data: serde_json::Value, objects: &[&str]) -> Result<(), CallError> {
        let saved = {
            let mut state = self.state();
            state.data = data;
            state.objects = objects.iter().map(|&id| id.to_owned()).collect();
            self.to_save(&state)?
        };
        self.store(&saved).await
    }

    /// Saves the objects of the room that the call is in, and what it is there, beside what the app saved.
    pub(super) async fn save_seat(&self, objects: &[&str], seat: SavedSeat) -> Result<(), CallError> {
        let saved = {
            let mut state = self.state();
            state.room = objects.iter().map(|&id| id.to_owned()).collect();
            state.seat = Some(seat);
            self.to_save(&state)?
        };
        self.store(&saved).await
    }

    /// Saves what the call has to do with others, beside what the app saved.
    pub(super) async fn save_ties(&self, change: impl FnOnce(&mut Ties)) -> Result<(), CallError> {
        let saved = {
            let mut state = self.state();
            change(&mut state.ties);
            saved_as(self.app().unwrap_or_default(), &state).after(self.past())
        };
        self.store(&saved).await
    }

    /// What was saved last of what the call is in its room.
    pub(super) fn seat(&self) -> SavedSeat {
        self.state().seat.unwrap_or_default()
    }

    /// Ids of objects that this call claims by what is saved on its channel.
    pub(super) fn claims(&self) -> Vec<String> {
        let state = self.state();
        let pair = state.ties.pair.iter().flat_map(|pair| [&pair.bridge, &pair.leg]);
        [&state.objects, &state.room, &state.found].into_iter().flatten().chain(pair).cloned().collect()
    }

    /// Saves that the call is served for another number from now on, and nothing yet of its next app.
    pub(super) async fn save_hop(&self, extension: &str) -> Result<(), CallError> {
        let saved = {
            let mut state = self.state();
            let ties = Ties { onward: state.ties.onward.take(), ..Ties::default() };
            *state = State { extension: Some(extension.to_owned()), hops: state.hops + 1, ties, ..State::default() };
            self.to_save(&state)?
        };
        self.store(&saved).await
    }

    fn to_save(&self, state: &State) -> Result<Saved, CallError> {
        let app = self.app().ok_or(CallError::Misuse("a call is assigned to an app before its state is saved"))?;
        Ok(saved_as(app, state).after(self.past()))
    }

    async fn store(&self, saved: &Saved) -> Result<(), CallError> {
        let text = saved.encode().ok_or(CallError::StateTooLong)?;
        self.set_variable(saved::VARIABLE, text).await
    }

    pub(super) async fn set_variable(&self, name: &str, value: String) -> Result<(), CallError> {
        let (channel, name) = (Arc::clone(&self.channel), name.to_owned());
        self.command(|ari| async move { ari.channels().set_variable(&channel, &name, &value).await }).await
    }
}

fn saved_as(app: &str, state: &State) -> Saved {
    let mut saved = Saved::new(app, state.objects.clone(), state.room.clone(), state.data.clone());
    saved.ties.clone_from(&state.ties);
    saved.handed_on(state.extension.clone(), state.hops).seated(state.seat)
}

/// What puts channels into a bridge. Who is in it is not told to the phones: Asterisk would re-INVITE every one of them
/// whenever somebody comes.
pub(super) fn entry(channel: Vec<String>) -> AddChannel {
    AddChannel { channel, inhibit_connected_line_updates: Some(true), ..AddChannel::default() }
}

/// What was saved last, part by part.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) data: serde_json::Value,
    pub(super) objects: Vec<String>,
    pub(super) room: Vec<String>,
    pub(super) seat: Option<SavedSeat>,
    /// The number that the call was handed on to last.
    pub(super) extension: Option<String>,
    /// How often it was handed on.
    pub(super) hops: u32,
    /// What it has to do with others.
    pub(super) ties: Ties,
    /// What the state that was found on the channel claims.
    pub(super) found: Vec<String>,
}
