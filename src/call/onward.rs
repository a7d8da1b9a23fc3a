//! A leg that becomes a call of its own: whom it was dialled for is gone, or has transferred it.
//!
//! What it goes on with is saved on its channel before it changes hands, so that another kamari knows the channel for a call
//! and not for a leg that nobody owns.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tracing::Instrument;

use super::core::{Core, lock};
use super::dial::{Party, Talking, enter_room, stop_music};
use super::error::AppError;
use super::handle::Call;
use super::handler::{self, Handler, remove_bridge};
use super::origin::Origin;
use super::runtime::Shared;
use super::site::Target;
use super::view::Step;

/// The name under which a leg that was joined with another one is counted.
const JOINED: &str = "transfer";

/// What it goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub(super) enum Onward {
    /// With a number, as if it had dialled it at this domain.
    Number { domain: Arc<str>, extension: Arc<str> },
    /// With the other one in this room.
    Room { tenant: Arc<str>, room: Arc<str> },
}

impl Onward {
    fn domain(&self) -> Option<Arc<str>> {
        match self {
            Self::Number { domain, .. } => Some(Arc::clone(domain)),
            Self::Room { .. } => None,
        }
    }

    fn extension(&self) -> Arc<str> {
        match self {
            Self::Number { extension, .. } => Arc::clone(extension),
            Self::Room { room, .. } => Arc::clone(room),
        }
    }

    /// Who serves it.
    pub(super) fn handler(&self, shared: &Shared) -> Arc<dyn Handler> {
        match self {
            Self::Number { .. } => Arc::clone(&shared.handler.0),
            Self::Room { tenant, room } => Arc::new(Joined { tenant: Arc::clone(tenant), room: Arc::clone(room) }),
        }
    }

    /// Where the channel `channel` comes from, as a call that goes on so.
    pub(super) fn origin(&self, channel: &str, caller: &str, call_id: Option<&str>) -> Origin {
        Origin {
            channel: channel.into(),
            call_id: call_id.map(str::to_owned),
            caller: caller.into(),
            caller_name: "".into(),
            extension: self.extension(),
            domain: self.domain(),
            made_ms: None,
        }
    }
}

/// Makes a call of the leg that `core` talks with. At once: the caller may hang up in the next moment.
pub(super) fn promote(core: &Arc<Core>, talking: &Arc<Talking>, onward: Onward) {
    let leg = &talking.leg;
    let caller = talking.to.split('@').next().unwrap_or_default();
    let origin = onward.origin(&leg.id, caller, leg.line.call_id());
    let (own, digits) = Core::new(&core.shared, &core.site, origin, false);
    own.answered();
    leg.hand_over();
    core.site.register(&leg.id, Target::Call(Arc::clone(&own)));
    if leg.progress().gone.is_some() {
        own.channel_left();
    }
    core.shared.calls.insert(Arc::clone(&own.id), Arc::clone(&own));
    core.shared.metrics.started.inc();
    own.step(Step::Arrived);
    let span = own.span();
    core.shared.spawn(go_on(Call::new(own, digits), onward, Arc::clone(talking)).instrument(span));
}

/// Saves what the new call is, takes it out of the bridge that it was in, and serves it.
async fn go_on(call: Call, onward: Onward, talking: Arc<Talking>) {
    let core = Arc::clone(&call.core);
    let music = lock(&talking.music).take();
    if let Some((Party::Leg, music)) = music {
        stop_music(&core, &music).await;
    }
    if let Err(error) = core.save_ties(|ties| ties.onward = Some(onward.clone())).await {
        tracing::warn!(node = %core.site.name, call = %core.id, %error, "a transferred leg would not survive a restart");
    }
    // What the next app plays is for a channel that is in no bridge.
    if core.site.link().commands_allowed() {
        remove_bridge(&core.site, &talking.bridge).await;
    }
    handler::run(onward.handler(&core.shared), call).await;
}

/// Serves one of two who were joined by an attended transfer.
struct Joined {
    tenant: Arc<str>,
    room: Arc<str>,
}

impl Handler for Joined {
    fn serve<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<(), AppError>> {
        async move {
            call.assign(&self.tenant, JOINED);
            let objects = call.saved.as_ref().map(|saved| saved.room.clone()).unwrap_or_default();
            let core = Arc::clone(&call.core);
            call.step(enter_room(&core, &self.tenant, &self.room, objects)).await.map_err(AppError::from)
        }
        .boxed()
    }
}
