//! A SIP endpoint in a thread: as a node or a phone it answers in the manner it was told, as a caller it sends what a
//! test wrote. It remembers all that it received, letter by letter, which is what these tests are about.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::digest;
use super::message::{Message, Request};

/// How long a test waits for a message that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How an agent takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 100, then this final status.
    Final(u16),
    /// 100, then this final status, with a Reason of this Q.850 cause.
    Cause(u16, u8),
    /// 100, then 180, then nothing until it is cancelled or [`Agent::picks_up`].
    Ring,
    /// 100 and nothing more.
    Trying,
    /// No word at all, to OPTIONS neither: a dead host.
    Dead,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    received: Vec<Message>,
    /// The call that rings, and who offered it.
    ringing: Option<(Message, SocketAddr)>,
    ended: bool,
}

/// The endpoint. Ends with its value.
#[derive(Debug)]
pub(crate) struct Agent {
    address: SocketAddrV4,
    proxy: SocketAddrV4,
    socket: Arc<UdpSocket>,
    state: Arc<(Mutex<State>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// An agent at `address` that answers calls, and sends its own requests to `proxy`.
    pub(crate) fn new(address: Ipv4Addr, port: u16, proxy: Ipv4Addr) -> Self {
        let address = SocketAddrV4::new(address, port);
        let socket = Arc::new(UdpSocket::bind(address).expect("the address is free"));
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a read timeout");
        let state = State { manner: Manner::Final(200), received: Vec::new(), ringing: None, ended: false };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let thread = {
            let (socket, state) = (Arc::clone(&socket), Arc::clone(&state));
            std::thread::spawn(move || serve(address, &socket, &state))
        };
        Self { address, proxy: SocketAddrV4::new(proxy, 5060), socket, state, thread: Some(thread) }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on it takes calls in this manner.
    pub(crate) fn takes(&self, manner: Manner) {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).manner = manner;
    }

    /// Sends a request to the proxy.
    pub(crate) fn send(&self, request: &Request) {
        self.send_raw(&request.wire(&self.address()));
    }

    /// Sends whatever this is to the proxy.
    pub(crate) fn send_raw(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.proxy).expect("sent");
    }

    /// Asks with credentials: once without, once as the challenge wants it.
    pub(crate) fn ask_as(&self, request: &Request, user: &str, password: &str) -> Message {
        let challenge = self.ask(request);
        assert!(matches!(challenge.status(), Some(401 | 407)), "{}", challenge.text());
        self.ask(&digest::answer(request, &challenge, user, password))
    }

    /// Registers `contact` for a user.
    pub(crate) fn register(&self, user: &str, domain: &str, password: &str, contact: &str) -> Message {
        let address = format!("sip:{user}@{domain}");
        let mut request = Request::new("REGISTER", &format!("sip:{domain}")).from(&address).contact(contact);
        request.to = address;
        self.ask_as(&request, user, password)
    }

    /// Sends a request and waits for the final answer; a final answer to an INVITE is acknowledged.
    pub(crate) fn ask(&self, request: &Request) -> Message {
        self.send(request);
        let answer = self.wait("a final answer", |message| {
            message.status().is_some_and(|status| status >= 200)
                && message.header("Call-ID") == request.call_id
                && message.header("CSeq") == format!("{} {}", request.cseq, request.method)
        });
        if request.method == "INVITE" {
            if answer.status() == Some(200) {
                self.send(&request.within("ACK", &answer));
            } else {
                self.send(&request.ack_refusal(&answer));
            }
        }
        answer
    }

    /// The first message received so far or from now on that is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let until = Instant::now() + PATIENCE;
        let (mutex, condvar) = &*self.state;
        let mut state = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(message) = state.received.iter().find(|message| wanted(message)) {
                return message.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} waited for {what}; it has\n{:#?}", self.address, starts(&state.received));
            state = condvar.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Requests of this method and call received so far, retransmissions counted once.
    pub(crate) fn requests(&self, method: &str, call_id: &str) -> Vec<Message> {
        let state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Message> = Vec::new();
        for message in &state.received {
            let fits = message.status().is_none() && message.method() == method && message.header("Call-ID") == call_id;
            if fits && !found.iter().any(|earlier| earlier.header("Via") == message.header("Via")) {
                found.push(message.clone());
            }
        }
        found
    }

    /// Answers the call that rings.
    pub(crate) fn picks_up(&self) {
        let ringing = self.state.0.lock().unwrap_or_else(PoisonError::into_inner).ringing.take();
        let (invite, from) = ringing.expect("a call that rings");
        reply(self.address, &self.socket, &invite, from, 200, "");
    }

    /// All requests of this method.
    pub(crate) fn requests_of(&self, method: &str) -> Vec<Message> {
        let state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |message: &&Message| message.status().is_none() && message.method() == method;
        state.received.iter().filter(wanted).cloned().collect()
    }

    /// How many messages it received.
    pub(crate) fn received(&self) -> usize {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).received.len()
    }

    /// How many times this call was offered to it.
    pub(crate) fn offered(&self, call_id: &str) -> usize {
        self.requests("INVITE", call_id).len()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        if let Some(thread) = self.thread.take() {
            // It panics only after a test has failed already.
            let _ = thread.join();
        }
    }
}

fn starts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(Message::start).collect()
}

/// `extra` is header lines, each with its CRLF.
fn reply(address: SocketAddrV4, socket: &UdpSocket, request: &Message, to: SocketAddr, status: u16, extra: &str) {
    let contact = format!("sip:{address}");
    let tag = format!("at{}", address.ip()).replace('.', "-");
    // A proxy that is gone by now is no failure of the test.
    let response = request.response(status, &contact, &tag);
    let response = response.replace("Content-Length:", &format!("{extra}Content-Length:"));
    let _ = socket.send_to(response.as_bytes(), to);
}

fn serve(address: SocketAddrV4, socket: &UdpSocket, state: &(Mutex<State>, Condvar)) {
    let mut buffer = vec![0; 65_536];
    loop {
        let received = socket.recv_from(&mut buffer);
        let mut guard = state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.ended {
            return;
        }
        // Nothing for 50 ms, or the ICMP error of an earlier send.
        let Ok((length, from)) = received else { continue };
        let message = Message::new(&buffer[..length]);
        guard.received.push(message.clone());
        let manner = guard.manner;
        let mut cancelled = None;
        if manner == Manner::Ring && message.start().starts_with("INVITE ") {
            guard.ringing = Some((message.clone(), from));
        } else if message.start().starts_with("CANCEL ") {
            cancelled = guard.ringing.take();
        }
        state.1.notify_all();
        drop(guard);
        if message.status().is_some() || message.method() == "ACK" || manner == Manner::Dead {
            continue;
        }
        let answers: &[u16] = match (message.method(), manner) {
            ("INVITE", Manner::Final(status) | Manner::Cause(status, _)) => &[100, status],
            ("INVITE", Manner::Ring) => &[100, 180],
            ("INVITE", _) => &[100],
            _ => &[200],
        };
        for status in answers {
            let reason = match manner {
                Manner::Cause(final_status, cause) if *status == final_status => {
                    format!("Reason: Q.850;cause={cause}\r\n")
                }
                _ => String::new(),
            };
            reply(address, socket, &message, from, *status, &reason);
        }
        if let Some((invite, from)) = cancelled {
            reply(address, socket, &invite, from, 487, "");
        }
    }
}
