//! Nodes that are wrong, dead, frozen, lying or flooding, on the wire: the pool says exactly what is the matter, sends no
//! call there, and the other nodes do not notice. Each fault has its twin: the same node without the fault takes calls.

#[path = "node_faults/calls.rs"]
mod calls;
#[path = "node_faults/operator.rs"]
mod operator;
mod support;

use std::time::Duration;

use kamari::pool::{Availability, PoolEvent};
use support::fake_node::{FakeNode, Lie};
use support::pool::{TestPool, drain, name, spec};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// What a pool of one good node and one that is put into trouble shows: the trouble is named, and the good one does not notice.
struct Trouble {
    pool: TestPool,
    good: FakeNode,
    bad: FakeNode,
}

impl Trouble {
    /// Both take calls: the twin of every fault.
    async fn none() -> Self {
        let (pool, good, bad) = (TestPool::start(), FakeNode::start().await, FakeNode::start().await);
        pool.add_up("good", &good).await;
        pool.add_up("bad", &bad).await;
        Self { pool, good, bad }
    }

    /// After `fault`, the bad node is down and its state says `words`; calls go to the good node alone; after the fault
    /// both take calls again.
    async fn shows(fault: impl FnOnce(&FakeNode), words: &[&str]) {
        let Self { pool, good, bad } = Self::none().await;
        let mut events = pool.pool.subscribe();
        fault(&bad);
        let status = pool.until("bad", "it is down", |status| status.availability == Availability::Down).await;
        assert!(words.iter().any(|words| status.reason.contains(words)), "{}", status.reason);
        for call in 0..20 {
            assert_eq!(pool.route(&format!("call-{call}")).first().map(String::as_str), Some("good"));
        }
        assert!(drain(&mut events).iter().all(|event| event.node().as_str() == "bad"), "the good node noticed");
        assert!(pool.status("good").await.eligible);
        bad.mend();
        pool.until("bad", "it takes calls again", |status| status.eligible).await;
        pool.stop().await;
        good.empty().await;
        bad.empty().await;
    }
}

#[tokio::test]
async fn an_address_where_nothing_listens() {
    let Trouble { pool, good: _good, bad: _bad } = Trouble::none().await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let added = pool.pool.add(spec("wrong", &format!("http://{address}"))).await.expect("the add returns at once");
    assert_eq!(added.availability, Availability::Joining);
    let status = pool.until("wrong", "it is down", |status| status.availability == Availability::Down).await;
    assert!(status.reason.contains("connection refused"), "{}", status.reason);
    assert!(pool.status("good").await.eligible);
}

#[tokio::test]
async fn a_port_that_speaks_something_else() {
    let pool = TestPool::start();
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = other.local_addr().expect("bound");
    let served = tokio::spawn(async move {
        while let Ok((mut stream, _)) = other.accept().await {
            let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n").await;
        }
    });
    pool.pool.add(spec("mail", &format!("http://{address}"))).await.expect("added");
    let status = pool.until("mail", "it is down", |status| status.availability == Availability::Down).await;
    assert!(status.reason.contains("no Asterisk REST Interface"), "{}", status.reason);
    served.abort();
}

#[tokio::test]
async fn a_web_server_that_is_no_asterisk() {
    Trouble::shows(|node| node.lie(Lie::WebPage), &["no Asterisk REST Interface", "cannot be understood"]).await;
}

#[tokio::test]
async fn a_password_that_is_refused() {
    Trouble::shows(|node| node.lie(Lie::PasswordRefused), &["password is refused"]).await;
}

#[tokio::test]
async fn answers_that_are_garbage() {
    for lie in [Lie::Garbage, Lie::EmptyObjects] {
        Trouble::shows(|node| node.lie(lie), &["cannot be understood"]).await;
    }
}

#[tokio::test]
async fn an_answer_without_end() {
    Trouble::shows(|node| node.lie(Lie::Endless), &["longer than", "no answer within"]).await;
}

#[tokio::test]
async fn an_asterisk_that_is_still_loading() {
    Trouble::shows(|node| node.lie(Lie::NotBooted), &["still starting"]).await;
}

#[tokio::test]
async fn a_node_that_closes_every_connection() {
    Trouble::shows(FakeNode::cut, &["closed"]).await;
}

#[tokio::test]
async fn a_frozen_node() {
    Trouble::shows(FakeNode::freeze, &["no answer within"]).await;
}

#[tokio::test]
async fn a_node_whose_channels_are_locked_while_ping_answers() {
    Trouble::shows(|node| node.hang("/channels"), &["channels: no answer within"]).await;
}

#[tokio::test]
async fn a_slow_node_is_suspect_before_it_is_down_and_never_chosen_first() {
    let Trouble { pool, good: _good, bad } = Trouble::none().await;
    let mut events = pool.pool.subscribe();
    bad.slow(Duration::from_secs(2));
    pool.until("bad", "it is down", |status| status.availability == Availability::Down).await;
    let states: Vec<_> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            PoolEvent::AvailabilityChanged { from, to, .. } if from != to => Some((from, to)),
            _ => None,
        })
        .collect();
    let expected = [(Availability::Up, Availability::Suspect), (Availability::Suspect, Availability::Down)];
    assert_eq!(states, expected);
}

#[tokio::test]
async fn a_flood_of_events_is_bounded_and_followed_by_a_reading_of_the_whole() {
    let choice = support::pool::Choice { event_queue: 16, ..Default::default() };
    let pool = TestPool::with(choice).expect("started");
    let (good, bad) = (FakeNode::start().await, FakeNode::start().await);
    pool.add_up("good", &good).await;
    pool.add_up("bad", &bad).await;
    let dropped = || pool.metrics.ari.node("bad").dropped.get();
    for round in 0.. {
        for number in 0..20_000 {
            bad.send_frame(
                "EVERYTHING",
                format!("{{\"type\":\"Noise\",\"application\":\"EVERYTHING\",\"n\":{number}}}"),
            );
        }
        // Answered from the same runtime as ever: the good node does not notice.
        assert!(pool.status("good").await.eligible);
        if dropped() > 0 {
            break;
        }
        assert!(round < 50, "a queue of 16 never overflowed");
    }
    let ups = || pool.listener.said().iter().filter(|said| said.starts_with("bad up")).count();
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while ups() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "events were dropped, and the whole was not read anew");
    bad.call(&support::fake_node::IncomingCall::to("600", "after-the-flood")).expect("taken");
    pool.until("bad", "the call after the flood is counted", |status| status.calls.own == 1).await;
}

#[tokio::test]
async fn a_frame_that_is_no_event_harms_nothing() {
    let Trouble { pool, good: _good, bad } = Trouble::none().await;
    for frame in ["", "{", "[]", "{\"type\":\"StasisStart\"}", "\u{0}"] {
        bad.send_frame("EVERYTHING", frame);
    }
    bad.call(&support::fake_node::IncomingCall::to("600", "after-garbage")).expect("taken");
    pool.until("bad", "the next call is counted", |status| status.calls.own == 1).await;
    assert_eq!(pool.status("bad").await.availability, Availability::Up);
}

#[tokio::test]
async fn a_restart_is_noticed_and_the_node_joins_again() {
    let Trouble { pool, good: _good, bad } = Trouble::none().await;
    let mut events = pool.pool.subscribe();
    bad.call(&support::fake_node::IncomingCall::to("600", "before-the-restart")).expect("taken");
    pool.until("bad", "the call is counted", |status| status.calls.own == 1).await;
    bad.restart();
    pool.until("bad", "its call is gone", |status| status.calls.own == 0 && status.eligible).await;
    let changes = drain(&mut events);
    assert!(changes.contains(&PoolEvent::Restarted { node: name("bad") }), "{changes:?}");
    let joined = |event: &PoolEvent| matches!(event, PoolEvent::AvailabilityChanged { to: Availability::Joining, reason, .. } if reason.contains("restarted"));
    assert!(changes.iter().any(joined), "{changes:?}");
}

#[tokio::test]
async fn two_controllers_do_not_fight() {
    let Trouble { pool, good: _good, bad } = Trouble::none().await;
    bad.take_over("EVERYTHING");
    let status = pool.until("bad", "it is given up", |status| !status.commands_allowed).await;
    assert_eq!(status.availability, Availability::Down);
    assert!(status.reason.contains("another controller"), "{}", status.reason);
    assert_eq!(pool.route("x").first().map(String::as_str), Some("good"));
    let quiet = bad.requests();
    // The time in which a node that is watched gets ten rounds of checks, by the good node's count.
    let rounds = || pool.metrics.pool.node("good").checks_good.get();
    let until = rounds() + 10;
    while rounds() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bad.requests(), quiet, "kamari kept at a node that is another's");
    pool.pool.set_intent(&name("bad"), kamari::pool::Intent::Active).await.expect("the operator wants it back");
    pool.until("bad", "it takes calls again", |status| status.eligible && status.commands_allowed).await;
}
