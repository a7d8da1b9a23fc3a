//! The prompts that need no file: short tone sequences, made when kamari starts.
//!
//! They are 16-bit mono WAV at 8 kHz, which every Asterisk plays without a codec module. Each note is a pure tone, so a
//! test (or an ear) can tell which prompt was played.

use std::f64::consts::TAU;

use bytes::Bytes;

/// Samples a second.
const RATE: u32 = 8_000;
/// Fade at both ends of a note, in samples (5 ms): without it a note clicks.
const FADE: u32 = 40;
/// Peak of a note in a 16-bit sample's range: -9 dB, a level at which prompts and speech go well together.
const PEAK: f64 = 11_500.0;
/// Peak of the waiting music: 12 dB below the prompts.
const MUSIC_PEAK: f64 = 2_900.0;

/// One note: frequency in Hz (0 is silence) and length in milliseconds.
type Note = (f64, u32);

/// Every built-in prompt by name, with its file's bytes.
pub(super) fn all() -> Vec<(&'static str, Bytes)> {
    vec![
        ("beep", wav(&[(1_000.0, 200)], PEAK)),
        ("join", wav(&[(600.0, 100), (800.0, 150)], PEAK)),
        ("leave", wav(&[(800.0, 100), (600.0, 150)], PEAK)),
        ("hello", wav(&[(523.25, 250), (659.25, 250), (783.99, 250), (1_046.5, 400)], PEAK)),
        ("error", wav(&[(300.0, 250), (0.0, 80), (300.0, 250)], PEAK)),
        ("music", wav(&music(), MUSIC_PEAK)),
    ]
}

/// A quiet walk over four chords, 12.8 s long, that ends where it begins.
fn music() -> Vec<Note> {
    let chords: [[f64; 4]; 4] = [
        [261.63, 329.63, 392.0, 329.63],
        [220.0, 261.63, 329.63, 261.63],
        [174.61, 220.0, 261.63, 220.0],
        [196.0, 246.94, 293.66, 246.94],
    ];
    chords.iter().flat_map(|chord| chord.iter().chain(chord).map(|&tone| (tone, 400))).collect()
}

/// A WAV file of these notes, one after the other.
fn wav(notes: &[Note], peak: f64) -> Bytes {
    let mut samples: Vec<i16> = Vec::new();
    for &(frequency, milliseconds) in notes {
        let count = RATE * milliseconds / 1_000;
        samples.extend((0..count).map(|at| {
            let fade = f64::from(at.min(count - 1 - at).min(FADE)) / f64::from(FADE);
            ((TAU * frequency * f64::from(at) / f64::from(RATE)).sin() * peak * fade).round() as i16
        }));
    }
    let size = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + size as usize);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + size).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    // Bytes a frame, bits a sample.
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&size.to_le_bytes());
    for sample in samples {
        file.extend_from_slice(&sample.to_le_bytes());
    }
    file.into()
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn every_prompt_is_a_wav_of_the_length_that_its_header_says() {
        for (name, file) in all() {
            assert_eq!(&file[..4], b"RIFF", "{name}");
            let riff = u32::from_le_bytes(file[4..8].try_into().expect("four bytes")) as usize;
            let data = u32::from_le_bytes(file[40..44].try_into().expect("four bytes")) as usize;
            assert_eq!((riff + 8, data + 44), (file.len(), file.len()), "{name}");
            let loudest = file[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).abs()).max();
            assert!(loudest.is_some_and(|peak| peak > 2_000), "{name} can be heard");
        }
    }
}
