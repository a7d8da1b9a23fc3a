//! How often a mailbox's PIN may be tried: a rule, without a clock of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wrong PINs of one mailbox, over all calls, after which it is closed for a while. A PIN of four digits is found by chance
/// once in 250 days of trying without a pause.
const LIMIT: u32 = 10;
/// How long wrong PINs count, from the first of them on.
const WINDOW: Duration = Duration::from_mins(15);

/// Wrong PINs by tenant and mailbox. Only mailboxes that exist are counted, so the table does not grow.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<(Arc<str>, String), Wrong>);

#[derive(Debug)]
struct Wrong {
    since: Instant,
    count: u32,
}

impl Attempts {
    /// Whether the PIN may be tried.
    pub(super) fn allowed(&self, tenant: &Arc<str>, mailbox: &str, now: Instant) -> bool {
        let wrong = self.0.get(&(Arc::clone(tenant), mailbox.to_owned()));
        wrong.is_none_or(|wrong| wrong.count < LIMIT || now.duration_since(wrong.since) >= WINDOW)
    }

    /// It was wrong.
    pub(super) fn wrong(&mut self, tenant: &Arc<str>, mailbox: &str, now: Instant) {
        let fresh = Wrong { since: now, count: 0 };
        let wrong = self.0.entry((Arc::clone(tenant), mailbox.to_owned())).or_insert(fresh);
        if now.duration_since(wrong.since) >= WINDOW {
            *wrong = Wrong { since: now, count: 0 };
        }
        wrong.count += 1;
    }

    /// It was right: what was wrong before is forgotten.
    pub(super) fn right(&mut self, tenant: &Arc<str>, mailbox: &str) {
        self.0.remove(&(Arc::clone(tenant), mailbox.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Attempts, LIMIT, WINDOW};

    #[test]
    fn a_mailbox_closes_after_wrong_pins_and_opens_again() {
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for attempt in 0..LIMIT {
            assert!(attempts.allowed(&one, "200", start), "{attempt}");
            attempts.wrong(&one, "200", start + Duration::from_secs(attempt.into()));
        }
        let soon = start + WINDOW / 2;
        assert!(!attempts.allowed(&one, "200", soon));
        assert!(attempts.allowed(&two, "200", soon) && attempts.allowed(&one, "201", soon), "no other is closed");
        assert!(attempts.allowed(&one, "200", start + WINDOW));
        attempts.wrong(&one, "200", start + WINDOW);
        assert!(attempts.allowed(&one, "200", start + WINDOW), "the count began anew");
    }

    #[test]
    fn the_right_pin_forgives() {
        let one: Arc<str> = "one".into();
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for _ in 0..LIMIT - 1 {
            attempts.wrong(&one, "200", now);
        }
        attempts.right(&one, "200");
        attempts.wrong(&one, "200", now);
        assert!(attempts.allowed(&one, "200", now));
    }
}
