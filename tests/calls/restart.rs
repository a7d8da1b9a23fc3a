//! kamari goes and comes back, a node's events stop and start: established calls stay and are owned again.

use std::sync::Arc;

use crate::support::fake_node::{FakeNode, Lie};
use crate::world::{World, call_in, left_on, until, within};

/// Two in a room, one who hears himself, one to whom something is played.
async fn busy(node: &FakeNode) -> [String; 4] {
    let channels = [call_in(node, "600"), call_in(node, "600"), call_in(node, "700"), call_in(node, "patient")];
    until("all are where they belong", || {
        channels[..3].iter().all(|channel| members(node, channel) == 2) && node.leftovers().playbacks == 0
    })
    .await;
    within("an answer", node.answered(&channels[3])).await;
    channels
}

fn members(node: &FakeNode, channel: &str) -> usize {
    node.bridge_of(channel).and_then(|bridge| node.bridge_channels(&bridge)).map_or(0, |channels| channels.len())
}

#[tokio::test]
async fn a_new_kamari_takes_the_calls_up_and_leaves_their_bridges_alone() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let channels = busy(&nodes[0]).await;
    let bridges: Vec<_> = channels.iter().map(|channel| nodes[0].bridge_of(channel)).collect();
    before.vanish().await;
    let (there, bridges_there, _) = left_on(&nodes[0]);
    assert_eq!((there, bridges_there), (5, 2), "a kamari that goes takes nothing along");

    let after = World::over(&nodes).await;
    for (channel, app) in channels.iter().zip(["conference", "conference", "echo", "waits"]) {
        let call = after.call(channel, |call| call.app.is_some()).await;
        assert_eq!((call.app, call.adopted), (Some(app), true));
    }
    until("the room has both again", || {
        after.runtime.calls().iter().filter(|call| format!("{:?}", call.steps).contains("Joined")).count() == 2
    })
    .await;
    let bridges_after: Vec<_> = channels.iter().map(|channel| nodes[0].bridge_of(channel)).collect();
    assert_eq!(bridges_after, bridges);
    // They are owned: a third joins the same room, and all goes when the callers go.
    let third = call_in(&nodes[0], "600");
    until("three are together", || members(&nodes[0], &third) == 3).await;
    for channel in channels.iter().chain([&third]) {
        nodes[0].far_end_hangs_up(channel);
    }
    after.nothing_left(&nodes).await;
    assert_eq!(after.metrics.calls.adopted.get(), 4);
}

#[tokio::test]
async fn objects_that_nobody_claims_are_removed() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let channels = busy(&nodes[0]).await;
    before.vanish().await;
    // While nobody listens, the callers of the room and of the echo leave: their bridges are nobody's.
    for channel in &channels[..3] {
        nodes[0].far_end_hangs_up(channel);
    }
    assert_eq!(nodes[0].leftovers().bridges, 2);
    let after = World::over(&nodes).await;
    until("they are removed", || nodes[0].leftovers().bridges == 0).await;
    nodes[0].far_end_hangs_up(&channels[3]);
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn music_of_an_earlier_kamari_stops_when_a_second_caller_comes() {
    let nodes = [FakeNode::start_with(slow_media()).await];
    let before = World::over(&nodes).await;
    let first = call_in(&nodes[0], "600");
    until("music", || nodes[0].leftovers().playbacks == 1).await;
    before.vanish().await;
    let after = World::over(&nodes).await;
    after.call(&first, |call| format!("{:?}", call.steps).contains("Joined")).await;
    assert_eq!(nodes[0].leftovers().playbacks, 1, "it goes on, and is not begun twice");
    let second = call_in(&nodes[0], "600");
    until("two are together", || members(&nodes[0], &second) == 2).await;
    // One playback: the sound that tells of the second caller.
    until("the music has stopped", || nodes[0].leftovers().playbacks <= 1).await;
    nodes[0].far_end_hangs_up(&first);
    nodes[0].far_end_hangs_up(&second);
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_playback_goes_on_under_a_new_kamari() {
    let nodes = [FakeNode::start_with(slow_media()).await];
    let before = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "800");
    until("it plays", || nodes[0].leftovers().playbacks == 1).await;
    assert!(nodes[0].channel_variable(&channel, "KAMARI_STATE").is_none(), "it goes on without any saved state");
    let answered = before.call(&channel, |call| call.answered_ms.is_some()).await.answered_ms.expect("answered");
    before.vanish().await;
    let begun = plays(&nodes[0]);
    let after = World::over(&nodes).await;
    let call = after.call(&channel, |call| call.app == Some("playback")).await;
    assert!(call.adopted);
    within("its end", nodes[0].gone(&channel)).await;
    assert_eq!(plays(&nodes[0]), begun, "it was not played again");
    after.nothing_left(&nodes).await;
    let record = Arc::clone(&after.records.lock().expect("whole")[0]);
    let known = record.answered_at.expect("answered");
    assert!(known <= answered && known >= record.started_at, "answered when it came: {known}, not {answered}");
    assert_eq!(after.outcomes("playback", "completed"), 1);
}

#[tokio::test]
async fn no_call_notices_a_socket_that_comes_back_at_once() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channels = busy(&nodes[0]).await;
    let bridges: Vec<_> = channels.iter().map(|channel| nodes[0].bridge_of(channel)).collect();
    nodes[0].cut_sockets();
    // One leaves unheard: that he is known to have left shows that what is there was read again.
    nodes[0].far_end_hangs_up(&channels[0]);
    until("the one who left is known to have", || world.runtime.live() == 3).await;
    let heard = call_in(&nodes[0], "patient");
    world.call(&heard, |call| call.app.is_some()).await;
    assert_eq!(world.metrics.calls.adopted.get(), 0);
    assert_eq!(channels[1..].iter().map(|channel| nodes[0].bridge_of(channel)).collect::<Vec<_>>(), bridges[1..]);
    for channel in channels[1..].iter().chain([&heard]) {
        nodes[0].far_end_hangs_up(channel);
    }
    world.nothing_left(&nodes).await;
    for app in ["conference", "echo", "waits"] {
        assert_eq!(world.outcomes(app, "node_lost"), 0, "{app}");
    }
}

#[tokio::test]
async fn a_socket_that_stays_away_costs_no_call() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channels = busy(&nodes[0]).await;
    let bridges: Vec<_> = channels.iter().map(|channel| nodes[0].bridge_of(channel)).collect();
    nodes[0].lie(Lie::NotBooted);
    nodes[0].cut_sockets();
    until("its calls are let go", || world.runtime.live() == 0).await;
    nodes[0].mend();
    until("all are found again", || world.metrics.calls.adopted.get() == 4).await;
    until("they are served", || world.runtime.calls().iter().filter(|call| call.end.is_none()).count() == 4).await;
    assert_eq!(channels.iter().map(|channel| nodes[0].bridge_of(channel)).collect::<Vec<_>>(), bridges);
    for channel in &channels {
        nodes[0].far_end_hangs_up(channel);
    }
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_node_that_is_taken_over_is_commanded_no_more() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channels = busy(&nodes[0]).await;
    nodes[0].take_over("EVERYTHING");
    until("its calls are let go", || world.runtime.live() == 0 && world.runtime.registered() == 0).await;
    for channel in &channels {
        assert!(nodes[0].answered(channel).await, "the call stays up");
    }
    let commands = |node: &FakeNode| -> Vec<_> {
        node.requests().into_iter().filter(|(request, _)| !request.starts_with("GET ")).collect()
    };
    assert!(
        !commands(&nodes[0])
            .iter()
            .any(|(request, _)| request == "DELETE /channels/*" || request == "DELETE /bridges/*")
    );
    assert!(world.outcomes("conference", "node_lost") == 2 && world.outcomes("echo", "node_lost") == 1);
}

#[tokio::test]
async fn a_node_that_restarts_ends_its_calls_and_no_others() {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let world = World::over(&nodes).await;
    let (lost, kept) = (call_in(&nodes[0], "patient"), call_in(&nodes[1], "patient"));
    within("an answer", nodes[0].answered(&lost)).await;
    within("an answer", nodes[1].answered(&kept)).await;
    nodes[0].restart();
    until("one call is over", || world.runtime.live() == 1).await;
    assert!(world.call(&kept, |_| true).await.end.is_none());
    within("the node is heard again", nodes[0].listener("EVERYTHING")).await;
    nodes[1].far_end_hangs_up(&kept);
    world.nothing_left(&nodes).await;
}

pub(crate) fn slow_media() -> crate::support::fake_node::Behaviour {
    crate::support::fake_node::Behaviour {
        play: std::time::Duration::from_millis(700),
        ..crate::support::fake_node::Behaviour::default()
    }
}

/// How many playbacks were ever begun on channels.
fn plays(node: &FakeNode) -> u64 {
    let requests = node.requests();
    requests.iter().filter(|(request, _)| request.starts_with("POST /channels/*/play")).map(|(_, count)| *count).sum()
}
