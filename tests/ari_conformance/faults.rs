//! What the client makes of nodes that are wrong, slow, silent, broken or lying.

use std::sync::Arc;
use std::time::Duration;

use kamari::ari::{AriClient, AriError, AriTarget, ConnectFailure, EventKind, EventSocket, Settings, SocketItem};
use tokio::sync::mpsc::Receiver;

use crate::subject::{PATIENCE, Subject};
use crate::support::fake_node::{FakeNode, IncomingCall, Lie, USERNAME};

fn impatient() -> Settings {
    Settings { request_timeout_ms: 300, connect_timeout_ms: 200, reconnect_min_ms: 10, ..Settings::default() }
}

fn client(target: AriTarget) -> AriClient {
    AriClient::new(target, &impatient(), Arc::new(())).expect("a client")
}

/// What a check and an event socket say of a node.
async fn explained(target: AriTarget) -> (ConnectFailure, ConnectFailure) {
    let client = client(target);
    let check = client.check().await.expect_err("no usable node");
    let mut items = EventSocket::spawn(&client);
    match next(&mut items).await {
        SocketItem::Down { reason } => (check, reason),
        other => panic!("not down: {other:?}"),
    }
}

async fn next(items: &mut Receiver<SocketItem>) -> SocketItem {
    tokio::time::timeout(PATIENCE, items.recv()).await.expect("an item comes").expect("the socket goes on")
}

#[tokio::test]
async fn each_wrong_node_is_explained() {
    let node = FakeNode::start().await;
    let target = || node.target("EVERYTHING");

    node.lie(Lie::PasswordRefused);
    assert_eq!(explained(target()).await, (ConnectFailure::PasswordRefused, ConnectFailure::PasswordRefused));
    node.lie(Lie::NotBooted);
    assert_eq!(explained(target()).await, (ConnectFailure::NotBooted, ConnectFailure::NotBooted));
    node.lie(Lie::WebPage);
    assert!(matches!(explained(target()).await, (ConnectFailure::NotAri(_), ConnectFailure::NotAri(_))));
    node.lie(Lie::Garbage);
    assert!(matches!(explained(target()).await, (ConnectFailure::NotAri(_), ConnectFailure::NotAri(_))));
    node.lie(Lie::EmptyObjects);
    assert!(matches!(explained(target()).await, (ConnectFailure::Garbage(_), ConnectFailure::NotAri(_))));
    node.mend();
    client(target()).check().await.expect("mended");

    node.freeze();
    let timeout = ConnectFailure::Timeout(Duration::from_millis(300));
    assert_eq!(explained(target()).await, (timeout.clone(), timeout));
    node.mend();
    node.cut();
    assert_eq!(explained(target()).await, (ConnectFailure::Closed, ConnectFailure::Closed));
}

#[tokio::test]
async fn a_wrong_password_a_wrong_port_and_another_protocol_are_explained() {
    let node = FakeNode::start().await;
    let base = node.url().parse().expect("a URL");
    let wrong = AriTarget::new(&base, USERNAME, "guess".into(), "EVERYTHING").expect("a target");
    assert_eq!(explained(wrong).await, (ConnectFailure::PasswordRefused, ConnectFailure::PasswordRefused));

    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let nobody = target_at(&format!("http://{address}"));
    assert_eq!(explained(nobody).await, (ConnectFailure::ConnectionRefused, ConnectFailure::ConnectionRefused));

    let chatty = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = chatty.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = chatty.accept().await.expect("a connection");
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_10.2\r\n").await.expect("written");
            open.push(stream);
        }
    });
    let (check, socket) = explained(target_at(&format!("http://{address}"))).await;
    assert!(matches!(check, ConnectFailure::NotAri(_)), "{check}");
    assert!(matches!(socket, ConnectFailure::NotAri(_)), "{socket}");
    let (check, socket) = explained(target_at(&format!("https://{address}"))).await;
    assert!(matches!(check, ConnectFailure::Tls(_)), "{check}");
    assert!(matches!(socket, ConnectFailure::Tls(_)), "{socket}");
    server.abort();

    let (check, socket) = explained(target_at("http://no-such-host.invalid:8088")).await;
    assert!(matches!(check, ConnectFailure::Unresolvable(_) | ConnectFailure::Timeout(_)), "{check}");
    assert!(matches!(socket, ConnectFailure::Unresolvable(_) | ConnectFailure::Timeout(_)), "{socket}");
}

fn target_at(base: &str) -> AriTarget {
    AriTarget::new(&base.parse().expect("a URL"), USERNAME, "x".into(), "EVERYTHING").expect("a target")
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let node = FakeNode::start().await;
    node.lie(Lie::Endless);
    let patient = Settings { max_body_bytes: 1 << 20, ..Settings::default() };
    let client = AriClient::new(node.target("EVERYTHING"), &patient, Arc::new(())).expect("a client");
    let error = client.channels().list().await.expect_err("endless");
    assert_eq!(error, AriError::TooLarge { operation: "channels.list", limit: 1 << 20 });
}

#[tokio::test]
async fn a_get_is_sent_again_when_its_connection_breaks_and_a_post_is_not() {
    let node = FakeNode::start().await;
    let client = client(node.target("EVERYTHING"));
    client.asterisk().ping().await.expect("a kept connection");
    node.freeze();
    let get = tokio::spawn({
        let client = client.clone();
        async move { client.asterisk().ping().await }
    });
    let post = tokio::spawn({
        let client = client.clone();
        async move { client.asterisk().set_variable("A", "1").await }
    });
    let both = |requests: &std::collections::BTreeMap<String, u64>| {
        requests.get("GET /asterisk/ping") == Some(&2) && requests.get("POST /asterisk/variable") == Some(&1)
    };
    while !both(&node.requests()) {
        tokio::task::yield_now().await;
    }
    node.restart();
    node.mend();
    get.await.expect("no panic").expect("sent again");
    let error = post.await.expect("no panic").expect_err("not sent again");
    assert!(matches!(error, AriError::Connection { failure: ConnectFailure::Closed, .. }), "{error:?}");
    let requests = node.requests();
    assert_eq!((requests["GET /asterisk/ping"], requests["POST /asterisk/variable"]), (3, 1));
}

#[tokio::test]
async fn a_deadline_covers_the_wait_for_a_free_slot() {
    let node = FakeNode::start().await;
    let settings = Settings { max_in_flight: 1, ..Settings::default() };
    let client = AriClient::new(node.target("EVERYTHING"), &settings, Arc::new(())).expect("a client");
    node.freeze();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.asterisk().ping().await }
    });
    while node.requests().get("GET /asterisk/ping") != Some(&1) {
        tokio::task::yield_now().await;
    }
    let after = Duration::from_millis(100);
    let second = client.with_deadline(after).asterisk().ping().await.expect_err("no slot comes free");
    assert_eq!(second, AriError::Timeout { operation: "asterisk.ping", after });
    assert_eq!(node.requests()["GET /asterisk/ping"], 1);
    node.mend();
    first.await.expect("no panic").expect("answered");
}

#[tokio::test]
async fn a_lost_socket_comes_back_and_a_silent_one_is_given_up() {
    let node = FakeNode::start().await;
    let quick = Settings { ping_interval_ms: 100, ping_timeout_ms: 200, ..impatient() };
    let client = AriClient::new(node.target("EVERYTHING"), &quick, Arc::new(())).expect("a client");
    let mut items = EventSocket::spawn(&client);
    assert_eq!(next(&mut items).await, SocketItem::Up);
    node.cut_sockets();
    assert_eq!(next(&mut items).await, SocketItem::Down { reason: ConnectFailure::SocketClosed });
    assert_eq!(next(&mut items).await, SocketItem::Up);
    node.freeze();
    let silent = SocketItem::Down { reason: ConnectFailure::Timeout(Duration::from_millis(200)) };
    assert_eq!(next(&mut items).await, silent);
    node.mend();
    while next(&mut items).await != SocketItem::Up {}
    drop(items);
    while node.has_listener("EVERYTHING") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn garbage_on_the_socket_is_told_and_does_not_end_it() {
    let node = FakeNode::start().await;
    let mut subject = Subject::connect(node.target("EVERYTHING")).await;
    for frame in ["<html>", "[]", r#"{"type":7}"#, r#"{"type":"StasisStart","application":"EVERYTHING"}"#] {
        node.send_frame("EVERYTHING", frame);
        let item = subject.item().await;
        assert!(matches!(item, SocketItem::Undecodable(_)), "{frame}: {item:?}");
    }
    node.send_frame("EVERYTHING", r#"{"type":"SomethingNew","application":"EVERYTHING","x":1}"#);
    let SocketItem::Event(event) = subject.item().await else { panic!("not an event") };
    assert!(matches!(&event.kind, EventKind::Unknown(unknown) if unknown.kind == "SomethingNew"));
    node.send_frame("EVERYTHING", " ".repeat(2 << 20));
    let item = subject.item().await;
    assert!(matches!(item, SocketItem::Down { reason: ConnectFailure::Garbage(_) }), "{item:?}");
    assert_eq!(subject.item().await, SocketItem::Up);
}

#[tokio::test]
async fn a_socket_that_was_taken_over_says_so_and_stops() {
    let node = FakeNode::start().await;
    let first = client(node.target("EVERYTHING"));
    let mut items = EventSocket::spawn(&first);
    assert_eq!(next(&mut items).await, SocketItem::Up);
    let mut second = Subject::connect(node.target("EVERYTHING")).await;
    assert_eq!(next(&mut items).await, SocketItem::Replaced);
    assert_eq!(items.recv().await, None);
    let caller = node.call(&IncomingCall::to("600", "call-1@example.test")).expect("the second one listens");
    second.wait("StasisStart", &caller).await;
}

#[tokio::test]
async fn a_consumer_that_sleeps_loses_events_by_count_and_never_the_socket() {
    let node = FakeNode::start().await;
    let settings = Settings { event_queue: 16, ..impatient() };
    let client = AriClient::new(node.target("EVERYTHING"), &settings, Arc::new(())).expect("a client");
    let mut items = EventSocket::spawn(&client);
    assert_eq!(next(&mut items).await, SocketItem::Up);
    for number in 0..500 {
        let exten = format!("{number}");
        node.call(&IncomingCall::to(&exten, &format!("call-{number}@example.test"))).expect("taken");
    }
    // The calls are in order on one connection: when an event sent after them has been counted or queued, all have.
    let (mut next_number, mut lost) = (0_u64, 0);
    while next_number + lost < 500 {
        match next(&mut items).await {
            SocketItem::Event(event) => {
                let EventKind::StasisStart(start) = &event.kind else { panic!("{event:?}") };
                assert_eq!(start.channel.dialplan.exten, (next_number + lost).to_string(), "in order, gaps counted");
                next_number += 1;
            }
            SocketItem::Lost { count } => lost += count,
            other => panic!("{other:?}"),
        }
    }
    assert!(next_number >= 16, "what fitted was kept: {next_number}");
}
