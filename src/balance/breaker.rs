//! Stops sending calls to a node that fails them: counts failures, not seconds.
//!
//! A node that fails at once looks idle, so without this the least loaded rule sends it everything. Two failures in a row
//! open the breaker for 30 s; then one call is tried, and its success closes the breaker. Its failure opens it again for
//! ten times as long, at most 300 s: so a fault costs three calls in its first five minutes, and one in each five minutes
//! after them (the shape of Envoy's outlier ejection, with fewer trials, since each is somebody's call).
//! Failures of calls that were already on their way when the last failure became known do not count, or a burst that
//! finds a node just full would open it.

use super::settings::Settings;
use std::time::Duration;

/// Whether calls may go to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Closed,
    Open {
        until: Duration,
    },
    /// One call may be tried, or is being tried since the given time.
    HalfOpen {
        tried: Option<Duration>,
    },
}

/// How long a trial call may take to show itself before another is allowed.
const TRIAL: Duration = Duration::from_secs(15);

/// How many times longer each further pause is.
const GROWTH: u32 = 10;

/// One node's breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    position: Position,
    failures: u32,
    last_failure: Duration,
    /// Times opened without a longer good spell between.
    opened: u32,
    closed_at: Duration,
    /// The last failure was silence, not a refusal: trying costs the caller a timeout.
    silent: bool,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self {
            position: Position::Closed,
            failures: 0,
            last_failure: Duration::ZERO,
            opened: 0,
            closed_at: Duration::ZERO,
            silent: false,
        }
    }

    /// A call sent at `sent` failed; `silent` if by no answer at all. True when this opened the breaker.
    pub(super) fn on_failure(&mut self, sent: Duration, silent: bool, now: Duration, settings: &Settings) -> bool {
        self.silent = silent;
        let was_closed = match self.position {
            Position::Open { .. } => return false,
            Position::Closed if sent < self.last_failure => return false,
            Position::Closed => true,
            Position::HalfOpen { .. } => false,
        };
        self.last_failure = now;
        self.failures += 1;
        if was_closed && self.failures < settings.breaker_failures {
            return false;
        }
        let longest = settings.breaker_open_max();
        if was_closed && now > self.closed_at + longest {
            self.opened = 0;
        }
        self.opened = (self.opened + 1).min(5);
        let open_for = (settings.breaker_open() * GROWTH.pow(self.opened - 1)).min(longest);
        self.position = Position::Open { until: now + open_for };
        self.failures = 0;
        was_closed
    }

    /// A call that was sent at `sent` began on the node. True when this closed the breaker. One that was on its way before
    /// the last failure says nothing of the node now.
    pub(super) fn on_success(&mut self, sent: Duration, now: Duration) -> bool {
        if sent < self.last_failure {
            return false;
        }
        self.failures = 0;
        let closes = !self.is_closed();
        if closes {
            self.position = Position::Closed;
            self.closed_at = now;
        }
        closes
    }

    /// A call was sent to the node.
    pub(super) fn on_sent(&mut self, now: Duration) {
        if let Position::HalfOpen { tried } = &mut self.position {
            *tried = Some(now);
        }
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Duration) {
        match self.position {
            Position::Open { until } if now >= until => self.position = Position::HalfOpen { tried: None },
            Position::HalfOpen { tried: Some(at) } if now >= at + TRIAL => {
                self.position = Position::HalfOpen { tried: None };
            }
            _ => {}
        }
    }

    /// Calls may go to the node without restriction.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.position, Position::Closed)
    }

    /// Its last failure was silence.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// One call may be tried.
    pub(super) const fn wants_trial(&self) -> bool {
        matches!(self.position, Position::HalfOpen { tried: None })
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, Settings};
    use std::time::Duration;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn two_failures_in_a_row_open_it_and_calls_in_flight_do_not_count() {
        let settings = Settings::default();
        let mut breaker = Breaker::new();
        assert!(!breaker.on_failure(at(10), false, at(11), &settings));
        for _ in 0..50 {
            assert!(!breaker.on_failure(at(10), false, at(11), &settings), "sent before the first failure was known");
        }
        breaker.on_success(at(10), at(12));
        assert_eq!(breaker.failures, 1, "it was on its way before");
        breaker.on_success(at(12), at(12));
        assert!(!breaker.on_failure(at(13), false, at(13), &settings));
        assert!(breaker.on_failure(at(14), false, at(14), &settings));
        assert!(!breaker.is_closed() && !breaker.wants_trial());
    }

    #[test]
    fn one_trial_at_a_time_and_ever_longer_pauses() {
        let settings = Settings::default();
        let mut breaker = Breaker::new();
        for _ in 0..2 {
            breaker.on_failure(at(0), false, at(0), &settings);
        }
        let mut now = 0;
        for pause in [30, 300, 300, 300] {
            breaker.tick(at(now + pause - 1));
            assert!(!breaker.wants_trial(), "{pause}");
            now += pause;
            breaker.tick(at(now));
            assert!(breaker.wants_trial());
            breaker.on_sent(at(now));
            assert!(!breaker.wants_trial() && !breaker.is_closed());
            breaker.on_failure(at(now), false, at(now), &settings);
        }
        breaker.tick(at(now + 300));
        assert!(breaker.on_success(at(now + 300), at(now + 300)) && breaker.is_closed());
    }
}
