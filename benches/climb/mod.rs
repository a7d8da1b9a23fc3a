//! The highest loss-free call rate of several rules. They climb in turns, so that what else the machine does falls on each of
//! them: by large steps until one is lost, then from the last good one by smaller ones. A step that loses calls may be tried
//! again, since noise may cost some.

use crate::lab::Counts;

/// Where to search.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climb {
    /// The first rate, in calls a second.
    pub(crate) first: u32,
    /// Where the search ends in any case.
    pub(crate) last: u32,
    /// The steps, from the largest: by how much each is more than the one before.
    pub(crate) factors: &'static [f64],
    /// How often a step is tried that loses calls.
    pub(crate) tries: usize,
}

/// One rule on its way.
#[derive(Clone, Copy, Debug)]
struct Climber {
    next: u32,
    good: u32,
    /// Which of the steps it takes; beyond them it has arrived.
    pace: usize,
    /// The lowest rate known to lose calls.
    lost: u32,
    /// The rate that was really placed in the best step.
    placed: f64,
}

impl Climber {
    fn passed(&mut self, placed: f64, factors: &[f64]) {
        self.good = self.next;
        self.placed = self.placed.max(placed);
        self.step(factors);
    }

    fn failed(&mut self, factors: &[f64]) {
        self.lost = self.next;
        self.pace = if self.good == 0 { factors.len() } else { self.pace + 1 };
        self.step(factors);
    }

    /// The next rate, below the one that is known to lose calls; by smaller steps where this one would not be.
    fn step(&mut self, factors: &[f64]) {
        while let Some(factor) = factors.get(self.pace) {
            self.next = (f64::from(self.good) * factor).ceil() as u32;
            if self.next < self.lost {
                return;
            }
            self.pace += 1;
        }
    }
}

impl Climb {
    /// The highest loss-free rate of each of `N` rules, as it was really placed; an error when the first step was too much
    /// for one of them. `load` runs one step: rule and rate.
    pub(crate) fn highest<const N: usize>(
        self,
        mut load: impl FnMut(usize, u32) -> Counts,
    ) -> Result<[f64; N], String> {
        let mut rules = [Climber { next: self.first, good: 0, pace: 0, lost: self.last, placed: 0.0 }; N];
        while rules.iter().any(|rule| rule.pace < self.factors.len()) {
            for (number, rule) in rules.iter_mut().enumerate().filter(|(_, rule)| rule.pace < self.factors.len()) {
                let rate = rule.next;
                let passed = (0..self.tries).map(|_| load(number, rate)).find(Counts::is_loss_free);
                println!("rule {number} at {rate}/s: {}", if passed.is_some() { "loss-free" } else { "lost calls" });
                match passed {
                    Some(counts) => rule.passed(counts.rate, self.factors),
                    None => rule.failed(self.factors),
                }
            }
        }
        if rules.iter().any(|rule| rule.good == 0) {
            return Err(format!("calls are lost at {}/s already", self.first));
        }
        Ok(rules.map(|rule| rule.placed))
    }
}
