//! Answers, plays prompts one after the other, hangs up or goes on.

use serde::{Deserialize, Serialize};

use super::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, Kind};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The app `playback`. Parameters: `prompts`, one or a list; `then`, the number that the call goes on with afterwards.
#[derive(Debug)]
pub struct Playback {
    prompts: Vec<MediaUri>,
    then: Option<String>,
}

/// What another kamari must know to let the playback go on.
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
        let begun = match call.saved::<Plan>(Self::NAME) {
            Some(plan) => call.resume_playing(&plan.playback, &self.prompts).await?,
            None => None,
        };
        let playback = if let Some(playback) = begun {
            playback
        } else {
            // Also when another kamari began and its playback is over: the caller may have heard nothing of it.
            let plan = Plan { playback: call.new_id(Kind::Playback) };
            call.save(&plan, &[]).await?;
            call.start_playing_as(&plan.playback, &self.prompts).await?
        };
        playback.finished().await?;
        if let Some(number) = &self.then {
            return Ok(Next::Extension(number.clone()));
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}
