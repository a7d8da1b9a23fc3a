//! What callers hear, measured on the audio that real phones received.

use crate::lab::audio::{RATE, find, level_dbfs, mean_level_dbfs, noise};
use crate::lab::{OTHER_DOMAIN, wait_until};
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS; one that is heard at all is far above this, silence and noise far below.
const HEARD_DBFS: f64 = -25.0;
const SILENT_DBFS: f64 = -50.0;

#[test]
fn members_of_a_room_hear_each_other_and_nobody_else() {
    let stage = Stage::of(1);
    let ann = stage.lab.phone(1).tone(440.0).call("200");
    let bob = stage.lab.phone(2).tone(620.0).call("200");
    // The same number of another tenant, and another room of the same one.
    let eve = stage.lab.phone(3).user("eve", OTHER_DOMAIN, "").tone(880.0).call("200");
    let zoe = stage.lab.phone(4).tone(1_100.0).call("201");
    wait_until("all members to be in", SOON, || stage.calls() == 4);

    let pieces = [("ann", &ann), ("bob", &bob), ("eve", &eve), ("zoe", &zoe)];
    // The join sounds are over after a second.
    for (_, phone) in pieces {
        phone.listen(Duration::from_secs(1));
    }
    for (name, phone) in pieces {
        let heard = phone.listen(Duration::from_secs(2));
        for (whose, tone) in [("ann", 440.0), ("bob", 620.0), ("eve", 880.0), ("zoe", 1_100.0)] {
            let together = matches!((name, whose), ("ann", "bob") | ("bob", "ann"));
            let level = if together { mean_level_dbfs(&heard, tone) } else { level_dbfs(&heard, tone) };
            if together {
                assert!(level > HEARD_DBFS, "{name} hears {whose} at {level:.1} dBFS");
            } else {
                assert!(level < SILENT_DBFS, "{name} must not hear {whose}: {level:.1} dBFS");
            }
        }
    }
    for phone in [ann, bob, eve, zoe] {
        phone.hang_up();
    }
    stage.assert_nothing_left();
}

#[test]
fn echo_sends_back_what_it_hears() {
    let stage = Stage::of(1);
    // Noise: unlike a tone, it is like itself at one delay only.
    let said = noise(1, -15.0, 10.0);
    let phone = stage.lab.phone(1).says(said.clone()).call("110");
    phone.listen(Duration::from_secs(4));
    let received = phone.hang_up().samples;
    // Four pieces of a second in the middle, each looked for in what was said. On a busy machine a phone may slip a frame in
    // one of them.
    let middle = &received[received.len() / 2 - RATE as usize / 2..][..RATE as usize];
    let likeness: Vec<f64> = middle.chunks(RATE as usize / 4).map(|piece| find(piece, &said).likeness).collect();
    let same = likeness.iter().filter(|likeness| **likeness > 0.95).count();
    assert!(same >= 3, "of four pieces that came back {same} are what was sent: {likeness:.3?}");
    stage.assert_nothing_left();
}
