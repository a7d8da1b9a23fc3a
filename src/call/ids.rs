//! Ids of what kamari creates on nodes.
//!
//! The form is `kamari-<kind>-<process>-<number>`, or `kamari-<kind>-<channel>` of what a channel has one of in its life. The
//! prefix says that kamari owns the object, the kind what it is; the process (64 random bits, drawn when kamari starts) and the
//! number, or the channel's own id, make it unique over the pool and over restarts. An id is never used twice, also not after
//! its object is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::pool::OWN_PREFIX;

/// What an id stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A call, as the operator's API names it. No object on a node bears it.
    Call,
    /// A playback on a channel or a bridge.
    Playback,
    /// A recording of a channel or a bridge.
    Recording,
    /// A bridge.
    Bridge,
    /// A channel that listens to another one.
    Snoop,
    /// A channel that kamari made to reach somebody.
    Leg,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Call, Self::Playback, Self::Recording, Self::Bridge, Self::Snoop, Self::Leg];

    fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Playback => "playback",
            Self::Recording => "recording",
            Self::Bridge => "bridge",
            Self::Snoop => "snoop",
            Self::Leg => "leg",
        }
    }

    /// The kind of an id that kamari (this process or another one) chose; nothing for anybody else's.
    pub fn of(id: &str) -> Option<Self> {
        let (kind, _) = id.strip_prefix(OWN_PREFIX)?.split_once('-')?;
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }
}

/// Chooses ids. One a process.
#[derive(Debug)]
pub(super) struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { process: Uuid::new_v4().as_u64_pair().0, next: AtomicU64::new(1) }
    }

    /// The id that follows from another one's, which no other object has: whoever knows that one needs not be told of this.
    pub(super) fn after(kind: Kind, other: &str) -> String {
        format!("{OWN_PREFIX}{}-{other}", kind.as_str())
    }

    /// A new id.
    pub(super) fn next(&self, kind: Kind) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{OWN_PREFIX}{}-{:016x}-{number}", kind.as_str(), self.process)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, Kind};

    #[test]
    fn ids_differ_and_say_what_they_are() {
        let (one, two) = (Ids::new(), Ids::new());
        let mut seen = std::collections::HashSet::new();
        for ids in [&one, &two] {
            for kind in Kind::ALL {
                let id = ids.next(kind);
                assert_eq!(Kind::of(&id), Some(kind));
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_not_ours() {
        for other in ["", "kamari", "kamari-", "kamari-x-1", "c1-1795379148.0", "1795379148.0", "Kamari-bridge-0-1"] {
            assert_eq!(Kind::of(other), None);
        }
    }
}
