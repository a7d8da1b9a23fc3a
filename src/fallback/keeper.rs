//! The tasks: one for each Kamailio, looking, comparing and repairing for as long as kamari runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::destination::Destination;
use super::plan::plan;
use super::rpc::{Rpc, RpcError};
use super::settings::Settings;
use crate::invalid::Invalid;
use crate::telemetry::FallbackMetrics;

/// First and longest pause after a failure; it doubles in between, and half of it is drawn at random.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often commands may be sent before the list must agree. One round is usual; two when the pool changes meanwhile.
const ROUNDS: u32 = 5;

/// What is known of one Kamailio's dispatcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetStatus {
    /// Its JSON-RPC URL.
    pub rpc: String,
    /// Whether the dispatcher agreed with the pool when last read.
    pub in_step: bool,
    /// When it last agreed, in milliseconds since 1970.
    pub agreed_at_ms: Option<u64>,
    /// Why it does not agree, if that is known.
    pub error: Option<String>,
}

/// A view of all Kamailios, cheap to clone.
#[derive(Debug, Clone)]
pub struct Status(Arc<[watch::Receiver<TargetStatus>]>);

impl Status {
    /// One entry for each Kamailio, in the order of the settings.
    pub fn targets(&self) -> Vec<TargetStatus> {
        self.0.iter().map(|target| target.borrow().clone()).collect()
    }
}

/// Everything that keeps the dispatchers, not yet running.
#[derive(Debug)]
pub struct Fallback {
    keepers: Vec<Keeper>,
    status: Status,
}

impl Fallback {
    /// `wanted` is the pool as the dispatchers shall have it, now and after every change.
    pub fn new(
        settings: &Settings,
        wanted: &watch::Receiver<Vec<Destination>>,
        metrics: &Arc<FallbackMetrics>,
    ) -> Result<Self, Invalid> {
        let mut keepers = Vec::new();
        for (at, url) in settings.targets()?.into_iter().enumerate() {
            let rpc = Rpc::new(url.clone(), settings.group, settings.timeout())
                .map_err(|error| Invalid::new(format!("rpc[{at}]"), "a client for it", error))?;
            let status = TargetStatus { rpc: url.to_string(), in_step: false, agreed_at_ms: None, error: None };
            keepers.push(Keeper {
                rpc,
                interval: settings.interval(),
                spacing: settings.spacing(),
                wanted: wanted.clone(),
                status: watch::Sender::new(status),
                metrics: Arc::clone(metrics),
            });
        }
        metrics.targets.set(i64::try_from(keepers.len()).unwrap_or(i64::MAX));
        metrics.in_step.set(0);
        let status = Status(keepers.iter().map(|keeper| keeper.status.subscribe()).collect());
        Ok(Self { keepers, status })
    }

    /// What is known of the Kamailios; stays readable while [`run`](Self::run) runs.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Keeps all dispatchers until `stop` is cancelled. Leaves them as they are then: that is what they are for.
    pub async fn run(self, stop: CancellationToken) {
        let all = join_all(self.keepers.into_iter().map(Keeper::run));
        // Nothing is half done when it is dropped: each request stands for itself, and the next start reconciles.
        stop.run_until_cancelled(all).await;
        stop.cancelled().await;
    }
}

/// Keeps one Kamailio's dispatcher. Owns what is known of it.
#[derive(Debug)]
struct Keeper {
    rpc: Rpc,
    interval: Duration,
    spacing: Duration,
    wanted: watch::Receiver<Vec<Destination>>,
    status: watch::Sender<TargetStatus>,
    metrics: Arc<FallbackMetrics>,
}

impl Keeper {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let pause = match self.agree().await {
                Ok(()) => {
                    failures = 0;
                    self.interval
                }
                Err(error) => {
                    self.note_failure(&error);
                    failures += 1;
                    backoff(failures)
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                changed = self.wanted.changed() => if changed.is_err() {
                    // The pool is gone, kamari is stopping: only the interval is left.
                    sleep(pause).await;
                },
            }
        }
    }

    /// Reads, plans and commands until the list agrees.
    async fn agree(&mut self) -> Result<(), RpcError> {
        for _ in 0..ROUNDS {
            let wanted = self.wanted.borrow_and_update().clone();
            let commands = plan(&wanted, &self.rpc.list().await?);
            if commands.is_empty() {
                self.note_agreement();
                return Ok(());
            }
            for command in commands {
                self.rpc.execute(&command).await?;
                self.metrics.pushed.inc();
                tracing::info!(kamailio = %self.status.borrow().rpc, %command, "dispatcher changed");
                if command.rebuilds() {
                    sleep(self.spacing).await;
                }
                // The pool is another one by now: plan anew.
                if self.wanted.has_changed().unwrap_or(false) {
                    break;
                }
            }
        }
        let message = "it takes every command, and its list differs again (is another kamari feeding it?)".to_owned();
        Err(RpcError::Refused { method: "to keep the list", message })
    }

    fn note_agreement(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut was = false;
        self.status.send_modify(|status| {
            was = status.in_step;
            status.in_step = true;
            status.error = None;
            status.agreed_at_ms = u64::try_from(now.as_millis()).ok();
        });
        if !was {
            self.metrics.in_step.inc();
            tracing::info!(kamailio = %self.status.borrow().rpc, "dispatcher agrees with the pool");
        }
    }

    /// Logs a failure when it is new, not at every try.
    fn note_failure(&self, error: &RpcError) {
        self.metrics.failed.inc();
        let text = error.to_string();
        let (mut was, mut is_new) = (false, false);
        self.status.send_modify(|status| {
            was = status.in_step;
            is_new = status.error.as_ref() != Some(&text);
            status.in_step = false;
            status.error = Some(text);
        });
        if was {
            self.metrics.in_step.dec();
        }
        if is_new {
            tracing::warn!(kamailio = %self.status.borrow().rpc, %error, "dispatcher not kept");
        }
    }
}

/// The pause after so many failures in a row.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    let full = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(longest);
    full.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
