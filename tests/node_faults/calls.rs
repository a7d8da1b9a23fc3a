//! Calls as the pool counts them: its own by events, promised ones by Call-ID, others' by polls.

use kamari::pool::Intent;

use super::Trouble;
use crate::support::fake_node::{FakeNode, IncomingCall};
use crate::support::pool::{Choice, TestPool, name};

#[tokio::test]
async fn a_promised_call_arrives_and_ends() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    pool.add_up("ast1", &node).await;
    assert_eq!(pool.route("call-1"), ["ast1"]);
    assert_eq!(pool.route("call-1"), ["ast1"], "the same answer");
    pool.until("ast1", "one is promised", |status| status.calls.reserved == 1).await;
    let channel = node.call(&IncomingCall::to("600", "call-1")).expect("taken");
    pool.until("ast1", "it has arrived", |status| status.calls.own == 1 && status.calls.reserved == 0).await;
    assert_eq!(pool.metrics.pool.reservations_confirmed.get(), 1);
    assert_eq!(pool.metrics.pool.setup.get_sample_count(), 1);
    node.far_end_hangs_up(&channel);
    pool.until("ast1", "it has ended", |status| status.calls.own == 0 && status.calls.reserved == 0).await;
    assert!(pool.listener.said().iter().any(|said| said == "ast1 event StasisStart"));
}

/// While no node is heard, answers ask the proxy to tell of calls that end, and what it tells is counted once: not again when
/// the node's own events come after all, nor when it is read anew.
#[tokio::test]
async fn ends_of_calls_on_a_node_that_is_not_heard_are_told_by_the_proxy() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    pool.add_up("ast1", &node).await;
    let mut channels = Vec::new();
    for call in ["call-1", "call-2", "call-3"] {
        assert_eq!(pool.route(call), ["ast1"]);
        channels.push(node.call(&IncomingCall::to("600", call)).expect("taken"));
    }
    pool.until("ast1", "they have arrived", |status| status.calls.own == 3 && status.calls.reserved == 0).await;
    assert!(pool.pool.routing().ended("call-1"), "known");
    pool.until("ast1", "polled again", |status| status.eligible).await;
    assert_eq!(pool.status("ast1").await.calls.own, 3, "of a node that is heard it is no news");

    node.freeze();
    let mut asked = 0;
    while !pool.asks_for_ends(&format!("dark-{asked}")) {
        asked += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(pool.pool.routing().ended("call-1") && pool.pool.routing().ended(&format!("dark-{asked}")));
    pool.until("ast1", "one has ended", |status| status.calls.own == 2 && status.calls.reserved == asked).await;
    assert!(!pool.pool.routing().ended("call-1"), "it is known no longer");
    node.far_end_hangs_up(&channels[0]);
    node.mend();
    pool.until("ast1", "it is heard again", |status| status.eligible).await;
    node.far_end_hangs_up(&channels[1]);
    pool.until("ast1", "another has ended", |status| status.calls.own == 1).await;
    node.far_end_hangs_up(&channels[2]);
    pool.until("ast1", "none is left", |status| status.calls.own == 0).await;
}

#[tokio::test]
async fn a_promise_that_nobody_keeps_expires() {
    let pool = TestPool::with(Choice { reservation_ms: 1_000, ..Choice::default() }).expect("started");
    let node = FakeNode::start().await;
    pool.add_up("ast1", &node).await;
    pool.route("gone");
    pool.until("ast1", "it is promised", |status| status.calls.reserved == 1).await;
    pool.until("ast1", "it has expired", |status| status.calls.reserved == 0).await;
    assert_eq!(pool.metrics.pool.reservations_expired.get(), 1);
}

#[tokio::test]
async fn a_failed_route_moves_the_promise_to_the_next_node() {
    let Trouble { pool, good: _good, bad: _bad } = Trouble::none().await;
    let answer = pool.route("call-1");
    let [first, second] = [&answer[0], &answer[1]];
    assert!(pool.pool.routing().failed("call-1", &name(first), 503));
    pool.until(first, "it is free", |status| status.calls.reserved == 0).await;
    pool.until(second, "it has the promise", |status| status.calls.reserved == 1).await;
    assert_eq!(pool.route("call-1"), [second.as_str()], "what failed is not offered again");
    assert!(!pool.pool.routing().failed("unheard-of", &name(first), 503));
}

#[tokio::test]
async fn others_calls_are_told_from_ours() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    pool.add_up("ast1", &node).await;
    node.call(&IncomingCall::to("600", "ours")).expect("taken");
    pool.until("ast1", "ours is counted", |status| status.calls.own == 1).await;
    node.set_function("SYSINFO(numcalls)", "8");
    let status = pool.until("ast1", "seven are not ours", |status| status.calls.foreign == 7).await;
    assert_eq!(status.calls.own, 1);
    node.set_function("SYSINFO(numcalls)", "nonsense");
    let status = pool.until("ast1", "the probe is not believed", |status| {
        status.sample.as_ref().is_some_and(|sample| sample.probe.is_some())
    });
    assert!(status.await.eligible, "a node without a probe still takes calls");
}

#[tokio::test]
async fn calls_that_were_there_are_counted_and_shown_to_the_listener() {
    let (first, node) = (TestPool::start(), FakeNode::start().await);
    first.add_up("ast1", &node).await;
    node.call(&IncomingCall::to("600", "lasting")).expect("taken");
    first.until("ast1", "it is counted", |status| status.calls.own == 1).await;
    first.stop().await;
    let second = TestPool::start();
    second.add_up("ast1", &node).await;
    second.until("ast1", "it is counted again", |status| status.calls.own == 1).await;
    second.heard("ast1 up with 1 channels").await;
}

#[tokio::test]
async fn one_probe_serves_for_ever_and_is_gone_with_the_pool() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    pool.add_up("ast1", &node).await;
    let read = |status: &kamari::pool::NodeStatus| status.sample.as_ref().is_some_and(|sample| sample.calls.is_some());
    pool.until("ast1", "the probe is read", read).await;
    for _ in 0..3 {
        node.cut_sockets();
        let ups = |pool: &TestPool| pool.listener.said().iter().filter(|said| said.starts_with("ast1 up")).count();
        let before = ups(&pool);
        while ups(&pool) == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        pool.until("ast1", "it is up again", |status| status.eligible).await;
    }
    assert_eq!(node.requests().get("POST /channels/create"), Some(&1));
    assert!(!pool.listener.said().iter().any(|said| said.contains("event")), "the probe's events are nobody's");
    pool.stop().await;
    node.empty().await;
}

#[tokio::test]
async fn a_drained_node_gets_no_call_and_says_when_it_is_empty() {
    let Trouble { pool, good: _good, bad } = Trouble::none().await;
    let channel = bad.call(&IncomingCall::to("600", "lasting")).expect("taken");
    pool.until("bad", "it is counted", |status| status.calls.own == 1).await;
    let mut events = pool.pool.subscribe();
    let status = pool.pool.set_intent(&name("bad"), Intent::Draining).await.expect("drained");
    assert!(!status.drained && !status.eligible);
    for call in 0..50 {
        assert_eq!(pool.route(&format!("call-{call}")), ["good"]);
    }
    bad.far_end_hangs_up(&channel);
    pool.until("bad", "it is empty", |status| status.drained).await;
    let drained = crate::support::pool::drain(&mut events)
        .into_iter()
        .filter(|event| matches!(event, kamari::pool::PoolEvent::Drained { .. }))
        .count();
    assert_eq!(drained, 1, "said once");
    pool.pool.set_intent(&name("bad"), Intent::Active).await.expect("undrained");
    pool.until("bad", "it takes calls again", |status| status.eligible && !status.drained).await;
}

#[tokio::test]
async fn a_node_that_can_say_how_busy_it_is_does() {
    let (pool, node) = (TestPool::start(), FakeNode::start().await);
    node.set_function("CURL(file:///proc/self/status)", "Name:\tasterisk\nCpus_allowed_list:\t0-3\n");
    let stat = |ticks: u32| format!("39 (asterisk) S 1 39 39 0 -1 4194560 12210 0 66 0 {ticks} 0 0 0 20 0 42 0 380876");
    node.set_function("CURL(file:///proc/self/stat)", &stat(0));
    pool.add_up("ast1", &node).await;
    pool.until("ast1", "it says that it is idle", |status| status.cpu == Some(0.0)).await;
    node.set_function("CURL(file:///proc/self/stat)", &stat(1_000_000));
    pool.until("ast1", "it says that it is busy", |status| status.cpu.is_some_and(|cpu| cpu > 0.0)).await;
}

/// Two nodes that use the same time of one processor: the one that may use no more is full, and calls go to the other.
#[tokio::test]
async fn a_node_that_uses_all_of_its_quota_comes_last() {
    let (pool, quick, slow) = (TestPool::start(), FakeNode::start().await, FakeNode::start().await);
    slow.set_function("CURL(file:///proc/self/cgroup)", "0::/system.slice/asterisk.service\n");
    slow.set_function("CURL(file:///sys/fs/cgroup/system.slice/asterisk.service/cpu.max)", "10000 100000\n");
    let began = std::time::Instant::now();
    let nodes = [quick.clone(), slow.clone()];
    for node in &nodes {
        node.set_function("CURL(file:///proc/self/status)", "Name:\tasterisk\nCpus_allowed_list:\t0-3\n");
    }
    let burning = tokio::spawn(async move {
        loop {
            // A fifth of one processor, from the same clock on both.
            let ticks = began.elapsed().as_millis() / 50;
            let stat = format!("39 (asterisk) S 1 39 39 0 -1 4194560 12210 0 66 0 {ticks} 0 0 0 20 0 42 0 380876");
            for node in &nodes {
                node.set_function("CURL(file:///proc/self/stat)", &stat);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    pool.add_up("quick", &quick).await;
    pool.add_up("slow", &slow).await;
    pool.until("slow", "it is at its quota", |status| status.stress > 1.0).await;
    let status = pool.status("quick").await;
    assert!(status.stress < 0.5, "{}", status.stress);
    for call in 0..10 {
        assert_eq!(pool.route(&format!("call-{call}")), ["quick", "slow"]);
    }
    burning.abort();
}

/// The host of a draining node is gone without a word: its calls are not counted for ever. Its twin answers, and is not
/// drained while its call lasts.
#[tokio::test]
async fn a_drain_ends_when_the_node_has_been_silent_for_long() {
    let Trouble { pool, good, bad } = Trouble::none().await;
    for (node, fake) in [("good", &good), ("bad", &bad)] {
        fake.call(&IncomingCall::to("600", node)).expect("taken");
        pool.until(node, "its call is counted", |status| status.calls.own == 1).await;
        pool.pool.set_intent(&name(node), Intent::Draining).await.expect("drained");
    }
    bad.freeze();
    pool.until("bad", "its calls are given up", |status| status.drained && status.calls.own == 0).await;
    let status = pool.status("good").await;
    assert!(!status.drained && status.calls.own == 1);
    bad.mend();
    pool.until("bad", "its call is there after all", |status| status.calls.own == 1).await;
}

/// A node that begins calls without end is not served without end; the others do not notice.
#[tokio::test]
async fn a_node_that_floods_us_with_calls_is_bounded() {
    const LIMIT: usize = 100;
    let pool = TestPool::with(Choice { max_node_channels: LIMIT, ..Choice::default() }).expect("started");
    let (good, bad) = (FakeNode::start().await, FakeNode::start().await);
    pool.add_up("good", &good).await;
    pool.add_up("bad", &bad).await;
    for (fake, calls) in [(&good, LIMIT / 2), (&bad, 5 * LIMIT)] {
        for call in 0..calls {
            fake.call(&IncomingCall::to("600", &format!("flood-{call}"))).expect("taken");
        }
    }
    let unserved = pool.metrics.ari.node("bad").unserved;
    let wanted = 4 * LIMIT as u64;
    while unserved.get() < wanted {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    pool.until("good", "all of its calls are counted", |status| status.calls.own == (LIMIT / 2) as u32).await;
    assert_eq!(pool.metrics.ari.node("good").unserved.get(), 0);
    let begun = pool.listener.said().iter().filter(|said| *said == "bad event StasisStart").count();
    assert!(begun <= LIMIT, "{begun} were handed on");
    assert!(pool.status("bad").await.calls.own as usize <= LIMIT);
}
