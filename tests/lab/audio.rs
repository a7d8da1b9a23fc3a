//! What was heard: the level of a tone in received audio, and whether received audio is the sent audio.
//!
//! All audio here is mono, 16 bit, 8000 samples a second: what G.711 carries.

mod compare;
mod tone;
mod wav;

pub use compare::{Match, find};
pub use tone::{hears, level_dbfs, mean_level_dbfs, noise, tone};
pub use wav::{read_wav, write_wav};

/// Samples per second.
pub const RATE: u32 = 8000;
