//! Conferences on fake nodes: who is let in, who leads, and what keys and the operator do.

use std::sync::Arc;

use kamari::call::{OrderError, Role, RoomKey, RoomOrder, RoomView, Who};

use crate::support::fake_node::{Behaviour, FakeNode};
use crate::world::{World, call_in, until, within};

fn key(name: &str) -> RoomKey {
    RoomKey::new(&Arc::from("example"), &Arc::from(name))
}

fn room(world: &World, name: &str) -> Option<RoomView> {
    world.runtime.room(&key(name))
}

fn size(world: &World, name: &str) -> usize {
    room(world, name).map_or(0, |room| room.members.len())
}

fn presses(node: &FakeNode, channel: &str, keys: &str) {
    for key in keys.chars() {
        node.far_end_presses(channel, key);
    }
}

/// A caller of `exten` who enters this.
async fn enters(node: &FakeNode, exten: &str, keys: &str) -> String {
    let channel = call_in(node, exten);
    within("an answer", node.answered(&channel)).await;
    presses(node, &channel, keys);
    channel
}

#[tokio::test]
async fn a_pin_lets_in_and_a_wrong_one_does_not() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let member = enters(&nodes[0], "sealed", "12#").await;
    until("he is in", || size(&world, "sealed") == 1).await;
    let moderator = enters(&nodes[0], "sealed", "4711#").await;
    until("the moderator is in", || size(&world, "sealed") == 2).await;
    let roles: Vec<_> = room(&world, "sealed").expect("open").members.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Member, Role::Moderator]);
    let stranger = call_in(&nodes[0], "sealed");
    for turn in 1..=3 {
        // Keys that are pressed before they are asked for again are forgotten: wait for the question.
        world.call(&stranger, |call| format!("{:?}", call.steps).matches("beep").count() >= turn).await;
        presses(&nodes[0], &stranger, "11#");
    }
    within("the stranger's end", nodes[0].gone(&stranger)).await;
    assert_eq!(size(&world, "sealed"), 2);
    for channel in [&member, &moderator] {
        nodes[0].far_end_hangs_up(channel);
    }
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn members_wait_for_the_moderator_and_go_with_him() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let world = World::over(&nodes).await;
    let first = enters(&nodes[0], "led", "#").await;
    until("one waits", || room(&world, "led").is_some_and(|room| room.waiting == 1)).await;
    until("he hears music", || nodes[0].leftovers().playbacks == 1).await;
    assert_eq!(nodes[0].bridge_of(&first), None, "nobody hears him");
    let gone = enters(&nodes[1], "led", "#").await;
    until("two wait", || room(&world, "led").is_some_and(|room| room.waiting == 2)).await;
    nodes[1].far_end_hangs_up(&gone);
    until("one waits still", || room(&world, "led").is_some_and(|room| room.waiting == 1)).await;
    let moderator = enters(&nodes[0], "led", "4711#").await;
    until("all are in", || size(&world, "led") == 2).await;
    until("they share a bridge", || {
        nodes[0].bridge_of(&first).is_some() && nodes[0].bridge_of(&first) == nodes[0].bridge_of(&moderator)
    })
    .await;
    nodes[0].far_end_hangs_up(&moderator);
    within("the room is over", nodes[0].gone(&first)).await;
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_moderator_locks_mutes_and_sends_out_by_keys() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let node = &nodes[0];
    let moderator = enters(node, "open", "4711#").await;
    until("he is in", || size(&world, "open") == 1).await;
    let member = enters(node, "open", "#").await;
    until("both are in", || size(&world, "open") == 2).await;
    let last = enters(node, "open", "#").await;
    until("all are in", || size(&world, "open") == 3).await;
    let muted = || -> Vec<bool> { room(&world, "open").expect("open").members.iter().map(|one| one.muted).collect() };

    presses(node, &moderator, "*4");
    until("the others are muted", || muted() == [false, true, true]).await;
    presses(node, &member, "*1");
    until("one lets himself be heard", || muted() == [false, false, true]).await;
    presses(node, &member, "*2");
    presses(node, &member, "*3");
    presses(node, &member, "*1");
    until("his later key was served", || muted() == [false, true, true]).await;
    assert!(!room(&world, "open").expect("open").locked, "locking is not for members");

    presses(node, &moderator, "*2");
    until("it is locked", || room(&world, "open").is_some_and(|room| room.locked)).await;
    let refused = enters(node, "open", "#").await;
    within("he is not let in", node.gone(&refused)).await;
    let second = enters(node, "open", "4711#").await;
    until("a moderator is", || size(&world, "open") == 4).await;
    let full = enters(node, "open", "4711#").await;
    within("there are four at most", node.gone(&full)).await;
    node.far_end_hangs_up(&second);
    until("three again", || size(&world, "open") == 3).await;

    presses(node, &moderator, "*3");
    within("the last is sent out", node.gone(&last)).await;
    assert_eq!(size(&world, "open"), 2);
    presses(node, &moderator, "*0");
    within("the room is over", node.gone(&member)).await;
    within("for the moderator too", node.gone(&moderator)).await;
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn the_operator_locks_mutes_and_sends_out() {
    // Ids of channels are unique over nodes of different names.
    let second = Behaviour { name: "second".to_owned(), ..Behaviour::default() };
    let nodes = [FakeNode::start().await, FakeNode::start_with(second).await];
    let world = World::over(&nodes).await;
    let channels = [call_in(&nodes[0], "600"), call_in(&nodes[1], "600")];
    until("both are in", || size(&world, "main") == 2).await;
    let view = room(&world, "main").expect("open");
    assert_eq!((view.nodes.len(), view.members.len()), (2, 2), "legs are no members: {view:?}");
    assert_eq!(world.runtime.calls().len(), 2, "and no calls");
    let call = world.call(&channels[1], |_| true).await.id;
    let order = async |order| world.runtime.order_room(&key("main"), order).await;

    order(RoomOrder::Mute(Who::Call(Arc::clone(&call)), true)).await.expect("muted");
    let muted =
        |world: &World| room(world, "main").expect("open").members.iter().any(|one| one.muted && one.call == call);
    until("he is seen muted", || muted(&world)).await;
    order(RoomOrder::Lock(true)).await.expect("locked");
    within("nobody is let in", nodes[0].gone(&call_in(&nodes[0], "600"))).await;
    order(RoomOrder::Lock(false)).await.expect("open");
    assert!(matches!(order(RoomOrder::Kick(Who::Call("nobody".into()))).await, Err(OrderError::NoSuchMember)));
    order(RoomOrder::Kick(Who::Call(call))).await.expect("sent out");
    within("he is hung up on", nodes[1].gone(&channels[1])).await;
    assert_eq!(size(&world, "main"), 1);
    order(RoomOrder::End).await.expect("ended");
    within("it is over", nodes[0].gone(&channels[0])).await;
    world.nothing_left(&nodes).await;
    assert!(matches!(order(RoomOrder::End).await, Err(OrderError::NoSuchRoom)));
}

#[tokio::test]
async fn a_room_is_what_it_was_under_a_new_kamari() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let moderator = enters(&nodes[0], "led", "4711#").await;
    until("he is in", || size(&before, "led") == 1).await;
    let member = enters(&nodes[0], "led", "#").await;
    until("both are in", || size(&before, "led") == 2).await;
    presses(&nodes[0], &moderator, "*2*4");
    until("locked and muted", || {
        room(&before, "led").is_some_and(|room| room.locked && room.members.iter().any(|one| one.muted))
    })
    .await;
    // The last word of it is on its way to the channel still.
    until("nothing is played", || nodes[0].leftovers().playbacks == 0).await;
    before.vanish().await;
    let after = World::over(&nodes).await;
    until("both are in again", || size(&after, "led") == 2).await;
    let view = room(&after, "led").expect("open");
    let mut seats: Vec<_> = view.members.iter().map(|one| (one.role == Role::Moderator, one.muted)).collect();
    seats.sort_unstable();
    assert_eq!((view.locked, seats), (true, vec![(false, true), (true, false)]));
    nodes[0].far_end_hangs_up(&moderator);
    within("it ends with the moderator", nodes[0].gone(&member)).await;
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn one_who_waits_is_found_waiting_and_plays_once() {
    let nodes = [FakeNode::start_with(crate::restart::slow_media()).await];
    let before = World::over(&nodes).await;
    let first = enters(&nodes[0], "led", "#").await;
    until("he hears music", || {
        room(&before, "led").is_some_and(|room| room.waiting == 1) && nodes[0].leftovers().playbacks == 1
    })
    .await;
    before.vanish().await;
    let after = World::over(&nodes).await;
    until("he waits again, unasked", || room(&after, "led").is_some_and(|room| room.waiting == 1)).await;
    assert_eq!(nodes[0].leftovers().playbacks, 1, "the music goes on, once");
    nodes[0].far_end_hangs_up(&first);
    after.nothing_left(&nodes).await;
}
