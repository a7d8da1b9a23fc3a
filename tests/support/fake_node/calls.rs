//! The side of a call that ARI does not see: callers who call, press keys and hang up, and called ones who answer or do not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};

use super::state::{Channel, Recording, State, Target, now, object};
use super::{FakeNode, Shared, playbacks, recordings};

/// A call that Kamailio sends to the node.
#[derive(Debug, Clone)]
pub struct IncomingCall {
    /// SIP Call-ID.
    pub call_id: String,
    /// User part of the request URI: the dialplan's extension.
    pub exten: String,
    /// Host part of the request URI: the tenant.
    pub domain: String,
    /// User part of `From`.
    pub caller: String,
    /// The application in the dialplan's `Stasis()`.
    pub app: String,
}

impl IncomingCall {
    /// A call of alice to `exten` at `example.test`, for `EVERYTHING`.
    pub fn to(exten: &str, call_id: &str) -> Self {
        Self {
            call_id: call_id.to_owned(),
            exten: exten.to_owned(),
            domain: "example.test".to_owned(),
            caller: "alice".to_owned(),
            app: "EVERYTHING".to_owned(),
        }
    }
}

/// Why a call was not taken; Kamailio would try another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// `Stasis()` returned with FAILED: nobody listens to the application.
    NoApplication,
    /// `maxcalls` is reached.
    Full,
}

/// What happens when a channel is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialled {
    /// It rings for the behaviour's time and is answered.
    Answers,
    /// It is busy. The channel stays, as in a real node, until it is hung up.
    Busy,
    /// It fails at once: congestion.
    Fails,
    /// It rings until the dial's timeout.
    NeverAnswers,
    /// It rings, and the far end refuses with this SIP response and the Q.850 cause that Asterisk makes of it.
    Refuses(u16, u16),
    /// It sends audio, rings and is answered.
    Announces,
}

impl FakeNode {
    /// A call arrives. Gives the id of its channel.
    pub fn call(&self, call: &IncomingCall) -> Result<String, NotTaken> {
        let mut state = self.shared.lock();
        if !state.has_listener(&call.app) {
            return Err(NotTaken::NoApplication);
        }
        if state.channels.len() >= state.behaviour.max_calls {
            return Err(NotTaken::Full);
        }
        let id = state.new_id();
        let mut channel = Channel::new(&id, &format!("PJSIP/kamailio-{:08x}", state.next()));
        channel.state = "Ring";
        channel.protocol_id.clone_from(&call.call_id);
        channel.caller.clone_from(&call.caller);
        channel.exten.clone_from(&call.exten);
        "from-kamailio".clone_into(&mut channel.context);
        channel.app = Some(call.app.clone());
        channel.is_caller = true;
        if state.behaviour.channelvars {
            channel.variables.insert("RTPAUDIOQOS".to_owned(), String::new());
            channel.reported = ["SIPDOMAIN", "RTPAUDIOQOS"].map(str::to_owned).into();
        }
        channel.variables.insert("SIPDOMAIN".to_owned(), call.domain.clone());
        state.channels.insert(id.clone(), channel);
        state.emit_channel(&id, "StasisStart", object(json!({ "args": [] })));
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(id)
    }

    /// The caller, or whoever is at the channel's far end, hangs up. Nothing happens if the channel is gone.
    pub fn far_end_hangs_up(&self, channel: &str) {
        hang_up(&self.shared, channel, Map::new(), 16);
    }

    /// The far end presses a key. One that ends a recording is told of all the same, and first.
    pub fn far_end_presses(&self, channel: &str, digit: char) {
        let fields = object(json!({ "digit": digit.to_string(), "duration_ms": 100 }));
        let mut state = self.shared.lock();
        state.emit_channel(channel, "ChannelDtmfReceived", fields);
        let ends =
            |recording: &Recording| recording.terminate_on == "any" || recording.terminate_on == digit.to_string();
        recordings::finish_of(&mut state, &Target::Channel(channel.to_owned()), ends);
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// The far end has said nothing for as long as its recordings that end on silence wait.
    pub fn far_end_is_silent(&self, channel: &str) {
        let target = Target::Channel(channel.to_owned());
        recordings::finish_of(&mut self.shared.lock(), &target, |recording| recording.ends_on_silence);
        self.shared.changed.notify_waiters();
    }

    /// The names of the complete recordings.
    pub fn stored_recordings(&self) -> Vec<String> {
        self.shared.lock().stored.keys().cloned().collect()
    }

    /// The far end holds, or no longer does.
    pub fn far_end_holds(&self, channel: &str, holds: bool) {
        let kind = if holds { "ChannelHold" } else { "ChannelUnhold" };
        self.shared.lock().emit_channel(channel, kind, Map::new());
    }

    /// The far end wants whom it talks with transferred: `destination` is what Asterisk calls the requested destination.
    pub fn far_end_refers(&self, channel: &str, destination: &serde_json::Value) {
        let mut state = self.shared.lock();
        let Some(found) = state.channels.get(channel) else { return };
        let Some(app) = found.app.clone() else { return };
        let fields = json!({
            "refer_to": { "requested_destination": destination },
            "referred_by": { "source_channel": found.json() },
        });
        state.emit(&app, "ChannelTransfer", object(fields));
    }

    /// What happens from now on when an endpoint is dialled whose name contains `part`. Without a rule it answers.
    pub fn when_dialled(&self, part: &str, what: Dialled) {
        self.shared.lock().dial_rules.push((part.to_owned(), what));
    }

    /// What a function or variable reads as on every channel, like `SYSINFO(loadavg)`.
    pub fn set_function(&self, name: &str, value: &str) {
        self.shared.lock().functions.insert(name.to_owned(), value.to_owned());
    }

    /// Waits until the channel is answered: `true`, or gone: `false`.
    pub async fn answered(&self, channel: &str) -> bool {
        self.until(|state| match state.channels.get(channel) {
            None => Some(false),
            Some(found) => (found.state == "Up").then_some(true),
        })
        .await
    }

    /// Waits until the channel is gone.
    pub async fn gone(&self, channel: &str) {
        self.until(|state| (!state.channels.contains_key(channel)).then_some(())).await;
    }

    /// Whether there is such a channel.
    pub fn has_channel(&self, channel: &str) -> bool {
        self.shared.lock().channels.contains_key(channel)
    }

    /// The channels of the bridge, or `None` if there is no such bridge.
    pub fn bridge_channels(&self, bridge: &str) -> Option<Vec<String>> {
        self.shared.lock().bridges.get(bridge).map(|bridge| bridge.channels.clone())
    }

    /// The bridge that the channel is in.
    pub fn bridge_of(&self, channel: &str) -> Option<String> {
        self.shared.lock().channels.get(channel)?.bridge.clone()
    }

    /// The channels that were made by the application, with the endpoints they call.
    pub fn legs(&self) -> Vec<(String, String)> {
        let state = self.shared.lock();
        let legs = state.channels.values().filter(|channel| !channel.is_caller);
        legs.map(|channel| (channel.id.clone(), channel.endpoint.clone())).collect()
    }
}

impl Channel {
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            state: "Down",
            protocol_id: String::new(),
            caller: String::new(),
            context: "default".to_owned(),
            exten: "s".to_owned(),
            created: now(),
            variables: BTreeMap::new(),
            reported: Vec::new(),
            app: None,
            subscriber: None,
            endpoint: String::new(),
            bridge: None,
            playbacks: VecDeque::new(),
            is_caller: false,
        }
    }
}

/// `RTPAUDIOQOS` as 22.10 writes it.
const RTP_QUALITY: &str = "ssrc=1714059868;themssrc=7;lp=2;rxjitter=0.000125;rxcount=150;txjitter=0.000000;txcount=148;rlp=1;\
                           rtt=0.030500;rxmes=85.500000;txmes=80.000000";

/// Ends a channel with all that a real node tells of it, in its order. `request` are the fields of the hang-up request, `cause`
/// is Q.850.
pub(crate) fn hang_up(shared: &Arc<Shared>, id: &str, request: Map<String, serde_json::Value>, cause: u16) {
    let mut state = shared.lock();
    let status = request.get("tech_cause").cloned();
    let Some(channel) = state.channels.get(id) else { return };
    let bridge = channel.bridge.clone();
    if state.behaviour.measures && channel.is_caller && channel.state == "Up" {
        for suffix in ["", "JITTER", "LOSS", "RTT", "MES"] {
            let value = if suffix.is_empty() { RTP_QUALITY } else { "minrxjitter=000.000000;" };
            let fields = json!({ "variable": format!("RTPAUDIOQOS{suffix}"), "value": value });
            state.emit_channel(id, "ChannelVarset", object(fields));
        }
        if let Some(channel) = state.channels.get_mut(id) {
            channel.variables.insert("RTPAUDIOQOS".to_owned(), RTP_QUALITY.to_owned());
        }
    }
    state.emit_channel(id, "ChannelHangupRequest", request);
    let target = Target::Channel(id.to_owned());
    recordings::finish_all(&mut state, &target);
    playbacks::fail_all(&mut state, &target);
    if let Some(bridge) = bridge {
        super::bridges::leave(&mut state, &bridge, id);
    }
    end_stasis(&mut state, id);
    let cause_txt = match cause {
        16 => "Normal Clearing",
        17 => "User busy",
        19 => "User alerting, no answer",
        34 => "Circuit/channel congestion",
        _ => "Unknown",
    };
    let mut destroyed = object(json!({ "cause": cause, "cause_txt": cause_txt }));
    destroyed.extend(status.map(|status| ("tech_cause".to_owned(), status)));
    state.emit_subscribed(id, "ChannelDestroyed", destroyed);
    state.channels.remove(id);
    drop(state);
    shared.changed.notify_waiters();
}

/// The channel leaves its application.
pub(crate) fn end_stasis(state: &mut State, id: &str) {
    if state.channels.get(id).is_some_and(|channel| channel.app.is_some()) {
        state.emit_channel(id, "StasisEnd", Map::new());
        if let Some(channel) = state.channels.get_mut(id) {
            channel.app = None;
        }
        let left = object(json!({ "variable": "STASISSTATUS", "value": "SUCCESS" }));
        state.emit_subscribed(id, "ChannelVarset", left);
    }
}

/// What happens after `dial`.
pub(crate) async fn ring(shared: Arc<Shared>, id: String, what: Dialled, ring: Duration, timeout: Duration) {
    let dial = |state: &mut State, status: &str| {
        let Some(channel) = state.channels.get(&id) else { return };
        let app = channel.app.clone().or_else(|| channel.subscriber.clone());
        let fields =
            json!({ "peer": channel.json(), "dialstatus": status, "forward": "", "dialstring": channel.endpoint });
        if let Some(app) = app {
            state.emit(&app, "Dial", object(fields));
        }
    };
    let becomes = |state: &mut State, new: &'static str| {
        if let Some(channel) = state.channels.get_mut(&id) {
            channel.state = new;
        }
        state.emit_channel(&id, "ChannelStateChange", Map::new());
    };
    {
        let mut state = shared.lock();
        dial(&mut state, "");
        match what {
            Dialled::Busy => return dial(&mut state, "BUSY"),
            Dialled::Fails => {
                drop(state);
                return hang_up(&shared, &id, object(json!({ "cause": 34 })), 16);
            }
            Dialled::Answers | Dialled::NeverAnswers | Dialled::Refuses(..) | Dialled::Announces => {
                if what == Dialled::Announces {
                    dial(&mut state, "PROGRESS");
                }
                becomes(&mut state, "Ringing");
                dial(&mut state, "RINGING");
            }
        }
    }
    let answers = matches!(what, Dialled::Answers | Dialled::Announces) && (timeout.is_zero() || ring <= timeout);
    if let Dialled::Refuses(status, cause) = what {
        tokio::time::sleep(ring).await;
        return hang_up(&shared, &id, object(json!({ "cause": cause, "tech_cause": status })), cause);
    }
    if !answers && timeout.is_zero() {
        return;
    }
    tokio::time::sleep(if answers { ring } else { timeout }).await;
    if answers {
        let mut state = shared.lock();
        if state.channels.contains_key(&id) {
            becomes(&mut state, "Up");
            dial(&mut state, "ANSWER");
        }
        drop(state);
        shared.changed.notify_waiters();
    } else {
        hang_up(&shared, &id, object(json!({ "cause": 32, "soft": true })), 19);
    }
}
