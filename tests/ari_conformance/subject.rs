//! A node under test: the same test bodies run on the fake node and on a real one.

use std::sync::Arc;
use std::time::Duration;

use kamari::ari::{AriClient, AriTarget, Event, EventKind, EventSocket, Settings, SocketItem};
use tokio::sync::mpsc;

/// The longest wait for anything that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client of a node and what its event socket has said.
pub(crate) struct Subject {
    pub(crate) client: AriClient,
    items: mpsc::Receiver<SocketItem>,
    seen: Vec<Arc<Event>>,
}

impl Subject {
    /// Connects to `target` and waits until events are heard.
    pub(crate) async fn connect(target: AriTarget) -> Self {
        let client = AriClient::new(target, &Settings::default(), Arc::new(())).expect("a client");
        let items = EventSocket::spawn(&client);
        let mut subject = Self { client, items, seen: Vec::new() };
        assert_eq!(subject.item().await, SocketItem::Up);
        subject
    }

    /// The next item of the socket.
    pub(crate) async fn item(&mut self) -> SocketItem {
        let item = tokio::time::timeout(PATIENCE, self.items.recv()).await;
        item.unwrap_or_else(|_| panic!("nothing came; seen: {:#?}", self.seen())).expect("the socket goes on")
    }

    /// Waits for an event that `wanted` accepts, among those seen already too.
    pub(crate) async fn event(&mut self, wanted: impl Fn(&Event) -> bool) -> Arc<Event> {
        if let Some(event) = self.seen.iter().find(|event| wanted(event)) {
            return Arc::clone(event);
        }
        loop {
            if let SocketItem::Event(event) = self.item().await {
                self.seen.push(Arc::clone(&event));
                if wanted(&event) {
                    return event;
                }
            }
        }
    }

    /// Waits for the event `kind` of the channel, playback or recording `id`.
    pub(crate) async fn wait(&mut self, kind: &str, id: &str) -> Arc<Event> {
        self.event(|event| event.kind.name() == kind && concerns(event, id)).await
    }

    /// Whether an event that `wanted` accepts has come so far.
    pub(crate) fn has_seen(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.seen.iter().any(|event| wanted(event))
    }

    /// The kinds of the events seen that concern `id`, in order, apart from those that only tell of variables and dialplan.
    pub(crate) fn story(&self, id: &str) -> Vec<String> {
        let told =
            |event: &&Arc<Event>| !matches!(event.kind, EventKind::ChannelVarset(_) | EventKind::ChannelDialplan(_));
        self.seen.iter().filter(|event| concerns(event, id)).filter(told).map(|event| describe(event)).collect()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.iter().map(|event| describe(event)).collect()
    }
}

fn concerns(event: &Event, id: &str) -> bool {
    [event.channel_id(), event.playback_id(), event.recording_name(), event.bridge_id()].contains(&Some(id))
}

/// An event's kind, with what sets it apart from others of its kind.
fn describe(event: &Event) -> String {
    let name = event.kind.name();
    match &event.kind {
        EventKind::ChannelStateChange(change) => format!("{name} {}", change.channel.state),
        EventKind::Dial(dial) => format!("{name} {}", dial.dialstatus).trim_end().to_owned(),
        EventKind::PlaybackStarted(_) | EventKind::PlaybackFinished(_) | EventKind::PlaybackContinuing(_) => {
            let playback = event.playback().expect("a playback");
            format!("{name} {} {}", playback.id, playback.state)
        }
        EventKind::RecordingStarted(_) | EventKind::RecordingFinished(_) | EventKind::RecordingFailed(_) => {
            format!("{name} {}", event.recording().expect("a recording").state)
        }
        _ => name.to_owned(),
    }
}
