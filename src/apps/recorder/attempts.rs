//! How often a mailbox's PIN may be tried: a rule, without a clock of its own.
//!
//! Wrong PINs close a mailbox to all who never gave the right one, whatever number they call from: who guesses may change it. A
//! caller who gave the right one before is counted by himself, so that no stranger can lock him out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wrong PINs after which a mailbox is closed for a while: 960 tries a day. A PIN of four digits is then found by chance in
/// five days, on average; one of six in more than a year.
const LIMIT: u32 = 10;
/// How long wrong PINs count, from the first of them on.
const WINDOW: Duration = Duration::from_mins(15);
/// Callers of one mailbox who are remembered for having given the right PIN, the latest ones.
const KNOWN: usize = 8;

/// Wrong PINs by tenant and mailbox. Only mailboxes that exist are counted, so the table does not grow.
#[derive(Debug, Default)]
pub(super) struct Attempts(HashMap<(Arc<str>, String), Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    strangers: Wrong,
    known: VecDeque<(String, Wrong)>,
}

/// Wrong PINs since the first of them.
#[derive(Debug, Default)]
struct Wrong {
    since: Option<Instant>,
    count: u32,
}

impl Wrong {
    fn is_over(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.duration_since(since) >= WINDOW)
    }

    fn allows(&self, now: Instant) -> bool {
        self.count < LIMIT || self.is_over(now)
    }

    fn count(&mut self, now: Instant) {
        if self.is_over(now) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count += 1;
    }
}

impl Mailbox {
    fn wrong_of(&mut self, caller: &str) -> &mut Wrong {
        let known = self.known.iter_mut().find(|(known, _)| known == caller);
        known.map_or(&mut self.strangers, |(_, wrong)| wrong)
    }
}

impl Attempts {
    /// Whether this caller may try the PIN.
    pub(super) fn allowed(&mut self, tenant: &Arc<str>, mailbox: &str, caller: &str, now: Instant) -> bool {
        let found = self.0.get_mut(&(Arc::clone(tenant), mailbox.to_owned()));
        found.is_none_or(|mailbox| mailbox.wrong_of(caller).allows(now))
    }

    /// It was wrong.
    pub(super) fn wrong(&mut self, tenant: &Arc<str>, mailbox: &str, caller: &str, now: Instant) {
        self.0.entry((Arc::clone(tenant), mailbox.to_owned())).or_default().wrong_of(caller).count(now);
    }

    /// It was right: what this caller had wrong before is forgotten, what strangers had is not. A caller without a number may be
    /// anybody, and stays a stranger.
    pub(super) fn right(&mut self, tenant: &Arc<str>, mailbox: &str, caller: &str) {
        if caller.is_empty() {
            return;
        }
        let mailbox = self.0.entry((Arc::clone(tenant), mailbox.to_owned())).or_default();
        mailbox.known.retain(|(known, _)| known != caller);
        mailbox.known.push_back((caller.to_owned(), Wrong::default()));
        if mailbox.known.len() > KNOWN {
            mailbox.known.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Attempts, KNOWN, LIMIT, WINDOW};

    #[test]
    fn a_mailbox_closes_after_wrong_pins_and_opens_again() {
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        for attempt in 0..LIMIT {
            // Under another number each time.
            let caller = format!("guess{attempt}");
            assert!(attempts.allowed(&one, "200", &caller, start), "{attempt}");
            attempts.wrong(&one, "200", &caller, start + Duration::from_secs(attempt.into()));
        }
        let soon = start + WINDOW / 2;
        assert!(!attempts.allowed(&one, "200", "guess", soon));
        assert!(attempts.allowed(&two, "200", "guess", soon) && attempts.allowed(&one, "201", "guess", soon));
        assert!(attempts.allowed(&one, "200", "guess", start + WINDOW));
        attempts.wrong(&one, "200", "guess", start + WINDOW);
        assert!(attempts.allowed(&one, "200", "guess", start + WINDOW), "the count began anew");
    }

    #[test]
    fn whoever_gave_the_right_pin_is_not_locked_out_by_others() {
        let one: Arc<str> = "one".into();
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        attempts.right(&one, "200", "owner");
        attempts.right(&one, "200", "");
        for _ in 0..LIMIT {
            attempts.wrong(&one, "200", "guess", now);
        }
        assert!(attempts.allowed(&one, "200", "owner", now));
        assert!(!attempts.allowed(&one, "200", "guess", now) && !attempts.allowed(&one, "200", "", now));
        attempts.right(&one, "200", "owner");
        assert!(!attempts.allowed(&one, "200", "guess", now), "his success forgives nobody else");
        // He is bounded too, and forgiven when he gets it right.
        for _ in 0..LIMIT - 1 {
            attempts.wrong(&one, "200", "owner", now);
        }
        attempts.right(&one, "200", "owner");
        for _ in 0..LIMIT {
            assert!(attempts.allowed(&one, "200", "owner", now));
            attempts.wrong(&one, "200", "owner", now);
        }
        assert!(!attempts.allowed(&one, "200", "owner", now));
    }

    #[test]
    fn only_the_latest_who_were_right_are_remembered() {
        let one: Arc<str> = "one".into();
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for caller in 0..=KNOWN {
            attempts.right(&one, "200", &caller.to_string());
        }
        for _ in 0..LIMIT {
            attempts.wrong(&one, "200", "guess", now);
        }
        assert!(!attempts.allowed(&one, "200", "0", now) && attempts.allowed(&one, "200", "1", now));
    }
}
