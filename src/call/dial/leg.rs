//! One channel that is dialled for a call: what is known of it, and the task that owns it.
//!
//! Invariants:
//! - The leg is registered before it is asked for, so no event of it is missed; what events say only adds up, so their order
//!   does not matter.
//! - Its task is the channel's one owner: whatever happens to the app, the caller or the request, the task hangs the channel
//!   up, unless the node is lost, kamari stops, or another call takes the channel over. The call's clean-up waits for it.
//! - Dropping the handle asks the task to hang up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::cause::Cause;
use super::super::core::Core;
use super::super::handler::left_behind;
use super::super::ids::Kind;
use super::super::line::Line;
use super::super::site::{Site, Target};
use super::connect::Pair;
use super::request::{Address, CallerId};
use crate::ari::model::{Channel, ChannelState};
use crate::ari::rest::channels::{Create, Dial};
use crate::ari::wire::Extra;
use crate::ari::{AriClient, AriError};
use crate::pool::NodeLink;

/// The endpoint by which nodes reach Kamailio.
const ENDPOINT: &str = "PJSIP/kamailio";
/// What a call is offered that kamari places by itself: wide band first, then what every node has.
const FORMATS: &str = "g722,alaw,ulaw";
/// How long a created channel may take to enter the application.
const ENTER_WAIT: Duration = Duration::from_secs(5);
/// By how much the node's own limit for ringing is longer than the call's: it counts only when kamari is away.
const NODE_MARGIN: Duration = Duration::from_secs(10);

/// What has become of a leg. Every field only ever goes from not known to known.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::call) struct Progress {
    pub(in crate::call) entered: bool,
    pub(in crate::call) sign: Sign,
    pub(in crate::call) answered: bool,
    pub(in crate::call) gone: Option<Farewell>,
}

/// What the far end has given of itself before it answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::call) enum Sign {
    #[default]
    Nothing,
    Ringing,
    /// Audio (an announcement, its own ringing tone).
    Media,
}

/// How a leg ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) struct Farewell {
    /// The SIP response or Q.850 cause of the far end, if it was the far end that ended it.
    pub(in crate::call) cause: Cause,
    /// The SIP response itself, if the node said one.
    pub(in crate::call) status: Option<u16>,
}

/// A leg, as the dispatch and its task know it.
#[derive(Debug)]
pub(in crate::call) struct Outgoing {
    pub(in crate::call) id: String,
    pub(in crate::call) line: Line,
    progress: watch::Sender<Progress>,
    /// Whoever waits for any of several legs.
    changed: Arc<Notify>,
    stop: CancellationToken,
    stop_cause: OnceLock<Cause>,
    handed_over: AtomicBool,
}

impl Outgoing {
    pub(in crate::call) fn new(id: String, changed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            id,
            line: Line::default(),
            progress: watch::Sender::default(),
            changed,
            stop: CancellationToken::new(),
            stop_cause: OnceLock::new(),
            handed_over: AtomicBool::new(false),
        })
    }

    fn note(&self, known: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(known);
        self.changed.notify_one();
    }

    fn sign(&self, sign: Sign) {
        self.note(|progress| progress.sign = progress.sign.max(sign));
    }

    // What the dispatch hears. None of these waits.

    pub(in crate::call) fn entered(&self, channel: &Channel) {
        if let Some(call_id) = &channel.protocol_id {
            self.line.call_id_is(call_id);
        }
        self.note(|progress| progress.entered = true);
    }

    /// The channel is in this state.
    pub(in crate::call) fn is_in(&self, state: &ChannelState) {
        match state {
            ChannelState::Ringing => self.sign(Sign::Ringing),
            ChannelState::Up => self.note(|progress| progress.answered = true),
            _ => {}
        }
    }

    /// `DIALSTATUS` of the node's own dialling.
    pub(in crate::call) fn dial_status(&self, status: &str) {
        match status {
            "RINGING" => self.sign(Sign::Ringing),
            "PROGRESS" => self.sign(Sign::Media),
            "ANSWER" => self.note(|progress| progress.answered = true),
            // A refusal comes with its cause when the channel is destroyed.
            _ => {}
        }
    }

    /// The channel is gone. `cause` is Q.850, `status` the SIP response, where the node says them.
    pub(in crate::call) fn is_gone(&self, cause: Option<i64>, status: Option<i64>) {
        let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| (300..700).contains(status));
        let known = cause.and_then(|cause| u8::try_from(cause).ok()).and_then(|cause| Cause::new(cause).ok());
        let cause = status.map(Cause::of_response).or(known).unwrap_or(Cause::NORMAL);
        self.note(|progress| {
            progress.gone.get_or_insert(Farewell { cause, status });
        });
    }

    pub(in crate::call) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Completes when the leg is answered or gone.
    pub(in crate::call) async fn settled(&self) -> Progress {
        let mut progress = self.progress.subscribe();
        let settled = progress.wait_for(|progress| progress.answered || progress.gone.is_some()).await;
        // The sender is `self`, so waiting cannot fail.
        settled.map_or_else(|_| self.progress(), |progress| *progress)
    }

    /// Completes when the leg is gone.
    pub(in crate::call) async fn over(&self) -> Farewell {
        let mut progress = self.progress.subscribe();
        let gone = progress.wait_for(|progress| progress.gone.is_some()).await.ok().and_then(|progress| progress.gone);
        // The sender is `self`, so waiting cannot fail.
        gone.unwrap_or(Farewell { cause: Cause::NORMAL, status: None })
    }

    /// Asks the task to hang up with this cause. Only the first one counts.
    pub(in crate::call) fn stop(&self, cause: Cause) {
        let _ = self.stop_cause.set(cause);
        self.stop.cancel();
    }

    /// Whether the far end was given up.
    pub(in crate::call) fn is_stopped(&self) -> bool {
        self.stop_cause.get().is_some()
    }

    /// The channel is another call's from now on.
    pub(in crate::call) fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Release);
        self.stop.cancel();
    }
}

/// A leg of a call. Dropping it hangs the leg up, and so does the call's end.
#[derive(Debug)]
pub struct DialledLeg {
    pub(in crate::call) out: Arc<Outgoing>,
    to: Arc<str>,
    /// The bridge that the leg and the caller are in, if it had early media.
    pub(in crate::call) bridge: Option<String>,
    /// Tells the leg's task when the handle is dropped.
    _stop: DropGuard,
}

/// How one leg is dialled.
pub(in crate::call) struct Plan {
    pub(in crate::call) to: Address,
    pub(in crate::call) caller_id: CallerId,
    /// The domain of the caller's address, if there is one.
    pub(in crate::call) from_domain: Option<Arc<str>>,
    pub(in crate::call) ring_timeout: Duration,
}

impl DialledLeg {
    /// Registers a leg and begins to dial it. `changed` is told of whatever happens to it.
    pub(super) fn dial(core: &Arc<Core>, plan: Plan, changed: &Arc<Notify>) -> Self {
        let out = Outgoing::new(core.shared.ids.next(Kind::Leg), Arc::clone(changed));
        let to: Arc<str> = plan.to.as_str().into();
        core.site.register(&out.id, Target::Outgoing(Arc::clone(&out)));
        core.spawn(own(Arc::clone(core), Arc::clone(&out), Some(plan)));
        let stop = out.stop.clone().drop_guard();
        Self { out, to, bridge: None, _stop: stop }
    }

    /// Takes up a leg that another kamari dialled, and that was answered.
    pub(in crate::call) fn take_up(core: &Arc<Core>, pair: &Pair) -> Self {
        let out = Outgoing::new(pair.leg.clone(), Arc::default());
        out.note(|progress| {
            progress.entered = true;
            progress.answered = true;
        });
        core.site.register(&pair.leg, Target::Outgoing(Arc::clone(&out)));
        core.spawn(own(Arc::clone(core), Arc::clone(&out), None));
        let stop = out.stop.clone().drop_guard();
        Self { out, to: pair.to.as_str().into(), bridge: None, _stop: stop }
    }

    /// Whom it was dialled for: `user@domain`.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The channel's id.
    pub fn id(&self) -> &str {
        &self.out.id
    }

    /// Completes when the far end is gone. Dropping the wait is safe.
    pub async fn hung_up(&self) {
        self.out.over().await;
    }

    /// Hangs up with this cause; complete at once, the channel goes shortly after.
    pub fn hang_up(self, cause: Cause) {
        self.out.stop(cause);
    }
}

/// The task that owns a leg's channel, from its creation to its end.
async fn own(core: Arc<Core>, out: Arc<Outgoing>, plan: Option<Plan>) {
    if let Some(plan) = plan
        && let Err(error) = dial(&core, &out, &plan).await
    {
        if core.end().is_none() {
            tracing::warn!(node = %core.site.name, call = %core.id, to = %plan.to, %error, "a leg could not be dialled");
        }
        remove(&core.site, &out, Cause::NORMAL).await;
        out.is_gone(Some(Cause::FAILURE.number().into()), None);
    }
    let cause = tokio::select! {
        // First the call's end: a call that is left on its node drops its handles too, and leaves its legs there.
        biased;
        end = core.over() => end.allows_commands().then_some(Cause::NORMAL),
        _ = out.over() => None,
        () = out.stop.cancelled() => Some(out.stop_cause.get().copied().unwrap_or(Cause::NORMAL)),
    };
    if out.handed_over.load(Ordering::Acquire) {
        return;
    }
    if let Some(cause) = cause
        && out.progress().gone.is_none()
    {
        remove(&core.site, &out, cause).await;
    }
    core.site.forget(&out.id);
    out.is_gone(None, None);
}

/// Has the channel made and dialled. Requests that were sent are waited for, so that none makes a channel behind our back.
async fn dial(core: &Core, out: &Outgoing, plan: &Plan) -> Result<(), AriError> {
    let link = core.site.link();
    if core.end().is_some() || !link.commands_allowed() {
        return Ok(());
    }
    create(&link, &out.id, plan, Some(&core.channel)).await?;
    tokio::select! {
        biased;
        () = out.stop.cancelled() => return Ok(()),
        _ = core.over() => return Ok(()),
        entered = enters(out) => if !entered {
            tracing::warn!(node = %core.site.name, leg = out.id, "a leg did not enter the application in time");
            out.stop(Cause::NORMAL);
            return Ok(());
        },
    }
    if out.progress().gone.is_some() {
        return Ok(());
    }
    ring(&link.ari, &out.id, plan.ring_timeout).await
}

/// Has a channel made, to be rung later.
pub(in crate::call) async fn create(
    link: &NodeLink,
    id: &str,
    plan: &Plan,
    caller: Option<&str>,
) -> Result<(), AriError> {
    let create = Create {
        endpoint: format!("{ENDPOINT}/sip:{}", plan.to),
        app: link.ari.target().app().to_owned(),
        channel_id: Some(id.to_owned()),
        // The caller's formats are offered first: nothing is transcoded if the called one has them.
        originator: caller.map(str::to_owned),
        formats: caller.is_none().then(|| FORMATS.to_owned()),
        variables: variables(plan),
        ..Create::default()
    };
    link.ari.channels().create(&create).await.map(|_| ())
}

/// Waits until a channel that was made is in the application, or gone; false if neither comes in time.
pub(in crate::call) async fn enters(out: &Outgoing) -> bool {
    let mut progress = out.progress.subscribe();
    let entered = progress.wait_for(|progress| progress.entered || progress.gone.is_some());
    timeout(ENTER_WAIT, entered).await.is_ok()
}

/// Rings the far end. That it refuses so fast that the channel is gone is no error.
pub(in crate::call) async fn ring(ari: &AriClient, id: &str, ring_timeout: Duration) -> Result<(), AriError> {
    let limit = (ring_timeout + NODE_MARGIN).as_secs();
    let dial = Dial { timeout: u32::try_from(limit).ok(), ..Dial::default() };
    match ari.channels().dial(id, &dial).await {
        Err(error) if error.is_gone() || error.is_not_in_stasis() => Ok(()),
        other => other,
    }
}

/// What the channel is given at its creation: who calls (Asterisk's SIP says what `CONNECTEDLINE` and `SIPFROMDOMAIN` of the
/// leg say, in `From` and `P-Asserted-Identity`), and that a transfer that the far end asks for is ours to carry out.
fn variables(plan: &Plan) -> Extra {
    let caller = &plan.caller_id;
    let mut variables = Extra::new();
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.into());
    if let Some(number) = caller.number() {
        set("CONNECTEDLINE(num,i)", number);
        set("CONNECTEDLINE(num-pres,i)", "allowed");
    }
    if let Some(name) = caller.name() {
        set("CONNECTEDLINE(name,i)", name);
        set("CONNECTEDLINE(name-pres,i)", "allowed");
    }
    // Else it is the node's address: no number that one can call back, and none of the outside's business.
    if let Some(domain) = &plan.from_domain {
        set("SIPFROMDOMAIN", domain);
    }
    set(super::super::line::TRANSFERS, super::super::line::TRANSFERS_ARE_OURS);
    variables
}

async fn remove(site: &Site, out: &Outgoing, cause: Cause) {
    let link = site.link();
    if !link.commands_allowed() {
        return;
    }
    match link.ari.channels().hangup(&out.id, Some(cause.number().into())).await {
        Err(error) if !error.is_gone() && !error.is_not_in_stasis() => left_behind(site, &out.id, &error),
        _ => {}
    }
}
