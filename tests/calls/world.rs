//! A kamari of pool, runtime and apps over fake nodes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kamari::apps::{Catalogue, Queues, Recorder, Switchboard};
use kamari::call::{CallSettings, CallView, Handler, Runtime};
use kamari::cdr::{self, Cdr, Cdrs};
use kamari::directory::TenantSettings;
use kamari::media::{Lender, MediaSettings, Prompts, Recordings, Served};
use kamari::pool::{self, Availability, NodeSpec, NodeStatus, Parts, Pool, RawNode};
use kamari::telemetry::Metrics;

use tokio_util::sync::CancellationToken;

use crate::support::fake_node::{FakeNode, IncomingCall, PASSWORD, USERNAME};
use crate::{handing_on, misbehaving};

/// Whatever a test waits for comes within this time, or the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const TENANTS: &str = r#"
    [[tenants]]
    name = "example"
    domains = ["example.test"]
    [tenants.extensions]
    "600" = { app = "conference", room = "main" }
    "601" = { app = "conference", alone = [] }
    "sealed" = { app = "conference", pin = "12", moderator_pin = "4711" }
    "led" = { app = "conference", moderator_pin = "4711", wait_for_moderator = true, end_with_moderator = true }
    "open" = { app = "conference", moderator_pin = "4711", max_members = 4 }
    "700" = { app = "echo" }
    "800" = { app = "playback", prompts = ["hello", "beep"] }
    "810" = { app = "playback", prompts = "hello", then = "700" }
    "811" = { app = "playback", prompts = "beep", then = "812" }
    "812" = { app = "playback", prompts = "beep", then = "811" }
    "rings" = { app = "echoes_on", then = "pin" }
    "music" = { app = "music" }
    "900" = { app = "reject", sip = 486 }
    "panic" = { app = "panics" }
    "error" = { app = "errs" }
    "stuck" = { app = "sticks" }
    "pin" = { app = "asks" }
    "patient" = { app = "waits" }
    "silent" = { app = "ignores" }
    "notes" = { app = "notes" }
    "bob" = { app = "dial", to = "bob", busy_then = "patient", no_answer_then = "700" }
    "eve" = { app = "dial", to = "eve" }
    "all" = { app = "dial", to = ["bob", "eve"] }
    "turn" = { app = "dial", to = ["bob", "eve"], strategy = "serial" }
    "short" = { app = "dial", to = "late", timeout_s = 1 }
    "_0." = { app = "dial", to = "{number}" }
    [tenants.extensions.menu]
    app = "ivr"
    [tenants.extensions.menu.menus.main]
    prompts = ["hello"]
    timeout = "join"
    first_digit_timeout_s = 1
    next_digit_timeout_s = 1
    retries = 1
    dial = 3
    digits = { 1 = { menu = "second" }, 2 = { extension = "700" } }
    otherwise = { extension = "900" }
    [tenants.extensions.menu.menus.second]
    prompts = "music"
    first_digit_timeout_s = 60
    digits = { 0 = { menu = "main" }, "*" = { extension = "700" } }
    [tenants.extensions.closed]
    app = "ivr"
    menus.main = { prompts = "hello", digits = { 1 = "repeat" } }
    hours = { zone = "Etc/UTC" }
    closed_then = "patient"
    [[tenants]]
    name = "other"
    domains = ["other.test"]
    [tenants.extensions]
    "600" = { app = "conference", room = "main" }
"#;

#[derive(serde::Deserialize)]
struct File {
    tenants: Vec<TenantSettings>,
}

/// One kamari.
pub(crate) struct World {
    /// Cancelled when what collects recordings is to stop.
    collecting: CancellationToken,
    pub(crate) runtime: Runtime,
    pub(crate) pool: Pool,
    pub(crate) metrics: Metrics,
    /// The records of calls, as they came.
    pub(crate) records: Records,
    pub(crate) queues: Queues,
}

fn settings() -> CallSettings {
    CallSettings { app_grace_s: 1, orphan_check_s: 1, ..CallSettings::default() }
}

/// kamari's own apps and those of the tests.
fn apps() -> Catalogue {
    handing_on::add_to(misbehaving::add_to(Catalogue::default()))
}

/// Records of calls, as they came.
pub(crate) type Records = Arc<Mutex<Vec<Arc<Cdr>>>>;

impl World {
    /// A kamari over these nodes, named `n0`, `n1`, ..., that has heard all of them.
    pub(crate) async fn over(nodes: &[FakeNode]) -> Self {
        Self::with(nodes, settings()).await
    }

    pub(crate) async fn with(nodes: &[FakeNode], settings: CallSettings) -> Self {
        let file: File = toml::from_str(TENANTS).expect("TOML of tenants");
        let queues = Queues::default();
        let catalogue = apps().with_queues(queues.clone());
        let prompts = Arc::new(Prompts::new(&MediaSettings::default()));
        let switchboard = Switchboard::new(catalogue, prompts, &file.tenants).expect("a good directory");
        let mut this = Self::start(nodes, settings, Arc::new(switchboard)).await;
        this.queues = queues;
        this
    }

    /// A kamari that keeps recordings in a folder, with these tenants.
    pub(crate) async fn recording(
        nodes: &[FakeNode],
        folder: &std::path::Path,
        tenants: &str,
    ) -> (Self, Arc<Recordings>) {
        Self::keeping(nodes, settings(), folder, tenants).await
    }

    /// The same with these settings.
    pub(crate) async fn keeping(
        nodes: &[FakeNode],
        settings: CallSettings,
        folder: &std::path::Path,
        tenants: &str,
    ) -> (Self, Arc<Recordings>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let listen = listener.local_addr().expect("an address");
        let media = MediaSettings { listen, piece_s: 2, ..MediaSettings::default() };
        let metrics = Metrics::new().expect("metrics").media;
        let store = Arc::new(Recordings::open(folder, Arc::clone(&metrics)).expect("a good folder"));
        let lender = Arc::new(Lender::new(Arc::clone(&store), &media, Arc::clone(&metrics)));
        let (recorder, collector) =
            Recorder::new(Arc::clone(&store), Arc::clone(&lender), &media, Arc::clone(&metrics))
                .expect("a good folder");
        let file: File = toml::from_str(tenants).expect("TOML of tenants");
        let queues = Queues::default();
        let catalogue = apps().recording_by(recorder).with_queues(queues.clone());
        let prompts = Arc::new(Prompts::new(&media));
        let switchboard = Switchboard::new(catalogue, Arc::clone(&prompts), &file.tenants).expect("a good directory");
        let mut this = Self::start(nodes, settings, Arc::new(switchboard)).await;
        let (served, stop) = (Served { prompts, lender: Some(lender) }, this.collecting.clone().cancelled_owned());
        tokio::spawn(kamari::media::serve(listener, served, media.max_connections, stop));
        (this.queues, this.metrics.media) = (queues, metrics);
        tokio::spawn(collector.run(this.runtime.clone(), this.collecting.clone()));
        (this, store)
    }

    /// A kamari whose calls are served by this alone.
    pub(crate) async fn serving(nodes: &[FakeNode], handler: Arc<dyn Handler>) -> Self {
        Self::start(nodes, settings(), handler).await
    }

    async fn start(nodes: &[FakeNode], settings: CallSettings, handler: Arc<dyn Handler>) -> Self {
        let metrics = Metrics::new().expect("metrics");
        let lost_wait = cdr::Settings { lost_wait_s: 1, ..cdr::Settings::default() };
        let (cdrs, _) = Cdrs::open(&lost_wait, &metrics.cdr).expect("events need no file");
        let records = collect(&cdrs);
        let runtime = Runtime::new(settings, Arc::clone(&metrics.calls), cdrs, handler);
        let parts = Parts {
            settings: pool::Settings {
                poll_interval_ms: 100,
                up_after: 1,
                take_back_after_s: 3_600,
                ..pool::Settings::default()
            },
            balance: kamari::balance::Settings::default(),
            // A machine that builds something else meanwhile may starve a node for seconds: that is no fault of an app.
            ari: kamari::ari::Settings {
                request_timeout_ms: 30_000,
                reconnect_min_ms: 10,
                reconnect_max_ms: 50,
                ..Default::default()
            },
            nodes: nodes.iter().enumerate().map(|(at, node)| spec(at, node)).collect(),
            listener: Arc::new(runtime.clone()),
            metrics: Arc::clone(&metrics.pool),
            ari_metrics: Arc::clone(&metrics.ari),
        };
        let (pool, _) = Pool::start(parts).expect("a pool");
        let up = |status: &NodeStatus| status.availability == Availability::Up;
        within("all nodes are up", async {
            while !pool.list().await.expect("a pool").iter().all(up) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        Self { collecting: CancellationToken::new(), runtime, pool, metrics, records, queues: Queues::default() }
    }

    /// Waits until the one call of this channel is as wanted.
    pub(crate) async fn call(&self, channel: &str, wanted: impl Fn(&CallView) -> bool) -> CallView {
        within("a call as wanted", async {
            loop {
                let found = self.runtime.calls().into_iter().find(|call| &*call.channel == channel && wanted(call));
                match found {
                    Some(call) => return call,
                    None => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        })
        .await
    }

    /// Waits until no call lives, and checks that nothing is registered and nothing left on the nodes.
    pub(crate) async fn nothing_left(&self, nodes: &[FakeNode]) {
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.runtime.live() > 0 {
            assert!(tokio::time::Instant::now() < end, "calls live on: {:#?}", self.runtime.calls());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        until("no task lives", || self.metrics.calls.tasks() == 0).await;
        until("nothing is registered", || self.runtime.registered() == 0).await;
        for node in nodes {
            until("the node is empty", || left_on(node) == (0, 0, 0)).await;
            until("nothing is recorded any more", || node.leftovers().recordings == 0).await;
        }
    }

    /// How many calls have a record; checks that no Call-ID has two.
    pub(crate) fn recorded(&self) -> usize {
        let records = self.records.lock().expect("whole");
        let mut ids: Vec<_> = records.iter().map(|record| record.call_id.clone().expect("a Call-ID")).collect();
        ids.sort();
        let twice: Vec<_> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
        assert!(twice.is_empty(), "calls with two records: {twice:?}");
        ids.len()
    }

    /// Waits until so many calls have a record, and checks that each has one.
    pub(crate) async fn one_record_each(&self, calls: usize) {
        until(&format!("{calls} calls have a record"), || self.recorded() >= calls).await;
        assert_eq!(self.recorded(), calls, "calls with a record");
    }

    /// How many calls `app` had that ended in `outcome`.
    pub(crate) fn outcomes(&self, app: &str, outcome: &str) -> u64 {
        let text = self.metrics.render().expect("metrics");
        let series = format!("kamari_app_outcomes_total{{app=\"{app}\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().expect("a count"))
    }

    /// How many callers wait in a queue.
    pub(crate) fn waiting(&self, tenant: &str, queue: &str) -> usize {
        self.queues.show(tenant, queue).expect("a queue").waiting
    }

    /// Ends as `kill -9` does to the calls: nothing is commanded any more.
    pub(crate) async fn vanish(self) {
        self.collecting.cancel();
        self.pool.stop();
        self.runtime.release().await;
    }
}

fn collect(cdrs: &Cdrs) -> Records {
    let records = Records::default();
    let (mut told, kept) = (cdrs.subscribe(), Arc::clone(&records));
    tokio::spawn(async move {
        while let Ok(record) = told.recv().await {
            kept.lock().expect("whole").push(record);
        }
    });
    records
}

fn spec(at: usize, node: &FakeNode) -> NodeSpec {
    let raw = RawNode {
        name: format!("n{at}"),
        ari: node.url(),
        sip: format!("sip:192.0.2.{}:5060", at + 1),
        capacity: Some(1_000),
        username: Some(USERNAME.to_owned()),
        password: Some(PASSWORD.to_owned().into()),
    };
    raw.validate().expect("a good node")
}

/// Channels, bridges and playbacks on a node, the pool's probe apart.
pub(crate) fn left_on(node: &FakeNode) -> (usize, usize, usize) {
    let left = node.leftovers();
    let probes =
        node.legs().iter().filter(|(id, endpoint)| id.contains("probe") || endpoint.contains("Local/")).count();
    (left.channels - probes, left.bridges, left.playbacks)
}

/// A call of alice to `exten` at `example.test`; gives its channel.
pub(crate) fn call_in(node: &FakeNode, exten: &str) -> String {
    call_at(node, exten, "example.test")
}

pub(crate) fn call_at(node: &FakeNode, exten: &str, domain: &str) -> String {
    let call_id = format!("{}@test", uuid::Uuid::new_v4());
    let call = IncomingCall { domain: domain.to_owned(), ..IncomingCall::to(exten, &call_id) };
    node.call(&call).expect("somebody listens")
}

/// What `future` comes to; the test fails if that takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else { panic!("waited too long: {what}") };
    value
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    within(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
