//! The event socket of one node: opened, kept open, read without pause, and explained when it is down.
//!
//! One task owns the connection. It never waits for whoever consumes the events: Asterisk holds callers in `100 Trying`
//! while its socket is not read. Events go to a bounded queue in the order they came; when the queue is full they are
//! dropped and counted, and one [`SocketItem::Lost`] in their place says how many, so that the consumer reconciles.
//! Notices of the connection's own life are never dropped.

mod backoff;
mod connect;
mod liveness;
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use self::backoff::Backoff;
use self::connect::{Connection, connect};
use self::liveness::{Due, Liveness};
use self::outbox::{Outbox, Unwanted};
use super::client::AriClient;
use super::error::{ConnectFailure, from_causes};
use super::event::{DecodeError, Event, EventKind};
use super::observer::Observer;

/// What comes out of an event socket, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketItem {
    /// The socket is open: events from now on are heard, those of the past are not. Time to read the node's state anew.
    Up,
    /// An event.
    Event(Arc<Event>),
    /// A frame that is no event. The socket stays open.
    Undecodable(DecodeError),
    /// This many events, here in the order, were dropped because the queue was full.
    Lost {
        /// How many.
        count: u64,
    },
    /// The socket was lost or could not be opened. It is tried again by itself after a while.
    Down {
        /// Why.
        reason: ConnectFailure,
    },
    /// Another client took the application over. The last item: nothing may be commanded on this node any more, and whether to
    /// connect again is for the owner to decide.
    Replaced,
}

/// Opens event sockets.
#[derive(Debug)]
pub struct EventSocket;

impl EventSocket {
    /// Opens the event socket of `client`'s node, and opens it again whenever it is lost, until the receiver is dropped or
    /// another client takes the application over.
    pub fn spawn(client: &AriClient) -> mpsc::Receiver<SocketItem> {
        let (sender, receiver) = mpsc::channel(client.settings().event_queue);
        let outbox = Outbox::new(sender, client.observer());
        tokio::spawn(run(client.clone(), outbox));
        receiver
    }
}

/// Why reading a connection ended.
enum End {
    Failed(ConnectFailure),
    Replaced,
    /// The receiver was dropped.
    Unwanted,
}

async fn run(client: AriClient, mut outbox: Outbox) {
    let observer = client.observer();
    let settings = client.settings();
    let longest = Duration::from_millis(settings.reconnect_max_ms);
    let mut backoff = Backoff::new(Duration::from_millis(settings.reconnect_min_ms), longest);
    loop {
        let opened = Instant::now();
        let end = match connect(&client).await {
            Ok(connection) => {
                observer.socket(true);
                outbox.notice(SocketItem::Up);
                let liveness = Liveness::new(settings.ping_interval_ms, settings.ping_timeout_ms, Instant::now());
                let end = read(connection, liveness, &mut outbox, observer.as_ref()).await;
                observer.socket(false);
                end
            }
            Err(failure) => End::Failed(failure),
        };
        match end {
            End::Failed(reason) => outbox.notice(SocketItem::Down { reason }),
            End::Replaced => outbox.notice(SocketItem::Replaced),
            End::Unwanted => return,
        }
        if outbox.flush().await.is_err() || outbox.has_ended() {
            return;
        }
        // A connection that held for a while was a good one: the next failure is a first one.
        if opened.elapsed() > longest {
            backoff.reset();
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next(rand::random())) => {}
            () = outbox.closed() => return,
        }
    }
}

async fn read(mut connection: Connection, mut liveness: Liveness, outbox: &mut Outbox, observer: &dyn Observer) -> End {
    let timer = tokio::time::sleep_until(Instant::now());
    tokio::pin!(timer);
    loop {
        tokio::select! {
            // What the node has said is read before its silence is judged.
            biased;
            message = connection.next() => {
                liveness.heard(Instant::now());
                match message {
                    Some(Ok(Message::Text(text))) => match Event::decode(text.as_bytes()) {
                        Ok(Event { kind: EventKind::ApplicationReplaced(_), .. }) => return End::Replaced,
                        Ok(event) => {
                            let stamped = event.timestamp.as_ref().and_then(super::wire::Timestamp::unix_ms);
                            observer.event(stamped, !matches!(event.kind, EventKind::Unknown(_)));
                            outbox.offer(SocketItem::Event(Arc::new(event)), text.len());
                        }
                        Err(error) => undecodable(error, outbox, observer),
                    },
                    Some(Ok(Message::Binary(_))) => {
                        let reason = "a binary frame, where Asterisk sends text".to_owned();
                        undecodable(DecodeError { event_type: None, reason }, outbox, observer);
                    }
                    // Pings are answered by the library; a close is followed by the stream's end.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return End::Failed(broken(&error)),
                    None => return End::Failed(ConnectFailure::SocketClosed),
                }
            }
            room = outbox.room(), if outbox.has_backlog() => match room {
                Ok(()) => outbox.push_backlog(),
                Err(Unwanted) => return End::Unwanted,
            },
            () = &mut timer => match liveness.due(Instant::now()) {
                Due::At(when) => timer.as_mut().reset(when),
                Due::Ping => {
                    liveness.pinged(Instant::now());
                    let ping = connection.send(Message::Ping(Bytes::new()));
                    match tokio::time::timeout(liveness.patience(), ping).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return End::Failed(broken(&error)),
                        Err(_) => return End::Failed(ConnectFailure::Timeout(liveness.patience())),
                    }
                }
                Due::Dead => return End::Failed(ConnectFailure::Timeout(liveness.patience())),
            },
            () = outbox.closed() => return End::Unwanted,
        }
    }
}

fn undecodable(error: DecodeError, outbox: &mut Outbox, observer: &dyn Observer) {
    observer.undecodable();
    let size = error.reason.len();
    outbox.offer(SocketItem::Undecodable(error), size);
}

/// Why an open socket broke.
fn broken(error: &tungstenite::Error) -> ConnectFailure {
    match error {
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => ConnectFailure::SocketClosed,
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => {
            ConnectFailure::SocketClosed
        }
        tungstenite::Error::Io(_) => match from_causes(error) {
            ConnectFailure::Closed => ConnectFailure::SocketClosed,
            other => other,
        },
        // A frame too large, text that is not UTF-8, a frame that breaks the protocol.
        other => ConnectFailure::Garbage(other.to_string()),
    }
}
