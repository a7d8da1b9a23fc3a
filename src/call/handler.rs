//! What the runtime hands calls to, and how it runs one from its arrival to the removal of its last object.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{sleep, sleep_until};

use super::cause::Cause;
use super::cdr;
use super::core::{Core, Owned, panic_text};
use super::error::{AppError, CallError};
use super::handle::Call;
use super::site::Site;
use super::view::End;
use crate::ari::AriError;
use crate::telemetry::CallOutcome;

/// The app's label in metrics for a call that ended before the directory named one.
const NO_APP: &str = "none";

/// Serves calls. `apps` implements it: it finds the app of a call and runs it.
pub trait Handler: Send + Sync + 'static {
    /// Serves a call from its arrival to its end. Returning ends the call.
    fn serve<'a>(&'a self, call: &'a mut Call) -> BoxFuture<'a, Result<(), AppError>>;
}

/// Runs a registered call: the app, what it is counted as, the clean-up.
pub(super) async fn run(handler: Arc<dyn Handler>, mut call: Call) {
    let core = Arc::clone(&call.core);
    let served = AssertUnwindSafe(handler.serve(&mut call)).catch_unwind();
    let result = tokio::select! {
        result = served => Some(result),
        () = overstay(&core) => None,
    };
    let outcome = judge(&core, result);
    drop(call);
    clean_up(&core).await;
    cdr::close(&core).await;
    let (app, seconds) = core.app_time().unwrap_or_else(|| {
        core.shared.metrics.app_begins(NO_APP);
        (NO_APP, core.started.elapsed().as_secs_f64())
    });
    core.shared.metrics.app_ends(app, outcome, seconds);
    if core.channel_is_gone() {
        core.site.departs(&core.channel);
    }
    core.site.forget_call(&core);
    core.shared.calls.remove(&core.id);
}

/// Ends the call at its deadline; completes when the app still runs long after the call's end.
async fn overstay(core: &Core) {
    tokio::select! {
        _ = core.over() => {}
        () = sleep_until(core.started + core.shared.settings.max_duration()) => {
            core.end_with(End::Deadline);
        }
        () = unanswered(core) => {
            core.end_with(End::Deadline);
        }
    }
    sleep(core.shared.settings.app_grace()).await;
}

/// Completes at the deadline for the answer, if the call was not answered; never if it was.
async fn unanswered(core: &Core) {
    sleep_until(core.started + core.shared.settings.unanswered()).await;
    if core.is_answered() {
        pending::<()>().await;
    }
}

/// Says how the app ended, ends the call if it is not over, and logs a failure once.
fn judge(core: &Core, result: Option<std::thread::Result<Result<(), AppError>>>) -> CallOutcome {
    let failed = |reason: String, outcome: CallOutcome| {
        let app = core.app().unwrap_or(NO_APP);
        let call_id = core.call_id.as_ref().map(crate::pool::CallId::as_str);
        tracing::error!(node = %core.site.name, call = %core.id, call_id, app, reason, "an app failed");
        core.end_with(End::Failed { reason: reason.into() });
        outcome
    };
    match result {
        None => failed("it did not stop when its call was over".to_owned(), CallOutcome::Failed),
        Some(Err(panic)) => failed(panic_text(panic.as_ref()), CallOutcome::Panicked),
        Some(Ok(Err(error))) if !matches!(error, AppError::Call(CallError::HungUp(_))) => {
            // An error that a hang-up or a lost node brought about is not the app's.
            match core.end() {
                None => failed(error.to_string(), CallOutcome::Failed),
                Some(end) => outcome_of(&end),
            }
        }
        Some(Ok(_)) => {
            core.end_with(End::App { cause: Cause::NORMAL });
            core.outcome().unwrap_or_else(|| core.end().as_ref().map_or(CallOutcome::Completed, outcome_of))
        }
    }
}

fn outcome_of(end: &End) -> CallOutcome {
    match end {
        End::Caller | End::Gone => CallOutcome::HungUp,
        End::App { .. } => CallOutcome::Completed,
        End::Refused { .. } => CallOutcome::Rejected,
        End::Operator | End::Deadline | End::Released => CallOutcome::Cancelled,
        End::Failed { .. } => CallOutcome::Failed,
        End::NodeLost { .. } => CallOutcome::NodeLost,
    }
}

/// Removes what the call left on its node, unless the node is lost or the call is left there on purpose.
async fn clean_up(core: &Arc<Core>) {
    core.requests_done().await;
    let owned = std::mem::take(&mut *core.owned());
    let end = core.end().unwrap_or(End::Gone);
    let commands = end.allows_commands() && core.site.link().commands_allowed();
    if commands && let Err(error) = core.delete_channel(end.cause()).await {
        left_behind(&core.site, &core.channel, &error);
    }
    remove_owned(core, owned, commands).await;
}

/// Removes what an app made on the call's node, or, where the node may not be commanded, forgets it.
pub(super) async fn remove_owned(core: &Core, owned: Owned, commands: bool) {
    for membership in owned.memberships {
        membership.leave().await;
    }
    for playback in owned.playbacks {
        core.site.forget(&playback.id);
    }
    for recording in owned.recordings {
        core.site.forget(&recording.name);
    }
    for snoop in owned.snoops {
        if commands {
            remove_channel(&core.site, &snoop).await;
        }
        core.site.forget(&snoop);
    }
    for bridge in owned.bridges {
        if commands {
            remove_bridge(&core.site, &bridge).await;
        }
        core.site.forget(&bridge);
    }
}

/// Hangs up a channel of ours; that it is gone already is fine. Says whether it was there: then its end is still to come.
pub(super) async fn remove_channel(site: &Site, id: &str) -> bool {
    match site.link().ari.channels().hangup(id, Some(Cause::NORMAL.number().into())).await {
        Ok(()) => return true,
        Err(error) if !error.is_gone() && !error.is_not_in_stasis() => left_behind(site, id, &error),
        Err(_) => {}
    }
    false
}

/// Removes a bridge of ours; that it is gone already is fine.
pub(super) async fn remove_bridge(site: &Site, id: &str) {
    match site.link().ari.bridges().destroy(id).await {
        Err(error) if !error.is_gone() => left_behind(site, id, &error),
        _ => {}
    }
}

/// What could not be removed is removed when the node's events come back: nobody claims it then.
pub(super) fn left_behind(site: &Site, id: &str, error: &AriError) {
    tracing::warn!(node = %site.name, object = id, %error, "an object could not be removed from the node");
}
