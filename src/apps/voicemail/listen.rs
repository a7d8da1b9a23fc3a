//! Hearing the messages of a mailbox by phone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::review::{Review, hear, review};
use super::{ask, ask_key, in_service, say};
use crate::apps::recorder::{Borrowed, Recorder, Take};
use crate::apps::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, TapeEnd};
use crate::invalid::Invalid;
use crate::media::{MediaUri, MessageState, Purpose, Recording, RecordingId, StoreError, check_mailbox};

/// How often a caller may try to log in in one call.
const TRIES: u32 = 3;
/// How often he may press nothing, or what means nothing, in a row.
const IDLE: u32 = 3;
/// Longest greeting.
const GREETING: Duration = Duration::from_mins(1);

/// The app `mailbox`: the owner of a mailbox hears its messages.
///
/// Keys, also while a message is played: 4 the one before, 5 again, 6 the next, 7 delete, 9 save, 0 record the greeting, `#`
/// leave. New messages come first, the oldest of them first. A message that was heard to its end is saved.
///
/// Parameters: `pins`, a table of mailboxes and their PINs (4 to 12 digits; as text, and to be kept as secret as the file
/// is); `mailbox`, if it is always the same (he is asked for it otherwise); `announce`, whether each message is begun with
/// the caller's number, by the node's own sounds (false); `ask_mailbox`, `ask_pin`, `wrong`, `menu`, `empty`,
/// `goodbye`, `review`, prompts. A PIN may be wrong three times in a call, and ten times in a quarter of an hour.
#[derive(Debug)]
pub struct Mailbox {
    recorder: Option<Recorder>,
    tenant: Arc<str>,
    only: Option<String>,
    pins: BTreeMap<String, String>,
    announce: bool,
    prompts: Prompts,
}

#[derive(Debug)]
struct Prompts {
    ask_mailbox: Vec<MediaUri>,
    ask_pin: Vec<MediaUri>,
    wrong: Vec<MediaUri>,
    menu: Vec<MediaUri>,
    empty: Vec<MediaUri>,
    goodbye: Vec<MediaUri>,
    review: Vec<MediaUri>,
    deleted: MediaUri,
    saved: MediaUri,
    beep: MediaUri,
}

/// What a key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Before,
    Again,
    Next,
    Delete,
    Save,
    Greeting,
    Leave,
}

fn wish(key: char) -> Option<Wish> {
    Some(match key {
        '4' => Wish::Before,
        '5' => Wish::Again,
        '6' => Wish::Next,
        '7' => Wish::Delete,
        '9' => Wish::Save,
        '0' => Wish::Greeting,
        '#' => Wish::Leave,
        _ => return None,
    })
}

impl App for Mailbox {
    const NAME: &'static str = "mailbox";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let pins = parameters.table_of_texts("pins")?;
        for (mailbox, pin) in &pins {
            check_mailbox(mailbox).map_err(|refused| refused.within("pins"))?;
            if !(4..=12).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Invalid::new(format!("pins.{mailbox}"), "4 to 12 digits, as a text", "something else"));
            }
        }
        if pins.is_empty() {
            return Err(Reader::missing("pins", "a table of mailboxes and their PINs"));
        }
        let mailbox = parameters.text("mailbox")?;
        if let Some(name) = mailbox.as_ref().filter(|name| !pins.contains_key(*name)) {
            return Err(Invalid::new("mailbox", "a mailbox that pins has", name));
        }
        let mut prompts = |name: &'static str, otherwise: &str| match parameters.prompts(name)? {
            Some(prompts) => Ok(prompts),
            None => parameters.builtin(otherwise).map(|prompt| vec![prompt]),
        };
        let prompts = Prompts {
            ask_mailbox: prompts("ask_mailbox", "sound:vm-login")?,
            ask_pin: prompts("ask_pin", "sound:vm-password")?,
            wrong: prompts("wrong", "sound:vm-incorrect")?,
            menu: prompts("menu", "sound:vm-advopts")?,
            empty: prompts("empty", "sound:vm-nomore")?,
            goodbye: prompts("goodbye", "sound:vm-goodbye")?,
            review: prompts("review", "sound:vm-review")?,
            deleted: parameters.builtin("sound:vm-deleted")?,
            saved: parameters.builtin("sound:vm-saved")?,
            beep: parameters.builtin("beep")?,
        };
        Ok(Self {
            tenant: Arc::clone(parameters.tenant()),
            only: mailbox,
            pins,
            announce: parameters.switch("announce")?.unwrap_or(false),
            prompts,
            recorder: parameters.recorder()?,
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let recorder = in_service(self.recorder.as_ref())?;
        call.answer().await?;
        if let Some(mailbox) = self.log_in(call, recorder).await? {
            self.serve(call, recorder, &mailbox.into()).await?;
        }
        say(call, &self.prompts.goodbye).await?;
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}

impl Mailbox {
    /// Asks for mailbox and PIN. Who fails is told the same whatever was wrong.
    async fn log_in(&self, call: &mut Call, recorder: &Recorder) -> Result<Option<String>, AppError> {
        for _ in 0..TRIES {
            let mailbox = match &self.only {
                Some(mailbox) => mailbox.clone(),
                None => ask(call, &self.prompts.ask_mailbox, 32).await?,
            };
            let pin = ask(call, &self.prompts.ask_pin, 12).await?;
            if let Some(expected) = self.pins.get(&mailbox)
                && recorder.may_try_pin(&self.tenant, &mailbox, call.caller())
            {
                recorder.tried_pin(&self.tenant, &mailbox, call.caller(), *expected == pin);
                if *expected == pin {
                    return Ok(Some(mailbox));
                }
                tracing::warn!(tenant = %self.tenant, mailbox, call = call.id(), "a wrong PIN");
            }
            say(call, &self.prompts.wrong).await?;
        }
        Ok(None)
    }

    /// Plays the messages, and does what the keys say, until he leaves.
    async fn serve(&self, call: &mut Call, recorder: &Recorder, mailbox: &Arc<str>) -> Result<(), AppError> {
        let borrowed = recorder.lend_to(call).await?;
        let mut messages = in_order(&recorder.store().messages(&self.tenant, mailbox));
        let (mut at, mut idle, mut play) = (0_usize, 0, true);
        while idle < IDLE {
            let current = messages.get(at).cloned();
            let key = match &current {
                Some(id) if play => self.play(call, recorder, &borrowed, id).await?,
                _ => None,
            };
            let key = match (key, &current) {
                (Some(key), _) => Some(key),
                (None, Some(_)) => ask_key(call, &self.prompts.menu).await?,
                (None, None) => ask_key(call, &self.prompts.empty).await?,
            };
            let Some(wish) = key.and_then(wish) else {
                (idle, play) = (idle + 1, false);
                continue;
            };
            (idle, play) = (0, true);
            match (wish, current) {
                (Wish::Leave, _) => break,
                (Wish::Greeting, _) => self.greeting(call, recorder, &borrowed, mailbox).await?,
                (Wish::Before, _) => at = at.saturating_sub(1),
                (Wish::Next, _) => at = (at + 1).min(messages.len()),
                (Wish::Delete, Some(id)) => {
                    recorder.store().run(move |store| store.delete(&id)).await.map_err(AppError::other)?;
                    messages.remove(at);
                    say(call, std::slice::from_ref(&self.prompts.deleted)).await?;
                }
                (Wish::Save, Some(id)) => {
                    save(recorder, &id).await?;
                    say(call, std::slice::from_ref(&self.prompts.saved)).await?;
                    at += 1;
                }
                (Wish::Again | Wish::Delete | Wish::Save, _) => {}
            }
        }
        Ok(())
    }

    /// Plays a message, until a key is pressed. One that was heard to its end is saved.
    async fn play(
        &self,
        call: &mut Call,
        recorder: &Recorder,
        borrowed: &Borrowed,
        id: &RecordingId,
    ) -> Result<Option<char>, AppError> {
        if self.announce
            && let Some(message) = recorder.store().get(id)
            && let Some(key) = ask_now(call, &announcement(&message)).await?
        {
            return Ok(Some(key));
        }
        let heard = hear(call, borrowed, id).await?;
        if heard.played && heard.key.is_none() {
            save(recorder, id).await?;
        }
        Ok(heard.key)
    }

    /// Records the mailbox's greeting; it counts only once it is accepted.
    async fn greeting(
        &self,
        call: &mut Call,
        recorder: &Recorder,
        borrowed: &Borrowed,
        mailbox: &Arc<str>,
    ) -> Result<(), AppError> {
        let take = Take {
            purpose: Purpose::Greeting { mailbox: Arc::clone(mailbox), draft: true },
            least: Duration::from_millis(500),
            max_duration: GREETING,
            max_silence: None,
        };
        loop {
            say(call, std::slice::from_ref(&self.prompts.beep)).await?;
            let taken = recorder.take(call, Self::NAME, &take).await?;
            let Some(draft) = taken.draft.filter(|_| taken.end != TapeEnd::HungUp) else { return Ok(()) };
            match review(call, borrowed, &draft, &self.prompts.review).await? {
                Review::Accept => {
                    draft.accept();
                    return Ok(());
                }
                Review::Again => draft.discard(),
                Review::Undecided => {
                    draft.discard();
                    return Ok(());
                }
            }
        }
    }
}

/// New messages, then saved ones, each from the oldest on.
fn in_order(messages: &[Arc<Recording>]) -> Vec<RecordingId> {
    let (new, saved): (Vec<_>, Vec<_>) = messages.iter().partition(|one| one.state() == Some(MessageState::New));
    new.into_iter().chain(saved).map(|one| one.id.clone()).collect()
}

/// The caller's number, if it is one, as `play` takes it.
fn announcement(message: &Recording) -> Vec<String> {
    let mut media = Vec::new();
    if !message.caller.is_empty() && message.caller.bytes().all(|byte| byte.is_ascii_digit()) {
        media.push("sound:vm-from-phonenumber".to_owned());
        media.push(format!("digits:{}", message.caller));
    }
    media
}

/// Plays media that the node makes of its own sounds; a key cuts it short.
async fn ask_now(call: &mut Call, media: &[String]) -> Result<Option<char>, AppError> {
    if media.is_empty() {
        return Ok(None);
    }
    let playback = call.start_playing(media).await?;
    let key = tokio::select! {
        biased;
        key = call.digit() => Some(key?),
        // A node without these sounds plays the message all the same.
        _ = playback.finished() => None,
    };
    playback.stop().await?;
    Ok(key)
}

async fn save(recorder: &Recorder, id: &RecordingId) -> Result<(), AppError> {
    let id = id.clone();
    match recorder.store().run(move |store| store.mark(&id, MessageState::Saved)).await {
        // Somebody else deleted it meanwhile.
        Ok(_) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(AppError::other(error)),
    }
}
