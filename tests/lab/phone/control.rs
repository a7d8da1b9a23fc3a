//! baresip's control port: commands out, events in, both as netstrings of JSON.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long baresip may take to take a command.
const RESPONSE: Duration = Duration::from_secs(15);

/// An event of the phone.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// `CALL_ESTABLISHED`, `CALL_CLOSED`, `REGISTER_OK`, ...
    pub(super) kind: String,
    /// What baresip adds: the reason of a `CALL_CLOSED`, ...
    pub(super) param: String,
    /// The display name of the other side, if it has one.
    pub(super) name: String,
    /// The Call-ID of the call that it is about.
    pub(super) call: String,
}

/// The connection. Events are read by a thread, which ends with the connection.
#[derive(Debug)]
pub(super) struct Control {
    stream: TcpStream,
    events: Receiver<Event>,
    responses: Receiver<Result<(), String>>,
}

impl Control {
    pub(super) fn connect(address: SocketAddrV4) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        let mut input = io::BufReader::new(stream.try_clone()?);
        let (events_in, events) = mpsc::channel();
        let (responses_in, responses) = mpsc::channel();
        std::thread::Builder::new().name(format!("phone {address}")).spawn(move || {
            while let Ok(message) = read_netstring(&mut input) {
                let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
                let owner_listens = if message["event"] == true {
                    let name = text("peerdisplayname");
                    events_in.send(Event { kind: text("type"), param: text("param"), name, call: text("id") }).is_ok()
                } else {
                    responses_in.send(if message["ok"] == true { Ok(()) } else { Err(text("data")) }).is_ok()
                };
                if !owner_listens {
                    break;
                }
            }
        })?;
        Ok(Self { stream, events, responses })
    }

    /// Gives a command and waits until the phone has taken it; fails when it does not.
    #[track_caller]
    pub(super) fn command(&mut self, command: &str, params: &str) {
        if let Err(reason) = self.try_command(command, params) {
            panic!("the phone refused `{command} {params}`: {reason}");
        }
    }

    /// Gives a command and waits for the phone's answer, whatever it is.
    #[track_caller]
    pub(super) fn try_command(&mut self, command: &str, params: &str) -> Result<(), String> {
        let message = serde_json::json!({ "command": command, "params": params }).to_string();
        write!(self.stream, "{}:{message},", message.len()).expect("the phone is running");
        match self.responses.recv_timeout(RESPONSE) {
            Ok(answer) => answer,
            Err(error) => panic!("the phone did not take `{command} {params}`: {error}"),
        }
    }

    /// The first event of one of `kinds`, within `limit`. Events before it are passed over.
    pub(super) fn wait_for(&mut self, limit: Duration, kinds: &[&str]) -> Option<Event> {
        let deadline = Instant::now() + limit;
        loop {
            let event = self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
            if kinds.contains(&event.kind.as_str()) {
                return Some(event);
            }
        }
    }
}

fn read_netstring(input: &mut impl Read) -> io::Result<serde_json::Value> {
    let mut length = 0usize;
    loop {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' if length < 1 << 20 => length = length * 10 + usize::from(digit - b'0'),
            b':' => break,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let mut message = vec![0; length + 1]; // and its comma
    input.read_exact(&mut message)?;
    Ok(serde_json::from_slice(&message[..length])?)
}
