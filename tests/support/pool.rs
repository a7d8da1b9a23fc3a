//! A pool of fake nodes, quick in everything, whose changes a test waits for by condition.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kamari::pool::{
    Answer, NodeLink, NodeListener, NodeName, NodeSpec, NodeStatus, Parts, Pool, PoolError, PoolEvent, RawNode, Resync,
    Settings,
};
use kamari::telemetry::Metrics;
use kamari::{ari, balance};
use tokio::task::JoinHandle;

use super::fake_node::{FakeNode, PASSWORD, USERNAME};

/// Longest that a test waits for a condition; far above what any takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the pool told its listener, in order, as `node verb detail`.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    pub fn said(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }

    fn note(&self, text: String) {
        self.0.lock().expect("no panic").push(text);
    }
}

impl NodeListener for Recorder {
    fn on_up(&self, link: &NodeLink, resync: &Resync) {
        self.note(format!("{} up with {} channels", link.name, resync.channels.len()));
    }
    fn on_event(&self, link: &NodeLink, event: &Arc<ari::Event>) {
        self.note(format!("{} event {}", link.name, event.kind.name()));
    }
    fn on_down(&self, link: &NodeLink, _reason: &str) {
        self.note(format!("{} down", link.name));
    }
    fn on_removed(&self, node: &NodeName) {
        self.note(format!("{node} removed"));
    }
}

/// A pool that runs.
pub struct TestPool {
    pub pool: Pool,
    pub listener: Arc<Recorder>,
    pub metrics: Metrics,
    task: JoinHandle<()>,
}

/// What a test may choose.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub state_file: Option<PathBuf>,
    /// Nodes that the configuration file declares.
    pub declared: Vec<NodeSpec>,
    /// Events that may wait; the default when 0.
    pub event_queue: usize,
    /// How long a promise lasts, in milliseconds; the default when 0.
    pub reservation_ms: u64,
    /// Channels of one node that are served; the default when 0.
    pub max_node_channels: usize,
}

impl TestPool {
    pub fn start() -> Self {
        Self::with(Choice::default()).expect("nothing to refuse")
    }

    pub fn with(choice: Choice) -> Result<Self, PoolError> {
        let metrics = Metrics::new().expect("the declarations agree with each other");
        let listener = Arc::new(Recorder::default());
        let mut settings = Settings {
            state_file: choice.state_file,
            poll_interval_ms: 100,
            check_timeout_ms: 1_000,
            take_back_after_s: 3_600,
            username: USERNAME.to_owned(),
            password: Some(PASSWORD.to_owned().into()),
            ..Settings::default()
        };
        if choice.reservation_ms > 0 {
            settings.reservation_ms = choice.reservation_ms;
        }
        if choice.max_node_channels > 0 {
            settings.max_node_channels = choice.max_node_channels;
        }
        let mut ari = ari::Settings { reconnect_min_ms: 20, reconnect_max_ms: 200, ..ari::Settings::default() };
        if choice.event_queue > 0 {
            ari.event_queue = choice.event_queue;
        }
        let (pool, task) = Pool::start(Parts {
            settings,
            balance: balance::Settings::default(),
            ari,
            nodes: choice.declared,
            listener: Arc::clone(&listener) as _,
            metrics: Arc::clone(&metrics.pool),
            ari_metrics: Arc::clone(&metrics.ari),
        })?;
        Ok(Self { pool, listener, metrics, task })
    }

    /// Adds a fake node and waits until calls may go there.
    pub async fn add_up(&self, name: &str, node: &FakeNode) {
        self.pool.add(spec(name, &node.url())).await.expect("added");
        self.until(name, "it takes calls", |status| status.eligible).await;
    }

    /// Waits until the node is as wanted.
    pub async fn until(&self, name: &str, condition: &str, good: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let status = self.status(name).await;
                if good(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let Ok(status) = waited.await else {
            panic!("{name}: waited in vain until {condition}; {:?}", self.status(name).await);
        };
        status
    }

    /// Waits until the listener was told so.
    pub async fn heard(&self, what: &str) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !self.listener.said().iter().any(|said| said == what) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "never heard \"{what}\" among {:?}", self.listener.said());
    }

    pub async fn status(&self, name: &str) -> NodeStatus {
        self.pool.get(&NodeName::new(name).expect("a name")).await.expect("the node is there")
    }

    /// The names of the nodes that a lookup of this Call-ID is answered with; none when it is refused.
    pub fn route(&self, call_id: &str) -> Vec<String> {
        match self.ask(call_id) {
            Answer::Routed(routed) => routed.targets().map(|target| target.name.to_string()).collect(),
            Answer::Refused { .. } => Vec::new(),
        }
    }

    /// Whether the answer to a lookup of this Call-ID asks the proxy to tell of calls that end.
    pub fn asks_for_ends(&self, call_id: &str) -> bool {
        matches!(self.ask(call_id), Answer::Routed(routed) if routed.tell_ends)
    }

    fn ask(&self, call_id: &str) -> Answer {
        self.pool.routing().route(call_id, tokio::time::Instant::now(), &mut rand::rng())
    }

    /// Ends the pool as a shutdown does, and waits until it has let go of its nodes.
    pub async fn stop(self) {
        self.pool.stop();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("no panic");
    }
}

pub fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("a name")
}

pub fn spec(name: &str, ari: &str) -> NodeSpec {
    RawNode {
        name: name.to_owned(),
        ari: ari.to_owned(),
        sip: "sip:127.0.0.1:5060".to_owned(),
        capacity: Some(100),
        username: None,
        password: None,
    }
    .validate()
    .expect("a valid node")
}

/// Every change that waits in the receiver.
pub fn drain(events: &mut tokio::sync::broadcast::Receiver<PoolEvent>) -> Vec<PoolEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}
