//! A thousand calls that hang up at random moments, while events are late and sockets are cut: nothing is left.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kamari::call::{CallEvent, CallSettings, End, Step};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::broadcast;

use crate::support::fake_node::FakeNode;
use crate::world::{World, call_in, until, within};

const CALLS: usize = 1_000;
const AT_ONCE: usize = 60;
const APPS: [&str; 6] = ["conference", "echo", "playback", "reject", "asks", "none"];
const EXTENSIONS: [&str; 8] = ["600", "600", "601", "700", "800", "900", "999", "pin"];

/// One caller: calls, maybe presses keys, and hangs up when he feels like it. Says whether the node took his call.
async fn caller(node: FakeNode, seed: u64) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let exten = EXTENSIONS[rng.random_range(0..EXTENSIONS.len())];
    // Nobody listens for a moment after a socket was cut: a real node holds the caller and tries again.
    within("somebody listens", node.listener("EVERYTHING")).await;
    let call = crate::support::fake_node::IncomingCall::to(exten, &format!("{seed}@leaks"));
    let Ok(channel) = node.call(&call) else { return false };
    for _ in 0..rng.random_range(0..3) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..40))).await;
        node.far_end_presses(&channel, '1');
    }
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
    node.far_end_hangs_up(&channel);
    true
}

/// Makes the node's events late, and cuts its socket now and then.
async fn trouble(node: FakeNode, seed: u64, cuts: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        node.hold_events(true);
        node.slow(Duration::from_millis(rng.random_range(0..4)));
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..25))).await;
        node.hold_events(false);
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..60))).await;
        if cuts && rng.random_bool(0.05) {
            node.cut_sockets();
        }
    }
}

/// Keeps why apps failed.
async fn note_failures(mut events: broadcast::Receiver<Arc<CallEvent>>, failures: Arc<Mutex<Vec<Arc<str>>>>) {
    loop {
        match events.recv().await {
            Ok(event) => {
                if let Step::Ended { end: End::Failed { reason } } = &event.step.step {
                    failures.lock().expect("no panic").push(Arc::clone(reason));
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn run(cuts: bool) {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    // An app may wait for a request of its that a busy machine serves late.
    let settings = CallSettings { orphan_check_s: 1, ..CallSettings::default() };
    let world = World::with(&nodes, settings).await;
    let failures = Arc::new(Mutex::new(Vec::new()));
    let watch = tokio::spawn(note_failures(world.runtime.subscribe(), Arc::clone(&failures)));
    let troubles: Vec<_> =
        nodes.iter().zip(0..).map(|(node, seed)| tokio::spawn(trouble(node.clone(), seed, cuts))).collect();
    let mut callers = tokio::task::JoinSet::new();
    let mut taken = 0;
    for number in 0..CALLS {
        if callers.len() >= AT_ONCE {
            taken += u64::from(callers.join_next().await.expect("callers").expect("no caller fails"));
        }
        callers.spawn(caller(nodes[number % nodes.len()].clone(), number as u64));
    }
    while let Some(done) = callers.join_next().await {
        taken += u64::from(done.expect("no caller fails"));
    }
    for trouble in troubles {
        trouble.abort();
    }
    for node in &nodes {
        node.hold_events(false);
        node.mend();
    }
    world.nothing_left(&nodes).await;
    assert_eq!(world.metrics.calls.active.get(), 0);
    for outcome in ["failed", "panicked"] {
        for app in APPS {
            assert_eq!(world.outcomes(app, outcome), 0, "{app} {outcome}: {:?}", failures.lock().expect("no panic"));
        }
    }
    watch.abort();
    // A poll may find a call before its event is heard: then it was found, not begun.
    let served = world.metrics.calls.started.get() + world.metrics.calls.adopted.get();
    let let_go: u64 = APPS.iter().map(|app| world.outcomes(app, "node_lost")).sum();
    assert!(served - let_go <= taken, "{served} calls were served, {let_go} let go and found again, {taken} taken");
    if cuts {
        // A call that was let go has its record either way: when it is found again and ends, or when it is not.
        until("every call has a record", || world.recorded() as u64 >= served - let_go).await;
        assert!(world.recorded() as u64 <= served);
    } else {
        assert_eq!((served, let_go), (CALLS as u64, 0), "every call was served, once");
        world.one_record_each(CALLS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_with_late_events_leave_nothing() {
    run(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_with_lost_sockets_leave_nothing() {
    run(true).await;
}

#[tokio::test]
async fn a_caller_who_cancels_at_once_leaves_nothing() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    for exten in EXTENSIONS {
        let channel = call_in(&nodes[0], exten);
        nodes[0].far_end_hangs_up(&channel);
    }
    world.nothing_left(&nodes).await;
}
