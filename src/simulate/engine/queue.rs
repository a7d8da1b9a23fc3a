//! What is to happen, in order of time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that happens at a moment. `call` is a place in the engine's list of live calls.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// The next call arrives.
    Arrive,
    /// A call's INVITE reaches the node that it is sent to now.
    Attempt { call: usize },
    /// The proxy learns that a node refused the call, or gives up waiting for it.
    Refused { call: usize, code: u16 },
    /// The controller learns what the proxy learned.
    Report { controller: usize, call: usize, number: u64, node: usize, code: u16 },
    /// The controller learns that the proxy saw the call end.
    EndTold { controller: usize, number: u64 },
    /// A call begins on its node, unless that was restarted meanwhile.
    Started { call: usize, era: u32 },
    /// A call ends.
    Ended { call: usize, era: u32 },
    /// A controller asks a node.
    Poll { controller: usize, node: usize },
    /// No answer to a poll.
    PollLost { controller: usize, node: usize },
    /// A node's events arrive again, and its calls were read.
    Heard { controller: usize, node: usize },
    /// A second passes.
    Tick,
    /// The script goes on.
    Script { index: usize },
    /// A controller that was away answers again.
    ControllerBack { controller: usize },
    /// What a fault did is over.
    Recovered,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    at: f64,
    order: u64,
    what: What,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    /// Earliest first out of a max-heap; events of one instant in the order they were scheduled.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.order.cmp(&self.order))
    }
}

/// Events to come.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BinaryHeap<Event>,
    order: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: f64, what: What) {
        self.order += 1;
        self.events.push(Event { at, order: self.order, what });
    }

    /// The next event and its time in seconds.
    pub(super) fn pop(&mut self) -> Option<(f64, What)> {
        self.events.pop().map(|event| (event.at, event.what))
    }
}
