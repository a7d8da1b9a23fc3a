//! Messages: how they are left, reviewed and heard, and that none is lost with kamari or with a node's connection.

use std::sync::Arc;
use std::time::Duration;

use kamari::media::{MessageState, Recording, Recordings};

use crate::support::fake_node::FakeNode;
use crate::world::{World, call_at, call_in, left_on, until, within};

const TENANTS: &str = r#"
    [[tenants]]
    name = "example"
    domains = ["example.test"]
    [tenants.extensions]
    "_*2XX" = { app = "voicemail", strip = 1, least_s = 1 }
    "97" = { app = "mailbox", pins = { "200" = "4711" } }
    "80" = { app = "record", least_s = 0, then = "81" }
    "81" = { app = "echo" }
    [[tenants]]
    name = "other"
    domains = ["other.test"]
    [tenants.extensions]
    "_*2XX" = { app = "voicemail", strip = 1, least_s = 1 }
"#;

async fn stage() -> (tempfile::TempDir, [FakeNode; 1], World, Arc<Recordings>) {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = [FakeNode::start().await];
    let (world, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    (folder, nodes, world, store)
}

fn messages(store: &Recordings) -> Vec<Arc<Recording>> {
    store.messages("example", "200")
}

/// Waits until the caller of this node is recorded; then he speaks for so long.
async fn speaks(node: &FakeNode, length: Duration) {
    until("he is recorded", || node.leftovers().recordings > 0).await;
    tokio::time::sleep(length).await;
}

/// Nothing of a recording is on the nodes, and nothing is left to be fetched.
pub(crate) async fn brought_home(nodes: &[FakeNode], store: &Recordings) {
    until("nothing is on the nodes", || nodes.iter().all(|node| node.stored_recordings().is_empty())).await;
    until("nothing is pending", || store.pending().is_ok_and(|pending| pending.is_empty())).await;
}

/// Nothing of what was played to callers is on the nodes any more.
async fn forgotten(world: &World) {
    until("no node has a copy", || world.metrics.media.lent.get() == 0).await;
}

/// Presses a key when the node plays something, which is what asks for it.
async fn presses_when_asked(node: &FakeNode, channel: &str, key: char) {
    let begun = plays(node);
    until("he is asked", || plays(node) > begun || left_on(node).2 > 0).await;
    node.far_end_presses(channel, key);
}

fn plays(node: &FakeNode) -> u64 {
    let requests = node.requests();
    requests.iter().filter(|(request, _)| request.starts_with("POST /channels/*/play")).map(|(_, count)| *count).sum()
}

#[tokio::test]
async fn what_a_caller_said_is_kept_when_he_hangs_up_and_leaves_his_node() {
    let (_folder, nodes, world, store) = stage().await;
    let (one, other) = (call_in(&nodes[0], "*200"), call_at(&nodes[0], "*200", "other.test"));
    until("both are recorded", || nodes[0].leftovers().recordings >= 2).await;
    // Longer than a piece: the first is fetched while he speaks.
    until("a piece is fetched", || nodes[0].requests().contains_key("GET /recordings/stored/*/file")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    nodes[0].far_end_hangs_up(&one);
    nodes[0].far_end_hangs_up(&other);
    brought_home(&nodes, &store).await;
    let [message] = messages(&store).try_into().expect("one message");
    assert!(message.whole && message.duration_ms >= 2_000, "{message:?}");
    assert_eq!((message.state(), &*message.node), (Some(MessageState::New), "n0"));
    assert_eq!(store.messages("other", "200").len(), 1, "the other tenant has his own");
    assert!(store.messages("example", "201").is_empty());
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_caller_records_anew_and_keeps_the_second() {
    let (_folder, nodes, world, store) = stage().await;
    let channel = call_in(&nodes[0], "*200");
    speaks(&nodes[0], Duration::from_millis(1_100)).await;
    nodes[0].far_end_presses(&channel, '#');
    presses_when_asked(&nodes[0], &channel, '3').await;
    until("the first is thrown away", || store.list(|_| true).is_empty()).await;
    speaks(&nodes[0], Duration::from_millis(1_600)).await;
    nodes[0].far_end_presses(&channel, '#');
    until("it is complete", || store.list(Recording::is_draft).len() == 1).await;
    assert!(messages(&store).is_empty(), "nobody sees it before it is accepted");
    presses_when_asked(&nodes[0], &channel, '1').await;
    within("the end", nodes[0].gone(&channel)).await;
    brought_home(&nodes, &store).await;
    forgotten(&world).await;
    assert!(nodes[0].fetched() >= 2, "after each review the node was made to ask once more");
    let [message] = messages(&store).try_into().expect("one message");
    assert!(message.duration_ms >= 1_500, "{message:?}");
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("voicemail", "completed"), 1);
}

#[tokio::test]
async fn a_message_too_short_is_none_and_a_hang_up_during_the_greeting_neither() {
    let (_folder, nodes, world, store) = stage().await;
    let channel = call_in(&nodes[0], "*200");
    until("he is recorded", || nodes[0].leftovers().recordings > 0).await;
    nodes[0].far_end_hangs_up(&channel);
    let channel = call_in(&nodes[0], "*200");
    within("an answer", nodes[0].answered(&channel)).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    brought_home(&nodes, &store).await;
    assert!(store.list(|_| true).is_empty());
}

/// Between writing down that there will be a message and recording it, the caller goes: nothing waits for it for ever.
#[tokio::test]
async fn a_caller_who_goes_just_before_he_is_recorded_leaves_nothing_to_be_fetched() {
    let (_folder, nodes, world, store) = stage().await;
    let channel = call_in(&nodes[0], "*200");
    until("he is greeted", || left_on(&nodes[0]).2 > 0).await;
    nodes[0].hang(&format!("/channels/{channel}/variable"));
    until("it is written down", || store.pending().is_ok_and(|pending| pending.len() == 1)).await;
    nodes[0].far_end_hangs_up(&channel);
    nodes[0].mend();
    world.nothing_left(&nodes).await;
    brought_home(&nodes, &store).await;
    assert!(store.list(|_| true).is_empty());
}

#[tokio::test]
async fn a_message_goes_on_under_a_new_kamari() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = [FakeNode::start().await];
    let (before, _) = World::recording(&nodes, folder.path(), TENANTS).await;
    let channel = call_in(&nodes[0], "*200");
    speaks(&nodes[0], Duration::from_millis(700)).await;
    before.vanish().await;
    let (after, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    after.call(&channel, |call| call.app == Some("voicemail")).await;
    // The pieces of before end by themselves, and those of after follow them.
    until("it goes on", || nodes[0].leftovers().recordings >= 3).await;
    until("pieces are complete", || nodes[0].stored_recordings().len() >= 2).await;
    nodes[0].far_end_hangs_up(&channel);
    brought_home(&nodes, &store).await;
    let [message] = messages(&store).try_into().expect("one message");
    assert!(message.whole && message.duration_ms >= 3_500, "{message:?}");
    after.nothing_left(&nodes).await;
}

/// The piece that ran when kamari died was not fetched: a node that loses it has lost something, whatever kamari knew.
#[tokio::test]
async fn a_message_that_lost_its_end_while_kamari_was_away_is_not_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = [FakeNode::start().await];
    let (before, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    let _channel = call_in(&nodes[0], "*200");
    until("a piece is fetched", || {
        store.pending().is_ok_and(|all| all.iter().any(|one| store.pieces(&one.tape).is_ok_and(|came| came == [0])))
    })
    .await;
    until("and removed", || nodes[0].stored_recordings().is_empty()).await;
    before.vanish().await;
    nodes[0].restart();
    let (_after, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    brought_home(&nodes, &store).await;
    let [message] = messages(&store).try_into().expect("one message");
    assert!(!message.whole && message.duration_ms >= 1_900, "{message:?}");
}

/// Kamari asks for two pieces at most ahead; when it is away for longer, nobody records what is said after them.
#[tokio::test]
async fn a_message_with_a_gap_is_not_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = [FakeNode::start().await];
    let (before, _) = World::recording(&nodes, folder.path(), TENANTS).await;
    let channel = call_in(&nodes[0], "*200");
    speaks(&nodes[0], Duration::from_millis(300)).await;
    before.vanish().await;
    until("nobody records", || nodes[0].leftovers().recordings == 0).await;
    let (after, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    speaks(&nodes[0], Duration::from_millis(700)).await;
    nodes[0].far_end_hangs_up(&channel);
    brought_home(&nodes, &store).await;
    let [message] = messages(&store).try_into().expect("one message");
    assert!(!message.whole && message.duration_ms >= 4_500, "{message:?}");
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_node_that_is_away_is_asked_again_when_it_returns() {
    let (_folder, nodes, world, store) = stage().await;
    let channel = call_in(&nodes[0], "*200");
    speaks(&nodes[0], Duration::from_millis(1_300)).await;
    nodes[0].cut();
    until("the call is over", || world.runtime.live() == 0).await;
    nodes[0].far_end_hangs_up(&channel);
    assert!(store.pending().expect("read").len() == 1 && messages(&store).is_empty());
    nodes[0].mend();
    brought_home(&nodes, &store).await;
    let [message] = messages(&store).try_into().expect("one message");
    assert!(message.whole && message.duration_ms >= 1_200, "{message:?}");
}

#[tokio::test]
async fn only_the_right_pin_opens_a_mailbox() {
    let (_folder, nodes, world, store) = stage().await;
    let left = call_in(&nodes[0], "*200");
    speaks(&nodes[0], Duration::from_millis(1_200)).await;
    nodes[0].far_end_hangs_up(&left);
    until("a message", || messages(&store).len() == 1).await;

    let thief = call_in(&nodes[0], "97");
    within("an answer", nodes[0].answered(&thief)).await;
    for _ in 0..3 {
        for key in "200#0000#".chars() {
            nodes[0].far_end_presses(&thief, key);
        }
    }
    within("he is hung up on", nodes[0].gone(&thief)).await;
    assert_eq!(messages(&store)[0].state(), Some(MessageState::New));

    let owner = call_in(&nodes[0], "97");
    within("an answer", nodes[0].answered(&owner)).await;
    for key in "200#4711#".chars() {
        nodes[0].far_end_presses(&owner, key);
    }
    until("it is heard", || messages(&store)[0].state() == Some(MessageState::Saved)).await;
    nodes[0].far_end_presses(&owner, '7');
    until("it is deleted", || messages(&store).is_empty()).await;
    nodes[0].far_end_presses(&owner, '#');
    within("the end", nodes[0].gone(&owner)).await;
    forgotten(&world).await;
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("mailbox", "completed"), 2);
}

#[tokio::test]
async fn a_greeting_counts_once_it_is_accepted() {
    let (_folder, nodes, world, store) = stage().await;
    for (key, accepted) in [('2', false), ('1', true)] {
        let owner = call_in(&nodes[0], "97");
        within("an answer", nodes[0].answered(&owner)).await;
        for key in "200#4711#0".chars() {
            nodes[0].far_end_presses(&owner, key);
        }
        speaks(&nodes[0], Duration::from_millis(700)).await;
        nodes[0].far_end_presses(&owner, '#');
        until("it is complete", || store.list(Recording::is_draft).len() == 1).await;
        assert!(store.greeting("example", "200").is_none());
        presses_when_asked(&nodes[0], &owner, key).await;
        if accepted {
            until("it is the greeting", || store.greeting("example", "200").is_some()).await;
        }
        nodes[0].far_end_hangs_up(&owner);
        until("no call is left", || world.runtime.live() == 0).await;
        brought_home(&nodes, &store).await;
        assert_eq!(store.greeting("example", "200").is_some(), accepted);
    }
}

#[tokio::test]
async fn a_note_is_kept_and_the_call_goes_on() {
    let (_folder, nodes, world, store) = stage().await;
    let channel = call_in(&nodes[0], "80");
    speaks(&nodes[0], Duration::from_millis(500)).await;
    nodes[0].far_end_presses(&channel, '#');
    world.call(&channel, |call| call.app == Some("echo")).await;
    brought_home(&nodes, &store).await;
    let [note] = store.list(|_| true).try_into().expect("one recording");
    assert_eq!((&*note.tenant, note.mailbox(), note.is_draft()), ("example", None, false));
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
}
