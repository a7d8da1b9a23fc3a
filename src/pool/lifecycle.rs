//! Whether a node can be used, as a plain state machine: observations in, changes out. No clock, no I/O.
//!
//! ```text
//!            enough good in a row
//!   joining ----------------------> up
//!    |  ^                           |  ^
//!    |  | first good            bad |  | enough good in a row
//!    |  |                           v  |
//!    |  down <------------------ suspect
//!    |   ^    enough bad in a row
//!    +---+
//! ```
//!
//! Invariants (property-tested below):
//! - a node becomes up only after `up_after` good observations with no bad one between;
//! - one bad observation is never the end of a node that is up: it becomes suspect, and down after `down_after` in a row;
//! - a *definite* failure (the node refused the connection, another controller took it over) needs no counting;
//! - a restart is a new node: it joins again, and is eased in again.

use std::sync::Arc;

use serde::Serialize;

/// Whether a node can be used, as kamari sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// New, restarted or coming back: checks are being passed, calls are not sent yet.
    Joining,
    /// All checks pass.
    Up,
    /// Was up, and its last checks failed: no call goes there while another node is free.
    Suspect,
    /// Out of use; the reason says why.
    Down,
}

impl Availability {
    /// The word used in the API, in events and as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Up => "up",
            Self::Suspect => "suspect",
            Self::Down => "down",
        }
    }
}

/// A change of availability, or of the reason given for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub from: Availability,
    /// After. Equal to `from` when only the reason is new.
    pub to: Availability,
    /// Why, in words for the operator.
    pub reason: Arc<str>,
}

/// The state of one node.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    availability: Availability,
    reason: Arc<str>,
    good_in_a_row: u32,
    bad_in_a_row: u32,
    up_after: u32,
    down_after: u32,
    /// Whether the node was up since it last began, and has said nothing definite against itself since.
    silent_only: bool,
}

impl Lifecycle {
    /// A node nobody has looked at yet. Both counts are at least 1.
    pub fn new(up_after: u32, down_after: u32) -> Self {
        Self {
            availability: Availability::Joining,
            reason: "not checked yet".into(),
            good_in_a_row: 0,
            bad_in_a_row: 0,
            up_after: up_after.max(1),
            down_after: down_after.max(1),
            silent_only: false,
        }
    }

    /// Whether the node is down only because it does not answer, and was up before: then the silence may be ours.
    pub fn is_lost(&self) -> bool {
        self.availability == Availability::Down && self.silent_only
    }

    /// Where the node stands.
    pub fn availability(&self) -> Availability {
        self.availability
    }

    /// Why it stands there.
    pub fn reason(&self) -> &Arc<str> {
        &self.reason
    }

    /// All checks of a round passed.
    pub fn good(&mut self) -> Option<Change> {
        self.bad_in_a_row = 0;
        self.good_in_a_row = self.good_in_a_row.saturating_add(1);
        if self.availability == Availability::Up {
            return None;
        }
        if self.good_in_a_row >= self.up_after {
            self.silent_only = true;
            return self.become_with(Availability::Up, "all checks pass");
        }
        if self.availability == Availability::Down {
            return self.become_with(Availability::Joining, "answers again; waiting for more good checks");
        }
        None
    }

    /// A check failed, for a cause that may pass (a timeout, a lost socket).
    pub fn bad(&mut self, reason: &str) -> Option<Change> {
        self.good_in_a_row = 0;
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        let to = match self.availability {
            _ if self.bad_in_a_row >= self.down_after => Availability::Down,
            Availability::Up | Availability::Suspect => Availability::Suspect,
            Availability::Joining => Availability::Joining,
            Availability::Down => Availability::Down,
        };
        self.become_with(to, reason)
    }

    /// The node is out of use beyond doubt: no counting.
    pub fn fail(&mut self, reason: &str) -> Option<Change> {
        self.good_in_a_row = 0;
        self.bad_in_a_row = self.bad_in_a_row.saturating_add(1);
        self.silent_only = false;
        self.become_with(Availability::Down, reason)
    }

    /// The node is another one than before: its Asterisk started anew, or the operator changed where it is.
    pub fn begin_again(&mut self, reason: &str) -> Option<Change> {
        self.good_in_a_row = 0;
        self.bad_in_a_row = 0;
        self.silent_only = false;
        self.become_with(Availability::Joining, reason)
    }

    fn become_with(&mut self, to: Availability, reason: &str) -> Option<Change> {
        if self.availability == to && *self.reason == *reason {
            return None;
        }
        let from = std::mem::replace(&mut self.availability, to);
        self.reason = reason.into();
        Some(Change { from, to, reason: Arc::clone(&self.reason) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Availability, Lifecycle};

    #[test]
    fn a_wrong_address_is_named_at_once_and_down_after_the_count() {
        let mut node = Lifecycle::new(2, 3);
        let first = node.bad("connection refused").expect("the reason is new");
        assert_eq!((first.to, &*first.reason), (Availability::Joining, "connection refused"));
        assert!(node.bad("connection refused").is_none(), "the same again is no news");
        assert_eq!(node.bad("connection refused").expect("third").to, Availability::Down);
        assert_eq!(node.bad("password refused").expect("new reason").from, Availability::Down);
    }

    #[test]
    fn a_late_poll_makes_suspect_and_a_good_run_heals() {
        let mut node = Lifecycle::new(2, 3);
        node.good();
        node.good();
        assert_eq!(node.bad("ping timed out").expect("change").to, Availability::Suspect);
        assert!(node.good().is_none());
        assert_eq!(node.good().expect("change").to, Availability::Up);
    }

    #[test]
    fn a_definite_failure_is_down_at_once_and_comes_back_by_joining() {
        let mut node = Lifecycle::new(2, 3);
        node.good();
        node.good();
        assert_eq!(node.fail("taken over").expect("change").to, Availability::Down);
        assert_eq!(node.good().expect("change").to, Availability::Joining);
        assert_eq!(node.good().expect("change").to, Availability::Up);
        assert_eq!(node.begin_again("restarted").expect("change").to, Availability::Joining);
    }

    #[test]
    fn only_a_node_that_was_up_and_fell_silent_is_lost() {
        let mut node = Lifecycle::new(1, 1);
        node.bad("ping timed out");
        assert!(!node.is_lost(), "it was never there");
        node.good();
        node.bad("ping timed out");
        assert!(node.is_lost());
        node.fail("connection refused");
        assert!(!node.is_lost());
    }

    #[derive(Debug, Clone, Copy)]
    enum Seen {
        Good,
        Bad,
        Fail,
        Again,
    }

    proptest! {
        #[test]
        fn up_is_earned_and_down_is_counted(
            up_after in 1_u32..5,
            down_after in 1_u32..5,
            seen in proptest::collection::vec(prop_oneof![
                4 => Just(Seen::Good), 3 => Just(Seen::Bad), 1 => Just(Seen::Fail), 1 => Just(Seen::Again)
            ], 0..200),
        ) {
            let mut node = Lifecycle::new(up_after, down_after);
            let (mut good, mut bad) = (0, 0);
            for step in seen {
                let before = node.availability();
                let change = match step {
                    Seen::Good => { good += 1; bad = 0; node.good() }
                    Seen::Bad => { bad += 1; good = 0; node.bad("late") }
                    Seen::Fail => { bad += 1; good = 0; node.fail("refused") }
                    Seen::Again => { bad = 0; good = 0; node.begin_again("restarted") }
                };
                let after = node.availability();
                if let Some(change) = &change {
                    prop_assert_eq!((change.from, change.to), (before, after));
                } else {
                    prop_assert_eq!(before, after);
                }
                match (before, after) {
                    (Availability::Up, Availability::Up) => prop_assert!(matches!(step, Seen::Good)),
                    (_, Availability::Up) => prop_assert!(good >= up_after),
                    (Availability::Up | Availability::Suspect | Availability::Joining, Availability::Down) => {
                        prop_assert!(matches!(step, Seen::Fail) || bad >= down_after);
                    }
                    (Availability::Joining | Availability::Down, Availability::Suspect) => {
                        prop_assert!(false, "suspect is for nodes that were up");
                    }
                    _ => {}
                }
            }
        }
    }
}
