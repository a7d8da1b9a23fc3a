//! Digits and recordings: what an app gets, and what becomes of the steps that wait for them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kamari::call::{AppError, Call, CallError, Gather, GatherEnd, Gathered, Handler, Kind, RecordRequest, Recorded};
use tokio::sync::mpsc;

use crate::support::fake_node::{Behaviour, FakeNode};
use crate::world::{World, call_in, until, within};

/// 16 s on a fake node: longer than any test.
const LONG: &str = "sound:tt-monkeys";
const SHORT: &str = "sound:beep";

/// What a call did, and what became of it.
type Outcome<T> = mpsc::UnboundedReceiver<Result<T, CallError>>;

/// A handler of one step, that tells what came of it.
struct Does<F, T> {
    what: F,
    tell: mpsc::UnboundedSender<Result<T, CallError>>,
}

impl<F, T> Handler for Does<F, T>
where
    F: for<'a> Fn(&'a mut Call) -> BoxFuture<'a, Result<T, CallError>> + Send + Sync + 'static,
    T: Send + 'static,
{
    fn serve<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<(), AppError>> {
        async move {
            call.assign(&Arc::from("example"), "test");
            let result = async {
                call.answer().await?;
                (self.what)(call).await
            };
            let result = result.await;
            self.tell.send(result).expect("the test listens");
            Ok(())
        }
        .boxed()
    }
}

/// One node with a kamari whose calls do this.
async fn stage<F, T>(what: F) -> (Vec<FakeNode>, World, Outcome<T>)
where
    F: for<'a> Fn(&'a mut Call) -> BoxFuture<'a, Result<T, CallError>> + Send + Sync + 'static,
    T: Send + 'static,
{
    let nodes =
        vec![FakeNode::start_with(Behaviour { play: Duration::from_millis(150), ..Behaviour::default() }).await];
    let (world, told) = serve(&nodes, what).await;
    (nodes, world, told)
}

/// A kamari whose calls do this.
async fn serve<F, T>(nodes: &[FakeNode], what: F) -> (World, Outcome<T>)
where
    F: for<'a> Fn(&'a mut Call) -> BoxFuture<'a, Result<T, CallError>> + Send + Sync + 'static,
    T: Send + 'static,
{
    let (tell, told) = mpsc::unbounded_channel();
    (World::serving(nodes, Arc::new(Does { what, tell })).await, told)
}

async fn gathers(asked: Gather) -> (Vec<FakeNode>, World, Outcome<Gathered>) {
    let asked = Arc::new(asked);
    stage(move |call| {
        let asked = Arc::clone(&asked);
        async move { call.gather(&asked).await }.boxed()
    })
    .await
}

async fn result<T>(outcome: &mut Outcome<T>) -> Result<T, CallError> {
    within("the outcome", outcome.recv()).await.expect("the call was served")
}

fn three(prompts: &[&str]) -> Gather {
    let prompts = prompts.iter().map(|&prompt| prompt.to_owned()).collect();
    Gather { prompts, max_digits: 3, ..Gather::default() }
}

fn presses(node: &FakeNode, channel: &str, keys: &str) {
    for key in keys.chars() {
        node.far_end_presses(channel, key);
    }
}

fn got(digits: &str, ended_by: GatherEnd) -> Gathered {
    Gathered { digits: digits.to_owned(), ended_by }
}

#[tokio::test]
async fn a_key_cuts_the_prompts_short_and_counts() {
    let (nodes, world, mut outcome) = gathers(three(&[LONG, LONG])).await;
    for (keys, expected) in [("12#", got("12", GatherEnd::Terminator)), ("123", got("123", GatherEnd::Full))] {
        let channel = call_in(&nodes[0], "1");
        until("the prompt is played", || nodes[0].leftovers().playbacks == 1).await;
        presses(&nodes[0], &channel, &keys[..1]);
        until("the prompt has stopped", || nodes[0].leftovers().playbacks == 0).await;
        presses(&nodes[0], &channel, &keys[1..]);
        assert_eq!(result(&mut outcome).await.expect("gathered"), expected);
    }
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn prompts_that_may_not_be_cut_short_are_played_to_their_end() {
    for (type_ahead, expected) in [(true, got("123", GatherEnd::Full)), (false, got("45", GatherEnd::Timeout))] {
        let wait = Duration::from_secs(2);
        let asked = Gather { barge_in: false, type_ahead, next_digit_timeout: wait, ..three(&["sound:a", "sound:b"]) };
        let (nodes, world, mut outcome) = gathers(asked).await;
        let channel = call_in(&nodes[0], "1");
        until("the prompt is played", || nodes[0].leftovers().playbacks == 1).await;
        presses(&nodes[0], &channel, "123");
        until("it comes to its end", || nodes[0].leftovers().playbacks == 0).await;
        if !type_ahead {
            // Pressed before the app has heard of the prompts' end, these would be forgotten too.
            world.call(&channel, |call| format!("{:?}", call.steps).contains("Played")).await;
            presses(&nodes[0], &channel, "45");
        }
        assert_eq!(result(&mut outcome).await.expect("gathered"), expected);
        world.nothing_left(&nodes).await;
    }
}

#[tokio::test]
async fn keys_that_were_pressed_ahead_spare_the_prompts() {
    let (nodes, world, mut outcome) = stage(|call| {
        async move {
            // Nobody reads while this is played.
            call.play(&["sound:a"]).await?;
            let mut asked = three(&[LONG]);
            let first = call.gather(&asked).await?;
            asked.type_ahead = false;
            asked.first_digit_timeout = Duration::from_millis(50);
            asked.prompts.clear();
            Ok((first, call.gather(&asked).await?))
        }
        .boxed()
    })
    .await;
    let channel = call_in(&nodes[0], "1");
    until("something is played", || nodes[0].leftovers().playbacks == 1).await;
    presses(&nodes[0], &channel, "12345");
    let (first, second) = result(&mut outcome).await.expect("gathered");
    assert_eq!(first, got("123", GatherEnd::Full));
    assert_eq!(second, got("", GatherEnd::Timeout), "what is left over is forgotten when the app says so");
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_caller_who_presses_nothing_or_stops_is_waited_for_no_longer_than_told() {
    let asked = Gather {
        first_digit_timeout: Duration::from_millis(100),
        next_digit_timeout: Duration::from_millis(100),
        ..three(&[SHORT])
    };
    let (nodes, world, mut outcome) = gathers(asked).await;
    call_in(&nodes[0], "1");
    assert_eq!(result(&mut outcome).await.expect("gathered"), got("", GatherEnd::Timeout));
    let channel = call_in(&nodes[0], "1");
    presses(&nodes[0], &channel, "7");
    assert_eq!(result(&mut outcome).await.expect("gathered"), got("7", GatherEnd::Timeout));
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn gathering_ends_with_the_call() {
    let (nodes, world, mut outcome) = gathers(three(&[LONG])).await;
    let channel = call_in(&nodes[0], "1");
    until("the prompt is played", || nodes[0].leftovers().playbacks == 1).await;
    nodes[0].far_end_hangs_up(&channel);
    assert!(matches!(result(&mut outcome).await, Err(CallError::HungUp(_))));
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_dropped_wait_for_a_key_loses_none() {
    const KEYS: usize = 200;
    let (nodes, world, mut outcome) = stage(|call| {
        async move {
            let mut keys = String::new();
            let mut dropped = 0;
            while keys.len() < KEYS {
                // Whichever comes first, over and over; the pause is often shorter than the wait for a key.
                tokio::select! {
                    key = call.digit() => keys.push(key?),
                    () = tokio::time::sleep(Duration::from_micros(300)) => dropped += 1,
                }
            }
            Ok((keys, dropped))
        }
        .boxed()
    })
    .await;
    let channel = call_in(&nodes[0], "1");
    within("an answer", nodes[0].answered(&channel)).await;
    let pressed: String = (0..KEYS).map(|at| char::from(b'0' + (at % 10) as u8)).collect();
    for key in pressed.chars() {
        nodes[0].far_end_presses(&channel, key);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (keys, dropped) = result(&mut outcome).await.expect("all keys");
    assert_eq!(keys, pressed);
    assert!(dropped > 0, "no wait was dropped: the test has shown nothing");
    world.nothing_left(&nodes).await;
}

/// Records under a name of its own, then reads one more key if there is one.
async fn records(change: fn(&mut RecordRequest)) -> (Vec<FakeNode>, World, Outcome<(Recorded, Option<char>)>) {
    stage(move |call| {
        async move {
            let mut request = RecordRequest::new(call.new_id(Kind::Recording), Duration::from_mins(1));
            change(&mut request);
            let recorded = call.record(&request).await?;
            let key = call.digit_within(Duration::from_millis(200)).await.unwrap_or(None);
            Ok((recorded, key))
        }
        .boxed()
    })
    .await
}

async fn recording(nodes: &[FakeNode]) -> String {
    let channel = call_in(&nodes[0], "1");
    until("it is recorded", || nodes[0].leftovers().recordings == 1).await;
    channel
}

#[tokio::test]
async fn a_recording_ends_by_key_silence_or_length() {
    let (nodes, world, mut outcome) = records(|request| {
        request.max_silence = Some(Duration::from_secs(3));
        request.max_duration = Duration::from_secs(1);
    })
    .await;
    // 5 belongs to the recording, # ends it, 1 is for what comes next.
    let channel = recording(&nodes).await;
    presses(&nodes[0], &channel, "5#1");
    let (recorded, next) = result(&mut outcome).await.expect("recorded");
    assert_eq!((recorded.key, next, recorded.hung_up), (Some('#'), Some('1'), false));
    assert_eq!(nodes[0].stored_recordings(), [recorded.name]);

    let channel = recording(&nodes).await;
    presses(&nodes[0], &channel, "5");
    nodes[0].far_end_is_silent(&channel);
    let (recorded, next) = result(&mut outcome).await.expect("recorded");
    assert_eq!((recorded.key, next), (None, None));
    assert_eq!((recorded.talking, recorded.duration), (Some(Duration::ZERO), Some(Duration::ZERO)));

    recording(&nodes).await;
    let (recorded, _) = result(&mut outcome).await.expect("recorded");
    assert_eq!((recorded.key, recorded.duration), (None, Some(Duration::from_secs(1))));
    assert_eq!(nodes[0].stored_recordings().len(), 3);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_has_recorded_all_the_same() {
    let (nodes, world, mut outcome) = records(|_| ()).await;
    let channel = recording(&nodes).await;
    nodes[0].far_end_hangs_up(&channel);
    let (recorded, _) = result(&mut outcome).await.expect("recorded");
    assert!(recorded.hung_up);
    assert_eq!(nodes[0].stored_recordings(), [recorded.name]);
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn what_the_node_cannot_record_is_an_error() {
    let (nodes, world, mut outcome) = records(|request| "mp3".clone_into(&mut request.format)).await;
    call_in(&nodes[0], "1");
    let error = result(&mut outcome).await.expect_err("no such format");
    assert!(error.to_string().contains("specified format is unknown"), "{error}");
    world.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_dropped_recording_is_kept_and_blocks_nothing() {
    let (nodes, world, mut outcome) = stage(|call| {
        async move {
            let request = RecordRequest::new(call.new_id(Kind::Recording), Duration::from_mins(1));
            let dropped = tokio::time::timeout(Duration::from_millis(300), call.record(&request)).await;
            assert!(dropped.is_err(), "it was not over");
            call.play(&[SHORT]).await?;
            Ok(request.name)
        }
        .boxed()
    })
    .await;
    call_in(&nodes[0], "1");
    let name = result(&mut outcome).await.expect("played");
    assert_eq!(nodes[0].stored_recordings(), [name]);
    world.nothing_left(&nodes).await;
}

/// Records under the name that another kamari saved, if one did.
async fn records_once(call: &mut Call) -> Result<Recorded, CallError> {
    let name = match call.saved::<String>("test") {
        Some(name) => name,
        None => call.new_id(Kind::Recording),
    };
    call.save(&name, &[]).await?;
    call.record(&RecordRequest::new(name, Duration::from_mins(1))).await
}

#[tokio::test]
async fn a_recording_goes_on_under_a_new_kamari() {
    let (nodes, before, _outcome) = stage(|call| records_once(call).boxed()).await;
    let channel = recording(&nodes).await;
    before.vanish().await;
    let (after, mut outcome) = serve(&nodes, |call| records_once(call).boxed()).await;
    after.call(&channel, |call| format!("{:?}", call.steps).contains("Recording")).await;
    assert_eq!(nodes[0].leftovers().recordings, 1, "it goes on");
    presses(&nodes[0], &channel, "#");
    let recorded = result(&mut outcome).await.expect("recorded");
    assert_eq!((recorded.key, nodes[0].stored_recordings()), (Some('#'), vec![recorded.name]));
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_recording_that_ended_while_kamari_was_away_is_found() {
    let (nodes, before, _outcome) = stage(|call| records_once(call).boxed()).await;
    let channel = recording(&nodes).await;
    before.vanish().await;
    presses(&nodes[0], &channel, "#");
    assert_eq!(nodes[0].stored_recordings().len(), 1);
    let (after, mut outcome) = serve(&nodes, |call| records_once(call).boxed()).await;
    let recorded = result(&mut outcome).await.expect("recorded");
    assert_eq!((recorded.duration, nodes[0].stored_recordings()), (None, vec![recorded.name]));
    after.nothing_left(&nodes).await;
}

#[tokio::test]
async fn a_lost_node_ends_the_wait_for_a_recording() {
    let (nodes, world, mut outcome) = records(|_| ()).await;
    recording(&nodes).await;
    nodes[0].restart();
    assert!(matches!(result(&mut outcome).await, Err(CallError::HungUp(_))));
    world.nothing_left(&nodes).await;
}
