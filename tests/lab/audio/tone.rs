//! Making tones and finding them again.

use std::f64::consts::TAU;

use super::RATE;

/// Length of the pieces in which a tone is looked for, in samples: 100 ms, so that bins are 10 Hz wide.
const WINDOW: usize = 800;
/// A tone counts as heard in a piece from this level on, in dB relative to a full-scale sine. G.711's noise lies near
/// -70 dBFS in one bin; a conference with three speakers lowers nobody by more than some dB.
const HEARD_DBFS: f64 = -45.0;

/// A sine of `hertz` at `dbfs` (dB relative to a full-scale sine) for `seconds`.
pub fn tone(hertz: f64, dbfs: f64, seconds: f64) -> Vec<i16> {
    let amplitude = f64::from(i16::MAX) * 10f64.powf(dbfs / 20.0);
    let samples = (seconds * f64::from(RATE)) as u32;
    (0..samples).map(|n| (amplitude * (TAU * hertz * f64::from(n) / f64::from(RATE)).sin()) as i16).collect()
}

/// Noise that never repeats itself within `seconds`, the same at every call with the same `seed`: audio whose place in
/// other audio is unmistakable. Low-passed a little, as speech is, so that resampling and concealment harm it less.
pub fn noise(seed: u32, dbfs: f64, seconds: f64) -> Vec<i16> {
    let amplitude = f64::from(i16::MAX) * 10f64.powf(dbfs / 20.0);
    let samples = (seconds * f64::from(RATE)) as usize;
    // xorshift: any generator would do, as long as it is the same everywhere.
    let mut state = seed.max(1);
    let mut previous = 0.0;
    (0..samples)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let white = f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0;
            previous = 0.6 * previous + 0.4 * white;
            (amplitude * previous) as i16
        })
        .collect()
}

/// Level of `hertz` in `samples`, in dB relative to a full-scale sine (Goertzel's algorithm, Hann window). It is coherent:
/// where a frame is left out or put in, as jitter does to real audio, the tone goes on in another phase and cancels itself.
/// For more than some hundred milliseconds ask [`mean_level_dbfs`].
pub fn level_dbfs(samples: &[i16], hertz: f64) -> f64 {
    if samples.is_empty() {
        return f64::NEG_INFINITY;
    }
    let length = samples.len() as f64;
    let coefficient = 2.0 * (TAU * hertz / f64::from(RATE)).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * n as f64 / length).cos();
        let now = f64::from(*sample) / f64::from(i16::MAX) * window + coefficient * last - before;
        (last, before) = (now, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    // A full-scale sine under a Hann window has the magnitude length / 4.
    20.0 * (power.max(1e-20).sqrt() / (length / 4.0)).log10()
}

/// Level of `hertz` in `samples` as power: the mean over pieces of 100 ms, each measured by itself (Welch's method), so that
/// a slipped frame harms one piece only, and a tenth of a tone that is away lowers it by half a decibel.
pub fn mean_level_dbfs(samples: &[i16], hertz: f64) -> f64 {
    let pieces = samples.chunks_exact(WINDOW);
    let all = pieces.len();
    let power: f64 = pieces.map(|piece| 10f64.powf(level_dbfs(piece, hertz) / 10.0)).sum();
    if all == 0 { f64::NEG_INFINITY } else { 10.0 * (power / all as f64).log10() }
}

/// The share (0 to 1) of 100 ms pieces of `samples` in which `hertz` is heard. A tone that is there scores near 1, one
/// that is not scores 0; clicks and neighbouring tones 30 Hz away or more do not count.
pub fn hears(samples: &[i16], hertz: f64) -> f64 {
    let pieces = samples.chunks_exact(WINDOW);
    let all = pieces.len();
    let heard = pieces
        .filter(|piece| {
            let level = level_dbfs(piece, hertz);
            // A click, or speech, is as loud beside the frequency as on it.
            let beside = level_dbfs(piece, hertz - 40.0).max(level_dbfs(piece, hertz + 40.0));
            level >= HEARD_DBFS && level >= beside + 10.0
        })
        .count();
    if all == 0 { 0.0 } else { heard as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_level_at_its_frequency_and_none_elsewhere() {
        let samples = tone(440.0, -12.0, 1.0);
        assert!((level_dbfs(&samples, 440.0) + 12.0).abs() < 0.2, "{}", level_dbfs(&samples, 440.0));
        assert!(level_dbfs(&samples, 1000.0) < -70.0);
        assert!(level_dbfs(&[], 440.0) < -100.0);
    }

    /// Jitter leaves out a frame of 20 ms here and there: the tone's level is what it was, though one long look loses it.
    #[test]
    fn a_slipped_frame_changes_no_level() {
        let said = tone(620.0, -12.0, 1.1);
        let slipped: Vec<i16> = said[..4_000].iter().chain(&said[4_160..8_160]).copied().collect();
        assert!(level_dbfs(&slipped, 620.0) < -15.0, "{}", level_dbfs(&slipped, 620.0));
        assert!((mean_level_dbfs(&slipped, 620.0) + 12.0).abs() < 0.5, "{}", mean_level_dbfs(&slipped, 620.0));
        let half: Vec<i16> = said[..4_000].iter().copied().chain(std::iter::repeat_n(0, 4_000)).collect();
        assert!((mean_level_dbfs(&half, 620.0) + 15.0).abs() < 0.3, "{}", mean_level_dbfs(&half, 620.0));
        assert!(mean_level_dbfs(&[], 620.0) < -100.0);
    }

    #[test]
    fn a_tone_is_heard_in_a_mixture_and_absent_ones_are_not() {
        let mixed: Vec<i16> =
            tone(440.0, -20.0, 2.0).iter().zip(tone(1000.0, -14.0, 2.0)).map(|(a, b)| a + b).collect();
        assert!(hears(&mixed, 440.0) > 0.95);
        assert!(hears(&mixed, 1000.0) > 0.95);
        for absent in [300.0, 500.0, 700.0, 940.0, 1400.0] {
            assert!(hears(&mixed, absent) < f64::EPSILON, "{absent} Hz");
        }
    }

    #[test]
    fn half_a_tone_scores_a_half_and_noise_scores_nothing() {
        let mut half = tone(600.0, -10.0, 1.0);
        half.extend(std::iter::repeat_n(0, 8000));
        assert!((hears(&half, 600.0) - 0.5).abs() < 0.06);
        assert!(hears(&noise(7, -10.0, 2.0), 600.0) < 0.2);
        assert!(hears(&[], 600.0) < f64::EPSILON);
    }
}
