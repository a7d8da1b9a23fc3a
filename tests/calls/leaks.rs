//! Calls that hang up at random moments, while events are late, requests fail and sockets are cut: nothing is left, and each
//! call has one record. A thousand calls at once, and fifty runs of other random numbers each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kamari::call::{CallEvent, CallSettings, End, PlaceRequest, Runtime, Step};
use kamari::media::Recordings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::broadcast;

use crate::placing::{node_name, request};
use crate::support::fake_node::{FakeNode, IncomingCall, Lie};
use crate::world::{TENANTS, World, call_at, until, within};

const AT_ONCE: usize = 60;
/// Runs, and calls of each, of the test with many random numbers.
const RUNS: u64 = 50;
const CALLS_OF_A_RUN: usize = 100;
/// The random numbers of the first run; `KAMARI_SEED` names another, to repeat one run.
const SEED: u64 = 20_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
struct Plan {
    calls: usize,
    seed: u64,
    /// Event sockets are cut now and then.
    cuts: bool,
    /// Nodes refuse every request now and then.
    errors: bool,
}

const APPS: [&str; 15] = [
    "asks",
    "conference",
    "dial",
    "echo",
    "ivr",
    "mailbox",
    "music",
    "none",
    "playback",
    "queue",
    "queue_agent",
    "record",
    "reject",
    "voicemail",
    "waits",
];

/// Numbers of the tenant `example`.
const NUMBERS: [&str; 13] =
    ["600", "600", "601", "700", "800", "900", "999", "pin", "bob", "all", "turn", "menu", "music"];

/// Numbers of the tenant `keeps`: what callers say is kept, and agents serve them.
const KEPT: [&str; 8] = ["*200", "*200", "80", "97", "desk", "desk", "in", "break"];
const KEEPS: &str = r#"
    [[tenants]]
    name = "keeps"
    domains = ["keeps.test"]
    [tenants.extensions]
    "_*2XX" = { app = "voicemail", strip = 1, greeting = "beep", review = "beep", least_s = 0 }
    "80" = { app = "record", least_s = 0, then = "81" }
    "81" = { app = "playback", prompts = "hello" }
    "97" = { app = "mailbox", mailbox = "200", pins = { "200" = "1111" } }
    "in" = { app = "queue_agent", queue = "desk", duty = "login" }
    "break" = { app = "queue_agent", queue = "desk", duty = "pause" }
    [tenants.extensions.desk]
    app = "queue"
    queue = "desk"
    agents = ["bob", "eve"]
    members = ["alice"]
    wrap_up_s = 0
    retry_s = 1
    max_length = 5
    announce_every_s = 1
    overflow_then = "81"
"#;

/// A number that a caller may dial, and its domain.
fn number(rng: &mut StdRng) -> (&'static str, &'static str) {
    let at = rng.random_range(0..NUMBERS.len() + KEPT.len());
    match NUMBERS.get(at) {
        Some(number) => (number, "example.test"),
        None => (KEPT[at - NUMBERS.len()], "keeps.test"),
    }
}

/// A kamari that has all of this, and where it keeps what callers say.
async fn world(nodes: &[FakeNode]) -> (World, Arc<Recordings>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    // An app may wait for a request of its that a busy machine serves late.
    let settings = CallSettings { orphan_check_s: 1, ..CallSettings::default() };
    let (world, store) = World::keeping(nodes, settings, folder.path(), &format!("{TENANTS}{KEEPS}")).await;
    (world, store, folder)
}

/// Nothing of a call is anywhere, and what was recorded is at home.
async fn nothing_left(world: &World, nodes: &[FakeNode], store: &Recordings) {
    world.nothing_left(nodes).await;
    until("nothing is left to be fetched", || store.pending().is_ok_and(|pending| pending.is_empty())).await;
    for node in nodes {
        until("no recording is on a node", || node.stored_recordings().is_empty()).await;
    }
    // Playing to nobody, which makes nodes forget what they were lent, makes bridges and playbacks of its own.
    until("nothing is lent", || world.metrics.media.lent.get() == 0).await;
    world.nothing_left(nodes).await;
    assert_eq!(world.waiting("keeps", "desk"), 0, "nobody waits in a queue");
    let drafts = store.list(kamari::media::Recording::is_draft);
    assert!(drafts.is_empty(), "drafts that nobody accepts any more: {drafts:?}");
}

/// One caller, or one who is rung: maybe presses keys, and hangs up when he feels like it. Says whether there was a call.
async fn caller(runtime: Runtime, (at, node): (usize, FakeNode), seed: u64) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let (exten, domain) = number(&mut rng);
    // Nobody listens for a moment after a socket was cut: a real node holds the caller and tries again.
    within("somebody listens", node.listener("EVERYTHING")).await;
    let call = IncomingCall { domain: domain.to_owned(), ..IncomingCall::to(exten, &format!("{seed}@leaks")) };
    let channel = if rng.random_bool(0.1) {
        let request = PlaceRequest { domain: domain.into(), ..request("ann@example.test", exten) };
        let Ok(call) = runtime.place(&node_name(at), &request).await else { return false };
        call.channel.to_string()
    } else {
        let Ok(channel) = node.call(&call) else { return false };
        channel
    };
    // Some know their PIN: they open their mailbox.
    if exten == "97" && rng.random_bool(0.7) {
        "1111#".chars().for_each(|key| node.far_end_presses(&channel, key));
    }
    for _ in 0..rng.random_range(0..8) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..20))).await;
        node.far_end_presses(&channel, ['1', '1', '1', '1', '#', '2', '3', '0'][rng.random_range(0..8)]);
    }
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
    node.far_end_hangs_up(&channel);
    true
}

/// Makes the node's events late, and cuts its socket now and then.
async fn trouble(node: FakeNode, seed: u64, plan: Plan) {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        node.hold_events(true);
        node.slow(Duration::from_millis(rng.random_range(0..4)));
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..25))).await;
        node.hold_events(false);
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..60))).await;
        if plan.cuts && rng.random_bool(0.05) {
            node.cut_sockets();
        }
        if plan.errors && rng.random_bool(0.2) {
            node.lie(Lie::NotBooted);
            tokio::time::sleep(Duration::from_millis(rng.random_range(1..20))).await;
            node.mend();
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

async fn run(plan: Plan) {
    let nodes = [FakeNode::start().await, FakeNode::start().await];
    let (world, store, _folder) = world(&nodes).await;
    let failures = Arc::new(Mutex::new(Vec::new()));
    let watch = tokio::spawn(note_failures(world.runtime.subscribe(), Arc::clone(&failures)));
    let troubles: Vec<_> =
        nodes.iter().zip(plan.seed..).map(|(node, seed)| tokio::spawn(trouble(node.clone(), seed, plan))).collect();
    let mut callers = tokio::task::JoinSet::new();
    let mut taken = 0;
    for number in 0..plan.calls {
        if callers.len() >= AT_ONCE {
            taken += u64::from(callers.join_next().await.expect("callers").expect("no caller fails"));
        }
        let at = number % nodes.len();
        callers.spawn(caller(world.runtime.clone(), (at, nodes[at].clone()), plan.seed + number as u64));
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
    nothing_left(&world, &nodes, &store).await;
    let fetched: u64 = nodes.iter().map(FakeNode::fetched).sum();
    assert!(fetched > 0 || plan.calls < 1_000, "of a thousand callers somebody hears a recording");
    assert_eq!(world.metrics.calls.active.get(), 0);
    for outcome in ["failed", "panicked"] {
        // An app whose request was refused has failed.
        for app in APPS.iter().filter(|_| !plan.errors) {
            assert_eq!(world.outcomes(app, outcome), 0, "{app} {outcome}: {:?}", failures.lock().expect("no panic"));
        }
    }
    watch.abort();
    // A poll may find a call before its event is heard: then it was found, not begun.
    let served = world.metrics.calls.started.get() + world.metrics.calls.adopted.get();
    let let_go: u64 = APPS.iter().map(|app| world.outcomes(app, "node_lost")).sum();
    assert!(served - let_go <= taken, "{served} calls were served, {let_go} let go and found again, {taken} taken");
    if plan.cuts || plan.errors {
        // A call that was let go has its record either way: when it is found again and ends, or when it is not.
        until("every call has a record", || world.recorded() as u64 >= served - let_go).await;
        assert!(world.recorded() as u64 <= served);
    } else {
        assert_eq!((served, let_go), (plan.calls as u64, 0), "every call was served, once");
        world.one_record_each(plan.calls).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_with_late_events_leave_nothing() {
    run(Plan { calls: 1_000, seed: 0, cuts: false, errors: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_with_lost_sockets_leave_nothing() {
    run(Plan { calls: 1_000, seed: 0, cuts: true, errors: false }).await;
}

/// One run of the fifty; what goes wrong is drawn too. `KAMARI_SEED=... cargo test --test calls fifty` repeats one.
async fn run_by(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let plan = Plan { calls: CALLS_OF_A_RUN, seed, cuts: rng.random_bool(0.5), errors: rng.random_bool(0.5) };
    run(plan).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_runs_with_random_trouble_leave_nothing() {
    if let Some(seed) = std::env::var("KAMARI_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return run_by(seed).await;
    }
    for seed in (SEED..).step_by(1_000).take(RUNS as usize) {
        let done = tokio::spawn(run_by(seed)).await;
        assert!(done.is_ok(), "the run of KAMARI_SEED={seed} failed");
    }
}

#[tokio::test]
async fn a_caller_who_cancels_at_once_leaves_nothing() {
    let nodes = [FakeNode::start().await];
    let (world, store, _folder) = world(&nodes).await;
    for (numbers, domain) in [(&NUMBERS[..], "example.test"), (&KEPT[..], "keeps.test")] {
        for exten in numbers {
            let channel = call_at(&nodes[0], exten, domain);
            nodes[0].far_end_hangs_up(&channel);
        }
    }
    nothing_left(&world, &nodes, &store).await;
}
