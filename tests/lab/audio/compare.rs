//! Is this the audio that was sent?

use super::RATE;

/// Where sent audio was found in received audio, and how alike the two are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Delay of the received audio, in samples of the received audio.
    pub delay: usize,
    /// Normalised correlation at that delay: 1 for the same audio (at whatever level), 0 for unrelated audio.
    pub likeness: f64,
}

/// Looks for `piece` in `received` and returns the best place. A piece of half a second of [`super::noise`] that went
/// through G.711 twice is found with a likeness above 0.99; unrelated audio stays below 0.1.
pub fn find(piece: &[i16], received: &[i16]) -> Match {
    let nothing = Match { delay: 0, likeness: 0.0 };
    let Some(last) = received.len().checked_sub(piece.len()) else { return nothing };
    let own = energy(piece);
    if piece.len() < RATE as usize / 100 || own == 0.0 {
        return nothing;
    }
    let mut there = energy(&received[..piece.len()]);
    let mut best = nothing;
    for delay in 0..=last {
        if there > 0.0 {
            let product: f64 = piece.iter().zip(&received[delay..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let likeness = product / (own * there).sqrt();
            if likeness > best.likeness {
                best = Match { delay, likeness };
            }
        }
        if delay < last {
            // The window moves by one sample; whole numbers, so the sum stays exact.
            there += square(received[delay + piece.len()]) - square(received[delay]);
        }
    }
    best
}

fn square(sample: i16) -> f64 {
    f64::from(sample) * f64::from(sample)
}

fn energy(samples: &[i16]) -> f64 {
    samples.iter().copied().map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::super::noise;
    use super::*;

    #[test]
    fn delayed_and_quieter_audio_is_found_where_it_is() {
        let sent = noise(1, -12.0, 0.5);
        let mut received = noise(2, -40.0, 0.25);
        received.extend(sent.iter().map(|sample| sample / 3));
        received.extend(noise(3, -40.0, 0.25));
        let found = find(&sent, &received);
        assert_eq!(found.delay, 2000);
        assert!(found.likeness > 0.99, "{found:?}");
    }

    #[test]
    fn other_audio_is_not_taken_for_it() {
        let found = find(&noise(1, -12.0, 0.5), &noise(9, -12.0, 2.0));
        assert!(found.likeness < 0.15, "{found:?}");
    }

    #[test]
    fn silence_and_too_little_audio_are_no_match() {
        let sent = noise(1, -12.0, 0.5);
        assert!(find(&sent, &[0; 8000]).likeness < f64::EPSILON);
        assert!(find(&sent, &sent[..100]).likeness < f64::EPSILON);
        assert!(find(&[0; 4000], &sent).likeness < f64::EPSILON);
    }
}
