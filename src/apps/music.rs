//! Answers, and plays music, or a list of prompts over and over, until the caller hangs up.

use serde::{Deserialize, Serialize};

use super::{App, Next, Reader};
use crate::call::{AppError, Call, Kind};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The app `music`. Parameters: `prompts`, one or a list (kamari's own music, if there is none).
#[derive(Debug)]
pub struct Music {
    prompts: Vec<MediaUri>,
}

/// What another kamari must know to let the music go on.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    playback: String,
}

impl App for Music {
    const NAME: &'static str = "music";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        match parameters.prompts("prompts")? {
            Some(prompts) if prompts.is_empty() => Err(Reader::missing("prompts", "at least one prompt")),
            Some(prompts) => Ok(Self { prompts }),
            None => Ok(Self { prompts: vec![parameters.builtin("music")?] }),
        }
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.answer().await?;
        if let Some(plan) = call.saved::<Plan>(Self::NAME)
            && let Some(playback) = call.resume_playing(&plan.playback, &self.prompts).await?
        {
            playback.finished().await?;
        }
        loop {
            let plan = Plan { playback: call.new_id(Kind::Playback) };
            call.save(&plan, &[]).await?;
            call.start_playing_as(&plan.playback, &self.prompts).await?.finished().await?;
        }
    }
}
