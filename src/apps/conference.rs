//! Callers of one room hear each other.

use std::sync::Arc;

use super::{App, Next, Reader};
use crate::call::{AppError, Call, RoomKey, RoomSettings};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// Longest name of a room in bytes.
const ROOM_LIMIT: usize = 128;

/// The app `conference`.
///
/// Parameters: `room`, the room's name within the tenant (what was dialled, if there is none); `join` and `leave`, prompts
/// that the others hear when a caller comes or goes; `alone`, prompts that a caller hears over and over while he is
/// alone. An empty list is silence.
#[derive(Debug)]
pub struct Conference {
    tenant: Arc<str>,
    room: Option<Arc<str>>,
    sounds: RoomSettings,
}

impl App for Conference {
    const NAME: &'static str = "conference";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let room = parameters.text("room")?;
        if let Some(name) = room.as_ref().filter(|name| !is_room_name(name)) {
            return Err(Invalid::new("room", "1 to 128 bytes without control characters", name));
        }
        let mut sounds = |name: &'static str, otherwise: &str| -> Result<Vec<String>, Invalid> {
            let prompts = match parameters.prompts(name)? {
                Some(prompts) => prompts,
                None => vec![parameters.builtin(otherwise)?],
            };
            Ok(prompts.iter().map(MediaUri::to_string).collect())
        };
        let sounds = RoomSettings {
            join: sounds("join", "join")?,
            leave: sounds("leave", "leave")?,
            alone: sounds("alone", "music")?,
            pair: false,
        };
        Ok(Self { tenant: Arc::clone(parameters.tenant()), room: room.map(Arc::from), sounds })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let name = self.room.clone().unwrap_or_else(|| call.extension().into());
        call.answer().await?;
        call.join(&RoomKey::new(&self.tenant, &name), &self.sounds).await?;
        call.hung_up().await;
        Ok(Next::Done)
    }
}

fn is_room_name(name: &str) -> bool {
    (1..=ROOM_LIMIT).contains(&name.len()) && !name.chars().any(char::is_control)
}
