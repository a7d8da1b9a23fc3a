//! When rounds of checks begin: on a common beat. Of a large pool several nodes are then asked at each waking instead of one,
//! which saves most of what it costs to wake, send and sleep a thousand times a second. The beat is short against any
//! interval, so that the pool is still asked evenly.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two beats.
const PERIOD: Duration = Duration::from_millis(20);

/// The beat; a copy is the same one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat(Instant);

impl Beat {
    /// One that begins now.
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    /// The first beat at this time or later.
    pub(super) fn after(self, time: Instant) -> Instant {
        let late = time.saturating_duration_since(self.0).as_nanos() % PERIOD.as_nanos();
        if late == 0 { time } else { time + PERIOD.saturating_sub(Duration::from_nanos(late as u64)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Beat, PERIOD};

    #[test]
    fn a_round_begins_on_the_beat_and_less_than_one_later() {
        let beat = Beat::new();
        let at = |nanos: u64| beat.0 + std::time::Duration::from_nanos(nanos);
        assert_eq!(beat.after(beat.0), beat.0);
        assert_eq!(beat.after(at(1)), beat.0 + PERIOD);
        assert_eq!(beat.after(beat.0 + PERIOD), beat.0 + PERIOD);
        assert_eq!(beat.after(beat.0 + 1_000_000 * PERIOD + PERIOD / 2), beat.0 + 1_000_001 * PERIOD);
    }
}
