//! A room as others see it.

use std::sync::Arc;

use super::actor::Actor;
use super::member::Role;
use crate::pool::NodeName;

/// A room. Legs between nodes are not members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// Its name within the tenant.
    pub name: Arc<str>,
    /// The node where the others' legs meet; nothing while nobody is in.
    pub home: Option<NodeName>,
    /// Every node with members, the home first.
    pub nodes: Vec<NodeName>,
    /// Whether nobody but moderators is let in.
    pub locked: bool,
    /// Whether it is recorded.
    pub recorded: bool,
    /// Who is in, in the order of joining.
    pub members: Vec<MemberView>,
    /// How many wait for a moderator before they are let in.
    pub waiting: usize,
}

/// A caller in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// kamari's id of the call.
    pub call: Arc<str>,
    /// Number of the caller as the node saw it.
    pub caller: Arc<str>,
    /// The node that the call is on.
    pub node: NodeName,
    /// What he is.
    pub role: Role,
    /// Whether the others do not hear him.
    pub muted: bool,
    /// When he joined, in milliseconds of Unix time.
    pub joined_ms: u64,
}

impl Actor {
    /// The room as it is now.
    pub(super) fn view(&self) -> RoomView {
        let mut members: Vec<_> = self.branches.iter().flat_map(|branch| &branch.members).collect();
        members.sort_by_key(|member| member.number);
        RoomView {
            tenant: Arc::clone(&self.key.tenant),
            name: Arc::clone(&self.key.name),
            home: self.branches.first().map(|home| home.site.name.clone()),
            nodes: self.branches.iter().map(|branch| branch.site.name.clone()).collect(),
            locked: self.locked,
            recorded: self.recorded,
            members: members
                .into_iter()
                .map(|member| MemberView {
                    call: Arc::clone(&member.id),
                    caller: Arc::clone(&member.caller),
                    node: member.site.name.clone(),
                    role: member.role,
                    muted: member.muted(),
                    joined_ms: member.joined_ms,
                })
                .collect(),
            waiting: self.waiting.len(),
        }
    }
}
