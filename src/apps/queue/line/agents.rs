//! An agent of a queue: whether he serves, and what he does.

use std::sync::Arc;

/// What an agent does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing, from this time on: one in the future is his time for himself.
    Free(u64),
    /// His phone rings for this caller.
    Rings(Arc<str>),
    /// He talks with this caller, since this time.
    Talks(Arc<str>, u64),
}

#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) logged_in: bool,
    pub(super) paused: bool,
    pub(super) work: Work,
}

impl Agent {
    pub(super) fn serves(&self) -> bool {
        self.logged_in && !self.paused
    }

    pub(super) fn free_from(&self) -> Option<u64> {
        match self.work {
            Work::Free(from) if self.serves() => Some(from),
            _ => None,
        }
    }
}

/// What an agent can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Serve from now on.
    Login,
    /// Serve no longer.
    Logout,
    /// Take a break.
    Pause,
    /// Come back from it.
    Unpause,
}

/// An agent as others see him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentView {
    /// His user name.
    pub name: Arc<str>,
    /// `logged_out`, `paused`, `free`, `wrap_up`, `ringing` or `talking`.
    pub state: &'static str,
}
