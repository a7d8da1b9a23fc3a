//! Rooms: callers who hear each other.
//!
//! A room is known by its tenant and its name, and spans nodes: who joins it hears all others, whichever node each is on. It comes to be when the first caller joins and goes when the last one has
//! left. One task owns it ([`actor`]), so that joining and leaving are in order however they cross; callers reach it
//! through this register.

mod actor;
mod branch;
mod member;
mod orders;
mod relay;
mod taped;
mod view;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use super::core::Core;
use super::error::CallError;
use super::runtime::Shared;
use actor::Actor;
pub(super) use member::SavedSeat;
pub use member::{Joined, Out, Role, Seat};
pub use orders::{OrderError, RoomOrder, Who};
pub(super) use relay::{Expected, TOKEN_PREFIX};
pub use taped::RoomTape;
pub(super) use taped::Tapes;
pub use view::{MemberView, RoomView};

/// Commands that may wait for a room's task; whoever sends a further one waits.
const QUEUE: usize = 64;

/// Which room: rooms of two tenants never meet, even if they bear one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoomKey {
    tenant: Arc<str>,
    name: Arc<str>,
}

impl RoomKey {
    /// The room `name` of `tenant`.
    pub fn new(tenant: &Arc<str>, name: &Arc<str>) -> Self {
        Self { tenant: Arc::clone(tenant), name: Arc::clone(name) }
    }
}

impl std::fmt::Display for RoomKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// How a room is run, and what it plays by itself; each of these is a list of media, empty for nothing. Whoever opens a
/// room decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "switches of an extension, each by itself")]
pub struct RoomSettings {
    /// To all when a further caller joins.
    pub join: Vec<String>,
    /// To those who remain when a caller leaves.
    pub leave: Vec<String>,
    /// Over and over, to a caller who is alone, and to those who wait for a moderator.
    pub alone: Vec<String>,
    /// To all when the room begins to be recorded, and when somebody joins while it is.
    pub recording_started: Vec<String>,
    /// To all when it is no longer recorded.
    pub recording_stopped: Vec<String>,
    /// It is recorded from the first caller on.
    pub recorded: bool,
    /// Longest recording; nothing for no limit.
    pub longest_recording: Option<Duration>,
    /// It is for two: when one has left, the other is hung up.
    pub pair: bool,
    /// Most members; nothing for no limit.
    pub max_members: Option<usize>,
    /// Whether members wait, each by himself, until a moderator is in.
    pub wait_for_moderator: bool,
    /// Whether all are sent out when the last moderator has left.
    pub ends_with_moderator: bool,
}

/// What a room's task is asked to do.
enum Command {
    /// Let a caller in. `objects` are the ids that the caller's saved state names, if kamari was away meanwhile.
    Join { core: Arc<Core>, seat: SavedSeat, objects: Vec<String>, done: oneshot::Sender<Result<Joined, CallError>> },
    /// A caller leaves, or has gone.
    Leave { call: Arc<str>, done: oneshot::Sender<()> },
    /// Do what it is told.
    Order { order: RoomOrder, done: oneshot::Sender<Result<(), OrderError>> },
    /// Say how it is.
    View { done: oneshot::Sender<RoomView> },
}

/// A caller's place in a room.
#[derive(Debug)]
pub(super) struct Membership {
    room: mpsc::Sender<Command>,
    call: Arc<str>,
}

impl Membership {
    /// Leaves; complete when what had to be done on nodes is done. That the room is gone is fine.
    pub(super) async fn leave(self) {
        let (done, left) = oneshot::channel();
        if self.room.send(Command::Leave { call: self.call, done }).await.is_ok() {
            let _ = left.await;
        }
    }
}

/// All rooms.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: DashMap<RoomKey, Room>,
}

/// A room's entry in the register.
#[derive(Debug)]
struct Room {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<RoomView>,
}

impl Rooms {
    /// Lets a call into a room, which is opened if it is not there.
    pub(super) async fn join(
        &self,
        core: &Arc<Core>,
        key: &RoomKey,
        settings: &RoomSettings,
        seat: SavedSeat,
        objects: Vec<String>,
    ) -> Result<Joined, CallError> {
        loop {
            let room = self.open(&core.shared, key, settings);
            // Noted first: should this wait be dropped, the call still leaves what it may have joined.
            core.owned().memberships.push(Membership { room: room.clone(), call: Arc::clone(&core.id) });
            let (done, joined) = oneshot::channel();
            let join = Command::Join { core: Arc::clone(core), seat, objects: objects.clone(), done };
            if room.send(join).await.is_ok()
                && let Ok(result) = joined.await
            {
                if matches!(result, Ok(Joined::Locked | Joined::Full)) {
                    core.owned().memberships.retain(|membership| !membership.room.same_channel(&room));
                }
                return result;
            }
            // The room closed while the command was on its way: the next one is another room.
            core.owned().memberships.retain(|membership| !membership.room.same_channel(&room));
        }
    }

    fn open(&self, shared: &Arc<Shared>, key: &RoomKey, settings: &RoomSettings) -> mpsc::Sender<Command> {
        match self.rooms.entry(key.clone()) {
            Entry::Occupied(entry) if !entry.get().commands.is_closed() => entry.get().commands.clone(),
            entry => {
                let (room, commands) = mpsc::channel(QUEUE);
                let (actor, view) =
                    Actor::new(Arc::clone(shared), key.clone(), settings.clone(), room.downgrade(), commands);
                shared.spawn(actor.run().instrument(tracing::info_span!("room", room = %key)));
                entry.insert(Room { commands: room.clone(), view });
                room
            }
        }
    }

    /// Every room, in no order.
    pub(super) fn views(&self) -> Vec<RoomView> {
        self.rooms.iter().map(|room| room.view.borrow().clone()).collect()
    }

    /// One room; nothing if it is not there.
    pub(super) fn view(&self, key: &RoomKey) -> Option<RoomView> {
        self.rooms.get(key).map(|room| room.view.borrow().clone())
    }

    /// Has a room do something.
    pub(super) async fn order(&self, key: &RoomKey, order: RoomOrder) -> Result<(), OrderError> {
        let room = self.rooms.get(key).map(|room| room.commands.clone()).ok_or(OrderError::NoSuchRoom)?;
        member::send(&room, order).await
    }

    /// Forgets a room whose task is about to end.
    fn close(&self, key: &RoomKey, room: &mpsc::WeakSender<Command>) {
        let this = |_: &RoomKey, other: &Room| room.upgrade().is_none_or(|room| room.same_channel(&other.commands));
        self.rooms.remove_if(key, this);
    }
}
