//! Callers and nodes who say what they must not: what a caller dials stays within his tenant, and what one node says
//! moves nothing on another.

use serde_json::json;

use crate::support::fake_node::{Behaviour, FakeNode, IncomingCall};
use crate::world::{World, call_in, until, within};

/// The token of the relay that this node was asked to dial, once it was.
async fn token_on(node: &FakeNode) -> String {
    let token = || {
        let (_, endpoint) = node.legs().into_iter().find(|(_, endpoint)| endpoint.contains("sip:kamari-relay-"))?;
        Some(endpoint.split_once("sip:")?.1.split_once('@')?.0.to_owned())
    };
    until("a relay is dialled", || token().is_some()).await;
    token().expect("it was there")
}

#[tokio::test]
async fn a_caller_does_not_choose_the_domain_that_is_dialled() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    // On the wire the first is `030%40evil.test`, and nodes undo that.
    for dialled in ["030@evil.test", "030@192.0.2.9:5062"] {
        let caller = call_in(&nodes[0], dialled);
        within("the refusal", nodes[0].gone(&caller)).await;
        world.nothing_left(&nodes).await;
    }
    assert_eq!(world.outcomes("dial", "rejected"), 2);
    // The twin: the number alone is dialled, at the domain of the caller's tenant.
    let caller = call_in(&nodes[0], "030");
    until("a leg", || nodes[0].legs().iter().any(|(_, endpoint)| endpoint.ends_with("sip:030@example.test"))).await;
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_node_cannot_name_another_nodes_channel_as_the_end_of_a_relay() {
    let named = |name: &str| Behaviour { name: name.to_owned(), ..Behaviour::default() };
    let nodes = [FakeNode::start_with(named("a")).await, FakeNode::start_with(named("b")).await];
    let world = World::over(&nodes).await;
    let victim = call_in(&nodes[0], "silent");
    world.call(&victim, |call| call.app == Some("ignores")).await;
    let at_home = call_in(&nodes[0], "600");
    until("the room has a bridge", || nodes[0].bridge_of(&at_home).is_some()).await;
    let away = call_in(&nodes[1], "600");
    let token = token_on(&nodes[1]).await;
    // The node that is to dial knows the token. It says itself that the leg has arrived, as a channel of the other node.
    let channel = json!({
        "id": victim, "name": "PJSIP/kamailio-00000001", "state": "Ring", "protocol_id": "x",
        "caller": { "name": "", "number": "" }, "connected": { "name": "", "number": "" }, "accountcode": "",
        "dialplan": { "context": "x", "exten": token, "priority": 1, "app_name": "Stasis", "app_data": "" },
        "creationtime": "2026-01-01T00:00:00.000+0000", "language": "en",
    });
    let event = json!({
        "type": "StasisStart", "timestamp": "2026-01-01T00:00:00.000+0000", "args": [], "channel": channel,
        "asterisk_id": "x", "application": "EVERYTHING",
    });
    nodes[1].send_frame("EVERYTHING", event.to_string());
    until("the lie was heard", || world.metrics.calls.orphans.get() > 0 || nodes[0].bridge_of(&victim).is_some()).await;
    assert_eq!(nodes[0].bridge_of(&victim), None, "somebody else's call was put into the room");
    // The true end is still expected.
    let arrival = nodes[0].call(&IncomingCall::to(&token, "relay")).expect("somebody listens");
    let bridge = nodes[0].bridge_of(&at_home).expect("the room's");
    until("the relay is up", || nodes[0].bridge_of(&arrival).as_ref() == Some(&bridge)).await;
    assert_eq!(nodes[0].bridge_of(&victim), None);
    for (node, channel) in [(0, &at_home), (1, &away), (0, &victim)] {
        nodes[node].far_end_hangs_up(channel);
    }
    world.nothing_left(&nodes).await;
}
