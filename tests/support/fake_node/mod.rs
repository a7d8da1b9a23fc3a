//! A fake Asterisk node: a real ARI server on the wire, REST and event socket, with no SIP and no media behind it. For scale,
//! speed and faults that a real node cannot be made to show; `tests/ari_conformance.rs` runs the same test bodies on it and
//! on a real Asterisk, which keeps it honest.
//!
//! What it does was recorded on Asterisk 22.10: statuses and messages, the order of events, what waits for the end of a
//! playback, which channels send `ChannelDestroyed`.
//!
//! [`FakeNode`] is a handle; a clone is the same node. The node stops when the last handle is dropped.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part of this")]
#![allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "handlers read better with one shape")]

mod bridges;
mod calls;
mod channels;
mod playbacks;
mod recordings;
mod reply;
mod routes;
mod socket;
mod state;
mod system;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use kamari::ari::AriTarget;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use calls::{Dialled, IncomingCall, NotTaken};
pub use state::Leftovers;
use state::State;
use wire::Mode;

/// The one user of a fake node's ARI.
pub const USERNAME: &str = "kamari";
/// Its password.
pub const PASSWORD: &str = "kamari-secret";

/// How a fake node behaves, apart from faults.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// `systemname`, and the prefix of channel ids.
    pub name: String,
    /// `asterisk/info`'s version.
    pub version: String,
    /// How long one media URI plays, apart from `sound:tt-monkeys`, which takes its 16 s.
    pub play: Duration,
    /// How long a dialled channel rings before it is answered.
    pub ring: Duration,
    /// Whether the node measures the audio of callers' channels, and says what when they hang up.
    pub measures: bool,
    /// `maxcalls`: beyond it a call is not taken.
    pub max_calls: usize,
    /// Whether events tell of a channel what `channelvars` in `asterisk/etc/ari.conf` names.
    pub channelvars: bool,
    /// Lists channels backwards: a real node lists them in any order.
    pub backwards: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            name: "fake".to_owned(),
            version: "22.10.1".to_owned(),
            play: Duration::from_millis(20),
            ring: Duration::from_millis(5),
            measures: false,
            max_calls: usize::MAX,
            channelvars: true,
            backwards: false,
        }
    }
}

/// How the node lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Every password is wrong.
    PasswordRefused,
    /// Every answer is text that is no JSON, said to be JSON.
    Garbage,
    /// Every answer is JSON that lacks everything.
    EmptyObjects,
    /// Every answer is a web page.
    WebPage,
    /// Every answer is longer than any client should read.
    Endless,
    /// Still loading: 503.
    NotBooted,
}

/// A running fake node.
#[derive(Clone)]
pub struct FakeNode {
    shared: Arc<Shared>,
    address: SocketAddr,
    _server: Arc<DropGuard>,
}

impl std::fmt::Debug for FakeNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FakeNode({})", self.address)
    }
}

/// What the server's tasks and the handles share.
pub(crate) struct Shared {
    state: std::sync::Mutex<State>,
    /// Told after every change that a waiting request may wait for.
    changed: tokio::sync::Notify,
    mode: tokio::sync::watch::Sender<Mode>,
    /// Fetches what the node is to play; made when there is something to fetch.
    http: std::sync::OnceLock<reqwest::Client>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the state")
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder().no_proxy().build().expect("a client")
        })
    }
}

impl FakeNode {
    /// A node with default behaviour, at a loopback address of its own.
    pub async fn start() -> Self {
        Self::start_with(Behaviour::default()).await
    }

    /// A node that behaves as told, at a loopback address of its own: who still looks for a node that has gone finds nobody, and
    /// not another node to which the kernel gave its port.
    pub async fn start_with(behaviour: Behaviour) -> Self {
        let drawn = uuid::Uuid::new_v4();
        let [second, third, fourth, ..] = *drawn.as_bytes();
        // Below the labs' networks, from 127.100 on.
        let host = std::net::Ipv4Addr::new(127, 16 + second % 64, third, 1 + fourth % 254);
        let listener = tokio::net::TcpListener::bind((host, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (mode, watched) = tokio::sync::watch::channel(Mode::default());
        let state = std::sync::Mutex::new(State::new(behaviour));
        let http = std::sync::OnceLock::new();
        let shared = Arc::new(Shared { state, changed: tokio::sync::Notify::new(), mode, http });
        let stop = CancellationToken::new();
        tokio::spawn(wire::serve(listener, routes::routes(Arc::clone(&shared)), watched, stop.clone()));
        Self { shared, address, _server: Arc::new(stop.drop_guard()) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its ARI's address, as an operator would write it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client of `app` needs.
    pub fn target(&self, app: &str) -> AriTarget {
        let base = self.url().parse().expect("a socket address makes a URL");
        AriTarget::new(&base, USERNAME, PASSWORD.into(), app).expect("a valid target")
    }

    /// Closes every connection, and every new one at once, until [`FakeNode::mend`]. Channels live on, as on a real node.
    pub fn cut(&self) {
        self.shared.mode.send_modify(Mode::cut);
    }

    /// Closes the event sockets only, as Asterisk does when one is not read.
    pub fn cut_sockets(&self) {
        self.shared.lock().sessions.clear();
    }

    /// Accepts connections and answers nothing, like a stopped process, until [`FakeNode::mend`].
    pub fn freeze(&self) {
        self.shared.mode.send_modify(|mode| mode.frozen = true);
    }

    /// Answers every request only after `delay`.
    pub fn slow(&self, delay: Duration) {
        self.shared.mode.send_modify(|mode| mode.delay = delay);
    }

    /// Answers every request under a path that begins with `prefix` never: a deadlock of one part, as Asterisk has known.
    pub fn hang(&self, prefix: &str) {
        self.shared.mode.send_modify(|mode| mode.hanging = Some(prefix.to_owned()));
    }

    /// Answers every request under a path that begins with `prefix` with 500, like a node whose disk is full.
    pub fn fail(&self, prefix: &str) {
        self.shared.mode.send_modify(|mode| mode.failing = Some(prefix.to_owned()));
    }

    /// Carries out every request under a path that begins with `prefix`, and its answer is lost on the way.
    pub fn lose(&self, prefix: &str) {
        self.shared.mode.send_modify(|mode| mode.losing = Some(prefix.to_owned()));
    }

    /// Lies from now on.
    pub fn lie(&self, lie: Lie) {
        self.shared.mode.send_modify(|mode| mode.lie = Some(lie));
    }

    /// Ends every fault.
    pub fn mend(&self) {
        self.shared.mode.send_modify(|mode| *mode = Mode::mended(mode));
        self.shared.changed.notify_waiters();
    }

    /// Like `kill -9` and a new start: every channel, bridge and connection is gone at once and without an event, and the start
    /// time is another.
    pub fn restart(&self) {
        self.shared.lock().restart();
        self.shared.mode.send_modify(Mode::drop_connections);
    }

    /// Another client takes `app` over: its socket hears so and then nothing more.
    pub fn take_over(&self, app: &str) {
        self.shared.lock().replace(app);
    }

    /// Sends a frame as it is to the socket of `app`: garbage, events out of order, frames too large.
    pub fn send_frame(&self, app: &str, frame: impl Into<String>) {
        self.shared.lock().send_frame(app, frame.into());
    }

    /// Holds events back from now on, or lets them go: requests are answered before, after or between the events they cause.
    pub fn hold_events(&self, hold: bool) {
        self.shared.lock().hold_events(hold);
    }

    /// Whether somebody listens to `app`.
    pub fn has_listener(&self, app: &str) -> bool {
        self.shared.lock().has_listener(app)
    }

    /// Waits until somebody listens to `app`.
    pub async fn listener(&self, app: &str) {
        self.until(|state| state.has_listener(app).then_some(())).await;
    }

    /// Waits until `found` finds something in the node's state.
    pub(crate) async fn until<T>(&self, mut found: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = found(&mut self.shared.lock()) {
                return value;
            }
            changed.await;
        }
    }

    /// What is there now. After a test all should be zero.
    pub fn leftovers(&self) -> Leftovers {
        self.shared.lock().leftovers()
    }

    /// Waits until nothing is left. The caller bounds the wait.
    pub async fn empty(&self) {
        self.until(|state| (state.leftovers() == Leftovers::default()).then_some(())).await;
    }

    /// How often it asked for a recording that it was to play.
    pub fn fetched(&self) -> u64 {
        self.shared.lock().fetched
    }

    /// How often each request came, by `METHOD /path` with ids replaced by `*`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.lock().requests.clone()
    }
}
