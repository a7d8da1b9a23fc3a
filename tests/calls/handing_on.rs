//! An app hands its call on to another number of the tenant.

use kamari::apps::{App, Catalogue, Next, Reader};
use kamari::call::{AppError, Call, HOP_LIMIT, Kind, Step};
use kamari::invalid::Invalid;

use crate::support::fake_node::FakeNode;
use crate::world::{World, call_in, until, within};

pub(crate) fn add_to(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<EchoesOn>()
}

/// Leaves everything that a call can leave on its node, and hands the call on when a key is pressed.
struct EchoesOn(String);

impl App for EchoesOn {
    const NAME: &'static str = "echoes_on";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self(parameters.extension("then")?.ok_or_else(|| Reader::missing("then", "a number"))?))
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.answer().await?;
        let (bridge, ear) = (call.new_id(Kind::Bridge), call.new_id(Kind::Snoop));
        call.save(&"anything", &[&bridge, &ear]).await?;
        call.bridge_as(&bridge, "own").await?;
        call.listen_as(&ear).await?;
        call.enter_bridge(&bridge, &[&ear]).await?;
        call.digit().await?;
        call.start_playing(&["tone:ring"]).await?;
        call.music().await?;
        call.silence().await?;
        Ok(Next::Extension(self.0.clone()))
    }
}

/// The numbers that a call was handed on to, in order.
fn hops(call: &kamari::call::CallView) -> Vec<String> {
    let handed = call.steps.iter().filter_map(|step| match &step.step {
        Step::HandedOn { extension } => Some(extension.to_string()),
        _ => None,
    });
    handed.collect()
}

#[tokio::test]
async fn the_next_app_has_the_call_and_nothing_of_the_one_before() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "rings");
    until("he is in its bridge", || nodes[0].bridge_of(&channel).is_some()).await;
    let bridge = nodes[0].bridge_of(&channel).expect("a bridge");
    // The first key is read by the first app; the others, pressed ahead, by the next one.
    for digit in ['9', '1', '2', '3'] {
        nodes[0].far_end_presses(&channel, digit);
    }
    within("the end", nodes[0].gone(&channel)).await;
    assert_eq!(nodes[0].bridge_channels(&bridge), None, "the bridge went with its app");
    world.nothing_left(&nodes).await;
    assert_eq!((world.outcomes("echoes_on", "handed_on"), world.outcomes("asks", "completed")), (1, 1));
    assert_eq!(world.metrics.calls.active.get(), 0);
    for request in ["DELETE /channels/*/moh", "DELETE /channels/*/silence"] {
        assert!(nodes[0].requests().iter().any(|(line, _)| line.starts_with(request)), "{request}");
    }
}

#[tokio::test]
async fn a_new_kamari_goes_on_with_the_app_that_the_call_was_handed_to() {
    let nodes = [FakeNode::start().await];
    let before = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "810");
    let handed = before.call(&channel, |call| call.app == Some("echo")).await;
    assert_eq!((&*handed.extension, hops(&handed)), ("810", vec!["700".to_owned()]));
    until("he hears himself", || nodes[0].bridge_of(&channel).is_some()).await;
    let bridge = nodes[0].bridge_of(&channel);
    before.vanish().await;
    let after = World::over(&nodes).await;
    let call = after.call(&channel, |call| call.app.is_some()).await;
    assert_eq!((call.app, call.adopted), (Some("echo"), true));
    assert_eq!(nodes[0].bridge_of(&channel), bridge);
    nodes[0].far_end_hangs_up(&channel);
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn numbers_that_hand_a_call_to_each_other_end_it() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let mut changes = world.runtime.subscribe();
    let channel = call_in(&nodes[0], "811");
    within("the end", nodes[0].gone(&channel)).await;
    world.nothing_left(&nodes).await;
    let mut handed = 0;
    while let Ok(change) = changes.try_recv() {
        handed += u32::from(matches!(change.step.step, Step::HandedOn { .. }));
    }
    assert_eq!(handed, HOP_LIMIT);
    assert_eq!(world.outcomes("playback", "failed"), 1);
    assert_eq!(world.outcomes("playback", "handed_on"), u64::from(HOP_LIMIT));
}
