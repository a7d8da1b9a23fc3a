//! Several legs ring; the first that answers wins, and the others are told that the call was answered elsewhere.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::super::cause::Cause;
use super::super::core::Core;
use super::super::error::CallError;
use super::super::ids::Kind;
use super::super::site::Target;
use super::super::view::Step;
use super::leg::{DialledLeg, Farewell, Plan, Progress, Sign};
use super::request::{Address, CallerId, DialRequest, Strategy, is_domain};

/// When a called one has said nothing for so long, the caller hears ringing all the same: his proxy must not take the
/// silence for a dead node and call once more by way of another (`SITE_NODE_SETUP_MS` of Kamailio's `site.cfg`, 10 s).
const SILENCE_LIMIT: Duration = Duration::from_secs(4);
/// Answered elsewhere: Asterisk makes `Reason: SIP;cause=200;text="Call completed elsewhere"` of it (RFC 3326).
const ELSEWHERE: u8 = 26;

/// What came of dialling.
#[derive(Debug)]
pub enum Dialled {
    /// This one answered. The caller is not answered yet.
    Answered(DialledLeg),
    /// All who said anything were busy or declined (486, 600, 603).
    Busy,
    /// Nobody answered in time, or could be reached (408, 480).
    NoAnswer,
    /// Refused for another reason, which [`Cause::passed_on`] puts into words for the caller.
    Refused(Cause),
}

/// Dials the request's targets for a call. Dropping it hangs up every leg.
pub(in crate::call) async fn dial(core: &Arc<Core>, request: &DialRequest) -> Result<Dialled, CallError> {
    let at_once = match request.strategy {
        Strategy::Parallel => request.targets.len().max(1),
        Strategy::Serial => 1,
    };
    let mut told = Told::default();
    let mut outcome = Dialled::Refused(Cause::UNALLOCATED);
    for (round, targets) in request.targets.chunks(at_once).enumerate() {
        let came = ring(core, targets, request, &mut told).await;
        // Early media of who did not answer is over with him.
        if !matches!(came, Ok(Dialled::Answered(_)))
            && let Some(bridge) = told.bridge.take()
        {
            core.drop_bridge(&bridge).await;
        }
        outcome = match came? {
            Dialled::Answered(mut leg) => {
                leg.bridge = told.bridge.take();
                told.silence(core).await?;
                return Ok(Dialled::Answered(leg));
            }
            other if round == 0 => other,
            other => outcome.or(other),
        };
    }
    told.silence(core).await?;
    Ok(outcome)
}

/// One round: all of these at the same time.
async fn ring(
    core: &Arc<Core>,
    targets: &[Address],
    request: &DialRequest,
    told: &mut Told,
) -> Result<Dialled, CallError> {
    let changed = Arc::new(Notify::new());
    let mut legs = Vec::with_capacity(targets.len());
    // Whoever is called can call the number back at the domain that the caller dialled at.
    let from_domain = Some(core.domain().await?).filter(|domain| is_domain(domain));
    for to in targets {
        let own = CallerId::new(&core.caller, &core.caller_name);
        let caller_id = request.caller_id.as_ref().map_or_else(|| own.clone(), |id| id.or(own.clone()));
        let from_domain = from_domain.clone();
        let plan = Plan { to: to.clone(), caller_id, from_domain, ring_timeout: request.ring_timeout };
        core.step(Step::Dialling { to: to.to_string() });
        legs.push(DialledLeg::dial(core, plan, &changed));
    }
    let begun = Instant::now();
    let deadline = begun + request.ring_timeout;
    loop {
        let progress: Vec<Progress> = legs.iter().map(|leg| leg.out.progress()).collect();
        if let Some(at) = progress.iter().position(|leg| leg.answered && leg.gone.is_none()) {
            let winner = legs.swap_remove(at);
            let elsewhere = Cause::new(ELSEWHERE).unwrap_or(Cause::NORMAL);
            for leg in legs {
                leg.hang_up(elsewhere);
            }
            return Ok(Dialled::Answered(winner));
        }
        if let Some(all) = progress.iter().map(|leg| leg.gone.map(Dialled::from)).collect::<Option<Vec<_>>>() {
            return Ok(all.into_iter().reduce(Dialled::or).unwrap_or(Dialled::Refused(Cause::UNALLOCATED)));
        }
        if request.ringing {
            match progress.as_slice() {
                [leg] if leg.sign == Sign::Media => told.hears(core, &legs[0]).await?,
                legs if legs.iter().any(|leg| leg.sign > Sign::Nothing) => told.rings(core).await?,
                _ => {}
            }
        }
        let silence = async {
            if told.rings {
                pending::<()>().await;
            } else {
                sleep_until(begun + SILENCE_LIMIT).await;
            }
        };
        tokio::select! {
            biased;
            () = changed.notified() => {}
            () = sleep_until(deadline) => {
                for leg in legs {
                    leg.hang_up(Cause::NO_ANSWER);
                }
                return Ok(Dialled::NoAnswer);
            }
            () = silence, if request.ringing => told.rings(core).await?,
        }
    }
}

/// What the caller was told so far.
#[derive(Debug, Default)]
struct Told {
    rings: bool,
    /// It was ringing tone on an answered call, which has to be ended.
    tone: bool,
    bridge: Option<String>,
}

impl Told {
    /// It rings.
    async fn rings(&mut self, core: &Core) -> Result<(), CallError> {
        if std::mem::replace(&mut self.rings, true) {
            return Ok(());
        }
        self.tone = core.is_answered();
        let channel = Arc::clone(&core.channel);
        heard(core, core.command_while_playing(|ari| async move { ari.channels().ring(&channel).await }).await)
    }

    /// What the leg sends before it answers.
    async fn hears(&mut self, core: &Arc<Core>, leg: &DialledLeg) -> Result<(), CallError> {
        if self.bridge.is_some() {
            return Ok(());
        }
        let bridge = core.own_bridge();
        self.bridge = Some(bridge.clone());
        self.rings = true;
        if !core.is_answered() {
            let channel = Arc::clone(&core.channel);
            let progress =
                core.command_while_playing(|ari| async move { ari.channels().progress(&channel).await }).await;
            // An Asterisk without this operation: the caller hears ringing, and the announcement from the bridge if he can.
            heard(core, progress)?;
        }
        let joined = async {
            core.create_bridge(&bridge, "early media").await?;
            core.join_leg(&bridge, leg.id()).await
        };
        heard(core, joined.await)
    }

    /// Ends the ringing tone of an answered call.
    async fn silence(&mut self, core: &Core) -> Result<(), CallError> {
        if !std::mem::take(&mut self.tone) {
            return Ok(());
        }
        let channel = Arc::clone(&core.channel);
        heard(core, core.command_while_playing(|ari| async move { ari.channels().ring_stop(&channel).await }).await)
    }
}

/// A caller who cannot be told how it stands is still dialled for; only his hang-up counts.
fn heard(core: &Core, told: Result<(), CallError>) -> Result<(), CallError> {
    match told {
        Err(CallError::HungUp(end)) => Err(CallError::HungUp(end)),
        Err(error) => {
            tracing::debug!(node = %core.site.name, call = %core.id, %error, "a caller was not told how dialling stands");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

impl From<Farewell> for Dialled {
    fn from(farewell: Farewell) -> Self {
        match (farewell.status, farewell.cause.number()) {
            (Some(486 | 600 | 603), _) | (None, 17) => Self::Busy,
            (Some(408 | 480 | 487), _) | (None, 18..=20) => Self::NoAnswer,
            _ => Self::Refused(farewell.cause),
        }
    }
}

impl Dialled {
    /// Of two who did not answer, the one whose word the caller gets: who is busy is there; who does not answer exists.
    fn or(self, other: Self) -> Self {
        let weight = |outcome: &Self| match outcome {
            Self::Answered(_) => 3,
            Self::Busy => 2,
            Self::NoAnswer => 1,
            Self::Refused(_) => 0,
        };
        if weight(&other) > weight(&self) { other } else { self }
    }
}

impl Core {
    /// A new bridge of this call's own, registered and not yet asked for.
    pub(in crate::call) fn own_bridge(&self) -> String {
        let id = self.shared.ids.next(Kind::Bridge);
        self.owned().bridges.push(id.clone());
        self.site.register(&id, Target::Bridge);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialled, Farewell};
    use crate::call::cause::Cause;

    fn came(status: Option<u16>, cause: u8) -> Dialled {
        Farewell { cause: Cause::new(cause).expect("a cause"), status }.into()
    }

    #[test]
    fn a_farewell_says_what_came_of_it() {
        assert!(matches!(came(Some(486), 17), Dialled::Busy));
        assert!(matches!(came(Some(603), 21), Dialled::Busy));
        assert!(matches!(came(None, 17), Dialled::Busy));
        assert!(matches!(came(Some(480), 19), Dialled::NoAnswer));
        assert!(matches!(came(None, 19), Dialled::NoAnswer));
        assert!(matches!(came(Some(404), 1), Dialled::Refused(Cause::UNALLOCATED)));
        assert!(matches!(came(None, 38), Dialled::Refused(Cause::FAILURE)));
    }

    #[test]
    fn of_several_the_nearest_to_an_answer_counts() {
        let all = [came(Some(404), 1), came(Some(486), 17), came(Some(480), 18)];
        assert!(matches!(all.into_iter().reduce(Dialled::or), Some(Dialled::Busy)));
        let all = [came(Some(503), 41), came(Some(480), 18)];
        assert!(matches!(all.into_iter().reduce(Dialled::or), Some(Dialled::NoAnswer)));
    }
}
