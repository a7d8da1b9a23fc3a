//! How calls go, in the order and with the refusals that Asterisk has. Each body runs on the fake node, and on a real one.

use kamari::ari::model::{ChannelState, PlaybackState};
use kamari::ari::rest::{bridges, channels};
use kamari::ari::{Event, EventKind};

use crate::subject::Subject;
use crate::support::fake_node::{FakeNode, IncomingCall};

/// A caller is answered, hears two prompts one after the other, and is hung up with another one waiting.
pub(crate) async fn a_caller_is_served(subject: &mut Subject, caller: &str) {
    let client = subject.client.clone();
    subject.wait("StasisStart", caller).await;
    client.channels().answer(caller).await.expect("answered");
    client.channels().answer(caller).await.expect("answered already is no error");
    subject.wait("ChannelStateChange", caller).await;
    assert_eq!(client.channels().get(caller).await.expect("there").state, ChannelState::Up);

    let play = channels::Play { media: vec!["sound:beep".to_owned()], ..channels::Play::default() };
    let long = channels::Play { media: vec!["sound:tt-monkeys".to_owned()], ..channels::Play::default() };
    client.channels().play_with_id(caller, "p-1", &play).await.expect("queued");
    client.channels().play_with_id(caller, "p-2", &play).await.expect("queued");
    subject.wait("PlaybackFinished", "p-2").await;
    client.channels().play_with_id(caller, "p-3", &long).await.expect("queued");
    client.channels().play_with_id(caller, "p-4", &long).await.expect("queued");
    subject.wait("PlaybackStarted", "p-3").await;
    client.channels().hangup(caller, None).await.expect("hung up");
    subject.wait("StasisEnd", caller).await;
    let expected = [
        "StasisStart",
        "ChannelStateChange Up",
        "PlaybackStarted p-1 playing",
        "PlaybackFinished p-1 done",
        "PlaybackStarted p-2 playing",
        "PlaybackFinished p-2 done",
        "PlaybackStarted p-3 playing",
        "ChannelHangupRequest",
        "PlaybackFinished p-3 failed",
        "PlaybackStarted p-4 playing",
        "PlaybackFinished p-4 failed",
        "StasisEnd",
    ];
    assert_eq!(subject.story(caller), expected);
    gone(subject, caller).await;
}

/// Every operation on a channel that is gone says so.
async fn gone(subject: &Subject, channel: &str) {
    let client = &subject.client;
    // The channel itself goes a moment after it has left Stasis.
    while client.channels().get(channel).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let play = channels::Play { media: vec!["sound:beep".to_owned()], ..channels::Play::default() };
    assert!(client.channels().answer(channel).await.is_err_and(|error| error.is_gone()));
    assert!(client.channels().hangup(channel, None).await.is_err_and(|error| error.is_gone()));
    assert!(client.channels().play_with_id(channel, "p-9", &play).await.is_err_and(|error| error.is_gone()));
    let bridge = client.bridges().create_with_id("b-gone", &bridges::CreateBridge::default()).await.expect("made");
    let added = client.bridges().add_channel(&bridge.id, &bridges::AddChannel::of(channel)).await;
    assert!(added.is_err_and(|error| error.is_gone()), "a channel that is gone cannot be added");
    client.bridges().destroy(&bridge.id).await.expect("destroyed");
    // Asterisk says so before the bridge is out of its list.
    while client.bridges().get(&bridge.id).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(client.bridges().destroy(&bridge.id).await.is_err_and(|error| error.is_gone()));
}

/// A channel is made, dialled, answered, bridged and let go.
pub(crate) async fn a_leg_is_dialled(subject: &mut Subject, endpoint: &str) {
    let client = subject.client.clone();
    let app = client.target().app().to_owned();
    let create = channels::Create {
        endpoint: endpoint.to_owned(),
        app,
        channel_id: Some("leg-1".to_owned()),
        ..channels::Create::default()
    };
    assert_eq!(client.channels().create(&create).await.expect("made").state, ChannelState::Down);
    let again = client.channels().create(&create).await.expect_err("an id is used once");
    assert!(again.to_string().starts_with("channels.create: 409 "), "{again}");
    subject.wait("StasisStart", "leg-1").await;
    client.channels().dial("leg-1", &channels::Dial::default()).await.expect("dialled");
    subject.event(|event| event.channel().is_some_and(|leg| leg.id == "leg-1" && leg.state == ChannelState::Up)).await;
    assert!(
        client.channels().dial("leg-1", &channels::Dial::default()).await.is_err_and(|error| error.is_not_in_stasis())
    );

    let room =
        bridges::CreateBridge { kind: Some("mixing".to_owned()), name: Some("room".to_owned()), ..Default::default() };
    client.bridges().create_with_id("b-1", &room).await.expect("made");
    client.bridges().add_channel("b-1", &bridges::AddChannel::of("leg-1")).await.expect("added");
    subject.wait("ChannelEnteredBridge", "leg-1").await;
    assert_eq!(client.bridges().get("b-1").await.expect("there").channels, ["leg-1"]);
    let application = client.applications().get(client.target().app()).await.expect("registered");
    assert!(
        application.channel_ids.contains(&"leg-1".to_owned()) && application.bridge_ids.contains(&"b-1".to_owned())
    );

    client.bridges().destroy("b-1").await.expect("destroyed");
    subject.wait("ChannelLeftBridge", "leg-1").await;
    assert_eq!(client.channels().get("leg-1").await.expect("its bridge is gone, not it").state, ChannelState::Up);
    client.channels().hangup("leg-1", None).await.expect("hung up");
    subject.wait("ChannelDestroyed", "leg-1").await;
    // How the dialling goes and how the channel's state goes are told in order, each for itself.
    let (dialling, rest): (Vec<_>, Vec<_>) =
        subject.story("leg-1").into_iter().partition(|told| told.starts_with("Dial"));
    assert_eq!(dialling, ["Dial", "Dial RINGING", "Dial ANSWER"]);
    let expected = [
        "StasisStart",
        "ChannelStateChange Ringing",
        "ChannelStateChange Up",
        "ChannelEnteredBridge",
        "ChannelLeftBridge",
        "ChannelHangupRequest",
        "StasisEnd",
        "ChannelDestroyed",
    ];
    assert_eq!(rest, expected);
}

/// Variables are set and read, with any text in them; one that was never set is not a channel that is gone.
pub(crate) async fn variables_keep_their_text(subject: &mut Subject, channel: &str) {
    let client = subject.client.clone();
    for text in ["plain", "a,b&c=d/e?f#g", "\"quoted\" \\ ${EXTEN}", "žluťoučký 📞"] {
        client.channels().set_variable(channel, "TEXT", text).await.expect("set");
        // Asterisk 16 answers before it sets.
        let is_set = |event: &Event| matches!(&event.kind, EventKind::ChannelVarset(set) if set.variable == "TEXT" && set.value == text);
        subject.event(is_set).await;
        let read = client.channels().variable(channel, "TEXT").await;
        assert_eq!(read.unwrap_or_else(|error| panic!("{text}: {error}")).value, text);
    }
    let unset = client.channels().variable(channel, "NEVER_SET").await.expect_err("never set");
    assert!(unset.is_no_such_variable() && !unset.is_gone(), "{unset}");
}

/// A recording is made, listed, fetched and deleted.
pub(crate) async fn a_recording_is_kept(subject: &mut Subject, channel: &str) {
    let client = subject.client.clone();
    let record = channels::Record { name: "r-1".to_owned(), format: "wav".to_owned(), ..channels::Record::default() };
    client.channels().record(channel, &record).await.expect("started");
    subject.wait("RecordingStarted", "r-1").await;
    client.recordings().live("r-1").await.expect("running");
    client.recordings().stop("r-1").await.expect("stopped");
    subject.wait("RecordingFinished", "r-1").await;
    assert!(client.recordings().list_stored().await.expect("a list").iter().any(|stored| stored.name == "r-1"));
    assert!(client.recordings().stored_file("r-1").await.expect("a file").starts_with(b"RIFF"));
    client.recordings().delete_stored("r-1").await.expect("deleted");
    assert!(client.recordings().stored("r-1").await.is_err_and(|error| error.is_gone()));
}

/// All who are in a bridge hear what is played to it, and are recorded together.
pub(crate) async fn a_bridge_is_played_to_and_recorded(subject: &mut Subject, channel: &str) {
    let client = subject.client.clone();
    client.bridges().create_with_id("b-2", &bridges::CreateBridge::default()).await.expect("made");
    client.bridges().add_channel("b-2", &bridges::AddChannel::of(channel)).await.expect("added");
    subject.wait("ChannelEnteredBridge", channel).await;
    let play = bridges::Play { media: vec!["sound:beep".to_owned()], ..bridges::Play::default() };
    client.bridges().play_with_id("b-2", "p-b", &play).await.expect("queued");
    let played = subject.wait("PlaybackFinished", "p-b").await;
    assert_eq!((played.bridge_id(), played.channel_id()), (Some("b-2"), None));
    assert_eq!(played.playback().expect("a playback").state, PlaybackState::Done);
    let record = bridges::Record { name: "r-b".to_owned(), format: "wav".to_owned(), ..bridges::Record::default() };
    client.bridges().record("b-2", &record).await.expect("started");
    subject.wait("RecordingStarted", "r-b").await;
    client.recordings().stop("r-b").await.expect("stopped");
    subject.wait("RecordingFinished", "r-b").await;
    client.recordings().delete_stored("r-b").await.expect("deleted");
    client.bridges().start_moh("b-2", None).await.expect("music");
    client.bridges().stop_moh("b-2").await.expect("silence");
    client.bridges().destroy("b-2").await.expect("destroyed");
    subject.wait("ChannelLeftBridge", channel).await;
}

/// Events that the application does not want are not sent to it, and those after them are.
pub(crate) async fn unwanted_events_are_not_sent(subject: &mut Subject, channel: &str) {
    let client = subject.client.clone();
    let filter = serde_json::json!({ "disallowed": [{ "type": "ChannelVarset" }] });
    let filter = filter.as_object().expect("an object");
    let application = client.applications().filter(client.target().app(), filter).await.expect("filtered");
    assert_eq!(application.events_disallowed.len(), 1);
    client.channels().set_variable(channel, "UNHEARD", "1").await.expect("set");
    client.channels().hangup(channel, None).await.expect("hung up");
    subject.wait("StasisEnd", channel).await;
    assert!(
        !subject.has_seen(|event| matches!(&event.kind, EventKind::ChannelVarset(set) if set.variable == "UNHEARD"))
    );
}

#[tokio::test]
async fn the_fake_node_serves_a_caller_like_asterisk() {
    let node = FakeNode::start().await;
    let mut subject = Subject::connect(node.target("EVERYTHING")).await;
    let caller = node.call(&IncomingCall::to("600", "call-1@example.test")).expect("taken");
    a_caller_is_served(&mut subject, &caller).await;
    node.empty().await;
}

#[tokio::test]
async fn the_fake_node_dials_a_leg_like_asterisk() {
    let node = FakeNode::start().await;
    let mut subject = Subject::connect(node.target("EVERYTHING")).await;
    a_leg_is_dialled(&mut subject, "Local/ring@local").await;
    node.empty().await;
}

#[tokio::test]
async fn the_fake_node_keeps_variables_and_recordings_like_asterisk() {
    let node = FakeNode::start().await;
    let mut subject = Subject::connect(node.target("EVERYTHING")).await;
    let caller = node.call(&IncomingCall::to("600", "call-1@example.test")).expect("taken");
    subject.client.channels().answer(&caller).await.expect("answered");
    variables_keep_their_text(&mut subject, &caller).await;
    a_recording_is_kept(&mut subject, &caller).await;
    a_bridge_is_played_to_and_recorded(&mut subject, &caller).await;
    unwanted_events_are_not_sent(&mut subject, &caller).await;
    node.empty().await;
}
