//! Real Asterisk nodes of the lab: their documentation, and the test bodies that the fake node passes too.

use std::future::Future;
use std::sync::Arc;

use kamari::ari::{AriClient, AriTarget, ConnectFailure, Event, EventKind, EventSocket, Settings, SocketItem};
use serde_json::Value;

use crate::calls;
use crate::documented::Documentation;
use crate::lab::{AsteriskVersion, Lab, Node};
use crate::subject::{PATIENCE, Subject};

fn target(lab: &Lab, node: &Node) -> AriTarget {
    let base = node.ari_url().parse().expect("a URL");
    AriTarget::new(&base, "kamari", lab.ari_password().into(), "EVERYTHING").expect("a target")
}

fn client(target: AriTarget) -> AriClient {
    AriClient::new(target, &Settings::default(), Arc::new(())).expect("a client")
}

/// Runs a test body: the lab's calls block, so it is not a `tokio::test`.
fn run(body: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(body);
}

fn documentation(node: &Node) -> Documentation {
    let resources = node.ari("GET", "/api-docs/resources.json").expect("documentation");
    let paths = resources["apis"].as_array().expect("a list").iter().map(|api| api["path"].as_str().expect("a path"));
    let documents: Vec<Value> =
        paths.map(|path| node.ari("GET", &path.replace("{format}", "json")).expect("a document")).collect();
    Documentation::new(&documents)
}

/// A caller at the node, by the id of its channel.
async fn caller(subject: &mut Subject, exten: &str) -> String {
    let is_it =
        |event: &Event| matches!(&event.kind, EventKind::StasisStart(start) if start.channel.dialplan.exten == exten);
    subject.event(is_it).await.channel_id().expect("a channel").to_owned()
}

/// kamari hears of no variable that is set, so its nodes make no message of it; other applications may want to hear.
fn tell_of_variables(lab: &Lab, node: &Node) {
    let file = lab.directory().join("node1/etc/stasis.conf");
    std::fs::write(file, "; The lab's own: everything is told.\n").expect("the node's own configuration");
    node.kill9();
    node.restart();
}

/// What this kamari needs of a node, on the newest Asterisk and on the oldest one.
fn serves(version: AsteriskVersion) {
    let lab = Lab::start();
    let node = lab.node_of(version, 1);
    documentation(&node).check_operations();
    tell_of_variables(&lab, &node);
    run(async {
        let mut subject = Subject::connect(target(&lab, &node)).await;
        let listening = lab.calls("600").from(lab.core()).to(node.address).until_hung_up().start();
        let channel = caller(&mut subject, "600").await;
        let domain = subject.client.channels().variable(&channel, "SIPDOMAIN").await.expect("read");
        assert_eq!(domain.value, "example.test");
        let told = subject.client.channels().get(&channel).await.expect("a channel").channelvars.expect("channelvars");
        assert_eq!((&told["SIPDOMAIN"], &told["RTPAUDIOQOS"]), (&domain.value.into(), &"".into()));
        calls::a_caller_is_served(&mut subject, &channel).await;
        listening.wait().assert_all_answered();

        let staying = lab.calls("601").from(lab.core()).to(node.address).until_hung_up().start();
        let channel = caller(&mut subject, "601").await;
        subject.client.channels().answer(&channel).await.expect("answered");
        calls::variables_keep_their_text(&mut subject, &channel).await;
        calls::a_recording_is_kept(&mut subject, &channel).await;
        calls::a_bridge_is_played_to_and_recorded(&mut subject, &channel).await;
        subject.client.channels().rtp_statistics(&channel).await.expect("statistics");
        calls::unwanted_events_are_not_sent(&mut subject, &channel).await;
        staying.wait().assert_all_answered();

        let answering = lab.calls("leg").from(lab.core()).answering().start();
        calls::a_leg_is_dialled(&mut subject, &format!("PJSIP/kamailio/sip:leg@{}:5060", lab.core())).await;
        answering.wait();
    });
    lab.assert_nodes_empty();
}

#[test]
fn asterisk_22_is_served() {
    serves(AsteriskVersion::V22);
}

#[test]
fn asterisk_16_is_served() {
    serves(AsteriskVersion::V16);
}

#[test]
fn the_types_are_those_of_asterisk_22() {
    let lab = Lab::start();
    let node = lab.node(1);
    let documentation = documentation(&node);
    let (operations, models, events) = documentation.size();
    assert!(
        operations >= 105 && models >= 80 && events >= 45,
        "{operations} operations, {models} models, {events} events"
    );
    documentation.check_operations();
    documentation.check_nothing_invented();
    documentation.check_models();
}

#[test]
fn a_real_node_that_is_wrong_or_stopped_is_explained() {
    let lab = Lab::start();
    let node = lab.node(1);
    run(async {
        let base = node.ari_url().parse().expect("a URL");
        let wrong = AriTarget::new(&base, "kamari", "guess".into(), "EVERYTHING").expect("a target");
        let wrong = client(wrong);
        assert_eq!(wrong.check().await.expect_err("refused"), ConnectFailure::PasswordRefused);
        let mut items = EventSocket::spawn(&wrong);
        assert_eq!(items.recv().await, Some(SocketItem::Down { reason: ConnectFailure::PasswordRefused }));

        let sip = format!("http://{}:5060", node.address).parse().expect("a URL");
        let sip = client(AriTarget::new(&sip, "kamari", "x".into(), "EVERYTHING").expect("a target"));
        assert_eq!(sip.check().await.expect_err("no HTTP there"), ConnectFailure::ConnectionRefused);

        let mut first = Subject::connect(target(&lab, &node)).await;
        let mut second = Subject::connect(target(&lab, &node)).await;
        assert_eq!(first.item().await, SocketItem::Replaced);

        node.stop();
        let stopped = tokio::time::timeout(PATIENCE, second.item()).await.expect("noticed");
        assert!(matches!(stopped, SocketItem::Down { reason: ConnectFailure::Timeout(_) }), "{stopped:?}");
        node.cont();
        while second.item().await != SocketItem::Up {}
        node.kill9();
        let killed = second.item().await;
        assert!(matches!(killed, SocketItem::Down { reason: ConnectFailure::SocketClosed }), "{killed:?}");
    });
}
