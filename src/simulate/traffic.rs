//! The calls of a run: when each comes, how long it would last, and the chances it takes on its way.
//!
//! Common random numbers: everything here depends on the seed and the call's number only, never on what a rule did, so
//! that two rules meet the very same calls and their difference is not noise.

use crate::invalid::Invalid;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::io::Read;
use std::sync::Arc;

/// How long calls last.
#[derive(Debug, Clone, PartialEq)]
pub enum Holding {
    /// Exponential.
    Exponential,
    /// Lognormal with this sigma (of the logarithm): 1.0 to 1.5 fits telephone calls.
    Lognormal {
        /// Standard deviation of the logarithm, above 0.
        sigma: f64,
    },
    /// Drawn from real call records, in seconds; scaled to the mean asked for.
    Records(Arc<[f64]>),
}

impl Holding {
    /// Reads the durations (seconds) of answered calls from a CSV of call records: the column named `billsec` or
    /// `duration` of a headed file, or the first column of a bare list of numbers. Zero durations are left out.
    pub fn from_csv(mut source: impl Read) -> anyhow::Result<Self> {
        let mut text = String::new();
        source.read_to_string(&mut text)?;
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).enumerate().peekable();
        let fields =
            |line: &str| line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect::<Vec<_>>();
        let mut column = 0;
        if let Some((_, first)) = lines.peek() {
            let header = fields(first);
            if header[0].parse::<f64>().is_err() {
                let wanted = |name: &str| header.iter().position(|field| field.eq_ignore_ascii_case(name));
                column = wanted("billsec")
                    .or_else(|| wanted("duration"))
                    .ok_or_else(|| Invalid::new("records", "a column named billsec or duration", first))?;
                lines.next();
            }
        }
        let mut seconds = Vec::new();
        for (number, line) in lines {
            let field = fields(line).get(column).cloned().unwrap_or_default();
            let value = field.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
            let name = format!("records line {}", number + 1);
            seconds.push(value.ok_or_else(|| Invalid::new(name, "a duration in seconds", &field))?);
        }
        seconds.retain(|&value| value > 0.0);
        if seconds.is_empty() {
            return Err(Invalid::new("records", "at least one call longer than zero seconds", "none").into());
        }
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        Ok(Self::Records(seconds.iter().map(|value| value / mean).collect()))
    }

    /// A call time for mean 1.
    fn draw(&self, rng: &mut Xoshiro256PlusPlus) -> f64 {
        match self {
            Self::Exponential => exponential(rng),
            Self::Lognormal { sigma } => (sigma * normal(rng) - sigma * sigma / 2.0).exp(),
            Self::Records(seconds) => seconds[rng.random_range(0..seconds.len())],
        }
    }
}

/// How calls arrive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Poisson.
    Steady,
    /// Poisson whose rate switches between `1 + swing` and `1 - swing` of the mean after exponential times.
    Bursty {
        /// Relative swing of the rate, 0 to 1.
        swing: f64,
        /// Mean seconds in one state.
        period: f64,
    },
}

/// One call to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Call {
    /// When it comes, in seconds from the start.
    pub at: f64,
    /// How long it lasts once answered, in seconds.
    pub hold: f64,
    /// A chance of its own, uniform in 0..1: which controller asks, which purpose it has.
    pub chance: f64,
    /// Noise on its set-up time: a factor with median 1.
    pub setup_noise: f64,
    /// A chance of its own, uniform in 0..1: whether it is a request that every node drops.
    pub poison: f64,
}

/// An endless stream of calls.
#[derive(Debug)]
pub(super) struct Traffic {
    arrivals: Arrivals,
    holding: Holding,
    rate: f64,
    hold: f64,
    clock: f64,
    high: bool,
    switch_at: f64,
    gaps: Xoshiro256PlusPlus,
    marks: Xoshiro256PlusPlus,
}

impl Traffic {
    /// Calls at `rate` a second on average, of `hold` seconds on average.
    pub(super) fn new(arrivals: Arrivals, holding: Holding, rate: f64, hold: f64, seed: u64) -> Self {
        let gaps = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(2).wrapping_add(1));
        let marks = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(2));
        Self { arrivals, holding, rate, hold, clock: 0.0, high: true, switch_at: 0.0, gaps, marks }
    }

    fn next_arrival(&mut self) -> f64 {
        let Arrivals::Bursty { swing, period } = self.arrivals else {
            return self.clock + exponential(&mut self.gaps) / self.rate;
        };
        // Thinning by time change: spend one unit exponential over the piecewise constant rate.
        let mut left = exponential(&mut self.gaps);
        let mut clock = self.clock;
        loop {
            if clock >= self.switch_at {
                self.high = !self.high;
                self.switch_at = clock + period * exponential(&mut self.gaps);
            }
            let rate = self.rate * if self.high { 1.0 + swing } else { 1.0 - swing };
            let in_state = (self.switch_at - clock) * rate;
            if left <= in_state {
                return clock + left / rate;
            }
            left -= in_state;
            clock = self.switch_at;
        }
    }
}

impl Iterator for Traffic {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        self.clock = self.next_arrival();
        let hold = self.hold * self.holding.draw(&mut self.marks);
        let setup_noise = (0.2 * normal(&mut self.marks)).exp();
        let (chance, poison) = (self.marks.random(), self.marks.random());
        Some(Call { at: self.clock, hold, chance, setup_noise, poison })
    }
}

fn exponential(rng: &mut Xoshiro256PlusPlus) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

/// Standard normal by Box and Muller.
fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    let radius = (2.0 * exponential(rng)).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::{Arrivals, Holding, Traffic};

    #[test]
    fn means_are_as_asked_in_every_form() {
        let records =
            Holding::from_csv("calldate,billsec,disposition\na,10,x\nb,\"30\",x\nc,0,x\n".as_bytes()).unwrap();
        for holding in [Holding::Exponential, Holding::Lognormal { sigma: 1.0 }, records] {
            for arrivals in [Arrivals::Steady, Arrivals::Bursty { swing: 0.5, period: 5.0 }] {
                let calls: Vec<_> = Traffic::new(arrivals, holding.clone(), 10.0, 180.0, 7).take(200_000).collect();
                let rate = calls.len() as f64 / calls.last().unwrap().at;
                let hold = calls.iter().map(|call| call.hold).sum::<f64>() / calls.len() as f64;
                assert!((rate - 10.0).abs() < 0.3, "{arrivals:?}: {rate}");
                assert!((hold - 180.0).abs() < 3.0, "{holding:?}: {hold}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_calls() {
        let stream = |seed| Traffic::new(Arrivals::Steady, Holding::Exponential, 5.0, 180.0, seed).take(50);
        assert!(stream(3).eq(stream(3)));
        assert!(!stream(3).eq(stream(4)));
    }

    #[test]
    fn bad_call_records_are_refused_with_their_line() {
        let message = Holding::from_csv("10\nten\n".as_bytes()).unwrap_err().to_string();
        assert!(message.starts_with("records line 2: expected a duration in seconds, found \"ten\""), "{message}");
        assert!(Holding::from_csv("a,b\n1,2\n".as_bytes()).is_err());
        assert!(Holding::from_csv("".as_bytes()).is_err());
    }
}
