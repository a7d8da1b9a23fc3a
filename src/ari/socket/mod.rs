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
use super::settings::Settings;

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
        let client = client.clone();
        let (settings, observer) = (client.settings().clone(), client.observer());
        let open = move || {
            let client = client.clone();
            async move { connect(&client).await }
        };
        tokio::spawn(run(settings, observer, outbox, open));
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

/// A connection that held so long was a good one: the next failure is a first one, and what was given up before it opens no more.
const STEADY: Duration = Duration::from_secs(5);

/// Keeps a socket open by means of `connect` until it is unwanted or replaced.
///
/// A node that was frozen finds our attempts of that time in its queue when it goes on, opens each, and with it replaces the
/// last: that is no other client. So an attempt given up for want of an answer excuses one replacement.
async fn run<F>(settings: Settings, observer: Arc<dyn Observer>, mut outbox: Outbox, connect: impl Fn() -> F)
where
    F: Future<Output = Result<Connection, ConnectFailure>>,
{
    let longest = Duration::from_millis(settings.reconnect_max_ms);
    let mut backoff = Backoff::new(Duration::from_millis(settings.reconnect_min_ms), longest);
    let mut given_up = 0_u32;
    loop {
        let end = match connect().await {
            Ok(connection) => {
                let opened = Instant::now();
                observer.socket(true);
                outbox.notice(SocketItem::Up);
                let liveness = Liveness::new(settings.ping_interval_ms, settings.ping_timeout_ms, Instant::now());
                let end = read(connection, liveness, &mut outbox, observer.as_ref()).await;
                observer.socket(false);
                if opened.elapsed() >= STEADY {
                    backoff.reset();
                    given_up = 0;
                }
                end
            }
            Err(failure) => {
                given_up += u32::from(matches!(failure, ConnectFailure::Timeout(_)));
                End::Failed(failure)
            }
        };
        let end = match end {
            End::Replaced if given_up > 0 => {
                given_up -= 1;
                End::Failed(ConnectFailure::SocketClosed)
            }
            end => end,
        };
        match end {
            End::Failed(reason) => outbox.notice(SocketItem::Down { reason }),
            End::Replaced => outbox.notice(SocketItem::Replaced),
            End::Unwanted => return,
        }
        if outbox.flush().await.is_err() || outbox.has_ended() {
            return;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_util::{SinkExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio::time::Instant;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

    use super::{Connection, Outbox, Settings, SocketItem, run};
    use crate::ari::error::ConnectFailure;

    async fn connection(listener: &TcpListener) -> Connection {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        WebSocketStream::from_raw_socket(MaybeTlsStream::Plain(stream), Role::Client, None).await
    }

    /// The network swallows everything for so long. How long after its return the node's events are heard.
    async fn unheard(settings: &Settings, away: Duration) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let back = Instant::now() + away;
        let deadline = settings.connect_timeout();
        let (sender, mut items) = mpsc::channel(64);
        let dial = || async {
            if Instant::now() < back {
                tokio::time::sleep(deadline).await;
                return Err(ConnectFailure::Timeout(deadline));
            }
            Ok(connection(&listener).await)
        };
        let heard = async {
            while items.recv().await.expect("it goes on") != SocketItem::Up {}
            Instant::now() - back
        };
        tokio::select! {
            () = run(settings.clone(), Arc::new(()), Outbox::new(sender, Arc::new(())), dial) => unreachable!("it goes on"),
            unheard = heard => unheard,
        }
    }

    /// What comes of a socket that was opened after so many attempts were given up, and is replaced on the node as often.
    async fn replaced(given_up: usize, replacements: usize) -> Vec<SocketItem> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (sender, mut items) = mpsc::channel(64);
        let (attempts, opened) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let dial = || async {
            if attempts.fetch_add(1, Ordering::Relaxed) < given_up {
                return Err(ConnectFailure::Timeout(Duration::from_secs(1)));
            }
            let near = connection(&listener).await;
            let (far, _) = listener.accept().await.unwrap();
            let mut far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            if opened.fetch_add(1, Ordering::Relaxed) < replacements {
                let word = r#"{"type":"ApplicationReplaced","timestamp":"2026-11-23T00:00:00.000+0000","application":"kamari"}"#;
                far.send(Message::Text(word.into())).await.unwrap();
            }
            tokio::spawn(async move { while far.next().await.is_some() {} });
            Ok(near)
        };
        let running = run(Settings::default(), Arc::new(()), Outbox::new(sender, Arc::new(())), dial);
        // In paused time this is over when nothing more happens by itself.
        let _ = tokio::time::timeout(Duration::from_secs(3), running).await;
        let mut all = Vec::new();
        while let Ok(item) = items.try_recv() {
            all.push(item);
        }
        all
    }

    /// Attempts that a frozen node finds in its queue replace the socket that was opened after them. Nobody else did.
    #[tokio::test(start_paused = true)]
    async fn attempts_that_were_given_up_are_no_other_client() {
        assert_eq!(replaced(2, 2).await.last(), Some(&SocketItem::Up));
        assert_eq!(replaced(2, 3).await.last(), Some(&SocketItem::Replaced), "one more than were given up");
        assert_eq!(replaced(0, 1).await.last(), Some(&SocketItem::Replaced));
    }

    async fn longest_unheard(settings: &Settings) -> Duration {
        let mut longest = Duration::ZERO;
        for away in (10_000..14_000).step_by(50) {
            longest = longest.max(unheard(settings, Duration::from_millis(away)).await);
        }
        longest
    }

    /// A call counts on the node being read again within two seconds; half a second of these is left to the reading.
    #[tokio::test(start_paused = true)]
    async fn a_node_is_heard_again_within_a_second_and_a_half_of_the_network_s_return() {
        let longest = longest_unheard(&Settings::default()).await;
        assert!(longest <= Duration::from_millis(1_500), "{longest:?}");
        let patient = Settings { reconnect_max_ms: 5_000, ..Settings::default() };
        assert!(longest_unheard(&patient).await > Duration::from_secs(2), "what the bound is for");
    }
}
