//! The rounds of checks: when each begins, what it asks, and what its result means for the node's calls.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use rand::RngExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Events, Monitor, Report};
use crate::balance::PollMark;
use crate::pool::calls::Agreement;
use crate::pool::round::{self, Questions, Reading, Trouble};

/// Rounds until a node's channels are compared with what was heard, while all is well.
const RECONCILED_EVERY: u32 = 5;
/// How much sooner a node in trouble is asked again.
const HASTE: u32 = 4;
/// A node is silent for so many times the time until it is down (3 s by default) until its calls are taken to have ended.
const GIVEN_UP_AFTER: u32 = 20;

impl Monitor {
    pub(super) async fn finish_round(&mut self, mut result: Result<Reading, Trouble>) {
        if let Ok(reading) = &mut result {
            self.probe = std::mem::take(&mut reading.probe);
            let now = Instant::now();
            if let Some((channel, statistics)) = reading.rtp.take() {
                self.panel.heard(&channel, statistics.as_deref(), now);
            }
            reading.audio = self.panel.audio(now);
            if let Ok(load) = &mut reading.load {
                // Compared with all that is ours: Asterisk counts callers alone.
                load.calls += self.calls.legs();
            }
            if let Some(clock) = reading.clock_unix_ms {
                self.observer.clock(clock, reading.round_trip);
            }
            self.reconcile(reading).await;
        }
        let result = match (&self.events, result) {
            (Events::Down(trouble) | Events::Unread(trouble), Ok(_)) => Err(trouble.clone()),
            (_, result) => result,
        };
        self.in_trouble = result.is_err();
        self.give_up_calls(result.is_ok()).await;
        self.report(Report::Round(result)).await;
    }

    /// A node of which nothing is heard for long has lost its host: its calls are counted no longer, so that its drain ends and
    /// its promises are dropped. If they are there after all, the next `resync` counts them again.
    async fn give_up_calls(&mut self, is_heard: bool) {
        if is_heard || self.calls.channels() == 0 {
            self.unheard_since = None;
            return;
        }
        let since = *self.unheard_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.world.settings.down_time() * GIVEN_UP_AFTER {
            tracing::warn!(node = %self.link.name, calls = self.calls.count(), "nothing heard of the node for long; its calls are taken to have ended");
            self.tell_down("nothing was heard of it for long");
            self.forget_calls().await;
            self.unheard_since = None;
        }
    }

    /// The node answers: reads its state if that is still to be done, or if what was polled contradicts what was heard.
    async fn reconcile(&mut self, reading: &Reading) {
        match self.events {
            Events::Down(_) => {}
            Events::Unread(_) => {
                self.resync().await;
            }
            // Of a node with too many channels, not all are known.
            Events::Heard if self.calls.channels() >= self.world.settings.max_node_channels => {}
            Events::Heard => {
                let Some(ids) = &reading.in_app else { return };
                let agreement = self.calls.compare(ids.iter());
                self.in_doubt = agreement == Agreement::Doubtful;
                if agreement == Agreement::Contradicted {
                    tracing::warn!(node = %self.link.name, "channels and events disagree; reading the node's state anew");
                    self.resync().await;
                }
            }
        }
    }

    pub(super) async fn mark(&self) -> Option<PollMark> {
        let (reply, mark) = oneshot::channel();
        self.report(Report::Mark(reply)).await;
        mark.await.ok()
    }

    pub(super) fn round(&mut self, mark: PollMark) -> BoxFuture<'static, Result<Reading, Trouble>> {
        let (ari, settings) = (self.checks.clone(), Arc::clone(&self.world.settings));
        let mut questions = Questions { application: true, ..Questions::default() };
        if matches!(self.events, Events::Heard) {
            // What a round that fails keeps of it is found out again.
            questions.probe = Some(std::mem::take(&mut self.probe));
            questions.application = self.reconciles();
            questions.rtp = self.panel.next(&self.calls, Instant::now(), &mut rand::rng());
        }
        Box::pin(async move { round::round(&ari, mark, &settings.probe_context, questions).await })
    }

    /// Whether this round asks for the channels in the application.
    fn reconciles(&mut self) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        self.in_trouble || self.in_doubt || self.rounds.is_multiple_of(RECONCILED_EVERY)
    }

    /// When the next round begins: after the interval with a tenth of jitter, so that the pool is not asked in one burst.
    pub(super) fn next_round(&self) -> Instant {
        let interval = self.world.settings.poll_interval().mul_f64(rand::rng().random_range(0.9..1.1));
        let pause = if self.in_trouble { interval / HASTE } else { interval };
        self.world.beat.after(Instant::now() + pause)
    }
}
