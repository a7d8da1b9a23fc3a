//! How many calls a node may be tried with while it is eased in: a budget on the slot's count of attempts.
//!
//! A node that is new, restarted, undrained or mended looks idle, and least loaded would send it everything at once: cold
//! caches, a thundering herd, and all of it lost if the node is bad (Jicofo #477; Envoy's slow start). So for its first
//! minute it gets at most twice its fair share of the pool's calls. A node that already carries its part needs no easing.

use super::settings::Settings;
use std::time::Duration;

/// Calls that may be saved up: a short gap in arrivals must not cost the node its share.
const BURST: f64 = 2.0;

/// One node's budget while it is eased in.
#[derive(Debug)]
pub(super) struct Ration {
    until: Duration,
    budget: f64,
    counted: u32,
}

impl Ration {
    /// No limit.
    pub(super) const fn none() -> Self {
        Self { until: Duration::ZERO, budget: 0.0, counted: 0 }
    }

    /// Eases the node in from `now`; `attempts` is its slot's count of attempts now.
    pub(super) fn begin(&mut self, attempts: u32, now: Duration, settings: &Settings) {
        *self = Self { until: now + settings.slow_start(), budget: 1.0, counted: attempts };
    }

    pub(super) fn is_active(&self, now: Duration) -> bool {
        now < self.until
    }

    /// Time passes: `fair` is the node's fair share of attempts since the last time.
    pub(super) fn tick(&mut self, attempts: u32, fair: f64, settings: &Settings) {
        let used = f64::from(attempts.wrapping_sub(self.counted));
        self.counted = attempts;
        let share = settings.slow_start_share * fair;
        self.budget = (self.budget - used + share).min(BURST + share).max(-BURST);
    }

    /// The count of attempts at which the budget is used up.
    pub(super) fn attempts_until(&self) -> u32 {
        self.counted.wrapping_add(self.budget.max(0.0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ration, Settings};
    use std::time::Duration;

    #[test]
    fn a_greedy_caller_gets_twice_the_fair_share() {
        let settings = Settings::default();
        let mut ration = Ration::none();
        let (mut attempts, start) = (u32::MAX - 5, u32::MAX - 5);
        ration.begin(attempts, Duration::from_secs(1), &settings);
        for _ in 0..60 {
            ration.tick(attempts, 0.5, &settings);
            while ration.attempts_until().wrapping_sub(attempts).cast_signed() > 0 {
                attempts = attempts.wrapping_add(1);
            }
        }
        let given = attempts.wrapping_sub(start);
        assert!((58..=64).contains(&given), "{given}");
        assert!(ration.is_active(Duration::from_millis(60_900)) && !ration.is_active(Duration::from_secs(61)));
    }
}
