//! Whether the other end still lives: silence is followed by a ping, and an unanswered ping by the end.

use std::time::Duration;

use tokio::time::Instant;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing; ask again at this time.
    At(Instant),
    /// Send a ping.
    Ping,
    /// Give the connection up.
    Dead,
}

/// When the node was last heard, and whether it owes an answer.
#[derive(Debug)]
pub(super) struct Liveness {
    interval: Duration,
    patience: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

impl Liveness {
    pub(super) fn new(interval_ms: u64, patience_ms: u64, now: Instant) -> Self {
        let (interval, patience) = (Duration::from_millis(interval_ms), Duration::from_millis(patience_ms));
        Self { interval, patience, heard: now, pinged: None }
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Something came, whatever it was.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// A ping was sent.
    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged = Some(now);
    }

    /// What to do at `now`.
    pub(super) fn due(&self, now: Instant) -> Due {
        let (when, then) = match self.pinged {
            Some(pinged) => (pinged + self.patience, Due::Dead),
            None => (self.heard + self.interval, Due::Ping),
        };
        if now >= when { then } else { Due::At(when) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Liveness};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn silence_is_pinged_and_an_unanswered_ping_is_the_end() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut liveness = Liveness::new(1_000, 2_000, start);
        assert_eq!(liveness.due(at(999)), Due::At(at(1_000)));
        assert_eq!(liveness.due(at(1_000)), Due::Ping);
        liveness.pinged(at(1_000));
        assert_eq!(liveness.due(at(2_999)), Due::At(at(3_000)));
        assert_eq!(liveness.due(at(3_000)), Due::Dead);
        liveness.heard(at(3_000));
        assert_eq!(liveness.due(at(3_500)), Due::At(at(4_000)), "any answer will do");
    }
}
