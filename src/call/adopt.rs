//! Finding calls again: after kamari was killed, or after a node's events did not arrive for a while.
//!
//! What a node has is compared with what this process knows. A caller's channel that nobody serves is served again: its app
//! goes on from what it saved, or from its start. A call that the node no longer has is over. Then, when it is known what
//! the callers' saved states claim, objects of ours that nobody owns or claims are removed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::Instrument;

use super::cdr::Found;
use super::core::Core;
use super::error::CallError;
use super::handle::Call;
use super::handler::{self, Handler, remove_bridge, remove_channel};
use super::ids::Kind;
use super::origin::Origin;
use super::room::TOKEN_PREFIX;
use super::runtime::Shared;
use super::saved::{self, Saved};
use super::site::{Leg, LegPhase, Site, Sweep, Target};
use super::view::{End, Step};
use crate::ari::AriError;
use crate::ari::model::{Channel, ChannelState};
use crate::pool::Resync;

/// How long a channel that was hung up may take to leave.
const LONGEST_HANGUP: Duration = Duration::from_secs(5);

/// The ids that a found call's saved state names, once it has been read; nothing comes if it could not be read.
type Claim = oneshot::Receiver<Vec<String>>;

/// Brings what is known of a node in line with what it has. Registers every call before it returns; never waits.
pub(super) fn take_over(shared: &Arc<Shared>, handler: &Arc<dyn Handler>, site: &Arc<Site>, resync: &Resync) {
    // Before any call is found: what comes of it must not run ahead of the sweep.
    let sweeping = site.sweep();
    let there: HashMap<&str, &Channel> = resync.channels.iter().map(|channel| (channel.id.as_str(), channel)).collect();
    for core in site.calls() {
        match there.get(core.channel.as_ref()) {
            Some(channel) => core.heard(|rung| rung.is_in(&channel.state)),
            None => {
                core.end_with(End::Gone);
            }
        }
    }
    for (id, leg) in site.legs() {
        match (there.contains_key(id.as_str()), leg.phase()) {
            (true, LegPhase::New) => leg.is_now(LegPhase::Entered),
            (false, LegPhase::Entered) => leg.is_now(LegPhase::Gone),
            _ => {}
        }
    }
    for leg in site.outgoing() {
        match there.get(leg.id.as_str()) {
            Some(channel) => {
                leg.entered(channel);
                leg.is_in(&channel.state);
            }
            None if leg.progress().entered => leg.is_gone(None, None),
            None => {}
        }
    }
    for playback in site.playbacks() {
        let site = Arc::clone(site);
        shared.spawn(async move { playback.verify(&site).await });
    }
    for recording in site.recordings() {
        let site = Arc::clone(site);
        shared.spawn(async move { recording.verify(&site).await });
    }
    let mut lost = shared.lost.take(&site.name);
    let mut claims = Vec::new();
    let mut strays = Vec::new();
    for channel in &resync.channels {
        if site.has(&channel.id) || site.departed_since(&channel.id, resync.asked) {
            continue;
        }
        if Kind::of(&channel.id).is_some() || channel.dialplan.exten.starts_with(TOKEN_PREFIX) {
            strays.push(channel.clone());
        } else {
            claims.extend(adopt(shared, handler, site, channel, &mut lost));
        }
    }
    let legs = lost.part(strays.iter().map(|channel| channel.id.as_str()));
    lost.over(shared);
    let ours = |id: &String| Kind::of(id).is_some() && !site.has(id);
    let bridges: Vec<String> = resync.bridges.iter().map(|bridge| bridge.id.clone()).filter(ours).collect();
    if !strays.is_empty() || !bridges.is_empty() {
        shared.spawn(sweep(Arc::clone(shared), sweeping, (strays, legs), bridges, claims));
    }
}

/// Serves a caller's channel that nobody serves.
fn adopt(
    shared: &Arc<Shared>,
    handler: &Arc<dyn Handler>,
    site: &Arc<Site>,
    channel: &Channel,
    lost: &mut Found,
) -> Option<Claim> {
    let (core, digits) = Core::new(shared, site, Origin::from(channel), true);
    if !site.register_call(&core) {
        return None;
    }
    if channel.state == ChannelState::Up {
        core.answered();
    }
    lost.call(&core);
    shared.calls.insert(Arc::clone(&core.id), Arc::clone(&core));
    shared.metrics.adopted.inc();
    core.step(Step::Adopted);
    let (claim, claimed) = oneshot::channel();
    let call = Call::new(core, digits);
    let span = call.core.span();
    shared.spawn(resume(Arc::clone(handler), call, claim).instrument(span));
    Some(claimed)
}

/// Reads what the app saved, then runs it.
async fn resume(handler: Arc<dyn Handler>, mut call: Call, claim: oneshot::Sender<Vec<String>>) {
    match call.variable(saved::VARIABLE).await {
        Ok(text) => {
            let saved = text.as_deref().and_then(Saved::decode);
            if text.is_some() && saved.is_none() {
                let core = &call.core;
                tracing::warn!(node = %core.site.name, call = %core.id, "a saved state is of another version: served anew");
            }
            let objects = saved.as_ref().map(Saved::claims).unwrap_or_default();
            if let Some(saved) = saved {
                call.take_up(saved);
            }
            // The sweep may have given up meanwhile.
            let _ = claim.send(objects);
        }
        Err(CallError::HungUp(End::Caller | End::Gone)) => {
            let _ = claim.send(Vec::new());
        }
        // Dropping the claim unsent keeps the sweep from removing what this call may own.
        Err(_) => drop(claim),
    }
    handler::run(handler, call).await;
}

/// Serves a channel that was dialled as a leg and became a call of its own, and says what it claims; nothing if it is none.
async fn adopt_leg(
    shared: &Arc<Shared>,
    site: &Arc<Site>,
    channel: &Channel,
    lost: &mut Found,
) -> Result<Option<Vec<String>>, AriError> {
    let saved = match site.link().ari.channels().variable(&channel.id, saved::VARIABLE).await {
        Ok(variable) => Saved::decode(&variable.value),
        Err(error) if error.is_gone() || error.is_no_such_variable() => None,
        Err(error) => return Err(error),
    };
    let Some((onward, saved)) = saved.and_then(|saved| saved.ties.onward.clone().map(|onward| (onward, saved))) else {
        return Ok(None);
    };
    let claims = saved.claims();
    let caller = saved.past.as_ref().and_then(|past| past.caller.as_deref()).unwrap_or(&channel.caller.number);
    let origin = onward.origin(&channel.id, caller, channel.protocol_id.as_deref());
    let (core, digits) = Core::new(shared, site, origin, true);
    if site.register_call(&core) {
        core.answered();
        lost.call(&core);
        shared.calls.insert(Arc::clone(&core.id), Arc::clone(&core));
        shared.metrics.adopted.inc();
        core.step(Step::Adopted);
        let mut call = Call::new(core, digits);
        call.take_up(saved);
        let span = call.core.span();
        shared.spawn(handler::run(onward.handler(shared), call).instrument(span));
    }
    Ok(Some(claims))
}

/// Hangs up a channel that nobody owns, and waits until it has left the application and its bridge.
async fn remove_stray(site: &Arc<Site>, id: &str) {
    let leg = Leg::new();
    site.register(id, Target::Leg(Arc::clone(&leg)));
    if remove_channel(site, id).await && timeout(LONGEST_HANGUP, leg.gone()).await.is_err() {
        tracing::warn!(node = %site.name, channel = id, "a channel that nobody owns was hung up and has not left");
    }
    site.forget(id);
}

/// Removes what nobody owns or claims. If a claim could not be read, nothing is removed: the next take-over tries again.
/// `strays` come with what is known of those that were calls before their node was lost.
async fn sweep(
    shared: Arc<Shared>,
    sweeping: Sweep,
    (strays, mut lost): (Vec<Channel>, Found),
    bridges: Vec<String>,
    claims: Vec<Claim>,
) {
    let site = sweeping.site();
    let mut claimed = HashSet::new();
    for claim in claims {
        let Ok(objects) = claim.await else {
            tracing::warn!(node = %site.name, "what calls own could not be read: nothing is removed");
            return shared.lost.put_back(&site.name, lost);
        };
        claimed.extend(objects);
    }
    // First those that are calls of their own: they may claim others, and the node lists them in any order.
    let mut unowned = Vec::new();
    for channel in &strays {
        if claimed.contains(&channel.id) || site.has(&channel.id) || !site.link().commands_allowed() {
            continue;
        }
        match adopt_leg(&shared, site, channel, &mut lost).await {
            Ok(Some(claims)) => claimed.extend(claims),
            Ok(None) => unowned.push(&channel.id),
            Err(error) => {
                tracing::warn!(node = %site.name, %error, "what a leg is could not be read: nothing is removed");
                return shared.lost.put_back(&site.name, lost);
            }
        }
    }
    lost.over(&shared);
    let free = |id: &String| !claimed.contains(id) && !site.has(id) && site.link().commands_allowed();
    let unowned: Vec<&String> = unowned.into_iter().filter(|id| free(id)).collect();
    shared.metrics.orphans.inc_by(unowned.len() as u64);
    join_all(unowned.into_iter().map(|id| remove_stray(site, id))).await;
    for id in bridges.iter().filter(|id| free(id)) {
        remove_bridge(site, id).await;
    }
}
