use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{MessageState, Pending, Purpose, Recording, RecordingId, Recordings, Retention, StoreError, Verdict};
use crate::media::wav;
use crate::telemetry::Metrics;

fn open(folder: &Path) -> Recordings {
    Recordings::open(folder, Metrics::new().expect("metrics").media).expect("a good folder")
}

fn recording(tenant: &str, purpose: Purpose, started_ms: u64) -> Recording {
    Recording {
        id: RecordingId::random(),
        tenant: tenant.into(),
        purpose,
        caller: "alice".into(),
        call_id: None,
        node: "n1".into(),
        started_ms,
        duration_ms: 0,
        bytes: 0,
        whole: false,
    }
}

fn message(mailbox: &str) -> Purpose {
    Purpose::Message { mailbox: mailbox.into(), state: MessageState::Draft }
}

fn pending(recording: Recording) -> Pending {
    let tape = format!("kamari-recording-{}", recording.id);
    Pending { tape, verdict: Verdict::Open, least_ms: 0, expected: Vec::new(), gap: false, kept: false, recording }
}

/// A file of so many milliseconds of this sample.
fn file(milliseconds: u64, sample: u8) -> Vec<u8> {
    let audio = vec![sample; (milliseconds * 16) as usize];
    [&wav::header(audio.len() as u64)[..], &audio].concat()
}

/// A recording of one second, accepted.
fn kept(store: &Recordings, tenant: &str, purpose: Purpose, started_ms: u64) -> Arc<Recording> {
    let mut entry = pending(recording(tenant, purpose, started_ms));
    store.put_pending(&entry).expect("written");
    store.put_piece(&entry.tape, 0, &file(1_000, 7)).expect("written");
    let kept = store.keep_pieces(&mut entry).expect("written").expect("long enough");
    store.settle(&entry.tape).expect("settled");
    store.accept(&kept.id).expect("accepted")
}

#[test]
fn pieces_become_a_recording_in_their_order_and_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut entry = pending(recording("one", message("200"), 5));
    store.put_pending(&entry).expect("written");
    for (number, sample) in [(1, 2), (0, 1), (10, 3)] {
        store.put_piece(&entry.tape, number, &file(100, sample)).expect("written");
    }
    let kept = store.keep_pieces(&mut entry).expect("written").expect("a recording");
    assert_eq!((kept.duration_ms, kept.bytes, kept.whole), (300, 44 + 4_800, true));
    assert!(store.messages("one", "200").is_empty(), "a draft is nobody's message");
    let audio = fs::read(store.audio(&kept.id)).expect("audio");
    let samples = wav::samples(&audio).expect("a WAV file");
    assert_eq!([samples[0], samples[1_600], samples[3_200]], [1, 2, 3]);
    let mode = fs::metadata(store.audio(&kept.id)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // kamari dies here: the entry is still there, and the draft is a message.
    let store = open(folder.path());
    assert_eq!(store.pending().expect("read"), [entry.clone()]);
    assert_eq!(store.messages("one", "200").len(), 1);
    store.settle(&entry.tape).expect("settled");
    assert!(store.pending().expect("read").is_empty() && store.pieces(&entry.tape).expect("read").is_empty());
    assert_eq!(store.messages("one", "200")[0].state(), Some(MessageState::New));
}

#[test]
fn a_late_piece_makes_a_recording_whole_and_keeps_what_was_said_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut entry = pending(recording("one", message("200"), 5));
    entry.expected = vec![0, 1];
    store.put_pending(&entry).expect("written");
    store.put_piece(&entry.tape, 0, &file(100, 1)).expect("written");
    let kept = store.keep_pieces(&mut entry).expect("written").expect("a recording");
    assert!(!kept.whole);
    store.accept(&kept.id).expect("accepted");
    store.mark(&kept.id, MessageState::Saved).expect("marked");

    let store = open(folder.path());
    let mut entry = store.pending().expect("read").remove(0);
    store.put_piece(&entry.tape, 1, &file(100, 2)).expect("written");
    let whole = store.keep_pieces(&mut entry).expect("written").expect("a recording");
    assert_eq!((whole.duration_ms, whole.whole, whole.state()), (200, true, Some(MessageState::Saved)));
    // Once deleted, it does not come back with another late piece.
    assert!(store.delete(&whole.id).expect("deleted"));
    assert!(store.keep_pieces(&mut entry).expect("fine").is_none());
    assert!(store.get(&whole.id).is_none());
}

#[test]
fn what_is_too_short_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut entry = pending(recording("one", message("200"), 5));
    entry.least_ms = 1_000;
    store.put_pending(&entry).expect("written");
    store.put_piece(&entry.tape, 0, &file(999, 1)).expect("written");
    assert!(store.keep_pieces(&mut entry).expect("fine").is_none());
    store.settle(&entry.tape).expect("settled");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("read").map(|entry| entry.expect("read").path()).collect();
    assert!(left.iter().all(|path| path.is_dir()), "{left:?}");
}

#[test]
fn mailboxes_of_two_tenants_never_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let one = kept(&store, "one", message("200"), 1);
    let two = kept(&store, "two", message("200"), 2);
    kept(&store, "one", message("201"), 3);
    assert_eq!(store.messages("one", "200"), [one]);
    assert_eq!(store.messages("two", "200"), [two]);
    assert!(store.messages("three", "200").is_empty());
}

#[test]
fn a_new_greeting_takes_the_place_of_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let greeting = || Purpose::Greeting { mailbox: "200".into(), draft: true };
    let first = kept(&store, "one", greeting(), 1);
    kept(&store, "two", greeting(), 2);
    let second = kept(&store, "one", greeting(), 3);
    assert_eq!(store.greeting("one", "200").map(|one| one.id.clone()), Some(second.id.clone()));
    assert!(store.get(&first.id).is_none() && store.greeting("two", "200").is_some());
}

#[test]
fn age_and_room_take_the_oldest_and_no_greeting() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    kept(&store, "one", Purpose::Greeting { mailbox: "200".into(), draft: true }, 0);
    let ids: Vec<_> = (1..=4).map(|at| kept(&store, "one", message("200"), at * 1_000).id.clone()).collect();
    let none = Retention { age: None, bytes: None };
    assert_eq!(store.expire(none, u64::MAX).expect("fine"), 0);
    let age = Retention { age: Some(Duration::from_secs(3)), ..none };
    assert_eq!(store.expire(age, 4_500).expect("fine"), 1);
    let room = Retention { bytes: Some(3 * 16_044), ..none };
    assert_eq!(store.expire(room, 0).expect("fine"), 1);
    let left: Vec<_> = store.messages("one", "200").iter().map(|one| one.id.clone()).collect();
    assert_eq!(left, ids[2..]);
    assert!(store.greeting("one", "200").is_some());
}

#[test]
fn a_torn_folder_is_tidied_and_damage_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let good = kept(&store, "one", message("200"), 1);
    // kamari died while it wrote: audio without description, a file beside its place.
    let orphan = RecordingId::random();
    fs::write(store.audio(&orphan), b"x").expect("written");
    fs::write(folder.path().join(format!("{orphan}.json.new")), b"{").expect("written");
    let damaged = folder.path().join(format!("{}.json", RecordingId::random()));
    fs::write(&damaged, b"{\"id\"").expect("written");
    let store = open(folder.path());
    assert_eq!(store.list(|_| true), [good]);
    assert!(!store.audio(&orphan).exists() && damaged.exists());
    assert!(!folder.path().join(format!("{orphan}.json.new")).exists());
}

#[test]
fn what_somebody_writes_just_now_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let other = folder.path().join("pending/kamari-recording-other.json.new");
    fs::write(&other, b"{").expect("written");
    kept(&store, "one", message("200"), 1);
    store.pending().expect("read");
    assert!(other.exists(), "another recording, which is about to be renamed into its place");
}

#[test]
fn a_hostile_piece_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let refused = store.put_piece("kamari-recording-1", 0, b"<html>").expect_err("refused");
    assert!(matches!(refused, StoreError::NoAudio(_)), "{refused}");
    assert!(store.pieces("kamari-recording-1").expect("read").is_empty());
}

#[test]
fn changes_of_mailboxes_are_told_and_drafts_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let mut changes = store.changes();
    let mut entry = pending(recording("one", message("200"), 5));
    store.put_pending(&entry).expect("written");
    store.put_piece(&entry.tape, 0, &file(100, 1)).expect("written");
    let draft = store.keep_pieces(&mut entry).expect("written").expect("a recording");
    assert!(changes.try_recv().is_err());
    store.accept(&draft.id).expect("accepted");
    let told = changes.try_recv().expect("told");
    assert_eq!((&*told.tenant, &*told.mailbox), ("one", "200"));
    store.accept(&draft.id).expect("nothing to do");
    assert!(changes.try_recv().is_err(), "said once");
}

#[test]
fn a_piece_that_is_longer_than_any_that_was_asked_for_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let entry = pending(recording("one", message("200"), 5));
    store.put_piece(&entry.tape, 0, &file(62_000, 1)).expect("the longest that is asked for");
    let refused = store.put_piece(&entry.tape, 1, &file(140_000, 1)).expect_err("too long");
    assert!(matches!(refused, StoreError::NoAudio(_)), "{refused}");
    assert_eq!(store.pieces(&entry.tape).expect("read"), [0]);
}
