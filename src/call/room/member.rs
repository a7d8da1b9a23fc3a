//! Who is in a room, and the app's hold on it.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::core::Core;
use super::orders::{OrderError, RoomOrder};
use super::view::RoomView;
use super::{Command, RoomKey};

/// What a caller is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of many.
    #[default]
    Member,
    /// He leads the room: it may wait for him and end with him, and a locked room lets him in.
    Moderator,
}

/// Why a caller is no longer in a room although his call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// Somebody sent him out.
    Kicked,
    /// The room was ended for all.
    Over,
}

/// What is kept on a member's channel, so that another kamari finds the room as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::call) struct SavedSeat {
    pub(in crate::call) role: Role,
    #[serde(default)]
    pub(in crate::call) muted: bool,
    /// Whether the room is locked.
    #[serde(default)]
    pub(in crate::call) locked: bool,
    /// How many tapes the room has had; 0 while it is not recorded.
    #[serde(default)]
    pub(in crate::call) parts: u32,
}

/// What an app may know of its caller's place without asking the room.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State {
    pub(super) muted: bool,
    pub(super) out: Option<Out>,
}

/// One caller in a room.
#[derive(Debug)]
pub(super) struct Member {
    core: Arc<Core>,
    pub(super) role: Role,
    /// Grows with each caller that joins: who came last has the highest.
    pub(super) number: u64,
    pub(super) joined_ms: u64,
    pub(super) state: watch::Sender<State>,
}

impl Member {
    pub(super) fn new(core: &Arc<Core>, role: Role, muted: bool, number: u64, joined_ms: u64) -> Self {
        let state = watch::Sender::new(State { muted, out: None });
        Self { core: Arc::clone(core), role, number, joined_ms, state }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn muted(&self) -> bool {
        self.state.borrow().muted
    }
}

impl Deref for Member {
    type Target = Arc<Core>;
    fn deref(&self) -> &Self::Target {
        &self.core
    }
}

/// What became of a wish to join a room.
#[derive(Debug)]
pub enum Joined {
    /// The caller is in.
    In(Seat),
    /// The room is locked, and he does not lead it.
    Locked,
    /// The room has as many members as it may have.
    Full,
}

/// A caller's place in a room, as his app sees it. Dropping it changes nothing.
#[derive(Debug)]
pub struct Seat {
    pub(super) key: RoomKey,
    pub(super) room: mpsc::Sender<Command>,
    pub(super) state: watch::Receiver<State>,
}

impl Seat {
    /// Whether the others do not hear the caller.
    pub fn muted(&self) -> bool {
        self.state.borrow().muted
    }

    /// Completes when the caller was sent out of the room, or the room was ended. Dropping the wait is safe.
    pub async fn out(&mut self) -> Out {
        match self.state.wait_for(|state| state.out.is_some()).await {
            Ok(state) => state.out.unwrap_or(Out::Over),
            // The room's task has ended.
            Err(_) => Out::Over,
        }
    }

    /// Which room it is.
    pub fn key(&self) -> &RoomKey {
        &self.key
    }

    /// Has the room do something; complete when it is done. Whether the caller may ask for it is the app's business.
    pub async fn order(&self, order: RoomOrder) -> Result<(), OrderError> {
        send(&self.room, order).await
    }

    /// The room as it is now; nothing if it is gone.
    pub async fn room(&self) -> Option<RoomView> {
        let (done, view) = oneshot::channel();
        self.room.send(Command::View { done }).await.ok()?;
        view.await.ok()
    }
}

pub(super) async fn send(room: &mpsc::Sender<Command>, order: RoomOrder) -> Result<(), OrderError> {
    let (done, result) = oneshot::channel();
    room.send(Command::Order { order, done }).await.map_err(|_| OrderError::NoSuchRoom)?;
    result.await.unwrap_or(Err(OrderError::NoSuchRoom))
}
