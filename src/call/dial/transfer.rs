//! Transfers that a phone asks for while it talks (REFER).
//!
//! - *Blind*: whom the phone talked with goes on with another number of the same tenant, as if he had dialled it.
//! - *Attended*: the phone has two calls, and wants the two others joined. They may be on two nodes: both go into a room of
//!   their own, which spans nodes and ends with the first who leaves.
//!
//! Whoever is transferred keeps his channel. If it is the caller, his call goes on with it; if it is a leg, the leg becomes a
//! call of its own (`onward`), and the call that dialled it ends.
//!
//! The phone hangs up as soon as it hears that its transfer is done, and that must not take the others along: who is
//! transferred is safe before the phone is told.

use std::sync::Arc;

use uuid::Uuid;

use super::super::cause::Cause;
use super::super::core::Core;
use super::super::error::CallError;
use super::super::line::Refer;
use super::super::onward::{Onward, promote};
use super::super::room::{RoomKey, RoomSettings};
use super::super::view::{End, Step};
use super::connect::{Parted, Talk, Talking};

/// Which end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call) enum Party {
    Caller,
    Leg,
}

/// Carries out what `by` wants done with the other one. Nothing if it is declined: then they go on talking.
pub(super) async fn carry_out(
    core: &Arc<Core>,
    talking: &Arc<Talking>,
    talk: &Talk,
    by: Party,
    refer: Refer,
) -> Result<Option<Parted>, CallError> {
    let phone = match by {
        Party::Caller => core.channel.as_ref(),
        Party::Leg => &talking.leg.id,
    };
    let domain = core.domain().await?;
    let parted = match judge(core, talk, &refer) {
        Ok(parted) => parted,
        Err(reason) => {
            tracing::info!(node = %core.site.name, call = %core.id, reason, "a transfer was declined");
            report(core, phone, "channel_declined").await;
            return Ok(None);
        }
    };
    core.step(Step::Transferred { to: parted.to().to_owned() });
    if by == Party::Leg {
        report(core, phone, "channel_answered").await;
        return Ok(Some(parted));
    }
    let onward = match parted {
        Parted::Transferred { to } => Onward::Number { domain, extension: to },
        Parted::Joined { room } => into_room(core, room)?,
        Parted::Called => return Ok(Some(Parted::Called)),
    };
    promote(core, talking, onward);
    report(core, phone, "channel_answered").await;
    core.end_with(End::App { cause: Cause::NORMAL });
    Err(CallError::HungUp(core.end().unwrap_or(End::Gone)))
}

/// What a transfer comes to for the one who is transferred; for an attended one, the other party is sent into the room at
/// once. An error says why it cannot be.
fn judge(core: &Core, talk: &Talk, refer: &Refer) -> Result<Parted, &'static str> {
    let there = |number: &Arc<str>| {
        let number = Arc::clone(number);
        if talk.reaches(&number) {
            Ok(Parted::Transferred { to: number })
        } else {
            Err("the tenant has no such number")
        }
    };
    let call_id = match refer {
        Refer::To(number) => return there(number),
        Refer::Replacing(call_id) => call_id,
    };
    let (other, phone) = find(core, call_id).ok_or("the tenant has no such call")?;
    let Some(talking) = other.talks_with() else {
        // It rings still, or an app has it: whoever is transferred calls there himself.
        let parted = there(&other.extension)?;
        other.end_with(End::App { cause: Cause::NORMAL });
        return Ok(parted);
    };
    let room: Arc<str> = format!("transfer-{}", Uuid::new_v4().as_simple()).into();
    match phone {
        Party::Leg => other.line.join(&room),
        Party::Caller => {
            let onward = into_room(&other, Arc::clone(&room)).map_err(|_| "the other call has no tenant")?;
            promote(&other, &talking, onward);
            other.end_with(End::App { cause: Cause::NORMAL });
        }
    }
    Ok(Parted::Joined { room })
}

fn into_room(core: &Core, room: Arc<str>) -> Result<Onward, CallError> {
    let tenant = core.tenant().ok_or(CallError::Misuse("a call without a tenant is not transferred"))?;
    Ok(Onward::Room { tenant, room })
}

/// The call with this SIP Call-ID, of this call's tenant, and which end of it that is.
fn find(core: &Core, call_id: &str) -> Option<(Arc<Core>, Party)> {
    let tenant = core.tenant();
    core.shared.calls.iter().find_map(|entry| {
        let other = entry.value();
        if other.id == core.id || other.end().is_some() || other.tenant() != tenant {
            return None;
        }
        if other.call_id.as_ref().is_some_and(|id| id.as_str() == call_id) {
            return Some((Arc::clone(other), Party::Caller));
        }
        let talking = other.talks_with()?;
        (talking.leg.line.call_id() == Some(call_id)).then(|| (Arc::clone(other), Party::Leg))
    })
}

/// Goes into the room of an attended transfer, and stays there until the call is over.
pub(in crate::call) async fn enter_room(
    core: &Arc<Core>,
    tenant: &Arc<str>,
    room: &Arc<str>,
    objects: Vec<String>,
) -> Result<(), CallError> {
    let settings = RoomSettings { pair: true, ..RoomSettings::default() };
    core.shared.rooms.join(core, &RoomKey::new(tenant, room), &settings, core.seat(), objects).await?;
    Err(CallError::HungUp(core.over().await))
}

/// Tells the phone that asked how its transfer stands (NOTIFY). If it cannot be told it does not matter: it is hung up.
async fn report(core: &Core, channel: &str, state: &'static str) {
    let id = channel.to_owned();
    let told = core.request(|ari| async move { ari.channels().transfer_progress(&id, state).await }).await;
    if let Err(error) = told {
        tracing::debug!(node = %core.site.name, call = %core.id, channel, %error, "a transfer was not reported");
    }
}
