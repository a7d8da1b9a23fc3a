//! How long to wait before the next attempt: exponential, with jitter, so that many sockets lost at once do not return at once.

use std::time::Duration;

/// Waits that double with each failure from `shortest` to `longest`, each shortened by chance by up to a half.
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest, failures: 0 }
    }

    /// The wait before the next attempt. `chance` is a random number of [0, 1).
    pub(super) fn next(&mut self, chance: f64) -> Duration {
        let factor = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        let whole = self.shortest.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
    }

    /// The last attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use proptest::prelude::*;
    use std::time::Duration;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    #[test]
    fn waits_double_up_to_the_longest_and_start_again() {
        let mut backoff = backoff();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(0.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 100);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_half_and_whole(failures in 0_usize..100, chance in 0.0..1.0) {
            let (mut jittered, mut plain) = (backoff(), backoff());
            for _ in 0..failures {
                jittered.next(chance);
                plain.next(0.0);
            }
            let (wait, whole) = (jittered.next(chance), plain.next(0.0));
            prop_assert!(wait <= whole && wait >= whole / 2);
        }
    }
}
