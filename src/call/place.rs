//! Calls that kamari itself places: somebody is rung, and served by a number of his tenant once he answers.
//!
//! The channel is made first: only then is there a call, with a Call-ID, an entry in every list and a record. From then on
//! it is a call like any other, whose caller is the one who was rung; that it rings is the first thing that happens to it.
//!
//! Invariants:
//! - Whoever asked may go away at any time: a task of its own makes the channel, and removes it if it does not become a call.
//! - What serves the call is saved on its channel as soon as it is answered. Before that, a kamari that is killed leaves a
//!   channel that the next one hangs up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tracing::Instrument;

use super::cause::Cause;
use super::core::Core;
use super::dial::{self, Address, CallerId, Outgoing, Plan};
use super::error::{AppError, CallError};
use super::handle::Call;
use super::handler::{self, Handler, remove_channel};
use super::ids::Kind;
use super::onward::Onward;
use super::runtime::{Runtime, Shared};
use super::site::{Site, Target};
use super::view::{CallView, End, Step};
use crate::pool::NodeName;
use crate::telemetry::CallOutcome;

/// A call to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRequest {
    /// Who is rung.
    pub to: Address,
    /// In whose name.
    pub caller_id: CallerId,
    /// For how long he may ring.
    pub ring_timeout: Duration,
    /// The domain of the tenant who places the call.
    pub domain: Arc<str>,
    /// The number of that tenant that serves the call from its answer on.
    pub extension: Arc<str>,
}

impl Runtime {
    /// Places a call from a node. Returns when the node has made the channel, which rings from then on; fails if it could not
    /// be made, and then nothing of it is left.
    pub async fn place(&self, node: &NodeName, request: &PlaceRequest) -> Result<CallView, CallError> {
        let site = self.site(node).ok_or(CallError::Misuse("the node's events do not arrive"))?;
        let made = self.shared.spawn(make(Arc::clone(&self.shared), site, request.clone()));
        // It only panics, or kamari is stopping.
        made.await.unwrap_or(Err(CallError::HungUp(End::Released)))
    }
}

async fn make(shared: Arc<Shared>, site: Arc<Site>, request: PlaceRequest) -> Result<CallView, CallError> {
    let link = site.link();
    if !link.commands_allowed() || site.is_closed() {
        return Err(CallError::Misuse("the node is not to be commanded"));
    }
    let out = Outgoing::new(shared.ids.next(Kind::Leg), Arc::default());
    let PlaceRequest { to, caller_id, ring_timeout, domain, extension } = request;
    let from_domain = Some(Arc::clone(&domain)).filter(|domain| dial::is_domain(domain));
    let plan = Plan { to, caller_id, from_domain, ring_timeout };
    site.register(&out.id, Target::Outgoing(Arc::clone(&out)));
    let made = match dial::create(&link, &out.id, &plan, None).await {
        Ok(()) if dial::enters(&out).await => Ok(()),
        Ok(()) => Err(CallError::Silent("that a channel entered the application")),
        Err(error) => Err(CallError::Ari(error)),
    };
    if let Err(error) = made {
        // An answer that was lost may have been a yes.
        if link.commands_allowed() {
            remove_channel(&site, &out.id).await;
        }
        site.forget(&out.id);
        return Err(error);
    }
    let onward = Onward::Number { domain, extension };
    Ok(begin(&shared, &site, &out, plan, onward))
}

/// The channel is there: makes a call of it, and rings.
fn begin(shared: &Arc<Shared>, site: &Arc<Site>, out: &Arc<Outgoing>, plan: Plan, onward: Onward) -> CallView {
    let user = plan.to.as_str().split('@').next().unwrap_or_default();
    let (core, digits) = Core::new(shared, site, onward.origin(&out.id, user, out.line.call_id()), false);
    core.gather_placed();
    // The cell is new, so it is empty.
    let _ = core.rung.set(Arc::clone(out));
    site.register(&out.id, Target::Call(Arc::clone(&core)));
    if out.progress().gone.is_some() {
        core.destroyed(None, None);
    }
    shared.calls.insert(Arc::clone(&core.id), Arc::clone(&core));
    shared.metrics.started.inc();
    core.step(Step::Arrived);
    if site.is_closed() {
        // Whoever closed the site may not have seen this call.
        core.end_with(if shared.released.is_cancelled() {
            End::Released
        } else {
            End::NodeLost { reason: "it was lost while a call was placed".into() }
        });
        shared.lost.add(site, std::slice::from_ref(&core));
    }
    let view = core.view();
    let span = core.span();
    let rung = Rung { plan, onward, out: Arc::clone(out) };
    shared.spawn(handler::run(Arc::new(rung), Call::new(core, digits)).instrument(span));
    view
}

/// Serves a call that was placed: rings, then hands it to whoever serves its number.
struct Rung {
    plan: Plan,
    onward: Onward,
    out: Arc<Outgoing>,
}

impl Handler for Rung {
    fn serve<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<(), AppError>> {
        async move {
            let core = Arc::clone(&call.core);
            if let Some(refusal) = call.step(self.refused(&core)).await? {
                core.outcome_is(CallOutcome::Rejected);
                core.end_with(End::Refused { cause: refusal });
                return Ok(());
            }
            core.answered();
            call.step(core.save_ties(|ties| ties.onward = Some(self.onward.clone()))).await?;
            self.onward.handler(&core.shared).serve(call).await
        }
        .boxed()
    }
}

impl Rung {
    /// Rings until somebody answers: nothing; or why nobody does.
    async fn refused(&self, core: &Core) -> Result<Option<Cause>, CallError> {
        core.step(Step::Dialling { to: self.plan.to.to_string() });
        let (id, ring_timeout) = (self.out.id.clone(), self.plan.ring_timeout);
        core.request(move |ari| async move { dial::ring(&ari, &id, ring_timeout).await }).await?;
        Ok(match timeout(ring_timeout, self.out.settled()).await {
            Err(_) => {
                self.out.stop(Cause::NO_ANSWER);
                Some(Cause::NO_ANSWER)
            }
            Ok(progress) if progress.answered => None,
            Ok(progress) => Some(progress.gone.map_or(Cause::NORMAL, |farewell| farewell.cause)),
        })
    }
}
