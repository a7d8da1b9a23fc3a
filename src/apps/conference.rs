//! Callers of one room hear each other.

mod admission;
mod menu;

use std::sync::Arc;
use std::time::Duration;

use super::{App, Next, Reader};
use crate::call::{AppError, Call, CallError, Cause, Joined, Out, RoomKey, RoomSettings};
use crate::invalid::Invalid;
use crate::media::MediaUri;
use admission::Admission;
use menu::Menu;

/// Longest name of a room in bytes.
const ROOM_LIMIT: usize = 128;
/// Most members that a room may be limited to.
const MEMBERS_LIMIT: u64 = 10_000;
/// Longest recording of a room in seconds.
const LONGEST_RECORDING: u64 = 14_400;

/// The app `conference`.
///
/// Parameters:
/// - `room`: the room's name within the tenant; what was dialled, if there is none.
/// - `join`, `leave`: prompts that the others hear when a caller comes or goes; `alone`: prompts that a caller hears over
///   and over while he is alone, or waits for a moderator. An empty list is silence.
/// - `pin`: who does not enter it is not let in. `moderator_pin`: whoever enters it leads the room. 1 to 16 digits each.
///   `ask_pin`, `wrong_pin`: prompts that ask, and that say that it was wrong.
/// - `wait_for_moderator`: members wait, each by himself, until a moderator is in. `end_with_moderator`: all are sent out
///   when the last moderator has left.
/// - `max_members`: who comes when there are so many is not let in. `refused`: prompts that say so, also of a locked room.
/// - `record`: the room is recorded from its first member on. `record_max_s`: longest recording (14,400). `recording_started`,
///   `recording_stopped`: prompts that all hear then, and whoever comes to a room that is recorded.
/// - `menu`: whether keys do something (see [`menu`]); they do unless it is `false`.
#[derive(Debug)]
pub struct Conference {
    tenant: Arc<str>,
    room: Option<Arc<str>>,
    settings: RoomSettings,
    admission: Admission,
    refused: Vec<MediaUri>,
    menu: Option<Menu>,
}

impl App for Conference {
    const NAME: &'static str = "conference";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let room = parameters.text("room")?;
        if let Some(name) = room.as_ref().filter(|name| !is_room_name(name)) {
            return Err(Invalid::new("room", "1 to 128 bytes without control characters", name));
        }
        let admission = Admission::build(parameters)?;
        let max_members = parameters.number("max_members", 1, MEMBERS_LIMIT)?;
        let recorded = parameters.switch("record")?.unwrap_or(false);
        if recorded {
            parameters.recorder()?;
        }
        let longest = parameters.number("record_max_s", 1, LONGEST_RECORDING)?.unwrap_or(LONGEST_RECORDING);
        let settings = RoomSettings {
            join: texts(&prompts(parameters, "join", "join")?),
            leave: texts(&prompts(parameters, "leave", "leave")?),
            alone: texts(&prompts(parameters, "alone", "music")?),
            max_members: max_members.and_then(|most| usize::try_from(most).ok()),
            wait_for_moderator: admission.needs_moderator(parameters, "wait_for_moderator")?,
            ends_with_moderator: admission.needs_moderator(parameters, "end_with_moderator")?,
            pair: false,
            recording_started: texts(&prompts(parameters, "recording_started", "beep")?),
            recording_stopped: texts(&prompts(parameters, "recording_stopped", "beep")?),
            recorded,
            longest_recording: Some(Duration::from_secs(longest)),
        };
        let refused = prompts(parameters, "refused", "error")?;
        let menu = parameters.switch("menu")?.unwrap_or(true).then(|| Menu::build(parameters)).transpose()?;
        Ok(Self {
            tenant: Arc::clone(parameters.tenant()),
            room: room.map(Arc::from),
            settings,
            admission,
            refused,
            menu,
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let name = self.room.clone().unwrap_or_else(|| call.extension().into());
        call.answer().await?;
        // A saved role: he was let in before kamari was restarted.
        let role = match call.saved_role() {
            None => self.admission.ask(call).await?,
            saved => saved,
        };
        let Some(role) = role else {
            // For whoever watches out for those who try one PIN after the other, call by call.
            tracing::warn!(tenant = %self.tenant, room = &*name, call = call.id(), "only wrong PINs");
            return dismiss(call, &[]).await;
        };
        match call.join_as(&RoomKey::new(&self.tenant, &name), &self.settings, role).await? {
            Joined::Locked | Joined::Full => dismiss(call, &self.refused).await,
            Joined::In(mut seat) => loop {
                let key = tokio::select! {
                    out = seat.out() => {
                        let sound = if out == Out::Kicked { &self.refused[..] } else { &[] };
                        return dismiss(call, sound).await;
                    }
                    key = call.digit() => key?,
                };
                if let Some(menu) = self.menu.as_ref().filter(|_| key == menu::BEGIN) {
                    menu.serve(call, &seat, role).await?;
                }
            },
        }
    }
}

/// Says something, and hangs up.
async fn dismiss(call: &mut Call, sound: &[MediaUri]) -> Result<Next, AppError> {
    if !sound.is_empty() {
        match call.play(sound).await {
            // That there is nothing to hear keeps nobody.
            Ok(()) | Err(CallError::Media(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    call.hang_up(Cause::NORMAL).await?;
    Ok(Next::Done)
}

/// A parameter of prompts, or what kamari brings along.
fn prompts(parameters: &mut Reader<'_>, name: &'static str, otherwise: &str) -> Result<Vec<MediaUri>, Invalid> {
    match parameters.prompts(name)? {
        Some(prompts) => Ok(prompts),
        None => Ok(vec![parameters.builtin(otherwise)?]),
    }
}

fn texts(prompts: &[MediaUri]) -> Vec<String> {
    prompts.iter().map(MediaUri::to_string).collect()
}

fn is_room_name(name: &str) -> bool {
    (1..=ROOM_LIMIT).contains(&name.len()) && !name.chars().any(char::is_control)
}
