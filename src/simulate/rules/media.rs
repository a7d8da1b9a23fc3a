//! Rules of media systems, which rank their servers by what these report about themselves.
//!
//! `LiveKit`'s node selectors (fewest clients, lowest load average; reports every 2 s) and Jicofo's bridge selection
//! (reported stress plus what it has itself allocated to the bridge in the last 20 s; reports every 5 s).

use super::members::Members;
use crate::simulate::nodes::NodeSize;
use crate::simulate::rule::{CallNumber, Poll, Routes, Rule};
use rand::rngs::Xoshiro256PlusPlus;
use std::collections::VecDeque;

/// Seconds for which Jicofo adds its own allocations to a bridge's reported stress.
const RECENT: f64 = 20.0;
/// Seconds for which Jicofo leaves a bridge aside after it failed.
const FAILED: f64 = 60.0;

/// What the ranking goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// `LiveKit`: clients at the last report.
    Clients,
    /// `LiveKit`: one-minute load average at the last report.
    LoadAverage,
    /// Jicofo: stress at the last report, corrected.
    Stress,
}

/// A controller with one of these rules.
#[derive(Debug)]
pub(super) struct Reports {
    by: By,
    members: Members,
    reported: Vec<f64>,
    recent: Vec<VecDeque<f64>>,
}

impl Reports {
    pub(super) fn new(by: By, nodes: &[NodeSize]) -> Self {
        Self {
            by,
            members: Members::new(nodes),
            reported: vec![0.0; nodes.len()],
            recent: vec![VecDeque::new(); nodes.len()],
        }
    }
}

impl Rule for Reports {
    fn route(&mut self, _call: CallNumber, _purpose: f64, now: f64, rng: &mut Xoshiro256PlusPlus) -> Routes {
        for recent in &mut self.recent {
            while recent.front().is_some_and(|&at| at < now - RECENT) {
                recent.pop_front();
            }
        }
        let corrected = |node: usize| match self.by {
            By::Stress => self.reported[node] + self.recent[node].len() as f64 / self.members.0[node].capacity,
            By::Clients | By::LoadAverage => self.reported[node],
        };
        self.members.least(now, rng, corrected)
    }

    fn on_sent(&mut self, _call: CallNumber, node: usize, now: f64) {
        self.recent[node].push_back(now);
    }

    fn on_failed(&mut self, _call: CallNumber, node: usize, code: u16, now: f64) {
        if self.by == By::Stress && code == 408 {
            self.members.0[node].ejected_until = now + FAILED;
        }
    }

    fn on_poll(&mut self, node: usize, poll: &Poll, _now: f64) {
        self.reported[node] = match self.by {
            By::Clients => f64::from(poll.calls),
            By::LoadAverage => poll.load_average,
            By::Stress => f64::from(poll.calls) / self.members.0[node].capacity,
        };
    }

    fn on_member(&mut self, node: usize, member: bool, _now: f64) {
        self.members.0[node].present = member;
        self.reported[node] = 0.0;
    }

    fn poll_interval(&self) -> f64 {
        if self.by == By::Stress { 5.0 } else { 2.0 }
    }
}
