//! What the runtime keeps of one call, shared by the app's handle, the event dispatch and the operator's API.
//!
//! Invariants:
//! - A call ends once ([`Core::end_with`]); the first reason stays. Every wait of the app then completes with `HungUp`.
//! - The clean-up waits for the call's requests (`command`), so that none creates something behind its back.
//! - What a call creates is noted here before it is asked for.

use std::any::Any;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bridges::State;
use super::cdr::Gathered;
use super::dial::{Outgoing, Talking};
use super::error::CallError;
use super::ids::Kind;
use super::line::Line;
use super::origin::Origin;
use super::playback::PlaybackCore;
use super::recording::RecordingCore;
use super::room::Membership;
use super::runtime::Shared;
use super::site::{Site, Target};
use super::view::{CallEvent, CallState, CallView, End, Step, TimedStep, unix_ms};
use crate::pool::CallId;
use crate::telemetry::CallOutcome;

/// One call.
pub(super) struct Core {
    pub(super) id: Arc<str>,
    pub(super) channel: Arc<str>,
    pub(super) site: Arc<Site>,
    pub(super) shared: Arc<Shared>,
    pub(super) call_id: Option<CallId>,
    pub(super) caller: Arc<str>,
    pub(super) caller_name: Arc<str>,
    pub(super) line: Line,
    /// Of a call that kamari placed: how its ringing stands.
    pub(super) rung: OnceLock<Arc<Outgoing>>,
    /// Whom the caller talks with.
    pub(super) talking: Mutex<Option<Arc<Talking>>>,
    pub(super) domain: OnceLock<Arc<str>>,
    pub(super) extension: Arc<str>,
    pub(super) adopted: bool,
    pub(super) started: Instant,
    started_at: SystemTime,
    end: watch::Sender<Option<End>>,
    /// The channel has gone or is going: there is nothing to hang up.
    pub(super) channel_gone: AtomicBool,
    /// The node said that the channel has left.
    left: CancellationToken,
    digits: mpsc::Sender<char>,
    /// Commands to the channel take turns.
    pub(super) order: tokio::sync::Mutex<()>,
    /// Requests that are under way.
    pub(super) requests: TaskTracker,
    record: Mutex<Record>,
    owned: Mutex<Owned>,
    state: Mutex<State>,
    /// What the call's record is made of.
    pub(super) gathered: Mutex<Gathered>,
    /// The call's record was written before it was found again.
    pub(super) recorded: AtomicBool,
}

/// What the operator sees.
#[derive(Debug, Default)]
struct Record {
    tenant: Option<Arc<str>>,
    app: Option<(&'static str, Instant)>,
    answered_ms: Option<u64>,
    outcome: Option<CallOutcome>,
    steps: Vec<TimedStep>,
    left_out: u64,
}

/// What the clean-up has to undo.
#[derive(Debug, Default)]
pub(super) struct Owned {
    pub(super) playbacks: Vec<Arc<PlaybackCore>>,
    pub(super) recordings: Vec<Arc<RecordingCore>>,
    pub(super) bridges: Vec<String>,
    pub(super) snoops: Vec<String>,
    pub(super) memberships: Vec<Membership>,
    /// The node's own music may be playing.
    pub(super) music: bool,
    /// Silence may be being sent.
    pub(super) silence: bool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("id", &self.id).field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Core {
    /// A call that begins, and the receiving end of its digits.
    pub(super) fn new(
        shared: &Arc<Shared>,
        site: &Arc<Site>,
        origin: Origin,
        adopted: bool,
    ) -> (Arc<Self>, mpsc::Receiver<char>) {
        let (digits, receiver) = mpsc::channel(shared.settings.digits_ahead);
        let core = Self {
            id: shared.ids.next(Kind::Call).into(),
            channel: origin.channel,
            site: Arc::clone(site),
            shared: Arc::clone(shared),
            call_id: origin.call_id.and_then(|text| CallId::new(&text).ok()),
            caller: origin.caller,
            caller_name: origin.caller_name,
            line: Line::default(),
            rung: OnceLock::new(),
            talking: Mutex::default(),
            extension: origin.extension,
            domain: origin.domain.map(OnceLock::from).unwrap_or_default(),
            adopted,
            started: Instant::now(),
            started_at: SystemTime::now(),
            end: watch::Sender::new(None),
            channel_gone: AtomicBool::new(false),
            left: CancellationToken::new(),
            digits,
            order: tokio::sync::Mutex::new(()),
            requests: TaskTracker::new(),
            record: Mutex::default(),
            owned: Mutex::default(),
            state: Mutex::default(),
            gathered: Gathered::on(origin.made_ms, adopted),
            recorded: AtomicBool::new(false),
        };
        (Arc::new(core), receiver)
    }

    // What happens to the call. None of these waits.

    /// The call is over. Only the first reason counts; says whether this was it.
    pub(super) fn end_with(&self, end: End) -> bool {
        let first = self.end.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(end.clone());
            }
            first
        });
        if first {
            self.gather_end();
            self.step(Step::Ended { end });
        }
        first
    }

    /// The node said that the channel has left, or is about to.
    pub(super) fn channel_left(&self) {
        self.channel_gone.store(true, Ordering::Release);
        self.end_with(End::Caller);
        self.left.cancel();
    }

    /// Of a call that kamari placed and that nobody has answered: how its ringing stands.
    pub(super) fn rings(&self) -> Option<&Arc<Outgoing>> {
        self.rung.get().filter(|_| !self.is_answered())
    }

    /// Something is heard of the ringing of a call that kamari placed.
    pub(super) fn heard(&self, tell: impl FnOnce(&Outgoing)) {
        if let Some(rung) = self.rings() {
            tell(rung);
            if rung.progress().answered {
                self.answered();
            }
        }
    }

    /// The channel is gone for good. `cause` is Q.850, `status` a SIP response, where the node says them.
    pub(super) fn destroyed(&self, cause: Option<i64>, status: Option<i64>) {
        match self.rings() {
            // Why it was not answered becomes the call's end.
            Some(rung) => {
                self.channel_gone.store(true, Ordering::Release);
                rung.is_gone(cause, status);
                self.left.cancel();
            }
            None => self.channel_left(),
        }
    }

    /// The caller pressed a key. Beyond what the app may leave unread, keys are dropped and counted.
    pub(super) fn digit(&self, digit: &str) {
        self.step(Step::Digit);
        for key in digit.chars() {
            if self.digits.try_send(key).is_err() {
                self.shared.metrics.mailbox_overflows.inc();
            }
        }
    }

    /// Notes a step in the timeline and tells the stream of changes.
    pub(super) fn step(&self, step: Step) {
        let at_ms = self.started.elapsed().as_millis() as u64;
        let timed = TimedStep { at_ms, step };
        {
            let mut record = lock(&self.record);
            // The end always finds room.
            if record.steps.len() < self.shared.settings.timeline_steps || matches!(timed.step, Step::Ended { .. }) {
                record.steps.push(timed.clone());
            } else {
                record.left_out += 1;
            }
        }
        self.shared.publish(CallEvent { id: Arc::clone(&self.id), node: self.site.name.clone(), step: timed });
    }

    pub(super) fn assign(&self, tenant: &Arc<str>, app: &'static str) {
        {
            let mut record = lock(&self.record);
            if record.app.is_some() {
                return;
            }
            record.tenant = Some(Arc::clone(tenant));
            record.app = Some((app, self.started));
        }
        self.shared.metrics.app_begins(app);
        self.gather_app(app, self.adopted);
        self.step(Step::Assigned { tenant: Arc::clone(tenant), app });
    }

    /// Another app of the same tenant takes the call over.
    pub(super) fn reassign(&self, app: &'static str) {
        let (tenant, before) = {
            let mut record = lock(&self.record);
            (record.tenant.clone(), record.app.replace((app, Instant::now())))
        };
        if let Some((before, since)) = before {
            self.shared.metrics.app_hands_on(before, app, since.elapsed().as_secs_f64());
        }
        self.gather_app(app, false);
        if let Some(tenant) = tenant {
            self.step(Step::Assigned { tenant, app });
        }
    }

    pub(super) fn answered(&self) {
        let first = {
            let mut record = lock(&self.record);
            let first = record.answered_ms.is_none();
            record.answered_ms.get_or_insert_with(|| unix_ms(SystemTime::now()));
            first
        };
        if first {
            self.step(Step::Answered);
        }
    }

    /// The call was answered before it was found.
    pub(super) fn answered_then(&self, unix_ms: u64) {
        lock(&self.record).answered_ms = Some(unix_ms);
    }

    /// What the metrics are to say of this call, where its end alone does not tell.
    pub(super) fn outcome_is(&self, outcome: CallOutcome) {
        lock(&self.record).outcome = Some(outcome);
    }

    // What is known of the call.

    /// What every log line about the call says of it.
    pub(super) fn span(&self) -> tracing::Span {
        let call_id = self.call_id.as_ref().map(CallId::as_str);
        tracing::info_span!("call", node = %self.site.name, call = %self.id, call_id)
    }

    pub(super) fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    pub(super) fn app(&self) -> Option<&'static str> {
        lock(&self.record).app.map(|(app, _)| app)
    }

    /// The app, and for how many seconds it has had the call.
    pub(super) fn app_time(&self) -> Option<(&'static str, f64)> {
        lock(&self.record).app.map(|(app, since)| (app, since.elapsed().as_secs_f64()))
    }

    pub(super) fn tenant(&self) -> Option<Arc<str>> {
        lock(&self.record).tenant.clone()
    }

    pub(super) fn outcome(&self) -> Option<CallOutcome> {
        lock(&self.record).outcome
    }

    pub(super) fn answered_ms(&self) -> Option<u64> {
        lock(&self.record).answered_ms
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered_ms().is_some()
    }

    /// Whether the node said that the channel has left.
    pub(super) fn has_left(&self) -> bool {
        self.left.is_cancelled()
    }

    /// Whether the call lives on without this process, or may: it can be found again.
    pub(super) fn is_let_go(&self) -> bool {
        self.end().is_some_and(|end| !end.allows_commands())
    }

    pub(super) fn channel_is_gone(&self) -> bool {
        self.channel_gone.load(Ordering::Acquire)
    }

    pub(super) fn view(&self) -> CallView {
        let (end, placed) = (self.end(), self.is_placed());
        let record = lock(&self.record);
        let state = match (&end, record.answered_ms) {
            (Some(_), _) => CallState::Ending,
            (None, Some(_)) => CallState::Up,
            (None, None) => CallState::Ringing,
        };
        CallView {
            id: Arc::clone(&self.id),
            node: self.site.name.clone(),
            channel: Arc::clone(&self.channel),
            call_id: self.call_id.clone(),
            caller: Arc::clone(&self.caller),
            extension: Arc::clone(&self.extension),
            tenant: record.tenant.clone(),
            app: record.app.map(|(app, _)| app),
            state,
            adopted: self.adopted,
            placed,
            started_ms: unix_ms(self.started_at),
            answered_ms: record.answered_ms,
            end,
            steps: record.steps.clone(),
            steps_left_out: record.left_out,
        }
    }

    pub(super) fn owned(&self) -> MutexGuard<'_, Owned> {
        lock(&self.owned)
    }

    /// What was saved last.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    // Waiting.

    /// Completes when the node has said that the channel has left.
    pub(super) async fn left(&self) {
        self.left.cancelled().await;
    }

    /// Completes when the call is over.
    pub(super) async fn over(&self) -> End {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(End::Gone),
            // The sender is `self`, so waiting cannot fail.
            Err(_) => End::Gone,
        }
    }

    /// What `wait` comes to, unless the call is over first. `wait` must be safe to drop.
    pub(super) async fn unless_over<T>(&self, wait: impl Future<Output = T>) -> Result<T, CallError> {
        tokio::select! {
            biased;
            end = self.over() => Err(CallError::HungUp(end)),
            done = wait => Ok(done),
        }
    }

    // What it owns.

    /// Notes and registers a playback on the caller's channel; forgets those that are over.
    pub(super) fn own_playback(&self, playback: &Arc<PlaybackCore>) {
        self.site.register(&playback.id, Target::Playback(Arc::clone(playback)));
        let mut owned = self.owned();
        owned.playbacks.retain(|one| {
            let over = one.is_over();
            if over {
                self.site.forget(&one.id);
            }
            !over
        });
        owned.playbacks.push(Arc::clone(playback));
    }
}

/// Locks; a panic elsewhere leaves these plain records usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}
