//! Records a caller.

use std::sync::Arc;
use std::time::Duration;

use super::recorder::{Before, Recorder, Take};
use super::voicemail::say;
use super::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, TapeEnd};
use crate::invalid::Invalid;
use crate::media::{MediaUri, Purpose};

/// The app `record`: what a caller says becomes a recording of the tenant, of the kind `note`.
///
/// Parameters: `prompts`, played first; `beep`, whether a tone says when to begin (true); `max_s`, longest recording (300);
/// `silence_s`, silence that ends it (0: none does); `least_s`, what is shorter is thrown away (1); `done`, prompts played
/// afterwards; `then`, a number of the tenant with which the call goes on.
#[derive(Debug)]
pub struct Record {
    recorder: Option<Recorder>,
    prompts: Vec<MediaUri>,
    done: Vec<MediaUri>,
    least: Duration,
    max_duration: Duration,
    max_silence: Option<Duration>,
    then: Option<String>,
}

impl App for Record {
    const NAME: &'static str = "record";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let seconds = |number: u64| Duration::from_secs(number);
        let mut prompts = parameters.prompts("prompts")?.unwrap_or_default();
        if parameters.switch("beep")?.unwrap_or(true) {
            prompts.push(parameters.builtin("beep")?);
        }
        let silence = parameters.number("silence_s", 0, 60)?.unwrap_or(0);
        Ok(Self {
            prompts,
            done: parameters.prompts("done")?.unwrap_or_default(),
            least: seconds(parameters.number("least_s", 0, 60)?.unwrap_or(1)),
            max_duration: seconds(parameters.number("max_s", 1, 14_400)?.unwrap_or(300)),
            max_silence: (silence > 0).then(|| seconds(silence)),
            then: parameters.extension("then")?,
            recorder: parameters.recorder()?,
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let recorder = self.recorder.as_ref().ok_or_else(|| AppError::other("nothing records here"))?;
        call.answer().await?;
        let before = recorder.before(call, Self::NAME);
        if before == Before::Nothing {
            say(call, &self.prompts).await?;
        }
        if before != Before::Recorded {
            let take = Take {
                purpose: Purpose::Note { extension: Arc::from(call.extension()) },
                least: self.least,
                max_duration: self.max_duration,
                max_silence: self.max_silence,
            };
            let taken = recorder.take(call, Self::NAME, &take).await?;
            if taken.end == TapeEnd::HungUp {
                return Ok(Next::Done);
            }
            if let Some(draft) = taken.draft {
                draft.accept();
            }
        }
        say(call, &self.done).await?;
        if let Some(number) = &self.then {
            return Ok(Next::Extension(number.clone()));
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}
