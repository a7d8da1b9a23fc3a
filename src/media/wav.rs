//! The one audio format that recordings have: WAV with 16-bit PCM, one channel, 8 kHz (Asterisk's `wav`).
//!
//! A file comes from a node, which may be hostile, or may have died while it wrote: then its header still says that there
//! is no audio, and the audio is there all the same (seen on 16.28 and 22.10 after `kill -9`). Nothing here trusts a length.

use crate::invalid::Invalid;

/// Samples a second.
pub(super) const RATE: u32 = 8_000;
/// Bytes of a second of audio.
pub(super) const BYTES_PER_SECOND: u64 = RATE as u64 * 2;

/// The samples of a WAV file, as bytes; whole samples only. A file of another kind is refused.
pub(super) fn samples(file: &[u8]) -> Result<&[u8], Invalid> {
    let refused = |found: &str| Invalid::new("audio", "a WAV file of 16-bit PCM, one channel, 8000 Hz", found);
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(refused("no WAV file"));
    }
    let mut rest = &file[12..];
    let mut known = false;
    loop {
        let Some((head, body)) = rest.split_at_checked(8) else { return Err(refused("a file without audio")) };
        let said = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match &head[..4] {
            b"fmt " => {
                let format = body.get(..16).ok_or_else(|| refused("a file that ends in its header"))?;
                known = is_known(format);
            }
            b"data" if !known => return Err(refused("another format")),
            b"data" => {
                // A length of 0, or one beyond the file's end, is that of a file that was never closed.
                let length = if said == 0 { body.len() } else { said.min(body.len()) };
                return Ok(&body[..length - length % 2]);
            }
            _ => {}
        }
        // Chunks begin at even places.
        rest = body.get(said.saturating_add(said % 2)..).ok_or_else(|| refused("a file that ends in its header"))?;
    }
}

/// PCM (1), one channel, 8 kHz, 16 bits.
fn is_known(format: &[u8]) -> bool {
    let word = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    let rate = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
    word(0) == 1 && word(2) == 1 && rate == RATE && word(14) == 16
}

/// The header of a file with so many bytes of samples; what does not fit a WAV file is not counted.
pub(super) fn header(bytes: u64) -> [u8; 44] {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX - 36).min(u32::MAX - 36);
    let mut header = [0_u8; 44];
    let mut at = 0;
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(36 + bytes).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        // PCM, one channel.
        &1_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &RATE.to_le_bytes(),
        &(RATE * 2).to_le_bytes(),
        // Bytes a frame, bits a sample.
        &2_u16.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &bytes.to_le_bytes(),
    ];
    for part in parts {
        header[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    header
}

/// How long so many bytes of samples last, in milliseconds.
pub(super) fn milliseconds(bytes: u64) -> u64 {
    bytes * 1_000 / BYTES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{header, milliseconds, samples};

    fn file(audio: &[u8]) -> Vec<u8> {
        [&header(audio.len() as u64)[..], audio].concat()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(samples(&file(&[1, 2, 3, 4])).expect("good"), [1, 2, 3, 4]);
        assert_eq!(samples(&file(&[])).expect("good"), [0_u8; 0]);
        assert_eq!(milliseconds(16_000), 1_000);
    }

    #[test]
    fn a_file_that_its_writer_did_not_close_has_its_audio() {
        let mut torn = file(&[1, 2, 3, 4, 5]);
        torn[40..44].fill(0);
        torn[4..8].fill(0);
        assert_eq!(samples(&torn).expect("good"), [1, 2, 3, 4], "whole samples");
        torn[40..44].fill(0xff);
        assert_eq!(samples(&torn).expect("good"), [1, 2, 3, 4]);
    }

    #[test]
    fn other_chunks_are_passed_over_and_other_formats_refused() {
        let whole = file(&[7, 8]);
        let listed = [&whole[..36], b"LIST\x03\0\0\0abc\0", &whole[36..]].concat();
        assert_eq!(samples(&listed).expect("good"), [7, 8]);
        for (at, byte) in [(20, 3), (22, 2), (24, 0x41), (34, 8)] {
            let mut other = whole.clone();
            other[at] = byte;
            assert!(samples(&other).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_node_sends_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            let _ = samples(&bytes);
            let mut whole = file(&bytes);
            whole.truncate(cut);
            let _ = samples(&whole);
        }
    }
}
