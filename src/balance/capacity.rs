//! How many calls a node really carries, learned from what it refuses, within what the operator allows.
//!
//! A refusal says it exactly: so many calls are on the node, and one more was too many. The limit drops to that count at
//! once. Up again it goes by probing, and only when the limit is in the way: after a while one more call is allowed; when
//! the node takes it, larger steps follow quickly; when it refuses, the next probe waits twice as long. So a node that
//! is smaller than configured costs a handful of refusals and then one in minutes, and one that was mended grows back.
//! The operator's figure is never exceeded.

use super::settings::Settings;
use std::time::Duration;

/// Time between steps while a node keeps accepting what lies above its learned limit.
const STEP_EVERY: Duration = Duration::from_secs(2);

/// One node's capacity.
#[derive(Debug)]
pub(super) struct Capacity {
    configured: u32,
    limit: u32,
    /// The most calls it was seen to carry since its last refusal, or the count at that refusal.
    proven: u32,
    /// The limit before the refusals of a streak, which may yet turn out to be plain failure.
    before_streak: u32,
    refused: Duration,
    step: u32,
    wait: Duration,
    next_step: Duration,
}

impl Capacity {
    pub(super) fn new(configured: u32, settings: &Settings) -> Self {
        let configured = configured.max(1);
        Self {
            configured,
            limit: configured,
            proven: 0,
            before_streak: configured,
            refused: Duration::ZERO,
            step: 1,
            wait: settings.capacity_probe(),
            next_step: Duration::ZERO,
        }
    }

    pub(super) const fn configured(&self) -> u32 {
        self.configured
    }

    /// Calls that it may carry: at least 1, at most configured.
    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// The node refused a call while it carried `total` others.
    pub(super) fn on_refused(&mut self, total: u32, now: Duration, settings: &Settings) {
        if self.limit < self.configured && self.limit > self.proven {
            self.wait = (self.wait * 2).min(settings.capacity_probe_max());
        }
        self.limit = self.limit.min(total).max(1);
        self.proven = self.limit;
        self.refused = now;
        self.step = 1;
        self.next_step = now + self.wait;
    }

    /// The node began a call that was sent at `sent`, and now carries `total`.
    pub(super) fn on_accepted(&mut self, total: u32, sent: Duration, now: Duration, settings: &Settings) {
        if sent >= self.refused {
            self.before_streak = self.limit;
        }
        if total <= self.proven {
            return;
        }
        self.proven = total;
        if self.limit < self.configured {
            self.wait = settings.capacity_probe();
            self.step = (self.step * 2).min(self.configured.div_ceil(8));
            self.next_step = self.next_step.min(now + STEP_EVERY);
        }
    }

    /// The refusals since the last accepted call say nothing of size: the node fails whatever it is offered.
    pub(super) fn forget_streak(&mut self) {
        self.limit = self.before_streak;
        self.proven = self.limit;
    }

    /// Takes the next step up when it is due and the limit, at `total` calls, is in the way; takes back a step that was
    /// not put to the test before the press was over.
    pub(super) fn tick(&mut self, total: u32, now: Duration) {
        if self.limit == self.configured {
            return;
        }
        if total >= self.limit && now >= self.next_step {
            self.limit = (self.limit + self.step).min(self.configured);
            self.next_step = now + self.wait;
        } else if total < self.proven {
            self.limit = self.proven;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Capacity, Settings};
    use std::time::Duration;

    /// Offers calls to a node that really carries `real` for `seconds`, always as many as the limit allows.
    fn press(capacity: &mut Capacity, real: u32, from: u64, seconds: u64) -> u32 {
        let settings = Settings::default();
        let mut refusals = 0;
        for second in from..from + seconds {
            let now = Duration::from_secs(second);
            let mut total = real.min(capacity.limit()).saturating_sub(1);
            while total < capacity.limit() {
                if total < real {
                    total += 1;
                    capacity.on_accepted(total, now, now, &settings);
                } else {
                    refusals += 1;
                    capacity.on_refused(total, now, &settings);
                }
            }
            capacity.tick(total, now);
        }
        refusals
    }

    #[test]
    fn half_a_node_costs_few_refusals_and_grows_back_when_mended() {
        let mut capacity = Capacity::new(100, &Settings::default());
        let refusals = press(&mut capacity, 50, 0, 3_600);
        assert_eq!(capacity.limit().clamp(50, 51), capacity.limit());
        assert!((1..=12).contains(&refusals), "{refusals}");
        press(&mut capacity, 100, 3_600, 900);
        assert_eq!(capacity.limit(), 100);
        assert_eq!(press(&mut capacity, 500, 4_500, 600), 0);
        assert_eq!(capacity.limit(), 100);
    }
}
