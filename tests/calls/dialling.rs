//! Legs that a call dials: who answers talks with the caller, the others are hung up, and none is left, whatever happens.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::support::fake_node::{Behaviour, Dialled, FakeNode};
use crate::world::{World, call_in, left_on, until, within};

/// The leg to this user, once it is there.
pub(crate) async fn leg(node: &FakeNode, user: &str) -> String {
    let find = || node.legs().into_iter().find(|(_, endpoint)| endpoint.contains(&format!("sip:{user}@")));
    until("a leg", || find().is_some()).await;
    find().expect("it was there").0
}

/// Waits until these two and nobody else are in one bridge.
pub(crate) async fn talk(node: &FakeNode, one: &str, other: &str) {
    until(&format!("{one} and {other} talk"), || {
        node.bridge_of(one).and_then(|bridge| node.bridge_channels(&bridge)).is_some_and(|mut channels| {
            channels.sort();
            let mut both = [one, other];
            both.sort_unstable();
            channels == both
        })
    })
    .await;
}

async fn ringing_for(ring: Duration) -> FakeNode {
    FakeNode::start_with(Behaviour { ring, ..Behaviour::default() }).await
}

#[tokio::test]
async fn the_caller_is_answered_when_the_called_one_answers_and_they_part_together() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    for called_one_leaves in [true, false] {
        let caller = call_in(&nodes[0], "bob");
        let bob = leg(&nodes[0], "bob").await;
        talk(&nodes[0], &caller, &bob).await;
        assert!(within("the answer", nodes[0].answered(&caller)).await);
        assert_eq!(nodes[0].channel_variable(&bob, "CONNECTEDLINE(num,i)").as_deref(), Some("alice"));
        assert_eq!(nodes[0].channel_variable(&bob, "SIPFROMDOMAIN").as_deref(), Some("example.test"));
        let (leaves, stays) = if called_one_leaves { (bob, caller) } else { (caller, bob) };
        nodes[0].far_end_hangs_up(&leaves);
        within("the other is hung up", nodes[0].gone(&stays)).await;
        world.nothing_left(&nodes).await;
    }
    assert_eq!(world.outcomes("dial", "completed"), 1);
    assert_eq!(world.outcomes("dial", "hung_up"), 1);
}

#[tokio::test]
async fn the_first_answer_wins_and_the_others_are_hung_up() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    // Both answer at the same moment.
    let caller = call_in(&nodes[0], "all");
    until("two who talk", || {
        let bridge = nodes[0].bridge_of(&caller).and_then(|bridge| nodes[0].bridge_channels(&bridge));
        bridge.is_some_and(|channels| channels.len() == 2) && nodes[0].legs().len() == probes(&nodes[0]) + 1
    })
    .await;
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;

    // Only one does.
    nodes[0].when_dialled("sip:bob@", Dialled::NeverAnswers);
    let caller = call_in(&nodes[0], "all");
    let eve = leg(&nodes[0], "eve").await;
    talk(&nodes[0], &caller, &eve).await;
    until("bob's leg is gone", || nodes[0].legs().len() == probes(&nodes[0]) + 1).await;
    nodes[0].far_end_hangs_up(&eve);
    world.nothing_left(&nodes).await;
}

/// Channels of the pool's own.
fn probes(node: &FakeNode) -> usize {
    node.legs().iter().filter(|(id, endpoint)| id.contains("probe") || endpoint.contains("Local/")).count()
}

#[tokio::test]
async fn a_refusal_leads_on() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    for (status, cause, next) in [(486, 17, "waits"), (603, 21, "waits"), (480, 19, "echo")] {
        nodes[0].when_dialled("sip:bob@", Dialled::Refuses(status, cause));
        let caller = call_in(&nodes[0], "bob");
        world.call(&caller, |call| call.app == Some(next)).await;
        nodes[0].far_end_hangs_up(&caller);
        world.nothing_left(&nodes).await;
    }
    // Nothing is said for it: the caller is refused.
    nodes[0].when_dialled("sip:bob@", Dialled::Refuses(404, 1));
    let caller = call_in(&nodes[0], "bob");
    within("the refusal", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("dial", "rejected"), 1);
    // In turn: the second is dialled when the first refuses.
    let caller = call_in(&nodes[0], "turn");
    let eve = leg(&nodes[0], "eve").await;
    talk(&nodes[0], &caller, &eve).await;
    nodes[0].far_end_hangs_up(&caller);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn nobody_rings_for_longer_than_allowed() {
    let nodes = [FakeNode::start().await];
    nodes[0].when_dialled("sip:late@", Dialled::NeverAnswers);
    let world = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "short");
    within("the refusal", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("dial", "rejected"), 1);
}

#[tokio::test]
async fn what_is_said_before_the_answer_is_heard() {
    let nodes = [ringing_for(Duration::from_mins(1)).await];
    nodes[0].when_dialled("sip:bob@", Dialled::Announces);
    let world = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    assert!(world.call(&caller, |_| true).await.answered_ms.is_none(), "heard, and not answered");
    // The announcement ends with a refusal: its bridge is gone before the call goes on.
    nodes[0].far_end_hangs_up(&bob);
    within("the refusal", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_node_that_makes_no_leg_is_no_end_of_the_call() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    // Asterisk 22's answer to an endpoint that it cannot make a channel for.
    nodes[0].when_dialled("sip:eve@", Dialled::Fails);
    let caller = call_in(&nodes[0], "eve");
    within("the refusal", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("dial", "rejected"), 1);
}

/// The caller hangs up after every delay that makes a difference, with legs that answer or refuse at once, and with late
/// events: nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_hang_up_at_any_moment() {
    let nodes = [ringing_for(Duration::from_millis(3)).await];
    nodes[0].when_dialled("sip:eve@", Dialled::Announces);
    let world = World::over(&nodes).await;
    let mut callers = tokio::task::JoinSet::new();
    for seed in 0..300_u64 {
        let node = nodes[0].clone();
        if seed % 10 == 0 {
            node.hold_events(true);
        }
        callers.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed);
            let exten = ["bob", "all", "turn", "eve"][rng.random_range(0..4)];
            let caller = call_in(&node, exten);
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..20_000))).await;
            let legs = node.legs();
            // Now and then the called one hangs up first, holds, or wants a transfer.
            match (rng.random_range(0..5), legs.last()) {
                (0, Some((leg, _))) => node.far_end_hangs_up(leg),
                (1, Some((leg, _))) => node.far_end_refers(leg, &json!({ "destination": "patient" })),
                (2, _) => node.far_end_refers(&caller, &json!({ "destination": "patient" })),
                (3, Some((leg, _))) => node.far_end_holds(leg, true),
                _ => {}
            }
            tokio::time::sleep(Duration::from_micros(rng.random_range(0..10_000))).await;
            node.hold_events(false);
            node.far_end_hangs_up(&caller);
        });
        if callers.len() >= 20 {
            callers.join_next().await.expect("callers").expect("no caller fails");
        }
    }
    while let Some(done) = callers.join_next().await {
        done.expect("no caller fails");
    }
    nodes[0].hold_events(false);
    // Who was transferred by a caller who is gone waits for nobody.
    for (leg, _) in nodes[0].legs().iter().filter(|(id, _)| id.contains("-leg-")) {
        nodes[0].far_end_hangs_up(leg);
    }
    world.nothing_left(&nodes).await;
    for outcome in ["failed", "panicked"] {
        assert_eq!(world.outcomes("dial", outcome), 0, "{outcome}");
    }
}

#[tokio::test]
async fn who_is_held_hears_music_and_then_the_other_again() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    for (holds, held) in [(&bob, &caller), (&caller, &bob)] {
        nodes[0].far_end_holds(holds, true);
        until("music", || nodes[0].leftovers().playbacks > 0 && nodes[0].bridge_of(held).is_none()).await;
        nodes[0].far_end_holds(holds, false);
        talk(&nodes[0], &caller, &bob).await;
        until("no music", || nodes[0].leftovers().playbacks == 0).await;
    }
    nodes[0].far_end_holds(&bob, true);
    until("music", || nodes[0].leftovers().playbacks > 0).await;
    nodes[0].far_end_hangs_up(&bob);
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn two_who_talk_outlive_kamari() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    until("all is saved", || nodes[0].channel_variable(&caller, "PJSIP_TRANSFER_HANDLING()").is_some()).await;
    let bridge = nodes[0].bridge_of(&caller);
    before.vanish().await;
    assert_eq!(left_on(&nodes[0]), (2, 1, 0));

    let after = World::over(&nodes).await;
    let call = after.call(&caller, |call| call.app.is_some()).await;
    assert_eq!((call.app, call.adopted), (Some("dial"), true));
    talk(&nodes[0], &caller, &bob).await;
    assert_eq!(nodes[0].bridge_of(&caller), bridge);
    nodes[0].far_end_hangs_up(&bob);
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    after.nothing_left(&nodes).await;
}

/// One holds the other, who hears music outside of their bridge: another kamari joins them.
#[tokio::test]
async fn two_of_whom_one_holds_the_other_outlive_kamari() {
    for the_caller_holds in [true, false] {
        let nodes = [FakeNode::start().await];
        let before = World::over(&nodes).await;
        let caller = call_in(&nodes[0], "bob");
        let bob = leg(&nodes[0], "bob").await;
        talk(&nodes[0], &caller, &bob).await;
        let (holds, held) = if the_caller_holds { (&caller, &bob) } else { (&bob, &caller) };
        nodes[0].far_end_holds(holds, true);
        until("music", || nodes[0].leftovers().playbacks > 0 && nodes[0].bridge_of(held).is_none()).await;
        before.vanish().await;

        let after = World::over(&nodes).await;
        talk(&nodes[0], &caller, &bob).await;
        until("no music", || nodes[0].leftovers().playbacks == 0).await;
        nodes[0].far_end_holds(holds, false);
        nodes[0].far_end_holds(holds, true);
        until("music again", || nodes[0].leftovers().playbacks > 0 && nodes[0].bridge_of(held).is_none()).await;
        nodes[0].far_end_hangs_up(&bob);
        within("the caller is hung up", nodes[0].gone(&caller)).await;
        after.nothing_left(&nodes).await;
    }
}

#[tokio::test]
async fn who_hung_up_while_kamari_was_away_is_not_called_once_more() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    until("all is saved", || nodes[0].channel_variable(&caller, "PJSIP_TRANSFER_HANDLING()").is_some()).await;
    before.vanish().await;
    nodes[0].far_end_hangs_up(&bob);

    let after = World::over(&nodes).await;
    // Called once more, he would answer, and they would talk.
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    after.nothing_left(&nodes).await;
}

/// Events are lost again and again while two talk: what the node has is read anew, and nobody notices.
#[tokio::test]
async fn two_who_talk_do_not_notice_that_events_were_lost() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    let bridge = nodes[0].bridge_of(&caller);
    for _ in 0..3 {
        nodes[0].cut_sockets();
        until("somebody to listen again", || nodes[0].has_listener("EVERYTHING")).await;
        // Somebody whose call comes and goes shows that events arrive again.
        let heard = call_in(&nodes[0], "patient");
        world.call(&heard, |call| call.app.is_some()).await;
        nodes[0].far_end_hangs_up(&heard);
        until("he has gone", || world.runtime.live() == 1).await;
        talk(&nodes[0], &caller, &bob).await;
        assert_eq!(nodes[0].bridge_of(&caller), bridge);
    }
    assert!(!world.call(&caller, |call| call.app.is_some()).await.adopted);
    assert_eq!(world.metrics.calls.orphans.get(), 0);
    nodes[0].far_end_hangs_up(&bob);
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    world.nothing_left(&nodes).await;
}

/// The twin: a leg that had not been answered is nobody's after a restart, and is dialled anew.
#[tokio::test]
async fn a_leg_that_rang_is_dialled_anew_after_a_restart() {
    let nodes = [ringing_for(Duration::from_mins(1)).await];
    let before = World::over(&nodes).await;
    let caller = call_in(&nodes[0], "bob");
    let rang = leg(&nodes[0], "bob").await;
    before.vanish().await;
    let after = World::over(&nodes).await;
    within("the old leg is hung up", nodes[0].gone(&rang)).await;
    leg(&nodes[0], "bob").await;
    nodes[0].far_end_hangs_up(&caller);
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_blind_transfer_leads_either_to_another_number() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    // The called one transfers the caller.
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    // To a number that is not there: nothing happens.
    nodes[0].far_end_refers(&bob, &json!({ "destination": "nobody" }));
    nodes[0].far_end_refers(&bob, &json!({ "destination": "eve" }));
    let eve = leg(&nodes[0], "eve").await;
    talk(&nodes[0], &caller, &eve).await;
    within("bob is hung up", nodes[0].gone(&bob)).await;
    nodes[0].far_end_hangs_up(&eve);
    world.nothing_left(&nodes).await;

    // The caller transfers the called one, who has a call of his own from then on.
    let caller = call_in(&nodes[0], "bob");
    let bob = leg(&nodes[0], "bob").await;
    talk(&nodes[0], &caller, &bob).await;
    nodes[0].far_end_refers(&caller, &json!({ "destination": "eve" }));
    let eve = leg(&nodes[0], "eve").await;
    talk(&nodes[0], &bob, &eve).await;
    within("the caller is hung up", nodes[0].gone(&caller)).await;
    assert_eq!(world.call(&bob, |call| call.app == Some("dial")).await.extension.as_ref(), "eve");
    nodes[0].far_end_hangs_up(&bob);
    within("eve is hung up", nodes[0].gone(&eve)).await;
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn an_attended_transfer_joins_the_two_others() {
    for phone_called_both in [true, false] {
        let nodes = [FakeNode::start().await];
        let world = World::over(&nodes).await;
        let first = call_in(&nodes[0], "bob");
        let bob = leg(&nodes[0], "bob").await;
        talk(&nodes[0], &first, &bob).await;
        let second = call_in(&nodes[0], "eve");
        let eve = leg(&nodes[0], "eve").await;
        talk(&nodes[0], &second, &eve).await;
        let call_id = world.call(&second, |_| true).await.call_id.expect("a Call-ID").to_string();
        let refer = json!({ "protocol_id": call_id });
        // The phone is the caller of both calls, or is Bob's and called Eve.
        let (refers, joined, hung_up) = if phone_called_both { (&first, &bob, &first) } else { (&bob, &first, &bob) };
        nodes[0].far_end_refers(refers, &refer);
        talk(&nodes[0], joined, &eve).await;
        within("the phone's first call is over", nodes[0].gone(hung_up)).await;
        within("the phone's second call is over", nodes[0].gone(&second)).await;

        // They stay together when kamari is restarted, and part together.
        until("both are saved", || nodes[0].channel_variable(&eve, "KAMARI_STATE").is_some()).await;
        world.vanish().await;
        let world = World::over(&nodes).await;
        until("both are found", || world.runtime.live() == 2).await;
        talk(&nodes[0], joined, &eve).await;
        nodes[0].far_end_hangs_up(&eve);
        within("the other is hung up", nodes[0].gone(joined)).await;
        world.nothing_left(&nodes).await;
    }
}
