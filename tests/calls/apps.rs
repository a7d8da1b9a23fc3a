//! What the apps do.

use crate::support::fake_node::FakeNode;
use crate::world::{World, call_at, call_in, until, within};

#[tokio::test]
async fn playback_answers_plays_and_hangs_up() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "800");
    within("an answer", nodes[0].answered(&channel)).await;
    let call = world.call(&channel, |call| format!("{:?}", call.steps).contains("Playing")).await;
    let media = "http://127.0.0.1:8072/media/prompts/hello.wav";
    assert!(serde_json::to_string(&call).expect("JSON").contains(media), "{call:?}");
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("playback", "completed"), 1);
}

#[tokio::test]
async fn echo_bridges_the_caller_with_what_he_says() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "700");
    until("two in a bridge", || in_bridge_with(&nodes[0], &channel) == 2).await;
    let bridge = nodes[0].bridge_of(&channel).expect("a bridge");
    let others: Vec<_> =
        nodes[0].bridge_channels(&bridge).expect("channels").into_iter().filter(|id| *id != channel).collect();
    assert!(others[0].starts_with("kamari-snoop-"), "{others:?}");
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("echo", "hung_up"), 1);
}

#[tokio::test]
async fn callers_of_one_room_share_a_bridge_and_others_do_not() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let (first, second) = (call_in(&nodes[0], "600"), call_in(&nodes[0], "600"));
    let (elsewhere, stranger) = (call_in(&nodes[0], "601"), call_at(&nodes[0], "600", "other.test"));
    until("the two are together", || in_bridge_with(&nodes[0], &first) == 2).await;
    until("the others are in rooms", || {
        [&elsewhere, &stranger].iter().all(|channel| in_bridge_with(&nodes[0], channel) == 1)
    })
    .await;
    assert_eq!(nodes[0].bridge_of(&first), nodes[0].bridge_of(&second));
    for channel in [&second, &elsewhere, &stranger] {
        nodes[0].far_end_hangs_up(channel);
    }
    until("one is alone", || in_bridge_with(&nodes[0], &first) == 1).await;
    until("he hears music", || nodes[0].leftovers().playbacks == 1).await;
    nodes[0].far_end_hangs_up(&first);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_room_whose_bridge_is_removed_gets_another() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let first = call_in(&nodes[0], "600");
    until("he is in a room", || nodes[0].bridge_of(&first).is_some()).await;
    let bridge = nodes[0].bridge_of(&first).expect("a bridge");
    let target = nodes[0].target("EVERYTHING");
    let ari = kamari::ari::AriClient::new(target, &kamari::ari::Settings::default(), std::sync::Arc::new(()));
    ari.expect("a client").bridges().destroy(&bridge).await.expect("the bridge was there");
    let second = call_in(&nodes[0], "600");
    until("both are in another", || {
        in_bridge_with(&nodes[0], &second) == 2 && nodes[0].bridge_of(&first) == nodes[0].bridge_of(&second)
    })
    .await;
    nodes[0].far_end_hangs_up(&first);
    nodes[0].far_end_hangs_up(&second);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn what_nobody_serves_is_refused() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    for (exten, domain) in [("900", "example.test"), ("999", "example.test"), ("600", "absent.test")] {
        let channel = call_at(&nodes[0], exten, domain);
        assert!(!within("a refusal", nodes[0].answered(&channel)).await, "{exten}@{domain} is not answered");
    }
    world.nothing_left(&nodes).await;
    assert_eq!((world.outcomes("reject", "rejected"), world.outcomes("none", "unknown_extension")), (1, 2));
}

/// How many channels are in the bridge of this one; 0 if it is in none.
fn in_bridge_with(node: &FakeNode, channel: &str) -> usize {
    node.bridge_of(channel).and_then(|bridge| node.bridge_channels(&bridge)).map_or(0, |channels| channels.len())
}
