//! The highest loss-free call rate of several rules: all climb the same steps in turns, so that what else the machine does
//! falls on each of them, until each has failed one step twice.

use crate::lab::Counts;

/// Where to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climb {
    /// The first rate, in calls a second.
    pub(crate) first: u32,
    /// How much more each step is than the one before.
    pub(crate) factor: f64,
    /// Where the search ends in any case.
    pub(crate) last: u32,
}

impl Climb {
    /// The highest loss-free rate of each of `N` rules, as it was really placed; an error when the first step was too much
    /// for one of them. `load` runs one step: rule and rate.
    pub(crate) fn highest<const N: usize>(
        self,
        mut load: impl FnMut(usize, u32) -> Counts,
    ) -> Result<[f64; N], String> {
        let (mut best, mut climbing, mut rate) = ([0.0_f64; N], [true; N], self.first);
        while rate <= self.last && climbing.contains(&true) {
            for rule in 0..N {
                if climbing[rule] {
                    // Noise may cost a step once.
                    let passed = (0..2).map(|_| load(rule, rate)).find(Counts::is_loss_free);
                    climbing[rule] = passed.is_some();
                    best[rule] = passed.map_or(best[rule], |counts| counts.rate.max(best[rule]));
                    println!("rule {rule} at {rate}/s: {}", if climbing[rule] { "loss-free" } else { "lost calls" });
                }
            }
            rate = (f64::from(rate) * self.factor) as u32;
        }
        if best.iter().any(|rate| *rate <= 0.0) {
            return Err(format!("calls are lost at {}/s already: {best:?}", self.first));
        }
        Ok(best)
    }
}
