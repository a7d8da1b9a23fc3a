//! Leaving a message.

use std::sync::Arc;
use std::time::Duration;

use super::review::{Review, hear, review};
use super::{in_service, say};
use crate::apps::recorder::{Before, Recorder, Take};
use crate::apps::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, TapeEnd};
use crate::invalid::Invalid;
use crate::media::{MediaUri, MessageState, Purpose, check_mailbox};

/// How often a caller may begin anew, because his message was too short or because he wants to.
const TAKES: u32 = 5;

/// The app `voicemail`: a caller leaves a message.
///
/// He hears the mailbox's own greeting if its owner recorded one, a tone, and speaks until he hangs up, presses `#`, is
/// silent, or reaches the limit. After `#` he may review: 1 keeps the message, 2 plays it, 3 records anew. Whatever else
/// happens, what he said is kept.
///
/// Parameters: `mailbox` (what was dialled, without its first `strip` characters); `greeting`, for mailboxes without one of
/// their own (`sound:vm-intro`); `review` (`sound:vm-review`; an empty list: no review); `saved` (`sound:vm-msgsaved`);
/// `full` (`sound:vm-mailboxfull`); `max_s`, longest message (180); `silence_s`, silence that ends it (10; 0: none does);
/// `least_s`, what is shorter is thrown away (2); `messages`, how many a mailbox takes (100).
#[derive(Debug)]
pub struct Voicemail {
    recorder: Option<Recorder>,
    tenant: Arc<str>,
    mailbox: Option<Arc<str>>,
    strip: usize,
    greeting: Vec<MediaUri>,
    beep: MediaUri,
    review: Vec<MediaUri>,
    saved: Vec<MediaUri>,
    full: Vec<MediaUri>,
    least: Duration,
    max_duration: Duration,
    max_silence: Option<Duration>,
    messages: usize,
}

impl App for Voicemail {
    const NAME: &'static str = "voicemail";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let mailbox = parameters.text("mailbox")?;
        mailbox.as_deref().map(check_mailbox).transpose()?;
        let mut prompts = |name: &'static str, otherwise: &str| match parameters.prompts(name)? {
            Some(prompts) => Ok(prompts),
            None => parameters.builtin(otherwise).map(|prompt| vec![prompt]),
        };
        let greeting = prompts("greeting", "sound:vm-intro")?;
        let review = prompts("review", "sound:vm-review")?;
        let saved = prompts("saved", "sound:vm-msgsaved")?;
        let full = prompts("full", "sound:vm-mailboxfull")?;
        let silence = parameters.number("silence_s", 0, 60)?.unwrap_or(10);
        Ok(Self {
            tenant: Arc::clone(parameters.tenant()),
            mailbox: mailbox.map(Arc::from),
            strip: parameters.number("strip", 0, 32)?.unwrap_or(0) as usize,
            greeting,
            beep: parameters.builtin("beep")?,
            review,
            saved,
            full,
            least: Duration::from_secs(parameters.number("least_s", 0, 60)?.unwrap_or(2)),
            max_duration: Duration::from_secs(parameters.number("max_s", 5, 3_600)?.unwrap_or(180)),
            max_silence: (silence > 0).then(|| Duration::from_secs(silence)),
            messages: parameters.number("messages", 1, 10_000)?.unwrap_or(100) as usize,
            recorder: parameters.recorder()?,
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let recorder = in_service(self.recorder.as_ref())?;
        let Some(mailbox) = self.mailbox_of(call) else {
            call.not_found().await?;
            return Ok(Next::Done);
        };
        call.answer().await?;
        let before = recorder.before(call, Self::NAME);
        if before == Before::Nothing {
            if recorder.store().messages(&self.tenant, &mailbox).len() >= self.messages {
                say(call, &self.full).await?;
                call.hang_up(Cause::NORMAL).await?;
                return Ok(Next::Done);
            }
            self.greet(call, recorder, &mailbox).await?;
        }
        if before == Before::Recorded || self.leave(call, recorder, mailbox, before).await? {
            say(call, &self.saved).await?;
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}

impl Voicemail {
    fn mailbox_of(&self, call: &Call) -> Option<Arc<str>> {
        if let Some(mailbox) = &self.mailbox {
            return Some(Arc::clone(mailbox));
        }
        let dialled = call.extension().get(self.strip..)?;
        check_mailbox(dialled).ok().map(|()| Arc::from(dialled))
    }

    /// The greeting; any key cuts the mailbox's own short.
    async fn greet(&self, call: &mut Call, recorder: &Recorder, mailbox: &str) -> Result<(), AppError> {
        match recorder.store().greeting(&self.tenant, mailbox) {
            Some(own) => {
                let borrowed = recorder.lend_to(call).await?;
                hear(call, &borrowed, &own.id).await?;
            }
            None => say(call, &self.greeting).await?,
        }
        Ok(())
    }

    /// Records until a message is kept; says whether the caller is to be told so.
    async fn leave(
        &self,
        call: &mut Call,
        recorder: &Recorder,
        mailbox: Arc<str>,
        before: Before,
    ) -> Result<bool, AppError> {
        let take = Take {
            purpose: Purpose::Message { mailbox, state: MessageState::Draft },
            least: self.least,
            max_duration: self.max_duration,
            max_silence: self.max_silence,
        };
        for number in 0..TAKES {
            if number > 0 || before == Before::Nothing {
                say(call, std::slice::from_ref(&self.beep)).await?;
            }
            let taken = recorder.take(call, Self::NAME, &take).await?;
            match (taken.end, taken.draft) {
                (TapeEnd::HungUp, _) => return Ok(false),
                (_, None) => {}
                // Only who pressed a key is there to decide.
                (TapeEnd::Key(_), Some(draft)) if !self.review.is_empty() => {
                    let borrowed = recorder.lend_to(call).await?;
                    if review(call, &borrowed, &draft, &self.review).await? != Review::Again {
                        draft.accept();
                        return Ok(true);
                    }
                    draft.discard();
                }
                (_, Some(draft)) => {
                    draft.accept();
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
