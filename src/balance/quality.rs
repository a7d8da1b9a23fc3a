//! How well a node serves the calls it takes: set-up time, failures, audio. What is worse than the pool costs a penalty.
//!
//! Penalties are added to stress and share its unit: 0.1 = "as if ten percent of its capacity more were in use". A node
//! that is a little worse takes a little less; one that is much worse takes calls only when the others are near full; and
//! no free place is ever refused on their account. Everything is measured against the median of the pool: what is slow
//! or lossy for all (a slow app, a bad trunk) makes nobody worse than the others.

use super::settings::Settings;
use std::time::Duration;

/// A moving average that forgets with the time since the last sample, not with their number.
#[derive(Debug, Clone, Copy)]
struct Decaying {
    value: f64,
    at: Duration,
}

impl Decaying {
    const fn new() -> Self {
        Self { value: 0.0, at: Duration::ZERO }
    }

    /// The weight that what was known keeps until `now`.
    fn kept(&self, now: Duration, memory: f64) -> f64 {
        (-now.saturating_sub(self.at).as_secs_f64() / memory).exp()
    }

    /// Moves towards `target` as time passes.
    fn towards(&mut self, target: f64, now: Duration, memory: f64) {
        self.value = target + (self.value - target) * self.kept(now, memory);
        self.at = now;
    }
}

/// What is usual in the pool: medians over the nodes that have a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usual {
    /// Set-up time in seconds; 0 when none is known.
    pub(super) setup: f64,
    /// RTP loss, 0 to 1.
    pub(super) loss: f64,
    /// RTP jitter in milliseconds.
    pub(super) jitter: f64,
}

/// One node's quality.
#[derive(Debug)]
pub(super) struct Quality {
    /// Peak-sensitive average of set-up time, in seconds; 0 before the first.
    setup: Decaying,
    last_setup: f64,
    /// Calls in a row that found it still slow after its slowness had begun to fade.
    relapses: i32,
    /// Share of recent calls that failed, 0 to 1.
    failures: Decaying,
    loss: Decaying,
    jitter: Decaying,
    media_known: bool,
}

/// Most doublings of the time in which slowness fades.
const RELAPSES_MAX: i32 = 4;
/// Weight of one call in the share of failures.
const CALL_WEIGHT: f64 = 1.0 / 8.0;
/// Milliseconds of jitter above the pool's that cost nothing: well inside any jitter buffer.
const JITTER_FREE: f64 = 20.0;
/// RTP loss above the pool's that costs nothing: below what a listener notices.
const LOSS_FREE: f64 = 0.003;
/// Penalties of one kind are not larger than this: enough to come after every healthy node that has room.
const PENALTY_MAX: f64 = 1.0;

impl Quality {
    pub(super) const fn new() -> Self {
        Self {
            setup: Decaying::new(),
            last_setup: 0.0,
            relapses: 0,
            failures: Decaying::new(),
            loss: Decaying::new(),
            jitter: Decaying::new(),
            media_known: false,
        }
    }

    /// A call was seen `setup` seconds after its lookup.
    ///
    /// Slowness that no call confirms fades (see `penalty`), so that a mended node is tried again. Each call that then finds it slow
    /// still doubles the time that this takes.
    /// Peak-EWMA (Finagle): worse replaces the estimate at once, better
    /// decays in; but one slow call alone (a retransmission) is not believed until a second confirms it.
    pub(super) fn on_setup(&mut self, setup: f64, now: Duration, settings: &Settings) {
        let believed = if self.last_setup > 0.0 { setup.min(self.last_setup) } else { setup };
        self.last_setup = setup;
        let (before, idle) = (self.setup.value, now.saturating_sub(self.setup.at).as_secs_f64());
        if believed < before / 2.0 || believed > before * 2.0 {
            self.relapses = 0;
        } else if idle > settings.setup_memory_s {
            self.relapses = (self.relapses + 1).min(RELAPSES_MAX);
        }
        if believed >= self.setup.value {
            self.setup = Decaying { value: believed, at: now };
        } else {
            self.setup.towards(believed, now, settings.setup_memory_s);
        }
        self.count(0.0, now, settings);
    }

    /// A call failed on the node.
    pub(super) fn on_failure(&mut self, now: Duration, settings: &Settings) {
        self.count(1.0, now, settings);
    }

    fn count(&mut self, failed: f64, now: Duration, settings: &Settings) {
        self.failures.towards(0.0, now, settings.failure_memory_s);
        self.failures.value += (failed - self.failures.value) * CALL_WEIGHT;
    }

    /// What sampled calls of the node report of their audio: share of packets lost, jitter in milliseconds.
    pub(super) fn on_media(&mut self, loss: Option<f64>, jitter: Option<f64>, now: Duration, settings: &Settings) {
        let memory = settings.media_memory_s / 4.0;
        let blend = |average: &mut Decaying, sample: f64, known: bool| {
            if known {
                average.towards(sample.max(0.0), now, memory);
            } else {
                *average = Decaying { value: sample.max(0.0), at: now };
            }
        };
        if let Some(loss) = loss {
            blend(&mut self.loss, loss.min(1.0), self.media_known);
        }
        if let Some(jitter) = jitter {
            blend(&mut self.jitter, jitter, self.media_known);
        }
        self.media_known |= loss.is_some() || jitter.is_some();
    }

    /// Set-up time in seconds, once known, as its last calls had it.
    pub(super) fn setup(&self) -> Option<f64> {
        (self.setup.value > 0.0).then_some(self.setup.value)
    }

    /// RTP loss and jitter in milliseconds, once known.
    pub(super) fn media(&self) -> Option<(f64, f64)> {
        self.media_known.then_some((self.loss.value, self.jitter.value))
    }

    /// Time passes: what was not confirmed for long fades towards what is usual, so that the node is tried again.
    pub(super) fn tick(&mut self, usual: &Usual, now: Duration, settings: &Settings) {
        let fade = |average: &mut Decaying, usual: f64, memory: f64| {
            let idle = now.saturating_sub(average.at).as_secs_f64();
            if idle > memory {
                average.value = usual + (average.value - usual) / 2.0;
                average.at = now;
            }
        };
        if self.media_known {
            fade(&mut self.loss, usual.loss, settings.media_memory_s);
            fade(&mut self.jitter, usual.jitter, settings.media_memory_s);
        }
    }

    /// What its quality costs it now, in units of stress.
    pub(super) fn penalty(&self, usual: &Usual, now: Duration, settings: &Settings) -> f64 {
        let slower = match self.setup() {
            Some(setup) if usual.setup > 0.0 => {
                let memory = settings.setup_memory_s * 2.0_f64.powi(self.relapses);
                let faded = usual.setup + (setup - usual.setup).max(0.0) * self.setup.kept(now, memory);
                (faded / (usual.setup * settings.setup_tolerance)).log2().max(0.0)
            }
            _ => 0.0,
        };
        let failing = self.failures.value * self.failures.kept(now, settings.failure_memory_s);
        let lossy = (self.loss.value - usual.loss - LOSS_FREE).max(0.0);
        let jittery = (self.jitter.value - usual.jitter - JITTER_FREE).max(0.0);
        (settings.setup_penalty * slower).min(PENALTY_MAX)
            + (settings.failure_penalty * failing).min(PENALTY_MAX)
            + (settings.loss_penalty * lossy).min(PENALTY_MAX)
            + (settings.jitter_penalty * jittery).min(PENALTY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Quality, Settings, Usual};
    use std::time::Duration;

    const USUAL: Usual = Usual { setup: 0.02, loss: 0.001, jitter: 5.0 };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_slow_call_is_not_believed_and_two_are_at_once() {
        let settings = Settings::default();
        let mut quality = Quality::new();
        quality.on_setup(0.02, at(1), &settings);
        quality.on_setup(0.5, at(2), &settings);
        assert!(quality.penalty(&USUAL, at(2), &settings) < 1e-9);
        quality.on_setup(0.4, at(3), &settings);
        assert!(quality.penalty(&USUAL, at(3), &settings) > 0.2);
    }

    #[test]
    fn what_all_suffer_costs_nobody_and_what_is_old_fades() {
        let settings = Settings::default();
        let mut quality = Quality::new();
        quality.on_media(Some(0.05), Some(60.0), at(1), &settings);
        quality.on_setup(0.4, at(1), &settings);
        let all_bad = Usual { setup: 0.4, loss: 0.05, jitter: 60.0 };
        assert!(quality.penalty(&all_bad, at(1), &settings) < 1e-9);
        let at_first = quality.penalty(&USUAL, at(1), &settings);
        assert!(at_first > 0.9, "{at_first}");
        for second in 2..1_200 {
            quality.tick(&USUAL, at(second), &settings);
        }
        assert!(quality.penalty(&USUAL, at(1_200), &settings) < 0.05);
    }

    /// Seconds until a node that was slow, and is offered nothing since, costs less than a tenth of its capacity.
    fn forgiven_after(settings: &Settings, probes: u64) -> u64 {
        let mut quality = Quality::new();
        quality.on_setup(0.5, at(1), settings);
        let mut last = 1;
        for probe in 0..=probes {
            quality.on_setup(0.5, at(last), settings);
            assert!(quality.penalty(&USUAL, at(last), settings) > 0.3, "probe {probe}: slow, and known for it");
            let forgiven =
                (last..last + 3_600).find(|second| quality.penalty(&USUAL, at(*second), settings) < 0.1).unwrap();
            if probe == probes {
                return forgiven - last;
            }
            last = forgiven;
        }
        unreachable!("the last probe returned")
    }

    #[test]
    fn slowness_fades_when_no_call_confirms_it_and_more_slowly_each_time_that_one_does() {
        let settings = Settings::default();
        let first = forgiven_after(&settings, 0);
        assert!((10..=30).contains(&first), "{first}");
        for probes in 1..=4 {
            let again = forgiven_after(&settings, probes);
            assert!(again.abs_diff(first << probes) <= 1 << probes, "{probes}: {again} after {first}");
        }
        assert_eq!(forgiven_after(&settings, 9), forgiven_after(&settings, 4));
        let unforgiving = Settings { setup_memory_s: 100.0, ..settings };
        assert!(forgiven_after(&unforgiving, 0) > 120, "what the fading is for");
    }

    /// One good call after the slowness has faded is enough: it is a node like the others.
    #[test]
    fn a_mended_node_is_whole_again_after_its_first_good_call() {
        let settings = Settings::default();
        let mut quality = Quality::new();
        for second in 1..5 {
            quality.on_setup(0.5, at(second), &settings);
        }
        quality.on_setup(0.02, at(40), &settings);
        assert!(quality.penalty(&USUAL, at(40), &settings) < 0.02, "{}", quality.penalty(&USUAL, at(40), &settings));
    }

    #[test]
    fn a_node_that_fails_every_second_call_is_pushed_behind_and_comes_back() {
        let settings = Settings::default();
        let mut quality = Quality::new();
        for second in 0..40 {
            quality.on_setup(0.02, at(second), &settings);
            quality.on_failure(at(second), &settings);
        }
        assert!(quality.penalty(&USUAL, at(40), &settings) > 0.3);
        assert!(quality.penalty(&USUAL, at(240), &settings) < 0.01);
    }
}
