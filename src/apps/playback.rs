//! Answers, plays prompts one after the other, hangs up or goes on.

use serde::{Deserialize, Serialize};

use super::{App, Next, Reader};
use crate::call::{self, AppError, Call, CallError, Cause, Kind};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The app `playback`. Parameters: `prompts`, one or a list; `then`, the number that the call goes on with afterwards.
#[derive(Debug)]
pub struct Playback {
    prompts: Vec<MediaUri>,
    then: Option<String>,
}

/// What another kamari must know to let the playback go on, if its id does not follow from the call's.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    playback: String,
}

impl App for Playback {
    const NAME: &'static str = "playback";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        match parameters.prompts("prompts")? {
            Some(prompts) if !prompts.is_empty() => Ok(Self { prompts, then: parameters.extension("then")? }),
            _ => Err(Reader::missing("prompts", "a prompt or a list of prompts")),
        }
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.answer().await?;
        self.playing(call).await?.finished().await?;
        if let Some(number) = &self.then {
            return Ok(Next::Extension(number.clone()));
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}

impl Playback {
    /// Begins, or goes on with what another kamari began.
    async fn playing(&self, call: &Call) -> Result<call::Playback, CallError> {
        let saved = call.saved::<Plan>(Self::NAME).map(|plan| plan.playback);
        let first = call.first_playback_id();
        if saved.is_none()
            && !call.is_adopted()
            && let Some(id) = first
        {
            return call.start_playing_as(&id, &self.prompts).await;
        }
        if let Some(id) = saved.as_ref().or(first.as_ref())
            && let Some(playback) = call.resume_playing(id, &self.prompts).await?
        {
            if saved.is_none() {
                call.was_answered_at_once();
            }
            return Ok(playback);
        }
        // Also when another kamari began and its playback is over: the caller may have heard nothing of it.
        let plan = Plan { playback: call.new_id(Kind::Playback) };
        call.save(&plan, &[]).await?;
        call.start_playing_as(&plan.playback, &self.prompts).await
    }
}
