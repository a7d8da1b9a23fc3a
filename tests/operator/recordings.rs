//! Recordings and mailboxes as the operator's API shows them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::Kamari;

const MESSAGE: &str = "0123456789abcdef0123456789abcdef";
const SAVED: &str = "0123456789abcdef0123456789abcde0";
const OTHERS: &str = "fedcba9876543210fedcba9876543210";
const GREETING: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A recording as an earlier kamari left it.
fn left(folder: &Path, id: &str, tenant: &str, purpose: &Value, started_ms: u64) {
    let described = json!({
        "id": id, "tenant": tenant, "purpose": purpose, "caller": "alice", "node": "as1",
        "started_ms": started_ms, "duration_ms": 1000, "bytes": 6, "whole": true,
    });
    fs::write(folder.join(format!("{id}.json")), described.to_string()).expect("written");
    fs::write(folder.join(format!("{id}.wav")), format!("audio {tenant}")).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_listed_heard_marked_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = |state: &str| json!({ "kind": "message", "mailbox": "200", "state": state });
    left(folder.path(), MESSAGE, "one", &message("draft"), 2);
    left(folder.path(), SAVED, "one", &message("saved"), 1);
    left(folder.path(), OTHERS, "two", &message("new"), 3);
    left(folder.path(), GREETING, "one", &json!({ "kind": "greeting", "mailbox": "200" }), 4);
    let kamari = Kamari::start(&format!("[media]\nrecordings = {:?}\n", folder.path())).await;

    // The draft's caller went with the earlier kamari: it is a message.
    let mailbox = kamari.json("/v1/mailboxes/one/200").await;
    assert_eq!((&mailbox["new"], &mailbox["saved"], &mailbox["greeting"]), (&json!(1), &json!(1), &json!(true)));
    let ids: Vec<_> = mailbox["messages"].as_array().expect("messages").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [SAVED, MESSAGE]);
    let all = kamari.json("/v1/recordings").await;
    assert_eq!(all.as_array().map(Vec::len), Some(4));
    let narrowed = kamari.json("/v1/recordings?tenant=one&kind=message&mailbox=200").await;
    assert_eq!(narrowed.as_array().map(Vec::len), Some(2));
    assert_eq!(kamari.get("/v1/recordings?colour=red").await.0, 400);

    assert_eq!(kamari.get(&format!("/v1/recordings/{MESSAGE}/audio")).await, (200, "audio one".to_owned()));
    let path = format!("/v1/mailboxes/one/200/messages/{MESSAGE}");
    assert_eq!(kamari.get(&format!("{path}/audio")).await, (200, "audio one".to_owned()));
    // Another tenant's message is not there, though the mailbox has the same name.
    let foreign = format!("/v1/mailboxes/one/200/messages/{OTHERS}");
    assert_eq!(kamari.get(&format!("{foreign}/audio")).await.0, 404);
    assert_eq!(kamari.send("delete", &foreign).await.0, 404);
    assert_eq!(kamari.get("/v1/recordings/..%2f..%2fetc").await.0, 404);

    let (status, marked) = kamari.patch(&path, r#"{"state":"saved"}"#).await;
    assert_eq!((status, &marked["state"]), (200, &json!("saved")));
    let (status, refused) = kamari.patch(&path, r#"{"state":"draft"}"#).await;
    assert_eq!((status, &refused["field"]), (400, &json!("state")));
    assert_eq!(kamari.send("delete", &path).await.0, 204);
    assert_eq!(kamari.send("delete", &path).await.0, 404);
    assert!(!folder.path().join(format!("{MESSAGE}.wav")).exists());
    assert_eq!(kamari.send("delete", "/v1/mailboxes/one/200/greeting").await.0, 204);
    assert_eq!(kamari.send("delete", &format!("/v1/recordings/{SAVED}")).await.0, 204);
    assert_eq!(kamari.json("/v1/mailboxes/one/200").await["messages"], json!([]));
    kamari.metric("kamari_recordings", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_there_are_no_recordings_and_the_api_says_so() {
    let kamari = Kamari::start("").await;
    let (status, text) = kamari.get("/v1/mailboxes/one/200").await;
    assert!(status == 404 && text.contains("media.recordings"), "{text}");
}
