//! Rooms that are recorded: what is kept is what was said, on whichever node, and no node keeps any of it.

use crate::lab::audio::{RATE, mean_level_dbfs, read_wav};
use crate::lab::{KamailioVersion, Lab, wait_until};
use crate::rooms::{enters, on_node};
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// A tone of a phone arrives at -12 dBFS; one that is heard at all is far above this.
const HEARD_DBFS: f64 = -25.0;
/// Longer than two pieces.
const RECORDED: Duration = Duration::from_secs(5);

fn settings(lab: &Lab) -> String {
    format!(
        r#"
[media]
recordings = "{}"
piece_s = 2

[[tenants]]
name = "Zimbelstern"
domains = ["example.test"]
[tenants.extensions]
"300" = {{ app = "conference", room = "board", pin = "12", moderator_pin = "4711" }}
"#,
        lab.directory().join("kamari/recordings").display()
    )
}

/// Begun by the API and ended by key, as a board's secretary and its chair would.
#[test]
fn what_is_said_on_two_nodes_is_in_one_recording() {
    let stage = Stage::configured(2, KamailioVersion::V6_1, &[], settings);
    let room = || stage.kamari.get("/v1/rooms/Zimbelstern/board");
    let mut moderator = on_node(&stage, 0, || stage.lab.phone(1).tone(440.0).call("300"));
    enters(&mut moderator, "4711#");
    wait_until("the moderator to be in", SOON, || stage.open_rooms() == 1);
    let mut member = on_node(&stage, 1, || stage.lab.phone(2).tone(620.0).call("300"));
    enters(&mut member, "12#");
    wait_until("both to be in", SOON, || room()["members"].as_array().is_some_and(|members| members.len() == 2));
    assert_ne!(room()["members"][0]["node"], room()["members"][1]["node"], "the room spans two nodes");
    wait_until("them to hear each other", SOON, || {
        mean_level_dbfs(&moderator.listen(Duration::from_millis(500)), 620.0) > HEARD_DBFS
    });

    stage.kamari.post("/v1/rooms/Zimbelstern/board/record");
    wait_until("the room to be recorded", SOON, || room()["recorded"] == true);
    moderator.listen(RECORDED);
    moderator.dtmf("*5");
    wait_until("the room to be recorded no longer", SOON, || room()["recorded"] == false);
    let kept = || stage.kamari.get("/v1/recordings?tenant=Zimbelstern&kind=room");
    wait_until("the recording to be brought home", SOON, || kept()[0]["whole"] == true);
    let kept = kept();
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    assert_eq!((&kept[0]["room"], &kept[0]["part"]), (&"board".into(), &1.into()), "{kept}");

    let file = stage.lab.directory().join("board.wav");
    stage.kamari.save(&format!("/v1/recordings/{}/audio", kept[0]["id"].as_str().expect("an id")), &file);
    let said = read_wav(&file).expect("a WAV file");
    let second = RATE as usize;
    assert!(said.len() as f64 >= RECORDED.as_secs_f64() * f64::from(RATE), "{} samples", said.len());
    // In each piece, and in the seconds in which one piece follows the other.
    for from in (second..said.len() - second).step_by(second) {
        for tone in [440.0, 620.0] {
            let level = mean_level_dbfs(&said[from..from + second], tone);
            assert!(level > HEARD_DBFS, "{tone} Hz at {level:.1} dBFS from sample {from} on");
        }
    }

    moderator.hang_up();
    member.hang_up();
    stage.assert_nothing_left();
    let bytes = std::fs::read(&file).expect("the audio");
    stage.assert_no_tenant_data(&bytes[bytes.len() / 2..][..64], &["Zimbelstern"]);
}
