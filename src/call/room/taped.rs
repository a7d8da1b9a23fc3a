//! Which bridge of a room is to be recorded, by whom, and until when.
//!
//! The room says so and announces it to its members; whoever asked the runtime for the rooms' tapes records. What is recorded is
//! the home bridge, which has the mix of all nodes: each time the home is another, another tape begins.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::ids::Kind;
use super::super::runtime::Runtime;
use super::RoomKey;
use super::actor::Actor;
use super::orders::OrderError;
use super::relay::Side;
use crate::pool::NodeName;

/// A bridge to be recorded.
#[derive(Debug)]
pub struct RoomTape {
    /// An id of its own: what the names of the recordings on the node begin with.
    pub tape: String,
    /// Which room's it is.
    pub room: RoomKey,
    /// The node.
    pub node: NodeName,
    /// The bridge there.
    pub bridge: String,
    /// 1 for the room's first tape, one more each time that its home moved or kamari was restarted.
    pub part: u32,
    /// Cancelled when it is to end.
    pub over: CancellationToken,
}

/// The way from the rooms to whoever records: rooms that are found after a restart may be faster than he is.
#[derive(Debug)]
pub(in crate::call) struct Tapes {
    sender: mpsc::UnboundedSender<RoomTape>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<RoomTape>>>,
}

impl Default for Tapes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Tapes {
    fn receiver(&self) -> Option<mpsc::UnboundedReceiver<RoomTape>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn nobody_records(&self) -> bool {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The tape that runs.
#[derive(Debug)]
pub(super) struct Taped {
    home: Side,
    _ends_when_dropped: DropGuard,
}

impl Runtime {
    /// Every bridge that is to be recorded. Before somebody asks for this, once, rooms refuse to be recorded.
    pub fn room_tapes(&self) -> Option<mpsc::UnboundedReceiver<RoomTape>> {
        self.shared.tapes.receiver()
    }
}

impl Actor {
    /// Begins or ends to record, and lets the members hear it.
    pub(super) async fn record(&mut self, on: bool) -> Result<(), OrderError> {
        if on && self.shared.tapes.nobody_records() {
            return Err(OrderError::NothingRecords);
        }
        if std::mem::replace(&mut self.recorded, on) == on {
            return Ok(());
        }
        let longest = self.settings.longest_recording;
        self.record_until = longest.filter(|_| on).map(|longest| Instant::now() + longest);
        if !on {
            (self.taped, self.parts) = (None, 0);
            self.remember_all().await;
        }
        self.announce_recording().await;
        Ok(())
    }

    /// Somebody joined: the room is recorded from its first member on if it is to be, and goes on to be recorded after a restart of
    /// kamari. Whoever comes to a room that is recorded hears so, and all do when it goes on: that it had ended, and they were told
    /// so, may have been lost with the kamari before.
    pub(super) async fn begin_recording(&mut self, objects: &[String]) {
        let found = !objects.is_empty();
        if self.recorded {
            if found {
                return;
            }
        } else if self.parts > 0 || (!found && self.settings.recorded && self.joined == 1) {
            self.recorded = true;
            self.record_until = self.settings.longest_recording.map(|longest| Instant::now() + longest);
        } else {
            return;
        }
        self.announce_recording().await;
    }

    /// Lets all hear whether they are recorded.
    pub(super) async fn announce_recording(&mut self) {
        let sound = if self.recorded { &self.settings.recording_started } else { &self.settings.recording_stopped };
        if let Some(home) = self.branches.first_mut().filter(|home| home.alive()) {
            home.announce(self.shared.ids.next(Kind::Playback), sound).await;
        }
    }

    /// Has the home bridge recorded, if the room is, and no other.
    pub(super) async fn see_to_tape(&mut self) {
        let home = self.branches.first().filter(|home| self.recorded && home.alive()).map(super::branch::Branch::side);
        let Some(home) = home else {
            self.taped = None;
            return;
        };
        if self.taped.as_ref().is_some_and(|taped| taped.home.same(&home)) {
            return;
        }
        // The one before ends when it is dropped, so that nothing is lost between them.
        let before = self.taped.take();
        self.parts += 1;
        self.remember_all().await;
        let over = CancellationToken::new();
        let tape = RoomTape {
            tape: self.shared.ids.next(Kind::Recording),
            room: self.key.clone(),
            node: home.site.name.clone(),
            bridge: home.bridge.clone(),
            part: self.parts,
            over: over.clone(),
        };
        // Without anybody who records, kamari is stopping.
        let _ = self.shared.tapes.sender.send(tape);
        self.taped = Some(Taped { home, _ends_when_dropped: over.drop_guard() });
        drop(before);
    }
}

impl RoomKey {
    /// Whose room it is.
    pub fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }

    /// Its name within the tenant.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}
