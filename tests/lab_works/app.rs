//! The smallest application: every caller is answered and put into one bridge. The lab's own tests need something that
//! answers, and must not fail because of kamari.

use std::net::TcpStream;
use std::thread::JoinHandle;

use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message, http};

use super::lab::Node;

/// What the node told the application.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The users that were called, one for each call.
    pub(super) called: Vec<String>,
    /// The keys that callers pressed.
    pub(super) keys: String,
}

/// The application `EVERYTHING` on one node.
pub(super) struct Conference {
    node: Node,
    socket: TcpStream,
    reader: JoinHandle<Told>,
    bridge: String,
}

impl Conference {
    /// Connects, and returns when calls will be answered.
    pub(super) fn on(node: &Node, password: &str) -> Self {
        let socket = TcpStream::connect((node.address, 8088)).expect("ARI listens");
        let url = format!("ws://{}:8088/ari/events?app=EVERYTHING&api_key=kamari:{password}", node.address);
        let request: http::Request<()> = url.into_client_request().expect("a valid URL");
        let stream = socket.try_clone().expect("a socket can be cloned");
        let (mut events, _) = tungstenite::client::client(request, stream).expect("the node accepts an application");
        let made = node.ari("POST", "/bridges?type=mixing,dtmf_events").expect("the node makes bridges");
        let bridge = made["id"].as_str().expect("a bridge has an id").to_owned();
        let (commands, target) = (node.clone(), bridge.clone());
        let reader = std::thread::spawn(move || {
            let mut told = Told::default();
            while let Ok(message) = events.read() {
                let Message::Text(text) = message else { continue };
                let event: serde_json::Value = serde_json::from_str(&text).expect("events are JSON");
                if event["type"] == "ChannelDtmfReceived" {
                    told.keys += event["digit"].as_str().unwrap_or_default();
                }
                if event["type"] != "StasisStart" {
                    continue;
                }
                told.called.push(event["channel"]["dialplan"]["exten"].as_str().unwrap_or_default().to_owned());
                let channel = event["channel"]["id"].as_str().expect("a channel has an id");
                // A caller who hangs up meanwhile is no error.
                let _ = commands.ari("POST", &format!("/channels/{channel}/answer"));
                let _ = commands.ari("POST", &format!("/bridges/{target}/addChannel?channel={channel}"));
            }
            told
        });
        Self { node: node.clone(), socket, reader, bridge }
    }

    /// Disconnects and removes the bridge; returns what it was told.
    pub(super) fn end(self) -> Told {
        // The reader finds the end of the stream.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let told = self.reader.join().expect("the reader ends by itself");
        self.node.ari("DELETE", &format!("/bridges/{}", self.bridge)).expect("the bridge can be deleted");
        told
    }
}
