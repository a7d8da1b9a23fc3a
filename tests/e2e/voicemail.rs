//! Messages: left on one node, heard on another, kept whatever becomes of the node, and on no node's disk.

use crate::lab::audio::{RATE, find, noise, read_wav};
use crate::lab::{KamailioVersion, Lab, wait_until};
use crate::stage::{SOON, Stage};
use std::time::Duration;

/// Of noise that went through G.711 twice, a piece is found with more likeness than this; other audio stays far below.
const THE_SAME: f64 = 0.95;
/// How long phones have something to say, in seconds: longer than any call here.
const SAID_S: f64 = 14.0;

/// Numbers of one tenant: `200` rings a user, `*200` takes messages for him, `97` plays them. The prompts are tones, to be short.
fn settings(lab: &Lab, piece_s: u32) -> String {
    format!(
        r#"
[media]
recordings = "{}"
piece_s = {piece_s}

[[tenants]]
name = "Zimbelstern"
domains = ["example.test"]
[tenants.extensions]
"200" = {{ app = "dial", to = "user200", busy_then = "*200" }}
"_*2XX" = {{ app = "voicemail", strip = 1, greeting = "hello", review = "hello", least_s = 1, silence_s = 0 }}
[tenants.extensions."97"]
app = "mailbox"
mailbox = "200"
pins = {{ "200" = "4711" }}
ask_pin = "hello"
wrong = "error"
menu = "beep"
empty = "error"
goodbye = []
"#,
        lab.directory().join("kamari/recordings").display()
    )
}

fn stage(nodes: u8, piece_s: u32) -> Stage {
    Stage::configured(nodes, KamailioVersion::V6_1, &[], |lab| settings(lab, piece_s))
}

fn messages(stage: &Stage) -> Vec<serde_json::Value> {
    let mailbox = stage.kamari.get("/v1/mailboxes/Zimbelstern/200");
    mailbox["messages"].as_array().expect("messages").clone()
}

/// A message's file, and its samples.
fn audio_of(stage: &Stage, message: &serde_json::Value) -> (Vec<u8>, Vec<i16>) {
    let id = message["id"].as_str().expect("an id");
    let path = stage.lab.directory().join(format!("kamari/recordings/{id}.wav"));
    (std::fs::read(&path).expect("the audio"), read_wav(&path).expect("a WAV file"))
}

/// Fails unless all of these samples are a stretch of what was said: not one is missing or twice.
fn assert_is_a_stretch(heard: &[i16], said: &[i16]) {
    let piece = RATE as usize / 10;
    let places = [piece, heard.len() / 2, heard.len() - 2 * piece];
    let found = places.map(|at| find(&heard[at..at + piece], said));
    for (place, found) in places.iter().zip(&found) {
        assert!(found.likeness > THE_SAME, "at sample {place}: {found:?}");
    }
    let [first, second, third] = found.map(|found| found.delay);
    assert_eq!(
        (second - first, third - second),
        (places[1] - places[0], places[2] - places[1]),
        "something is missing"
    );
}

/// Fails unless a phone heard all of this, from its first piece to its last, in order and at the speed at which it was said.
fn assert_was_heard(left: &[i16], heard: &[i16]) {
    let piece = RATE as usize / 20;
    // What jitter may add or take between two pieces.
    let slip = RATE as usize / 10;
    let places = [0, 1, 2, 3, 4].map(|quarter| (left.len() - piece) * quarter / 4);
    let found = places.map(|at| find(&left[at..at + piece], heard));
    for (place, found) in places.iter().zip(&found) {
        assert!(found.likeness > THE_SAME, "at sample {place}: {found:?}");
    }
    for (places, found) in places.windows(2).zip(found.windows(2)) {
        let (was, is) = (places[1] - places[0], found[1].delay.saturating_sub(found[0].delay));
        assert!(is.abs_diff(was) <= slip, "{was} samples became {is}");
    }
}

#[test]
fn a_busy_users_message_is_heard_by_him_from_another_node_and_stays_on_none() {
    let stage = stage(2, 2);
    stage.kamailio.add_user("user200@example.test", "secret-of-users");
    let mut owner = stage.lab.phone(2).user("user200", "example.test", "secret-of-users").start();
    owner.register().expect("registered");
    let said = noise(1, -15.0, SAID_S);
    let mut caller = stage.lab.phone(1).says(said.clone()).start();
    caller.dial("200");
    owner.wait_rung();
    // 486: the caller goes on with his mailbox.
    owner.end_call();
    owner.wait_closed();
    caller.wait_up();
    // Longer than two pieces, and than the greeting and the tone before.
    caller.listen(Duration::from_secs(8));
    caller.hang_up();
    wait_until("the message", SOON, || messages(&stage).len() == 1);
    let message = messages(&stage).remove(0);
    assert_eq!((&message["state"], &message["whole"]), (&"new".into(), &true.into()), "{message}");
    assert!(message["duration_ms"].as_u64().expect("a length") > 4_000, "{message}");
    let (file, left) = audio_of(&stage, &message);
    assert_is_a_stretch(&left, &said);
    let sample_of_it = &file[file.len() / 2..][..64];

    // The node that recorded it takes no more calls: the owner is on the other one.
    let first = message["node"].as_str().expect("a node").to_owned();
    stage.kamari.cli(&["node", "drain", &first]).expect("drained");
    let other = stage.nodes.iter().find(|node| node.name() != first).expect("two nodes");
    owner.call("97").expect("answered");
    owner.dtmf("4711#");
    wait_until("the message to be played", SOON, || !stage.files_with(other, sample_of_it).is_empty());
    let calls = stage.kamari.get("/v1/calls");
    assert_eq!(calls[0]["node"], other.name().as_str(), "{calls}");
    wait_until("the message to be heard", SOON, || messages(&stage)[0]["state"] == "saved");
    owner.dtmf("7");
    wait_until("the message to be deleted", SOON, || messages(&stage).is_empty());
    assert_was_heard(&left, &owner.hang_up().samples);
    stage.assert_nothing_left();
    stage.assert_no_tenant_data(sample_of_it, &["Zimbelstern"]);
}

/// Leaves a message on a node that dies while the caller speaks. What is there of it, once the node was found to be dead?
fn killed_while_he_speaks(stage: &Stage, said: &[i16]) -> Option<serde_json::Value> {
    let node = &stage.nodes[0];
    let caller = stage.lab.phone(1).says(said.to_vec()).call("*200");
    caller.listen(Duration::from_secs(9));
    node.kill9();
    drop(caller);
    wait_until("the call to be over", SOON, || stage.calls() == 0);
    let mut there = Vec::new();
    // A part of it is kept some seconds after, if there is any.
    let until = std::time::Instant::now() + Duration::from_secs(12);
    wait_until("the message", SOON, || {
        there = messages(stage);
        !there.is_empty() || std::time::Instant::now() > until
    });
    there.pop()
}

#[test]
fn a_message_survives_the_death_of_its_node() {
    let stage = stage(1, 2);
    let said = noise(2, -15.0, SAID_S);
    let part = killed_while_he_speaks(&stage, &said).expect("what was fetched is kept");
    assert_eq!(part["whole"], false, "{part}");
    let (_, heard) = audio_of(&stage, &part);
    assert_is_a_stretch(&heard, &said);

    // The node comes back with its disk: so does the rest.
    stage.nodes[0].restart();
    wait_until("the rest", SOON, || messages(&stage)[0]["whole"] == true);
    let whole = messages(&stage).remove(0);
    assert!(whole["duration_ms"].as_u64() >= part["duration_ms"].as_u64(), "{whole}");
    let (file, heard) = audio_of(&stage, &whole);
    assert_is_a_stretch(&heard, &said);
    assert_eq!(whole["id"], part["id"]);
    stage.assert_nothing_left();
    stage.assert_no_tenant_data(&file[file.len() / 2..][..64], &["Zimbelstern"]);
}

/// The twin: a recording in one piece is gone with its node.
#[test]
fn without_pieces_a_message_dies_with_its_node() {
    let stage = stage(1, 60);
    assert_eq!(killed_while_he_speaks(&stage, &noise(3, -15.0, SAID_S)), None);
    let recordings = stage.lab.directory().join("node1/spool/recording");
    for entry in std::fs::read_dir(&recordings).expect("the node's recordings").flatten() {
        std::fs::remove_file(entry.path()).expect("the disk is lost");
    }
    stage.nodes[0].restart();
    stage.wait_for_node("node1", "up");
    wait_until("the node to be asked", SOON, || stage.metric("kamari_recordings_pending") == 0.0);
    assert!(messages(&stage).is_empty());
}
