//! The composition root: builds every part, binds every socket, starts every task, and takes it all down in order.
//!
//! Why it exists: no module knows how the others are made. Here is the one place that does, and the one place that
//! listens to signals.
//!
//! Invariants:
//! - Sockets are bound before anything is served, so that a port in use is said at once and nothing was begun.
//! - Every task has a name, the common token and a declared answer to what follows when it ends by itself.
//! - SIGHUP reads the settings again; mistakes in them are logged, and everything stays as it was.
//! - SIGTERM (or SIGINT): `/readyz` says no and the lookup goes away, so that Kamailio routes by dispatcher; calls may end
//!   by themselves for a while; those that do not stay up on their nodes, for the next kamari to adopt. A second signal
//!   cuts the waiting short.

mod signals;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::api::{self, ApiState, Phase, PhaseCell};
use crate::config::{self, Config, Sources};
use crate::media::{self, Prompts};
use crate::telemetry::{LogControl, Metrics};
use signals::{Asked, Signals};
use tasks::{OnError, Tasks};

/// How long the runtime may take to end what tasks left behind.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs kamari until a signal stops it. `sources` is where `config` came from, to be read again on SIGHUP.
pub fn run(config: Config, sources: &Sources) -> anyhow::Result<()> {
    let log = LogControl::start(&config.log)?;
    // A second provider can only be refused when one is there already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("kamari")
        .build()
        .context("the runtime cannot be made")?;
    let done = runtime.block_on(serve(config, sources, &log));
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

async fn serve(config: Config, sources: &Sources, log: &LogControl) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("signals cannot be taken over")?;
    let api_socket = bind("api", config.api.listen).await?;
    let media_socket = bind("media", config.media.listen).await?;

    let (tasks, mut ended) = Tasks::new();
    let metrics = Metrics::new()?;
    let phase = PhaseCell::default();
    let prompts = Arc::new(Prompts::new(&config.media));

    let stop = tasks.token();
    tasks.spawn("media", OnError::GoOn, media::serve(media_socket, prompts, async move { stop.cancelled().await }));
    let state =
        ApiState { settings: Arc::new(config.api.clone()), metrics, phase: phase.clone(), started: Instant::now() };
    let stop = tasks.token();
    tasks.spawn("api", OnError::Stop, api::serve(api_socket, state, async move { stop.cancelled().await }));
    phase.advance(Phase::Ready);
    notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), api = %config.api.listen, "kamari is ready");

    let outcome = loop {
        tokio::select! {
            Some(end) = ended.recv() => break Err(anyhow::Error::new(end)),
            asked = signals.next() => match asked {
                Asked::Reload => reload(sources, log),
                Asked::Stop => break Ok(()),
            },
        }
    };
    phase.advance(Phase::Stopping);
    notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("kamari stops");
    tokio::select! {
        () = tasks.finish() => {}
        () = signals.stop() => tracing::warn!("a second signal: kamari stops at once"),
    }
    outcome
}

async fn bind(what: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{what}.listen: {address} cannot be listened on"))
}

/// Reads the settings again and puts into effect what can change while kamari runs.
fn reload(sources: &Sources, log: &LogControl) {
    notify(&[sd_notify::NotifyState::Reloading]);
    match config::load(sources) {
        Ok(config) => match log.set_level(&config.log) {
            Ok(()) => tracing::info!("the settings were read again"),
            Err(error) => tracing::error!(%error, "the log level stays as it was"),
        },
        Err(problems) => {
            for problem in &problems.0 {
                tracing::error!(%problem, "a mistake in the settings; everything stays as it was");
            }
        }
    }
    notify(&[sd_notify::NotifyState::Ready]);
}

/// Tells the service manager, if there is one.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
