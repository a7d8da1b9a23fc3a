//! The composition root: builds every part, binds every socket, starts every task, and takes it all down in order.
//!
//! Why it exists: no module knows how the others are made. Here is the one place that does, and the one place that
//! listens to signals.
//!
//! Invariants:
//! - Sockets are bound before anything is served, so that a port in use is said at once and nothing was begun.
//! - Every task has a name, the common token and a declared answer to what follows when it ends by itself.
//! - SIGHUP opens the file of call records anew and reads the settings again; a mistake in them is logged, and everything
//!   stays as it was.
//! - SIGTERM (or SIGINT): `/readyz` says no and the lookup goes away, so that Kamailio routes by dispatcher; calls may end
//!   by themselves for a while, and calls that come meanwhile are served; those that are left stay up on their nodes, for
//!   the next kamari to adopt. A second signal cuts the waiting short.

mod dispatchers;
mod reload;
mod signals;
mod stop;
mod tasks;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::{self, ApiState, ReloadReply};
use crate::apps::{Catalogue, Notices, Queues, Recorder, Switchboard, Tenants};
use crate::call::Runtime;
use crate::cdr::Cdrs;
use crate::config::{Config, Sources};
use crate::fallback::Fallback;
use crate::lookup;
use crate::media::{self, Lender, Prompts, Recordings, Served};
use crate::pool::{self, Pool};
use crate::telemetry::{LogControl, LookupMetrics, Metrics};
use reload::Reloader;
use signals::{Asked, Signals};
use stop::Parts;
use tasks::{Ended, OnError, Tasks};

/// How long the runtime may take to end what tasks left behind.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How often it is asked whether every node was looked at, until it was.
const READY_LOOK: Duration = Duration::from_millis(50);

/// Runs kamari until a signal stops it. `sources` is where `config` came from, to be read again on SIGHUP.
pub fn run(config: Config, sources: Sources) -> anyhow::Result<()> {
    let log = LogControl::start(&config.log)?;
    // A second provider can only be refused when one is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers(cores, config.lookup.threads))
        .enable_all()
        .thread_name("kamari")
        .build()
        .context("the runtime cannot be made")?;
    let done = runtime.block_on(serve(config, sources, log));
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

/// Worker threads of everything but the lookup, whose threads have cores of their own: more than there are cores for would
/// only wake each other.
fn workers(cores: usize, lookup_threads: usize) -> usize {
    cores.saturating_sub(lookup_threads).max(1)
}

async fn serve(config: Config, sources: Sources, log: LogControl) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("signals cannot be taken over")?;
    let sockets = Sockets::bind(&config).await?;
    let (mut daemon, mut ended) = Daemon::start(&config, sockets)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        lookup = %config.lookup.listen,
        api = %config.api.listen,
        media = %config.media.listen,
        "kamari serves"
    );
    let drain = config.shutdown.drain();
    let mut reloader = Reloader::new(config, sources, log, Arc::clone(&daemon.tenants), daemon.parts.pool.clone());
    let mut ready_look = Some(tokio::time::interval(READY_LOOK));
    let outcome = loop {
        tokio::select! {
            Some(end) = ended.recv() => break Err(anyhow::Error::new(end)),
            Some(reply) = daemon.reloads.recv() => reloader.reload_directory(reply).await,
            asked = signals.next() => match asked {
                Asked::Reload => {
                    daemon.cdrs.reopen();
                    reloader.reload().await;
                }
                Asked::Stop => break Ok(()),
            },
            () = tick(ready_look.as_mut()) => if daemon.parts.pool.is_checked() {
                ready_look = None;
                // Before this, every answer would be a refusal for want of a node that is up; not listening makes
                // Kamailio route by its dispatcher instead.
                if let Err(error) = daemon.answer_lookups() {
                    break Err(error);
                }
                tracing::info!("kamari is ready: every node was looked at, lookups are answered");
                notify(&[sd_notify::NotifyState::Ready]);
            },
        }
    };
    notify(&[sd_notify::NotifyState::Stopping]);
    tokio::select! {
        () = daemon.parts.stop(drain) => tracing::info!("kamari has stopped"),
        () = signals.stop() => tracing::warn!("a second signal: kamari stops at once"),
    }
    outcome
}

/// The next tick of an interval that may be over.
async fn tick(interval: Option<&mut tokio::time::Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Every socket, bound and not yet served.
struct Sockets {
    lookup: lookup::Server,
    api: TcpListener,
    media: TcpListener,
}

impl Sockets {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            lookup: lookup::Server::bind(&config.lookup).context("lookup.listen")?,
            api: bind("api.listen", config.api.listen).await?,
            media: bind("media.listen", config.media.listen).await?,
        })
    }
}

async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{setting}: {address} cannot be listened on"))
}

/// A kamari that runs.
struct Daemon {
    parts: Parts,
    /// Where lookups will be answered, until they are.
    waiting: Option<lookup::Server>,
    lookup_metrics: Arc<LookupMetrics>,
    ready: Arc<AtomicBool>,
    tenants: Arc<Tenants>,
    /// Wishes of the API that the directory be read again.
    reloads: mpsc::Receiver<ReloadReply>,
    cdrs: Cdrs,
}

impl Daemon {
    /// Starts every part. The receiver hears of tasks that kamari cannot do without and that ended.
    fn start(config: &Config, sockets: Sockets) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Ended>)> {
        let (tasks, ended) = Tasks::new();
        let metrics = Metrics::new()?;
        let stopping = CancellationToken::new();

        let prompts = Arc::new(Prompts::new(&config.media));
        let recordings = recordings(config, &metrics)?;
        let queues = Queues::counted_by(Arc::clone(&metrics.queues));
        let (mut catalogue, mut lender, mut collector) = (Catalogue::default().with_queues(queues.clone()), None, None);
        if let Some(store) = &recordings {
            let media = &metrics.media;
            let lends = Arc::new(Lender::new(Arc::clone(store), &config.media, Arc::clone(media)));
            lender = Some(Arc::clone(&lends));
            let (recorder, beside) = Recorder::new(Arc::clone(store), lends, &config.media, Arc::clone(media))?;
            catalogue = catalogue.recording_by(recorder);
            collector = Some(beside);
        }
        let switchboard = Arc::new(Switchboard::new(catalogue, Arc::clone(&prompts), &[])?);
        let state_file = config.directory.state_file.clone();
        let tenants = Arc::new(
            Tenants::open(Arc::clone(&switchboard), state_file, config.tenants.clone()).context("the tenants")?,
        );
        // One wish at a time: a reload reads all there is.
        let (reload, reloads) = mpsc::channel(1);
        let (cdrs, writer) = Cdrs::open(&config.cdr, &metrics.cdr).map_err(|refusal| refusal.within("cdr"))?;
        if let Some(writer) = writer {
            let stop = tasks.token();
            tasks.spawn("cdr", OnError::GoOn, async move {
                writer.run(stop).await;
                Ok::<(), Infallible>(())
            });
        }
        let calls =
            Runtime::new(config.call.clone(), Arc::clone(&metrics.calls), cdrs.clone(), Arc::clone(&switchboard) as _);
        let (pool, registry) = Pool::start(pool::Parts {
            settings: config.pool.clone(),
            balance: config.balance.clone(),
            ari: config.ari.clone(),
            nodes: config.node_specs()?,
            listener: Arc::new(calls.clone()),
            metrics: Arc::clone(&metrics.pool),
            ari_metrics: Arc::clone(&metrics.ari),
        })?;
        tasks.spawn("pool", OnError::Stop, registry);
        // Calls reach prompts and the pool without these two, so a fault in one must not end them.
        let stop = tasks.token();
        let served = Served { prompts, lender };
        tasks.spawn("media", OnError::GoOn, {
            media::serve(sockets.media, served, config.media.max_connections, stop.cancelled_owned())
        });
        if let Some(store) = recordings.clone() {
            let (stop, bounds) = (tasks.token(), config.media.retention());
            tasks.spawn("retention", OnError::GoOn, async move {
                stop.run_until_cancelled(store.retain(bounds)).await;
                Ok::<(), Infallible>(())
            });
        }
        if let Some(collector) = collector {
            tasks.spawn("collector", OnError::Stop, collector.run(calls.clone(), tasks.token()));
        }
        if let (Some(store), Some(url)) = (&recordings, &config.media.notify_url) {
            let notices = Notices::new(Arc::clone(store), url.clone(), Arc::clone(&metrics.media))?;
            tasks.spawn("notices", OnError::GoOn, notices.run(tasks.token()));
        }
        let (told, wanted) = watch::channel(Vec::new());
        let fallback = Fallback::new(&config.fallback, &wanted, &metrics.fallback)?;
        let stop = tasks.token();
        tasks.spawn("fallback", OnError::GoOn, async move {
            fallback.run(stop).await;
            Ok::<(), Infallible>(())
        });
        tasks.spawn("dispatchers", OnError::GoOn, dispatchers::follow(pool.clone(), told, tasks.token()));

        let ready = Arc::new(AtomicBool::new(false));
        let state = ApiState {
            ready: Arc::clone(&ready),
            settings: Arc::new(config.api.clone()),
            metrics: metrics.clone(),
            pool: pool.clone(),
            calls: calls.clone(),
            tenants: Arc::clone(&tenants),
            reload,
            queues,
            recordings,
            started: Instant::now(),
            streams: Arc::new(Semaphore::new(config.api.max_event_streams)),
            stopping: stopping.clone(),
            stop: tasks.token(),
        };
        let stop = tasks.token();
        tasks.spawn("api", OnError::Stop, api::serve(sockets.api, state, stop.cancelled_owned()));
        let parts = Parts { stopping, lookup: None, calls, pool, tasks };
        let waiting = Some(sockets.lookup);
        Ok((Self { parts, waiting, lookup_metrics: metrics.lookup, ready, tenants, reloads, cdrs }, ended))
    }

    /// Begins to answer Kamailio, and says so at `/readyz`.
    fn answer_lookups(&mut self) -> anyhow::Result<()> {
        if let Some(server) = self.waiting.take() {
            self.parts.lookup = Some(server.start(self.parts.pool.routing(), &self.lookup_metrics)?);
            self.ready.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// The recordings, where the settings name a folder for them.
fn recordings(config: &Config, metrics: &Metrics) -> anyhow::Result<Option<Arc<Recordings>>> {
    let Some(folder) = &config.media.recordings else { return Ok(None) };
    let store = Recordings::open(folder, Arc::clone(&metrics.media)).context("media.recordings")?;
    Ok(Some(Arc::new(store)))
}

/// Tells the service manager, if there is one.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
