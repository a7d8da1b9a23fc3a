//! The record of a call: what is gathered for it while the call lives, and who writes it.
//!
//! Invariants:
//! - Exactly one record a call that kamari sees the end of. The call's task writes it when the app is done, also when that
//!   failed or panicked.
//! - A call that is lost with its node may still be alive there. Its record waits (`lost`): if the call is found again it
//!   goes on with what was gathered; if the node comes back without it, leaves the pool, or stays away for
//!   `cdr.lost_wait_s`, its record is written.
//! - A call that is left on its node when kamari stops, or that another controller took over, gets its record from whoever
//!   serves it next. What was gathered travels with the app's saved state.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::cause::Cause;
use super::core::{Core, lock};
use super::handle::Call;
use super::ids::Kind;
use super::runtime::Shared;
use super::site::Site;
use super::told;
use super::view::{End, unix_ms};
use crate::ari::model::Channel;
use crate::cdr::{Cdr, Media};
use crate::pool::{CallId, NodeName};

/// For how long the node's last events of a call are awaited once it was hung up.
const LAST_EVENTS: Duration = Duration::from_secs(5);
/// 487 Request Terminated: whoever called gave up.
const TERMINATED: u16 = 487;
/// Notes that one call may have.
const NOTES_LIMIT: usize = 16;
/// Longest note, in bytes.
const NOTE_LIMIT: usize = 200;
/// Apps and former ids that are listed.
const LIST_LIMIT: usize = 64;

/// What a call was before it was found again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    ids: Vec<Arc<str>>,
    started_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    apps: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    notes: serde_json::Map<String, Value>,
    /// Whether kamari placed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    placed: bool,
    /// Who the caller is, of a channel that kamari made: the node knows him by no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<Arc<str>>,
}

/// What is gathered for the record, beside what the call knows of itself.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// `ids` without the call's own one, `answered_ms` of an earlier process only.
    past: Past,
    ended_ms: Option<u64>,
    cause: Option<u8>,
    media: Option<Media>,
}

impl Gathered {
    /// For a call that begins, or was found, on a channel that was made then (Unix time in milliseconds).
    pub(super) fn on(made: Option<u64>, adopted: bool) -> Mutex<Self> {
        let now = unix_ms(SystemTime::now());
        let started_ms = if adopted { made.unwrap_or(now).min(now) } else { now };
        Mutex::new(Self { past: Past { started_ms, ..Past::default() }, ..Self::default() })
    }
}

impl Core {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        lock(&self.gathered)
    }

    /// The call goes on as what it was before it was found again.
    pub(super) fn continues(&self, past: Past) {
        if let Some(answered_ms) = past.answered_ms {
            self.answered_then(answered_ms);
        }
        self.gathered().past = past;
    }

    /// The call was found without any saved state, with an app that answers at once: it was answered when it came, unless this
    /// process knows better.
    pub(super) fn was_answered_at_once(&self) {
        let (known, started_ms) = {
            let past = &self.gathered().past;
            (!past.ids.is_empty(), past.started_ms)
        };
        if self.is_answered() && !known {
            self.answered_then(started_ms);
        }
    }

    /// What another process, or this one after a lost socket, has to know of the call for its record.
    pub(super) fn past(&self) -> Past {
        let mut past = self.gathered().past.clone();
        past.answered_ms = self.answered_ms();
        past.caller = Kind::of(&self.channel).map(|_| Arc::clone(&self.caller));
        if past.ids.len() < LIST_LIMIT {
            past.ids.push(Arc::clone(&self.id));
        }
        past
    }

    /// An app has the call now; `resumed` says that it may have had it already, before the call was found again.
    pub(super) fn gather_app(&self, app: &'static str, resumed: bool) {
        let apps = &mut self.gathered().past.apps;
        let same = resumed && apps.last().is_some_and(|last| &**last == app);
        if apps.len() < LIST_LIMIT && !same {
            apps.push(app.into());
        }
    }

    /// kamari places this call.
    pub(super) fn gather_placed(&self) {
        self.gathered().past.placed = true;
    }

    /// Whether kamari placed this call.
    pub(super) fn is_placed(&self) -> bool {
        self.gathered().past.placed
    }

    /// The call is over.
    pub(super) fn gather_end(&self) {
        self.gathered().ended_ms = Some(unix_ms(SystemTime::now()));
    }

    /// The node said why the channel is being hung up. What it says of our own hang-up is no cause.
    pub(super) fn gather_cause(&self, cause: Option<i64>, soft: Option<bool>) {
        let cause = cause.and_then(|cause| u8::try_from(cause).ok()).filter(|cause| (1..=127).contains(cause));
        if soft != Some(true) && cause.is_some() {
            self.gathered().cause = cause;
        }
    }

    /// The channel is being hung up: what the node measured of its audio comes with it.
    pub(super) fn gather_quality(&self, channel: &Channel) {
        if let Some(media) = told::quality(channel).and_then(Media::parse) {
            self.gathered().media = Some(media);
        }
    }

    /// The response to the INVITE of a call that ended so before it was answered.
    fn final_response(&self, end: &End) -> Option<u16> {
        match (end, self.rings()) {
            (End::Gone | End::NodeLost { .. } | End::Released, _) => None,
            (End::Caller, _) => Some(TERMINATED),
            (_, None) => Some(end.cause().sip()),
            // Of a call that kamari placed: what the far end said, unless kamari gave up.
            (End::Refused { .. }, Some(rung)) if !rung.is_stopped() => rung.progress().gone?.status,
            (_, Some(_)) => Some(TERMINATED),
        }
    }

    fn cdr(&self, end: &End) -> Cdr {
        let (answered_ms, tenant, app) = (self.answered_ms(), self.tenant(), self.app());
        let gathered = self.gathered();
        let past = &gathered.past;
        let ended_ms = gathered.ended_ms.unwrap_or_else(|| unix_ms(SystemTime::now()));
        // A hang-up that crosses a command shows as a channel that is gone, until the node says that it has left.
        let end = if *end == End::Gone && self.has_left() { &End::Caller } else { end };
        let cause = match end {
            End::Caller => Some(gathered.cause.unwrap_or(Cause::NORMAL.number())),
            End::Gone | End::NodeLost { .. } | End::Released => gathered.cause,
            _ => Some(end.cause().number()),
        };
        Cdr {
            id: Arc::clone(&self.id),
            former_ids: past.ids.clone(),
            call_id: self.call_id.as_ref().map(|id| CallId::as_str(id).to_owned()),
            node: self.site.name.to_string(),
            tenant,
            caller: Arc::clone(&self.caller),
            extension: Arc::clone(&self.extension),
            app: app.map(Arc::from),
            apps: past.apps.clone(),
            started_at: past.started_ms,
            answered_at: answered_ms,
            ended_at: ended_ms,
            setup_ms: answered_ms.map(|answered| answered.saturating_sub(past.started_ms)),
            talk_ms: answered_ms.map_or(0, |answered| ended_ms.saturating_sub(answered)),
            ended_by: end.by(),
            reason: match end {
                End::Failed { reason } | End::NodeLost { reason } => Some(Arc::clone(reason)),
                _ => None,
            },
            cause,
            sip: answered_ms.map(|_| 200).or_else(|| self.final_response(end)),
            media: gathered.media,
            adopted: self.adopted,
            placed: past.placed,
            notes: past.notes.clone(),
        }
    }
}

impl Call {
    /// Notes something of the call for its record (`notes` there). The same key replaces what it said. A call has room for 16
    /// notes of 200 bytes; more of a text is cut off, further notes are not taken, and the log says so. What is noted after
    /// the app last saved its state is not in the record if kamari is killed.
    pub fn note(&self, key: &'static str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(mut text) => {
                text.truncate(text.floor_char_boundary(NOTE_LIMIT));
                Value::String(text)
            }
            value if value.is_array() || value.is_object() => {
                let mut text = value.to_string();
                text.truncate(text.floor_char_boundary(NOTE_LIMIT));
                Value::String(text)
            }
            value => value,
        };
        let notes = &mut self.core.gathered().past.notes;
        if notes.len() < NOTES_LIMIT || notes.contains_key(key) {
            notes.insert(key.to_owned(), value);
        } else {
            tracing::warn!(call = self.id(), key, "a call has no room for another note");
        }
    }
}

/// Writes the record of a call whose app is done, unless somebody else will. Waits for the node's last word, for a moment.
pub(super) async fn close(core: &Core) {
    let end = core.end().unwrap_or(End::Gone);
    if !end.allows_commands() || core.recorded.load(Ordering::Acquire) {
        return;
    }
    // If it does not come, the record goes without it.
    tokio::select! {
        () = core.left() => {}
        () = core.site.closed() => {}
        () = sleep(LAST_EVENTS) => {}
    }
    core.shared.cdrs.record(core.cdr(&end));
}

/// Calls whose nodes were lost, by node and channel.
#[derive(Debug, Default)]
pub(super) struct Lost(Mutex<HashMap<NodeName, HashMap<Arc<str>, LostCall>>>);

#[derive(Debug)]
struct LostCall {
    past: Past,
    since: Instant,
    /// The record, if the call is over; nothing once it is written.
    cdr: Option<Cdr>,
    /// Another controller has the call, and sees its end.
    anothers: bool,
}

impl Lost {
    /// A node's calls are lost. Those that ended before are left to their tasks.
    pub(super) fn add(&self, site: &Site, calls: &[Arc<Core>]) {
        let anothers = site.link().is_taken_over();
        let lost = calls.iter().filter_map(|core| {
            let end = core.end().filter(|end| matches!(end, End::NodeLost { .. }))?;
            let cdr = (!core.recorded.load(Ordering::Acquire)).then(|| core.cdr(&end));
            let call = LostCall { past: core.past(), since: Instant::now(), cdr, anothers };
            Some((Arc::clone(&core.channel), call))
        });
        let lost: HashMap<_, _> = lost.collect();
        if !lost.is_empty() {
            lock(&self.0).entry(site.name.clone()).or_default().extend(lost);
        }
    }

    /// What is known of a node's lost calls, to find them again; what is left has to be said to be over.
    pub(super) fn take(&self, node: &NodeName) -> Found {
        Found(lock(&self.0).remove(node).unwrap_or_default())
    }

    /// It could not be found out what became of these: they are looked for when the node is back the next time.
    pub(super) fn put_back(&self, node: &NodeName, found: Found) {
        if !found.0.is_empty() {
            lock(&self.0).entry(node.clone()).or_default().extend(found.0);
        }
    }

    /// The records of those that were lost so long ago. They are remembered, so that none is written again.
    fn overdue(&self, node: &NodeName, wait: Duration) -> Vec<Cdr> {
        let mut nodes = lock(&self.0);
        let calls = nodes.get_mut(node).into_iter().flat_map(HashMap::values_mut);
        calls.filter(|call| !call.anothers && call.since.elapsed() >= wait).filter_map(|call| call.cdr.take()).collect()
    }
}

/// The lost calls of a node that is back.
#[derive(Debug)]
pub(super) struct Found(HashMap<Arc<str>, LostCall>);

impl Found {
    /// A call is there; if it was lost, it goes on as what it was.
    pub(super) fn call(&mut self, core: &Core) {
        if let Some(call) = self.0.remove(&core.channel) {
            core.recorded.store(call.cdr.is_none(), Ordering::Release);
            core.continues(call.past);
        }
    }

    /// Those of these channels, to be found by somebody else.
    pub(super) fn part<'a>(&mut self, channels: impl Iterator<Item = &'a str>) -> Self {
        Self(channels.filter_map(|channel| self.0.remove_entry(channel)).collect())
    }

    /// The node has the others no longer.
    pub(super) fn over(self, shared: &Shared) {
        for cdr in self.0.into_values().filter(|call| !call.anothers).filter_map(|call| call.cdr) {
            shared.cdrs.record(cdr);
        }
    }

    /// The node is nobody's any more.
    pub(super) fn all_over(self, shared: &Shared) {
        for cdr in self.0.into_values().filter_map(|call| call.cdr) {
            shared.cdrs.record(cdr);
        }
    }
}

/// Writes the records of a node's lost calls when it stays away for too long.
pub(super) async fn give_up(shared: Arc<Shared>, node: NodeName) {
    let wait = shared.cdrs.lost_wait();
    tokio::select! {
        () = sleep(wait) => {}
        () = shared.released.cancelled() => return,
    }
    for cdr in shared.lost.overdue(&node, wait) {
        shared.cdrs.record(cdr);
    }
}
