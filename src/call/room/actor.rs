//! The task that owns one room.
//!
//! On every node with members the room has one *branch*: a mixing bridge. The bridge's id is written to each member's
//! channel before he is put into it, so that after a restart of kamari the members are found in their bridge and stay there.
//!
//! The first branch is the room's *home*; a relay joins every other one with it. What the room plays is played at home, and
//! reaches the others by the relays. When the home branch is gone, the next branch is home.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::super::bridges::Entered;
use super::super::cause::Cause;
use super::super::core::Core;
use super::super::error::CallError;
use super::super::handler::remove_bridge;
use super::super::ids::Kind;
use super::super::runtime::Shared;
use super::super::site::Site;
use super::super::view::{End, Step, unix_ms};
use super::branch::Branch;
use super::member::{Joined, Member, Role, SavedSeat, Seat};
use super::relay::Relay;
use super::taped::Taped;
use super::view::RoomView;
use super::waiting::{Waiting, heard_all};
use super::{Command, RoomKey, RoomSettings};

/// How often the waiting music's list is put into one playback: long enough that music goes on while kamari is restarted.
pub(super) const MUSIC_REPEATS: usize = 8;

/// How long one of a pair waits for the other: both were told at the same moment, or found after a restart of kamari.
const PAIR_WAIT: Duration = Duration::from_secs(10);

/// One room.
pub(super) struct Actor {
    pub(super) shared: Arc<Shared>,
    pub(super) key: RoomKey,
    pub(super) settings: RoomSettings,
    room: mpsc::WeakSender<Command>,
    commands: mpsc::Receiver<Command>,
    pub(super) branches: Vec<Branch>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) locked: bool,
    pub(super) joined: u64,
    pub(super) recorded: bool,
    pub(super) taped: Option<Taped>,
    /// How many tapes the recording has had.
    pub(super) parts: u32,
    /// When it has been recorded for long enough.
    pub(super) record_until: Option<Instant>,
    shown: watch::Sender<RoomView>,
    /// When one of a pair has waited for the other long enough.
    pair_deadline: Option<Instant>,
}

impl Actor {
    pub(super) fn new(
        shared: Arc<Shared>,
        key: RoomKey,
        settings: RoomSettings,
        room: mpsc::WeakSender<Command>,
        commands: mpsc::Receiver<Command>,
    ) -> (Self, watch::Receiver<RoomView>) {
        let empty = RoomView {
            tenant: Arc::clone(&key.tenant),
            name: Arc::clone(&key.name),
            home: None,
            nodes: Vec::new(),
            locked: false,
            recorded: false,
            members: Vec::new(),
            waiting: 0,
        };
        let (shown, view) = watch::channel(empty);
        let (branches, waiting) = (Vec::new(), Vec::new());
        let actor = Self {
            shared,
            key,
            settings,
            room,
            commands,
            branches,
            waiting,
            locked: false,
            joined: 0,
            recorded: false,
            taped: None,
            parts: 0,
            record_until: None,
            shown,
            pair_deadline: None,
        };
        (actor, view)
    }

    /// Serves the room until it is empty.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                () = at(self.pair_deadline) => self.part(),
                () = at(self.record_until) => {
                    // To end it cannot be refused.
                    let _ = self.record(false).await;
                }
                played = music_over(&self.branches) => {
                    for branch in &mut self.branches {
                        branch.forget_music();
                    }
                    // Music that cannot be played is not tried again and again.
                    if played {
                        self.mood().await;
                    }
                }
                () = heard_all(&self.waiting) => self.go_on_waiting().await,
            }
            self.see_to_tape().await;
            self.shown.send_replace(self.view());
            if self.branches.is_empty() && self.waiting.is_empty() {
                break;
            }
        }
        // Whoever was about to join finds the queue closed, and opens another room.
        self.shared.rooms.close(&self.key, &self.room);
        self.commands.close();
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Join { core, seat, objects, done } => {
                let was_in = objects.iter().any(|id| Kind::of(id) == Some(Kind::Bridge));
                if !was_in && self.must_wait(seat.role) {
                    return self.wait(core, &objects, done).await;
                }
                let joined = if was_in { None } else { self.refusal(seat.role) };
                let joined = match joined {
                    Some(refused) => Ok(refused),
                    None => self.join(&core, &objects, seat).await,
                };
                // Whoever waited may have gone; the call's clean-up leaves.
                let _ = done.send(joined);
                if self.has_moderator() {
                    self.begin().await;
                }
                self.close_empty(None).await;
                self.connect(None).await;
            }
            Command::Leave { call, done } => {
                self.waiting.retain(|waiting| waiting.core.id != call);
                let led = self.has_moderator();
                self.leave(&call).await;
                if led && self.settings.ends_with_moderator && !self.has_moderator() {
                    self.end().await;
                }
                let _ = done.send(());
            }
            Command::Order { order, done } => {
                let obeyed = self.order(order).await;
                let _ = done.send(obeyed);
            }
            Command::View { done } => {
                let _ = done.send(self.view());
            }
        }
    }

    /// How many callers are in the room.
    fn size(&self) -> usize {
        self.branches.iter().map(|branch| branch.members.len()).sum()
    }

    /// Why a caller who was not in is not let in.
    fn refusal(&self, role: Role) -> Option<Joined> {
        if self.locked && role != Role::Moderator {
            return Some(Joined::Locked);
        }
        self.settings.max_members.is_some_and(|most| self.size() >= most).then_some(Joined::Full)
    }

    pub(super) async fn join(
        &mut self,
        core: &Arc<Core>,
        objects: &[String],
        seat: SavedSeat,
    ) -> Result<Joined, CallError> {
        let was_in = objects.iter().find(|id| Kind::of(id) == Some(Kind::Bridge));
        let at = self.branch_for(core, was_in).await?;
        for id in objects.iter().filter(|id| Kind::of(id) == Some(Kind::Playback)) {
            self.branches[at].take_up_music(id).await;
        }
        if self.size() > 0 {
            for branch in &mut self.branches {
                branch.stop_music().await;
            }
        }
        let stays =
            was_in == Some(&self.branches[at].bridge) && core.bridge_holds(&self.branches[at].bridge, &[]).await?;
        self.locked |= seat.locked;
        self.parts = self.parts.max(seat.parts);
        if !stays {
            self.enter(core, at, seat).await?;
            if let Some(old) = was_in.filter(|old| **old != self.branches[at].bridge) {
                remove_bridge(&core.site, old).await;
            }
        }
        self.joined += 1;
        let member = Member::new(core, seat.role, seat.muted, self.joined, unix_ms(SystemTime::now()));
        let state = member.state.subscribe();
        self.branches[at].members.push(member);
        self.pair_deadline = (self.settings.pair && self.size() < 2).then(|| Instant::now() + PAIR_WAIT);
        core.step(Step::Joined { bridge: self.key.to_string() });
        if self.size() > 1 && objects.is_empty() {
            self.branches[0].sound(core, &self.settings.join).await;
        }
        self.begin_recording(objects).await;
        self.mood().await;
        match self.room.upgrade() {
            Some(room) => Ok(Joined::In(Seat { key: self.key.clone(), room, state })),
            // The call that asked holds a sender: this is not to be.
            None => Err(CallError::Misuse("the room is closed")),
        }
    }

    /// The branch on the caller's node, opened if it is not there: with the bridge that he is in already, if it still exists.
    async fn branch_for(&mut self, core: &Arc<Core>, was_in: Option<&String>) -> Result<usize, CallError> {
        if let Some(at) = self.branches.iter().position(|branch| Arc::ptr_eq(&branch.site, &core.site)) {
            return Ok(at);
        }
        let branch = match was_in {
            Some(bridge) if core.bridge_exists(bridge).await? => Branch::found(&core.site, bridge.clone()),
            _ => self.new_branch(core).await?,
        };
        self.branches.push(branch);
        Ok(self.branches.len() - 1)
    }

    async fn new_branch(&self, core: &Core) -> Result<Branch, CallError> {
        let branch = Branch::new(&core.site, self.shared.ids.next(Kind::Bridge));
        let created = async {
            core.save_seat(&[&branch.bridge], core.seat()).await?;
            branch.create(core, &self.key.to_string()).await
        };
        match created.await {
            Ok(()) => Ok(branch),
            Err(error) => {
                branch.close().await;
                Err(error)
            }
        }
    }

    /// Puts a caller into a branch's bridge. If somebody removed the bridge, another takes its place for all who are there.
    async fn enter(&mut self, core: &Arc<Core>, at: usize, seat: SavedSeat) -> Result<(), CallError> {
        core.save_seat(&[&self.branches[at].bridge], SavedSeat { locked: self.locked, parts: self.parts, ..seat })
            .await?;
        if core.enter_bridge(&self.branches[at].bridge, &[]).await? == Entered::Yes {
            return Ok(());
        }
        let mut branch = self.new_branch(core).await?;
        std::mem::swap(&mut branch, &mut self.branches[at]);
        let members = std::mem::take(&mut branch.members);
        branch.close().await;
        for member in members {
            let moved = async {
                member.save_seat(&[&self.branches[at].bridge], member.core().seat()).await?;
                member.enter_bridge(&self.branches[at].bridge, &[]).await
            };
            // A member who cannot be moved is one who is leaving.
            if let Err(error) = moved.await {
                tracing::debug!(node = %member.site.name, call = %member.id, %error, "a member was not moved");
            }
            self.branches[at].members.push(member);
        }
        match core.enter_bridge(&self.branches[at].bridge, &[]).await? {
            Entered::Yes => Ok(()),
            Entered::NoBridge => Err(CallError::Misuse("the room's bridge was removed twice")),
        }
    }

    pub(super) async fn leave(&mut self, call: &Arc<str>) {
        let found = self.branches.iter().enumerate().find_map(|(at, branch)| {
            branch.members.iter().position(|member| member.id == *call).map(|index| (at, index))
        });
        let Some((at, index)) = found else { return };
        let member = self.branches[at].members.remove(index);
        member.step(Step::Left { bridge: self.key.to_string() });
        if member.end().is_none()
            && let Err(error) = member.leave_bridge(&self.branches[at].bridge).await
        {
            tracing::debug!(node = %member.site.name, call = %member.id, %error, "a member was not removed");
        }
        let lost = member.end().is_some_and(|end| !end.allows_commands()).then(|| Arc::clone(&member.site));
        self.close_empty(lost.as_ref()).await;
        self.connect(lost.as_ref()).await;
        if let Some(home) = self.branches.first_mut().filter(|home| home.alive()) {
            home.sound(&member, &self.settings.leave).await;
        }
        self.mood().await;
        if self.settings.pair {
            self.part();
        }
    }

    /// The other of a pair has left, or did not come: the call of whoever is here is over.
    fn part(&mut self) {
        self.pair_deadline = None;
        for member in self.branches.iter().flat_map(|branch| &branch.members) {
            member.end_with(End::App { cause: Cause::NORMAL });
        }
    }

    /// Removes branches that nobody is in; one at `lost` without a word to its node.
    async fn close_empty(&mut self, lost: Option<&Arc<Site>>) {
        for branch in std::mem::take(&mut self.branches) {
            if !branch.members.is_empty() {
                self.branches.push(branch);
            } else if lost.is_some_and(|lost| Arc::ptr_eq(lost, &branch.site)) {
                branch.forget();
            } else {
                branch.close().await;
            }
        }
    }

    /// Writes to a member's channel what another kamari must know of him and of the room.
    pub(super) async fn remember(&self, member: &Member, bridge: &str, music: Option<&str>) {
        let seat = SavedSeat { role: member.role, muted: member.muted(), locked: self.locked, parts: self.parts };
        let objects: Vec<&str> = std::iter::once(bridge).chain(music).collect();
        if let Err(error) = member.save_seat(&objects, seat).await {
            tracing::debug!(node = %member.site.name, call = %member.id, %error, "a member's seat was not saved");
        }
    }

    /// Makes the least stressed node home when the room begins to span nodes: home mixes all and has a leg to every other
    /// node, the others have one. While relays are up home stays where it is: to move it would cut what all hear.
    fn choose_home(&mut self) {
        if self.branches.len() < 2 || self.branches.iter().any(|branch| branch.relay.is_some()) {
            return;
        }
        let stress = |branch: &Branch| if branch.alive() { branch.site.link().stress() } else { f64::INFINITY };
        let least =
            (0..self.branches.len()).min_by(|a, b| stress(&self.branches[*a]).total_cmp(&stress(&self.branches[*b])));
        if let Some(least) = least {
            self.branches[..=least].rotate_right(1);
        }
    }

    /// Joins every branch with the home branch; ends relays that join what is no more, those to `lost` without waiting.
    async fn connect(&mut self, lost: Option<&Arc<Site>>) {
        self.choose_home();
        if self.branches.len() > 1 {
            for branch in &mut self.branches {
                branch.enter_anew().await;
            }
        }
        let Some(home) = self.branches.first().map(Branch::side) else { return };
        for (at, branch) in self.branches.iter_mut().enumerate() {
            let away = branch.side();
            let right = |relay: &mut Relay| at == 0 || !relay.joins(&home, &away);
            if let Some(relay) = branch.relay.take_if(right) {
                match lost {
                    Some(lost) => relay.give_way(lost).await,
                    None => relay.stop().await,
                }
            }
            if at > 0 && branch.relay.is_none() && branch.alive() {
                branch.relay = Some(Relay::start(&self.shared, home.clone(), away));
            }
        }
    }

    /// Plays to one who is alone; not to several.
    async fn mood(&mut self) {
        if self.size() != 1 || self.settings.alone.is_empty() {
            return;
        }
        let Some(branch) = self.branches.iter_mut().find(|branch| !branch.members.is_empty()) else { return };
        if !branch.alive() || branch.music.as_ref().is_some_and(|music| !music.is_over()) {
            return;
        }
        let id = self.shared.ids.next(Kind::Playback);
        let member = Arc::clone(branch.members[0].core());
        // Saved first: another kamari must be able to stop it.
        if member.save_seat(&[&branch.bridge, &id], member.seat()).await.is_ok() {
            let media: Vec<String> =
                std::iter::repeat_n(&self.settings.alone, MUSIC_REPEATS).flatten().cloned().collect();
            branch.start_music(id, &media).await;
        }
    }
}

/// Completes at this time; never if there is none.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// Completes when the waiting music has come to its end, and says whether it was played; never while there is none.
async fn music_over(branches: &[Branch]) -> bool {
    match branches.iter().find_map(|branch| branch.music.as_ref()) {
        Some(music) => music.over().await,
        None => pending().await,
    }
}
