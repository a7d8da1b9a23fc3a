//! Rooms that are recorded: what was said is kept whole however the room, its nodes or kamari go.

use std::sync::Arc;
use std::time::Duration;

use kamari::call::{OrderError, RoomKey, RoomOrder};
use kamari::media::{Purpose, Recording, Recordings};

use crate::support::fake_node::FakeNode;
use crate::voicemail::brought_home;
use crate::world::{World, call_in, until, within};

const TENANTS: &str = r#"
    [[tenants]]
    name = "example"
    domains = ["example.test"]
    [tenants.extensions]
    "600" = { app = "conference" }
    "601" = { app = "conference", moderator_pin = "1", record = true, record_max_s = 3 }
"#;

async fn stage(nodes: &[FakeNode]) -> (tempfile::TempDir, World, Arc<Recordings>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (world, store) = World::recording(nodes, folder.path(), TENANTS).await;
    (folder, world, store)
}

fn key(name: &str) -> RoomKey {
    RoomKey::new(&Arc::from("example"), &Arc::from(name))
}

fn recorded(world: &World, name: &str) -> bool {
    world.runtime.room(&key(name)).is_some_and(|room| room.recorded)
}

/// The parts that were kept, oldest first.
fn parts(store: &Recordings) -> Vec<u32> {
    let part = |one: &Arc<Recording>| match &one.purpose {
        Purpose::Room { room, part } if **room == *"600" && *one.tenant == *"example" => *part,
        other => panic!("{other:?}"),
    };
    store.list(|_| true).iter().map(part).collect()
}

/// What bridges were made to play.
fn announcements(nodes: &[FakeNode]) -> u64 {
    nodes.iter().filter_map(|node| node.requests().get("POST /bridges/*/play/*").copied()).sum()
}

/// A room of two callers on two nodes, recorded for longer than a piece.
async fn two_are_recorded(world: &World, nodes: &[FakeNode]) -> [String; 2] {
    let callers = [call_in(&nodes[0], "600"), call_in(&nodes[1], "600")];
    until("both are in", || world.runtime.room(&key("600")).is_some_and(|room| room.members.len() == 2)).await;
    world.runtime.order_room(&key("600"), RoomOrder::Record(true)).await.expect("recorded");
    until("the home is recorded", || nodes.iter().map(|node| node.leftovers().recordings).sum::<usize>() > 0).await;
    callers
}

#[tokio::test]
async fn a_room_is_recorded_until_it_is_told_otherwise() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let callers = two_are_recorded(&world, &nodes).await;
    assert!(recorded(&world, "600"));
    until("a piece is fetched", || {
        nodes.iter().any(|node| node.requests().contains_key("GET /recordings/stored/*/file"))
    })
    .await;
    world.runtime.order_room(&key("600"), RoomOrder::Record(false)).await.expect("ended");
    assert!(!recorded(&world, "600"));
    brought_home(&nodes, &store).await;
    assert_eq!(parts(&store), [1]);
    let [one] = store.list(|_| true).try_into().expect("one");
    assert!(one.whole && one.duration_ms >= 2_000, "{one:?}");
    for (node, caller) in nodes.iter().zip(&callers) {
        node.far_end_hangs_up(caller);
    }
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_recorded_room_that_closes_is_kept() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let callers = two_are_recorded(&world, &nodes).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    for (node, caller) in nodes.iter().zip(&callers) {
        node.far_end_hangs_up(caller);
    }
    world.nothing_left(&nodes).await;
    brought_home(&nodes, &store).await;
    // Who leaves first may have been at home: then the other's node has the end.
    let kept = store.list(|_| true);
    assert!(!kept.is_empty() && kept.iter().all(|one| one.whole), "{kept:?}");
}

#[tokio::test]
async fn another_part_begins_when_the_home_is_lost_and_the_first_comes_when_it_returns() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let callers = two_are_recorded(&world, &nodes).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let home = usize::from(nodes[1].leftovers().recordings > 0);
    let other = 1 - home;
    nodes[home].cut();
    until("the other is recorded", || nodes[other].leftovers().recordings > 0).await;
    assert!(recorded(&world, "600"));
    nodes[home].far_end_hangs_up(&callers[home]);
    nodes[home].mend();
    tokio::time::sleep(Duration::from_millis(700)).await;
    nodes[other].far_end_hangs_up(&callers[other]);
    brought_home(&nodes, &store).await;
    assert_eq!(parts(&store), [1, 2]);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_new_kamari_goes_on_to_record_and_brings_home_what_ran() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let (before, _) = World::recording(&nodes, folder.path(), TENANTS).await;
    let callers = two_are_recorded(&before, &nodes).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    before.vanish().await;
    let heard = announcements(&nodes);
    let (after, store) = World::recording(&nodes, folder.path(), TENANTS).await;
    until("it goes on", || recorded(&after, "600")).await;
    until("they hear so", || announcements(&nodes) > heard).await;
    until("the first part is kept", || parts(&store).contains(&1)).await;
    after.runtime.order_room(&key("600"), RoomOrder::Record(false)).await.expect("ended");
    brought_home(&nodes, &store).await;
    let kept = parts(&store);
    assert!(kept.len() >= 2 && kept[0] == 1, "{kept:?}");
    for (node, caller) in nodes.iter().zip(&callers) {
        node.far_end_hangs_up(caller);
    }
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_room_may_be_recorded_from_its_first_caller_and_no_longer_than_its_limit() {
    let nodes = [FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let caller = call_in(&nodes[0], "601");
    within("an answer", nodes[0].answered(&caller)).await;
    for digit in "1#".chars() {
        nodes[0].far_end_presses(&caller, digit);
    }
    until("it is recorded", || recorded(&world, "601")).await;
    until("its limit is reached", || !recorded(&world, "601")).await;
    brought_home(&nodes, &store).await;
    for digit in "*5".chars() {
        nodes[0].far_end_presses(&caller, digit);
    }
    until("it is recorded by key", || recorded(&world, "601")).await;
    nodes[0].far_end_hangs_up(&caller);
    brought_home(&nodes, &store).await;
    world.nothing_left(&nodes).await;
    let lengths: Vec<_> = store.list(|_| true).iter().map(|one| one.duration_ms).collect();
    assert!((2_000..6_000).contains(&lengths[0]), "{lengths:?}");
}

/// The twin of the first test: there nothing is in the way, and the recording is whole.
#[tokio::test]
async fn a_node_that_does_not_record_harms_no_member_and_what_was_missed_is_said() {
    let nodes = [FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let first = call_in(&nodes[0], "600");
    until("he has a bridge", || nodes[0].bridge_of(&first).is_some()).await;
    let bridge = nodes[0].bridge_of(&first).expect("seen");
    nodes[0].fail(&format!("/bridges/{bridge}/record"));
    world.runtime.order_room(&key("600"), RoomOrder::Record(true)).await.expect("taken");
    let second = call_in(&nodes[0], "600");
    until("the second is with the first", || nodes[0].bridge_of(&second).as_ref() == Some(&bridge)).await;
    until("it is tried again", || nodes[0].requests().get("POST /bridges/*/record").is_some_and(|tries| *tries > 1))
        .await;
    assert_eq!(nodes[0].leftovers().recordings, 0);
    nodes[0].mend();
    until("it is recorded", || nodes[0].leftovers().recordings > 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.runtime.order_room(&key("600"), RoomOrder::Record(false)).await.expect("ended");
    brought_home(&nodes, &store).await;
    let kept = store.list(|_| true);
    assert!(kept.len() == 1 && !kept[0].whole, "{kept:?}");
    for caller in [&first, &second] {
        nodes[0].far_end_hangs_up(caller);
    }
    world.nothing_left(&nodes).await;
}

/// Asked for it again, the node says that the piece is there already: it is the room's own, and what it holds is kept.
#[tokio::test]
async fn a_piece_whose_beginning_was_not_confirmed_is_one_piece() {
    let nodes = [FakeNode::start().await];
    let (_folder, world, store) = stage(&nodes).await;
    let caller = call_in(&nodes[0], "600");
    until("he has a bridge", || nodes[0].bridge_of(&caller).is_some()).await;
    nodes[0].lose(&format!("/bridges/{}/record", nodes[0].bridge_of(&caller).expect("seen")));
    world.runtime.order_room(&key("600"), RoomOrder::Record(true)).await.expect("taken");
    until("it is begun", || nodes[0].leftovers().recordings > 0).await;
    nodes[0].mend();
    until("the second piece has taken over", || nodes[0].requests().contains_key("POST /recordings/live/*/stop")).await;
    world.runtime.order_room(&key("600"), RoomOrder::Record(false)).await.expect("ended");
    brought_home(&nodes, &store).await;
    let [one] = store.list(|_| true).try_into().expect("one recording");
    assert!(one.duration_ms > 2_000, "the first piece, of 2 s, is in it: {one:?}");
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn where_nothing_is_recorded_the_order_is_refused() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "600");
    until("he is in", || world.runtime.rooms().first().is_some_and(|room| room.members.len() == 1)).await;
    let room = world.runtime.rooms().remove(0);
    let refused = world.runtime.order_room(&RoomKey::new(&room.tenant, &room.name), RoomOrder::Record(true)).await;
    assert!(matches!(refused, Err(OrderError::NothingRecords)), "{refused:?}");
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;
}
