//! What the members of a room can do with their keys.
//!
//! `*` and then:
//!
//! | key | what it does | who may |
//! |---|---|---|
//! | `1` | mutes the caller, or lets him be heard again | all |
//! | `9` | says how many are in the room | all |
//! | `2` | locks the room, or opens it again | moderators |
//! | `3` | sends out who came last | moderators |
//! | `4` | mutes all others; if all of them are muted, lets them be heard again | moderators |
//! | `5` | records the room, or no longer | moderators |
//! | `0` | ends the room for all | moderators |
//!
//! A beep says that it was done, the sound `error` that it was not.

use std::time::Duration;

use crate::apps::Reader;
use crate::call::{AppError, Call, CallError, Role, RoomOrder, RoomView, Seat, Who};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The key that every command begins with.
pub(super) const BEGIN: char = '*';
/// How long the second key is waited for.
const SECOND_KEY: Duration = Duration::from_secs(3);

/// What the caller hears of his commands.
#[derive(Debug)]
pub(super) struct Menu {
    done: MediaUri,
    refused: MediaUri,
}

/// What a key means.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Order(RoomOrder),
    Count,
}

impl Menu {
    pub(super) fn build(parameters: &Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self { done: parameters.builtin("beep")?, refused: parameters.builtin("error")? })
    }

    /// Serves one command; its first key was pressed.
    pub(super) async fn serve(&self, call: &mut Call, seat: &Seat, role: Role) -> Result<(), AppError> {
        let Some(key) = call.digit_within(SECOND_KEY).await? else { return Ok(()) };
        let Some(room) = seat.room().await else { return Ok(()) };
        let sound = match meaning(key, role, call.id(), Now::of(&room, call.id())) {
            Some(Command::Count) => format!("number:{}", room.members.len()),
            Some(Command::Order(order)) => match seat.order(order).await {
                Ok(()) => self.done.to_string(),
                Err(error) => {
                    tracing::info!(room = %seat.key(), %error, "a room did not do what a member asked for");
                    self.refused.to_string()
                }
            },
            None => self.refused.to_string(),
        };
        match call.play(&[sound]).await {
            // A node without the words for numbers: the room goes on.
            Err(CallError::Media(media)) => tracing::warn!(media, "a member did not hear what his key did"),
            other => other?,
        }
        Ok(())
    }
}

/// What is on or off already, as the caller who presses a key sees it.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what a key turns on or off, each by itself")]
struct Now {
    locked: bool,
    recorded: bool,
    muted: bool,
    others_are_heard: bool,
}

impl Now {
    fn of(room: &RoomView, call: &str) -> Self {
        Self {
            locked: room.locked,
            recorded: room.recorded,
            muted: room.members.iter().any(|member| &*member.call == call && member.muted),
            others_are_heard: room.members.iter().any(|member| &*member.call != call && !member.muted),
        }
    }
}

/// What a key means to the caller `call`, who is this in the room; nothing if it means nothing or is not for him.
fn meaning(key: char, role: Role, call: &str, now: Now) -> Option<Command> {
    let order = match key {
        '9' => return Some(Command::Count),
        '1' => RoomOrder::Mute(Who::Call(call.into()), !now.muted),
        _ if role != Role::Moderator => return None,
        '2' => RoomOrder::Lock(!now.locked),
        '3' => RoomOrder::Kick(Who::Last(call.into())),
        '4' => RoomOrder::Mute(Who::Others(call.into()), now.others_are_heard),
        '5' => RoomOrder::Record(!now.recorded),
        '0' => RoomOrder::End,
        _ => return None,
    };
    Some(Command::Order(order))
}

#[cfg(test)]
mod tests {
    use super::{Command, Now, meaning};
    use crate::call::{Role, RoomOrder, Who};

    #[test]
    fn keys_turn_things_on_and_off() {
        let of = |key, now| match meaning(key, Role::Moderator, "me", now) {
            Some(Command::Order(order)) => order,
            other => panic!("{key}: {other:?}"),
        };
        let off = Now { others_are_heard: true, ..Now::default() };
        let on = Now { locked: true, recorded: true, muted: true, others_are_heard: false };
        assert_eq!((of('2', off), of('2', on)), (RoomOrder::Lock(true), RoomOrder::Lock(false)));
        assert_eq!((of('5', off), of('5', on)), (RoomOrder::Record(true), RoomOrder::Record(false)));
        let me = |mute| RoomOrder::Mute(Who::Call("me".into()), mute);
        assert_eq!((of('1', off), of('1', on)), (me(true), me(false)));
        let others = |mute| RoomOrder::Mute(Who::Others("me".into()), mute);
        assert_eq!((of('4', off), of('4', on)), (others(true), others(false)));
        assert_eq!((of('3', off), of('0', off)), (RoomOrder::Kick(Who::Last("me".into())), RoomOrder::End));
    }

    #[test]
    fn members_have_two_keys() {
        let may = |key: &char| meaning(*key, Role::Member, "me", Now::default()).is_some();
        assert_eq!("0123456789*#".chars().filter(may).collect::<String>(), "19");
    }
}
