//! What a node's CPU adds to its stress between two readings.
//!
//! A reading is a second old and smoothed; calls placed since will add to it. Each call is taken to cost what calls on
//! this node were seen to cost: the smoothed ratio of CPU to calls, which is learned and needs no configuration.

use super::settings::Settings;

/// Weight of a new reading: about five readings are remembered.
const WEIGHT: f64 = 0.2;
/// Fewer calls than this say nothing about the cost of one.
const CALLS_TO_LEARN: u32 = 5;

/// One node's CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    used: Option<f64>,
    calls: f64,
    per_call: f64,
}

impl Cpu {
    /// The node reported that `used` (0 to 1) of its CPU was busy, with `calls` on it.
    pub(super) fn on_reading(&mut self, used: f64, calls: u32) {
        let used = if used.is_finite() { used.clamp(0.0, 1.0) } else { return };
        let calls_now = f64::from(calls);
        match self.used {
            None => {
                self.used = Some(used);
                self.calls = calls_now;
            }
            Some(before) => {
                self.used = Some(before + (used - before) * WEIGHT);
                self.calls += (calls_now - self.calls) * WEIGHT;
            }
        }
        if calls >= CALLS_TO_LEARN {
            let seen = used / calls_now;
            self.per_call += (seen - self.per_call) * if self.per_call == 0.0 { 1.0 } else { WEIGHT };
        }
    }

    /// The last readings smoothed, 0 to 1.
    pub(super) const fn used(&self) -> Option<f64> {
        self.used
    }

    /// Stress as a line over the number of calls: (at none, per call). Stress 1 is `cpu_limit`.
    pub(super) fn line(&self, settings: &Settings) -> (f32, f32) {
        let Some(used) = self.used else { return (0.0, 0.0) };
        let per_call = self.per_call / settings.cpu_limit;
        ((used / settings.cpu_limit - per_call * self.calls) as f32, per_call as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cpu, Settings};

    #[test]
    fn the_cost_of_a_call_is_learned_and_applied_to_calls_since() {
        let settings = Settings::default();
        let mut cpu = Cpu::default();
        assert_eq!(cpu.line(&settings), (0.0, 0.0));
        for _ in 0..50 {
            cpu.on_reading(0.375, 50);
        }
        let (base, per_call) = cpu.line(&settings);
        let stress = |calls: f32| base + per_call * calls;
        assert!((stress(50.0) - 0.5).abs() < 1e-3);
        assert!((stress(100.0) - 1.0).abs() < 1e-3);
        cpu.on_reading(f64::NAN, 50);
        cpu.on_reading(-4.0, 0);
        assert!(cpu.used().is_some_and(|used| (0.0..=1.0).contains(&used)));
    }
}
