//! Apps that do what an author should not, and what becomes of their calls.

use std::sync::Arc;
use std::time::Duration;

use kamari::apps::{App, Catalogue, Next, Reader};
use kamari::call::{AppError, Call, CallSettings, Cause, End};
use kamari::invalid::Invalid;

use crate::support::fake_node::FakeNode;
use crate::world::{World, call_in, until, within};

pub(crate) fn add_to(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<Panics>()
        .with::<Errs>()
        .with::<Sticks>()
        .with::<Asks>()
        .with::<Waits>()
        .with::<Ignores>()
        .with::<Notes>()
}

macro_rules! app {
    ($App:ident, $name:literal, |$call:ident| $body:expr) => {
        struct $App;

        impl App for $App {
            const NAME: &'static str = $name;

            fn build(_: &mut Reader<'_>) -> Result<Self, Invalid> {
                Ok(Self)
            }

            async fn run(&self, $call: &mut Call) -> Result<Next, AppError> {
                $body
            }
        }
    };
}

app!(Panics, "panics", |call| {
    call.answer().await?;
    assert!(call.extension().is_empty(), "an app that is wrong");
    Ok(Next::Done)
});
app!(Errs, "errs", |call| {
    call.answer().await?;
    Err(AppError::other("the database is away"))
});
// Does not notice that its caller has gone.
app!(Sticks, "sticks", |call| {
    call.answer().await?;
    std::future::pending::<()>().await;
    Ok(Next::Done)
});
// Hangs up with cause 17 when three digits came, with 16 when one did not come in time.
app!(Asks, "asks", |call| {
    call.answer().await?;
    for _ in 0..3 {
        if call.digit_within(Duration::from_millis(500)).await?.is_none() {
            return Ok(Next::Done);
        }
    }
    call.hang_up(Cause::BUSY).await?;
    Ok(Next::Done)
});
app!(Waits, "waits", |call| {
    call.answer().await?;
    call.hung_up().await;
    Ok(Next::Done)
});
// Notes more than a record has room for.
app!(Notes, "notes", |call| {
    call.note("queue", "support");
    call.note("queue", "sales");
    call.note("waited_s", 7);
    call.note("long", "ä".repeat(1_000));
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
        call.note(key, true);
    }
    Ok(Next::Done)
});

// Neither answers nor ends the call.
app!(Ignores, "ignores", |call| {
    call.hung_up().await;
    Ok(Next::Done)
});

#[tokio::test]
async fn an_app_that_fails_ends_its_own_call_only() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let bystander = call_in(&nodes[0], "patient");
    within("an answer", nodes[0].answered(&bystander)).await;
    let mut changes = world.runtime.subscribe();
    for (exten, app, outcome) in [("panic", "panics", "panicked"), ("error", "errs", "failed")] {
        let channel = call_in(&nodes[0], exten);
        within("the end of the call", nodes[0].gone(&channel)).await;
        until("the outcome", || world.outcomes(app, outcome) == 1).await;
    }
    let mut reasons = Vec::new();
    while let Ok(change) = changes.try_recv() {
        if let kamari::call::Step::Ended { end: End::Failed { reason } } = &change.step.step {
            reasons.push(reason.to_string());
        }
    }
    assert_eq!(reasons, ["an app that is wrong", "the database is away"]);
    assert!(world.call(&bystander, |_| true).await.end.is_none());
    nodes[0].far_end_hangs_up(&bystander);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn an_app_that_does_not_stop_is_cut_off() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "stuck");
    within("an answer", nodes[0].answered(&channel)).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("sticks", "failed"), 1);
}

#[tokio::test]
async fn no_call_outlives_its_deadline() {
    let nodes = [FakeNode::start().await];
    let settings = CallSettings { max_duration_s: 1, app_grace_s: 1, ..CallSettings::default() };
    let world = World::with(&nodes, settings).await;
    for exten in ["patient", "stuck", "600", "700"] {
        within("the deadline", nodes[0].gone(&call_in(&nodes[0], exten))).await;
    }
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("waits", "cancelled"), 1);
}

#[tokio::test]
async fn a_call_that_nobody_answers_has_a_deadline_and_an_answered_one_does_not() {
    let nodes = [FakeNode::start().await];
    let settings = CallSettings { unanswered_s: 1, app_grace_s: 1, ..CallSettings::default() };
    let world = World::with(&nodes, settings).await;
    let (answered, silent) = (call_in(&nodes[0], "patient"), call_in(&nodes[0], "silent"));
    within("the deadline", nodes[0].gone(&silent)).await;
    assert!(nodes[0].answered(&answered).await);
    nodes[0].far_end_hangs_up(&answered);
    world.nothing_left(&nodes).await;
    assert_eq!((world.outcomes("ignores", "cancelled"), world.outcomes("waits", "hung_up")), (1, 1));
}

#[tokio::test]
async fn digits_are_read_in_order_and_waited_for() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let dials = call_in(&nodes[0], "pin");
    for digit in ['1', '2', '#'] {
        nodes[0].far_end_presses(&dials, digit);
    }
    let silent = call_in(&nodes[0], "pin");
    within("the end of both", async {
        nodes[0].gone(&dials).await;
        nodes[0].gone(&silent).await;
    })
    .await;
    world.nothing_left(&nodes).await;
    assert_eq!(world.outcomes("asks", "completed"), 2);
}

#[tokio::test]
async fn digits_that_nobody_reads_are_bounded_and_counted() {
    let nodes = [FakeNode::start().await];
    let world = World::with(&nodes, CallSettings { digits_ahead: 4, ..CallSettings::default() }).await;
    let channel = call_in(&nodes[0], "patient");
    within("an answer", nodes[0].answered(&channel)).await;
    for _ in 0..10 {
        nodes[0].far_end_presses(&channel, '5');
    }
    until("six are dropped", || world.metrics.calls.mailbox_overflows.get() == 6).await;
    nodes[0].far_end_hangs_up(&channel);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn the_operator_sees_and_ends_calls() {
    let nodes = [FakeNode::start().await];
    let world = World::over(&nodes).await;
    let channel = call_in(&nodes[0], "patient");
    let call = world.call(&channel, |call| call.answered_ms.is_some()).await;
    assert_eq!((call.node.as_str(), &*call.extension, call.app), ("n0", "patient", Some("waits")));
    assert_eq!(call.tenant, Some(Arc::from("example")));
    let steps: Vec<_> =
        call.steps.iter().map(|step| serde_json::to_value(step).expect("JSON")["step"].clone()).collect();
    assert_eq!(steps, ["arrived", "assigned", "answered"]);
    assert!(world.runtime.end(&call.id));
    within("the end", nodes[0].gone(&channel)).await;
    world.nothing_left(&nodes).await;
    assert!(!world.runtime.end(&call.id), "it is gone");
    assert_eq!(world.outcomes("waits", "cancelled"), 1);
}
