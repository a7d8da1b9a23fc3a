//! Calls that kamari places: whoever is rung is served once he answers, and nothing is left when he does not.

use std::time::Duration;

use kamari::call::{Address, CallError, CallState, CallView, CallerId, PlaceRequest};
use kamari::cdr::Cdr;
use kamari::pool::NodeName;

use crate::dialling::{leg, talk};
use crate::support::fake_node::{Behaviour, Dialled, FakeNode, Lie};
use crate::world::{World, until, within};

pub(crate) fn request(to: &str, extension: &str) -> PlaceRequest {
    PlaceRequest {
        to: Address::new(to).expect("an address"),
        caller_id: CallerId::new("4711", "Switchboard"),
        ring_timeout: Duration::from_secs(20),
        domain: "example.test".into(),
        extension: extension.into(),
    }
}

pub(crate) fn node_name(at: usize) -> NodeName {
    NodeName::new(&format!("n{at}")).expect("a name")
}

async fn place(world: &World, to: &str, extension: &str) -> CallView {
    world.runtime.place(&node_name(0), &request(to, extension)).await.expect("placed")
}

/// The only record so far; forgets it.
async fn record(world: &World) -> Cdr {
    world.one_record_each(1).await;
    let record = world.records.lock().expect("whole").pop().expect("one");
    assert!(record.placed);
    record.as_ref().clone()
}

#[tokio::test]
async fn whoever_answers_is_served_like_a_caller() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let call = place(&world, "ann@example.test", "700").await;
    assert_eq!((&*call.caller, &*call.extension, call.state), ("ann", "700", CallState::Ringing));
    assert!(call.placed && call.call_id.is_some());
    let channel = leg(&nodes[0], "ann").await;
    assert_eq!(*call.channel, *channel);
    assert_eq!(nodes[0].channel_variable(&channel, "CONNECTEDLINE(num,i)").as_deref(), Some("4711"));
    assert_eq!(nodes[0].channel_variable(&channel, "CONNECTEDLINE(name,i)").as_deref(), Some("Switchboard"));
    let up = world.call(&channel, |call| call.app == Some("echo")).await;
    assert_eq!((up.state, up.tenant.as_deref()), (CallState::Up, Some("example")));
    until("she hears herself", || nodes[0].bridge_of(&channel).is_some()).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    let record = record(&world).await;
    assert_eq!((&*record.caller, record.ended_by, record.sip), ("ann", "caller", Some(200)));
    assert_eq!(record.apps.len(), 1);

    // Keys count, and an app may hand the call on; the app hangs up when it is done.
    place(&world, "ann@example.test", "pin").await;
    let channel = leg(&nodes[0], "ann").await;
    world.call(&channel, |call| call.app == Some("asks")).await;
    nodes[0].far_end_presses(&channel, '1');
    place(&world, "bob@example.test", "810").await;
    let bob = leg(&nodes[0], "bob").await;
    world.call(&bob, |call| call.app == Some("echo")).await;
    nodes[0].far_end_hangs_up(&channel);
    nodes[0].far_end_hangs_up(&bob);
    world.nothing_left(&nodes).await;
    world.one_record_each(2).await;
}

#[tokio::test]
async fn a_second_leg_is_a_number_that_dials() {
    for backwards in [false, true] {
        let nodes = [FakeNode::start_with(Behaviour { backwards, ..Behaviour::default() }).await];
        let world = World::over(&nodes).await;
        place(&world, "ann@example.test", "bob").await;
        let (ann, bob) = (leg(&nodes[0], "ann").await, leg(&nodes[0], "bob").await);
        talk(&nodes[0], &ann, &bob).await;
        assert_eq!(nodes[0].channel_variable(&bob, "CONNECTEDLINE(num,i)").as_deref(), Some("ann"));
        // kamari is killed while they talk: the next one finds them, whichever of the two is listed first.
        world.vanish().await;
        let world = World::over(&nodes).await;
        let found = world.call(&ann, |call| call.app == Some("dial")).await;
        assert!(found.adopted && found.placed && &*found.caller == "ann", "{found:?}");
        talk(&nodes[0], &ann, &bob).await;
        nodes[0].far_end_hangs_up(&bob);
        within("she is hung up", nodes[0].gone(&ann)).await;
        world.nothing_left(&nodes).await;
        let record = record(&world).await;
        assert_eq!((record.ended_by, record.sip, record.adopted), ("app", Some(200), true), "{record:?}");
    }
}

#[tokio::test]
async fn who_does_not_answer_leaves_a_record_and_nothing_else() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    for (what, status) in [
        (Dialled::Refuses(486, 17), Some(486)),
        (Dialled::Refuses(603, 21), Some(603)),
        (Dialled::Refuses(404, 1), Some(404)),
        (Dialled::NeverAnswers, Some(487)),
        (Dialled::Fails, None),
    ] {
        nodes[0].when_dialled("sip:ann@", what);
        let quickly = PlaceRequest { ring_timeout: Duration::from_secs(1), ..request("ann@example.test", "700") };
        world.runtime.place(&node_name(0), &quickly).await.expect("placed");
        world.nothing_left(&nodes).await;
        let record = record(&world).await;
        assert_eq!((record.ended_by, record.sip), ("refused", status), "{what:?}");
        assert!(record.apps.is_empty() && record.answered_at.is_none(), "{record:?}");
    }
    // The operator ends it while it rings.
    nodes[0].when_dialled("sip:ann@", Dialled::NeverAnswers);
    let call = place(&world, "ann@example.test", "700").await;
    assert!(world.runtime.end(&call.id));
    world.nothing_left(&nodes).await;
    let cancelled = record(&world).await;
    assert_eq!((cancelled.ended_by, cancelled.sip), ("operator", Some(487)));
    assert_eq!(world.outcomes("none", "rejected"), 5);
}

#[tokio::test]
async fn a_node_that_cannot_make_the_call_says_so_and_keeps_nothing() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let wanted = request("ann@example.test", "700");
    let refused = world.runtime.place(&node_name(7), &wanted).await;
    assert!(matches!(refused, Err(CallError::Misuse(_))), "there is no such node: {refused:?}");
    nodes[0].lie(Lie::NotBooted);
    let refused = world.runtime.place(&node_name(0), &wanted).await;
    assert!(matches!(refused, Err(CallError::Ari(_))), "{refused:?}");
    nodes[0].mend();
    world.nothing_left(&nodes).await;
    assert_eq!(world.recorded(), 0, "there was no call");
    // Whoever asked goes away before it is made: it is made all the same.
    let asked = tokio::spawn({
        let runtime = world.runtime.clone();
        async move { runtime.place(&node_name(0), &wanted).await }
    });
    until("it is asked for", || world.runtime.registered() > 0).await;
    asked.abort();
    let channel = leg(&nodes[0], "ann").await;
    world.call(&channel, |call| call.app == Some("echo")).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn one_record_each_also_when_the_node_is_lost_for_a_while() {
    let ring = Duration::from_secs(2);
    let nodes = [FakeNode::start_with(Behaviour { ring, ..Behaviour::default() }).await];
    let world = World::over(&nodes).await;
    // One is up, one rings.
    place(&world, "ann@example.test", "700").await;
    let ann = leg(&nodes[0], "ann").await;
    world.call(&ann, |call| call.app == Some("echo")).await;
    place(&world, "bob@example.test", "700").await;
    until("his phone rings", || nodes[0].requests().get("POST /channels/*/dial") == Some(&2)).await;
    nodes[0].lie(Lie::NotBooted);
    nodes[0].cut_sockets();
    until("they are let go", || world.runtime.live() == 0).await;
    nodes[0].mend();
    let found = world.call(&ann, |call| call.app == Some("echo")).await;
    assert!(found.adopted && found.placed && &*found.caller == "ann", "{found:?}");
    let bobs = || nodes[0].legs().iter().filter(|(_, endpoint)| endpoint.contains("sip:bob@")).count();
    until("the one that rang is hung up", || bobs() == 0).await;
    nodes[0].far_end_hangs_up(&ann);
    world.nothing_left(&nodes).await;
    world.one_record_each(2).await;
    let ended = |caller: &str| {
        let records = world.records.lock().expect("whole");
        records.iter().find(|record| &*record.caller == caller).expect("one").ended_by
    };
    assert_eq!(ended("bob"), "node_lost");
    // A slow machine may have taken her node to stay away, and written her record then.
    assert!(["caller", "node_lost"].contains(&ended("ann")), "{}", ended("ann"));
}
