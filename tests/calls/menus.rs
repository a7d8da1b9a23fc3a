//! Menus and music on a fake node.

use std::time::Duration;

use kamari::call::{CallView, Step};

use crate::support::fake_node::{Behaviour, FakeNode};
use crate::world::{World, call_in, until, within};

/// A node on which a prompt takes so long that whoever goes on before has cut it short.
async fn slow_node() -> FakeNode {
    FakeNode::start_with(Behaviour { play: Duration::from_mins(2), ..Behaviour::default() }).await
}

/// What was played, in order: the names of the prompts.
fn played(call: &CallView) -> Vec<String> {
    let media = call.steps.iter().filter_map(|step| match &step.step {
        Step::Playing { media } => Some(media),
        _ => None,
    });
    let name = |uri: &String| uri.rsplit('/').next().unwrap_or_default().trim_end_matches(".wav").to_owned();
    media.flatten().map(name).collect()
}

#[tokio::test]
async fn a_key_cuts_the_prompts_short_and_leads_on() {
    let nodes = [slow_node().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "menu");
    world.call(&channel, |call| played(call) == ["hello"]).await;
    nodes[0].far_end_presses(&channel, '1');
    world.call(&channel, |call| played(call) == ["hello", "music"]).await;
    nodes[0].far_end_presses(&channel, '*');
    let call = world.call(&channel, |call| call.app == Some("echo")).await;
    assert_eq!(call.tenant.as_deref(), Some("example"));
    until("what was played is stopped", || nodes[0].leftovers().playbacks == 0).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    assert_eq!((world.outcomes("ivr", "handed_on"), world.outcomes("echo", "hung_up")), (1, 1));
}

#[tokio::test]
async fn wrong_keys_and_silence_are_told_and_then_lead_elsewhere() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let mut changes = world.runtime.subscribe();
    let channel = call_in(&nodes[0], "menu");
    nodes[0].far_end_presses(&channel, '9');
    within("the end", nodes[0].gone(&channel)).await;
    world.nothing_left(&nodes).await;
    let mut heard = Vec::new();
    while let Ok(change) = changes.try_recv() {
        if let Step::Playing { media } = &change.step.step {
            let names = media.iter().map(|uri| uri.rsplit('/').next().unwrap_or_default().to_owned());
            heard.push(names.collect::<Vec<_>>().join(" "));
        }
    }
    // The first key is pressed ahead of the prompts, which are not begun then.
    assert_eq!(heard, ["error.wav hello.wav"]);
    assert_eq!((world.outcomes("ivr", "handed_on"), world.outcomes("reject", "rejected")), (1, 1));
}

#[tokio::test]
async fn a_number_of_the_tenant_can_be_dialled_and_no_other() {
    let nodes = [slow_node().await];
    let world = World::over(&nodes).await;
    let (dials, elsewhere) = (call_in(&nodes[0], "menu"), call_in(&nodes[0], "menu"));
    for digit in ['7', '0', '0'] {
        nodes[0].far_end_presses(&dials, digit);
    }
    for digit in ['6', '0', '5'] {
        nodes[0].far_end_presses(&elsewhere, digit);
    }
    world.call(&dials, |call| call.app == Some("echo")).await;
    let call = world.call(&elsewhere, |call| played(call).contains(&"error".to_owned())).await;
    assert_eq!(call.app, Some("ivr"));
    nodes[0].far_end_hangs_up(&dials);
    nodes[0].far_end_hangs_up(&elsewhere);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn outside_opening_hours_the_call_goes_elsewhere() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "closed");
    let call = world.call(&channel, |call| call.app == Some("waits")).await;
    assert!(played(&call).is_empty());
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_new_kamari_asks_again_where_the_caller_was_and_lets_music_go_on() {
    let nodes = [slow_node().await];
    let before = World::over(&nodes).await;
    let (asked, listens) = (call_in(&nodes[0], "menu"), call_in(&nodes[0], "music"));
    nodes[0].far_end_presses(&asked, '1');
    before.call(&asked, |call| played(call) == ["music"]).await;
    before.call(&listens, |call| played(call) == ["music"]).await;
    before.vanish().await;
    let after = World::over(&nodes).await;
    after.call(&asked, |call| played(call) == ["music"]).await;
    let listening = after.call(&listens, |call| call.app == Some("music")).await;
    assert!(played(&listening).is_empty(), "its music was not begun again");
    nodes[0].far_end_presses(&asked, '*');
    after.call(&asked, |call| call.app == Some("echo")).await;
    nodes[0].far_end_hangs_up(&asked);
    nodes[0].far_end_hangs_up(&listens);
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn music_is_played_over_and_over() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "music");
    world.call(&channel, |call| played(call).len() >= 3).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("music", "hung_up"), 1);
}
