//! RIFF/WAVE files of 16-bit linear mono at 8 kHz, the only kind that the lab's clients write.

use std::fs;
use std::io;
use std::path::Path;

use super::RATE;

/// Writes `samples` as a WAV file.
pub fn write_wav(path: &Path, samples: &[i16]) -> io::Result<()> {
    let bytes = samples.len() as u32 * 2;
    let mut file = Vec::with_capacity(44 + bytes as usize);
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes()); // PCM
    file.extend(1u16.to_le_bytes()); // channels
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(2u16.to_le_bytes()); // bytes per sample
    file.extend(16u16.to_le_bytes()); // bits per sample
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    fs::write(path, file)
}

/// Reads a WAV file, also one whose writer has not finished it: all samples that are there count, whatever the header
/// says of their number. Refuses another format than 16-bit mono at 8 kHz.
pub fn read_wav(path: &Path) -> io::Result<Vec<i16>> {
    let file = fs::read(path)?;
    let refuse = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(refuse("no WAV file"));
    }
    let mut rest = &file[12..];
    while let Some((header, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        match &header[..4] {
            b"fmt " => {
                let wanted = [1, 0, 1, 0, 0x40, 0x1f, 0, 0];
                if body.get(..8) != Some(&wanted[..]) || body.get(14..16) != Some(&[16, 0]) {
                    return Err(refuse("not 16-bit mono at 8 kHz"));
                }
            }
            b"data" => {
                let samples = if length == 0 || length > body.len() { body } else { &body[..length] };
                return Ok(samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect());
            }
            _ => {}
        }
        rest = body.get(length + length % 2..).ok_or_else(|| refuse("ends before its samples"))?;
    }
    Err(refuse("holds no samples"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("a.wav");
        write_wav(&path, &[0, 1, -1, i16::MAX, i16::MIN]).expect("written");
        assert_eq!(read_wav(&path).expect("read"), [0, 1, -1, i16::MAX, i16::MIN]);
        fs::write(&path, b"RIFF....WAVEdata").expect("written");
        assert!(read_wav(&path).is_err());
    }
}
