//! What the operator does at run time, over restarts of kamari.

use std::fs;

use kamari::pool::{Intent, NodePatch, Origin, PoolError};

use crate::support::fake_node::FakeNode;
use crate::support::pool::{Choice, TestPool, name, spec};

#[tokio::test]
async fn nodes_survive_a_restart_as_the_operator_left_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = FakeNode::start().await;
    let choice = Choice {
        state_file: Some(folder.path().join("state.json")),
        declared: vec![spec("declared", &node.url()), spec("unwanted", &node.url())],
        ..Choice::default()
    };
    let pool = TestPool::with(choice.clone()).expect("started");
    pool.pool.add(spec("added", &node.url())).await.expect("added");
    pool.pool.add(spec("dropped", &node.url())).await.expect("added");
    pool.pool.set_intent(&name("declared"), Intent::Draining).await.expect("drained");
    pool.pool.remove(&name("unwanted")).await.expect("removed");
    pool.pool.remove(&name("dropped")).await.expect("removed");
    let patch: NodePatch = serde_json::from_str(r#"{"capacity":7}"#).expect("a patch");
    pool.pool.patch(&name("added"), patch).await.expect("patched");
    pool.stop().await;

    let again = TestPool::with(choice).expect("started again");
    let nodes = again.pool.list().await.expect("listed");
    let seen: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.intent, node.origin, node.capacity)).collect();
    let expected = [("added", Intent::Active, Origin::Runtime, 7), ("declared", Intent::Draining, Origin::File, 100)];
    assert_eq!(seen, expected);
    assert!(matches!(again.pool.add(spec("added", &node.url())).await, Err(PoolError::Exists(_))));
    assert!(matches!(again.pool.remove(&name("unwanted")).await, Err(PoolError::Unknown(_))));
    again.stop().await;
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_stops_the_start_and_stays_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.json");
    for (content, words) in [("{\"version\":1,\"nod", "damaged"), ("{\"version\":99}", "version 99")] {
        fs::write(&path, content).expect("written");
        let choice = Choice { state_file: Some(path.clone()), ..Choice::default() };
        let Err(refusal) = TestPool::with(choice).map(|_| ()) else { panic!("started on {content}") };
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), content);
    }
    // The twin: without the file, it starts.
    fs::remove_file(&path).expect("moved away");
    TestPool::with(Choice { state_file: Some(path), ..Choice::default() }).expect("started").stop().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_written_is_in_effect_and_said_not_to_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let in_the_way = folder.path().join("state.json.new");
    let node = FakeNode::start().await;
    let choice = Choice { state_file: Some(folder.path().join("state.json")), ..Choice::default() };
    let pool = TestPool::with(choice).expect("started");
    fs::create_dir(&in_the_way).expect("in the way");
    assert!(matches!(pool.pool.add(spec("ast1", &node.url())).await, Err(PoolError::Store(_))));
    pool.until("ast1", "it takes calls all the same", |status| status.eligible).await;
    assert_eq!(pool.metrics.pool.store_failures.get(), 1);
    fs::remove_dir(&in_the_way).expect("out of the way");
    pool.pool.set_intent(&name("ast1"), Intent::Draining).await.expect("now it is written");
    assert!(fs::read_to_string(folder.path().join("state.json")).expect("there").contains("ast1"));
}

#[tokio::test]
async fn a_node_removed_and_added_again_is_heard_in_order() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    for _ in 0..3 {
        pool.add_up("ast1", &node).await;
        pool.pool.remove(&name("ast1")).await.expect("removed");
        assert!(pool.route("any").is_empty(), "no call goes to a node that was removed");
    }
    pool.add_up("ast1", &node).await;
    let said: Vec<_> = pool.listener.said();
    let round = ["ast1 up with 0 channels", "ast1 down", "ast1 removed"];
    assert_eq!(said[..9], [round, round, round].concat()[..]);
}

#[tokio::test]
async fn a_node_that_moves_is_watched_where_it_is() {
    let (pool, here, there) = (TestPool::start(), FakeNode::start().await, FakeNode::start().await);
    pool.add_up("ast1", &here).await;
    let patch = NodePatch { ari: Some(there.url()), ..NodePatch::default() };
    pool.pool.patch(&name("ast1"), patch).await.expect("patched");
    there.listener("EVERYTHING").await;
    pool.until("ast1", "it takes calls", |status| status.eligible).await;
    here.empty().await;
    let nowhere = NodePatch { ari: Some("ftp://x".to_owned()), ..NodePatch::default() };
    assert!(
        matches!(pool.pool.patch(&name("ast1"), nowhere).await, Err(PoolError::Invalid(invalid)) if invalid.field == "ari")
    );
}

#[tokio::test]
async fn a_disabled_node_is_let_alone_until_it_is_enabled() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    pool.add_up("ast1", &node).await;
    let status = pool.pool.set_intent(&name("ast1"), Intent::Disabled).await.expect("disabled");
    assert!(!status.eligible && !status.commands_allowed);
    assert!(status.reason.contains("operator"), "{}", status.reason);
    node.empty().await;
    assert!(pool.route("any").is_empty());
    pool.pool.set_intent(&name("ast1"), Intent::Active).await.expect("enabled");
    pool.until("ast1", "it takes calls", |status| status.eligible).await;
}
