//! What a room can be told to do, by its members' keys or by the operator.

use std::sync::Arc;

use super::super::core::Core;
use super::super::error::CallError;
use super::actor::Actor;
use super::member::{Member, Out};

/// What a room is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomOrder {
    /// Let nobody in but moderators, or everybody again.
    Lock(bool),
    /// Keep members from being heard, or let them be heard again.
    Mute(Who, bool),
    /// Send members out.
    Kick(Who),
    /// Record the room, or no longer.
    Record(bool),
    /// Send everybody out.
    End,
}

/// Which members of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The one with this call.
    Call(Arc<str>),
    /// All but the one with this call.
    Others(Arc<str>),
    /// All.
    All,
    /// The one who came last, this call apart.
    Last(Arc<str>),
}

/// Why a room did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such room (any more).
    #[error("there is no such room")]
    NoSuchRoom,
    /// Nobody in the room is meant.
    #[error("no such member is in the room")]
    NoSuchMember,
    /// There is nobody who records.
    #[error("nothing is recorded: media.recordings names no folder")]
    NothingRecords,
    /// A node refused or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Actor {
    pub(super) async fn order(&mut self, order: RoomOrder) -> Result<(), OrderError> {
        match order {
            RoomOrder::Lock(on) => self.lock(on).await,
            RoomOrder::Mute(who, on) => {
                for at in self.meant(&who)? {
                    self.mute(at, on).await?;
                }
            }
            RoomOrder::Kick(who) => {
                for (_, core) in self.meant(&who)? {
                    self.send_out(&core, Out::Kicked).await;
                }
            }
            RoomOrder::Record(on) => self.record(on).await?,
            RoomOrder::End => self.end().await,
        }
        Ok(())
    }

    /// Sends everybody out.
    pub(super) async fn end(&mut self) {
        let all: Vec<_> =
            self.branches.iter().flat_map(|branch| &branch.members).map(|member| Arc::clone(member.core())).collect();
        for core in all {
            self.send_out(&core, Out::Over).await;
        }
    }

    /// The branches and calls of those who are meant.
    fn meant(&self, who: &Who) -> Result<Vec<(usize, Arc<Core>)>, OrderError> {
        let members = || {
            let of = |(at, branch): (usize, &'_ super::branch::Branch)| {
                branch.members.iter().map(|one| (at, one.number, Arc::clone(one.core()))).collect::<Vec<_>>()
            };
            self.branches.iter().enumerate().flat_map(of)
        };
        let chosen: Vec<_> = match who {
            Who::Call(call) => members().filter(|(.., core)| core.id == *call).collect(),
            Who::Others(call) => members().filter(|(.., core)| core.id != *call).collect(),
            Who::All => members().collect(),
            Who::Last(call) => members()
                .filter(|(.., core)| core.id != *call)
                .max_by_key(|(_, number, _)| *number)
                .into_iter()
                .collect(),
        };
        if chosen.is_empty() {
            return Err(OrderError::NoSuchMember);
        }
        Ok(chosen.into_iter().map(|(at, _, core)| (at, core)).collect())
    }

    fn member(&self, at: usize, call: &str) -> Option<&Member> {
        self.branches.get(at)?.members.iter().find(|member| *member.id == *call)
    }

    async fn lock(&mut self, on: bool) {
        if std::mem::replace(&mut self.locked, on) != on {
            self.remember_all().await;
        }
    }

    /// Whoever is in carries through a restart what must be known of the room.
    pub(super) async fn remember_all(&self) {
        for branch in &self.branches {
            for member in &branch.members {
                self.remember(member, &branch.bridge, None).await;
            }
        }
    }

    async fn mute(&self, (at, core): (usize, Arc<Core>), on: bool) -> Result<(), CallError> {
        let Some(member) = self.member(at, &core.id).filter(|member| member.muted() != on) else { return Ok(()) };
        core.mute(on).await?;
        member.state.send_modify(|state| state.muted = on);
        self.remember(member, &self.branches[at].bridge, None).await;
        Ok(())
    }

    /// A member leaves, and his app is told why.
    async fn send_out(&mut self, core: &Arc<Core>, why: Out) {
        let member = self.branches.iter().flat_map(|branch| &branch.members).find(|member| member.id == core.id);
        if let Some(member) = member {
            member.state.send_modify(|state| state.out = Some(why));
        }
        self.leave(&core.id).await;
    }
}

impl Core {
    /// Keeps what the caller says from being heard, or no longer.
    async fn mute(&self, on: bool) -> Result<(), CallError> {
        let channel = Arc::clone(&self.channel);
        self.command_while_playing(|ari| async move {
            if on { ari.channels().mute(&channel, "in").await } else { ari.channels().unmute(&channel, "in").await }
        })
        .await
    }
}
