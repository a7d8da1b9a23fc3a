//! Queues at their limits, and agents who come and go by phone.

use std::time::Duration;

use kamari::call::CallSettings;

use crate::dialling::{leg, talk};
use crate::support::fake_node::{Dialled, FakeNode, IncomingCall};
use crate::world::{World, call_in, until, within};

const TENANTS: &str = r#"
    [[tenants]]
    name = "example"
    domains = ["example.test"]
    [tenants.extensions]
    "700" = { app = "echo" }
    "desk" = { app = "queue", queue = "desk", agents = ["bob"], wrap_up_s = 1, max_length = 1, overflow_then = "700" }
    "brief" = { app = "queue", queue = "brief", agents = ["eve"], max_wait_s = 1, overflow_then = "700" }
    "away" = { app = "queue", queue = "away", members = ["zoe"], wrap_up_s = 0, overflow_then = "700" }
    "curt" = { app = "queue", queue = "curt", members = ["zoe"] }
    "in" = { app = "queue_agent", queue = "away", duty = "login", pin = "4711" }
    "out" = { app = "queue_agent", queue = "away", duty = "logout" }
    "break" = { app = "queue_agent", queue = "away", duty = "pause" }
    "back" = { app = "queue_agent", queue = "away", duty = "unpause" }
"#;

async fn world(nodes: &[FakeNode]) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = CallSettings { app_grace_s: 1, orphan_check_s: 1, ..CallSettings::default() };
    (World::keeping(nodes, settings, folder.path(), TENANTS).await.0, folder)
}

/// Waits until the one agent of a queue does this.
async fn agent(world: &World, queue: &str, state: &str) {
    let now = || world.queues.show("example", queue).expect("a queue").agents[0].state;
    until(&format!("the agent of {queue} to be {state}"), || now() == state).await;
}

/// Zoe calls a number, presses keys, and is hung up on.
async fn zoe_calls(node: &FakeNode, number: &str, keys: &str) {
    let call_id = format!("{}@zoe", uuid::Uuid::new_v4());
    let call = IncomingCall { caller: "zoe".to_owned(), ..IncomingCall::to(number, &call_id) };
    let channel = node.call(&call).expect("somebody listens");
    within("an answer", node.answered(&channel)).await;
    for key in keys.chars() {
        node.far_end_presses(&channel, key);
    }
    within("she is told", node.gone(&channel)).await;
}

#[tokio::test]
async fn a_full_queue_overflows_and_an_agent_has_his_time_after_a_call() {
    let nodes = [FakeNode::start().await];
    let (world, _folder) = world(&nodes).await;
    let first = call_in(&nodes[0], "desk");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &first, &bob).await;
    let second = call_in(&nodes[0], "desk");
    until("the second one waits", || world.waiting("example", "desk") == 1).await;
    let third = call_in(&nodes[0], "desk");
    world.call(&third, |call| call.app == Some("echo")).await;
    assert_eq!(world.waiting("example", "desk"), 1, "the second one kept his place");

    nodes[0].far_end_hangs_up(&bob);
    within("the first one is hung up", nodes[0].gone(&first)).await;
    agent(&world, "desk", "wrap_up").await;
    let again = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &second, &again).await;
    for channel in [&second, &third] {
        nodes[0].far_end_hangs_up(channel);
    }
    world.nothing_left(&nodes).await;
    assert_eq!(world.waiting("example", "desk"), 0);
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_he_should() {
    let nodes = [FakeNode::start().await];
    nodes[0].when_dialled("eve", Dialled::NeverAnswers);
    let (world, _folder) = world(&nodes).await;
    let caller = call_in(&nodes[0], "brief");
    let eve = leg(&nodes[0], "eve").await;
    world.call(&caller, |call| call.app == Some("echo")).await;
    within("her phone rings no more", nodes[0].gone(&eve)).await;
    agent(&world, "brief", "free").await;
    assert_eq!(world.waiting("example", "brief"), 0);
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn an_agent_comes_and_goes_by_phone() {
    let nodes = [FakeNode::start().await];
    let (world, _folder) = world(&nodes).await;
    // Nobody serves: the call goes on elsewhere, or is over.
    let caller = call_in(&nodes[0], "away");
    world.call(&caller, |call| call.app == Some("echo")).await;
    nodes[0].far_end_hangs_up(&caller);
    let caller = call_in(&nodes[0], "curt");
    within("he is hung up on", nodes[0].gone(&caller)).await;

    zoe_calls(&nodes[0], "in", "0000").await;
    agent(&world, "away", "logged_out").await;
    zoe_calls(&nodes[0], "in", "4711").await;
    agent(&world, "away", "free").await;
    let caller = call_in(&nodes[0], "away");
    let zoe = leg(&nodes[0], "zoe").await;
    talk(&nodes[0], &caller, &zoe).await;

    // A break leaves the call that goes on alone.
    zoe_calls(&nodes[0], "break", "").await;
    agent(&world, "away", "talking").await;
    talk(&nodes[0], &caller, &zoe).await;
    nodes[0].far_end_hangs_up(&caller);
    agent(&world, "away", "paused").await;
    zoe_calls(&nodes[0], "back", "").await;
    agent(&world, "away", "free").await;
    zoe_calls(&nodes[0], "out", "").await;
    agent(&world, "away", "logged_out").await;
    within("all is over", async {
        while world.runtime.live() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    world.nothing_left(&nodes).await;
}

/// A caller whose agent hung up while kamari was away has been served: he does not wait again, and nobody is rung.
#[tokio::test]
async fn an_agent_who_hung_up_while_kamari_was_away_has_served_his_caller() {
    let nodes = [FakeNode::start().await];
    let (before, folder) = world(&nodes).await;
    let caller = call_in(&nodes[0], "desk");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    until("all is saved", || nodes[0].channel_variable(&caller, "PJSIP_TRANSFER_HANDLING()").is_some()).await;
    before.vanish().await;
    nodes[0].far_end_hangs_up(&bob);
    drop(folder);
    let (after, _folder) = world(&nodes).await;
    // Rung once more, he would answer, and they would talk.
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    agent(&after, "desk", "free").await;
    after.nothing_left(&nodes).await;
}
