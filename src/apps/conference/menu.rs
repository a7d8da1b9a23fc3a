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
        let sound = match meaning(key, role, call.id(), &room) {
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

/// What a key means to one who is this in a room that is so; nothing if it means nothing or is not for him.
fn meaning(key: char, role: Role, call: &str, room: &RoomView) -> Option<Command> {
    let own = || -> std::sync::Arc<str> { call.into() };
    let mut others = room.members.iter().filter(|member| &*member.call != call);
    let muted = room.members.iter().any(|member| &*member.call == call && member.muted);
    let order = match key {
        '9' => return Some(Command::Count),
        '1' => RoomOrder::Mute(Who::Call(own()), !muted),
        _ if role != Role::Moderator => return None,
        '2' => RoomOrder::Lock(!room.locked),
        '3' => RoomOrder::Kick(Who::Last(own())),
        '4' => RoomOrder::Mute(Who::Others(own()), others.any(|member| !member.muted)),
        '0' => RoomOrder::End,
        _ => return None,
    };
    Some(Command::Order(order))
}

#[cfg(test)]
mod tests {
    use super::{Command, meaning};
    use crate::call::{MemberView, Role, RoomOrder, RoomView, Who};
    use crate::pool::NodeName;

    fn member(call: &str, muted: bool) -> MemberView {
        MemberView {
            call: call.into(),
            caller: "".into(),
            node: NodeName::new("n1").expect("a good name"),
            role: Role::Member,
            muted,
            joined_ms: 0,
        }
    }

    fn room(locked: bool, muted: [bool; 2]) -> RoomView {
        RoomView {
            tenant: "example".into(),
            name: "main".into(),
            home: None,
            nodes: Vec::new(),
            locked,
            recording: None,
            members: vec![member("me", muted[0]), member("other", muted[1])],
            waiting: 0,
        }
    }

    #[test]
    fn keys_turn_things_on_and_off() {
        let of = |key, room: &RoomView| match meaning(key, Role::Moderator, "me", room) {
            Some(Command::Order(order)) => order,
            other => panic!("{key}: {other:?}"),
        };
        let (off, on) = (room(false, [false, false]), room(true, [true, true]));
        assert_eq!((of('2', &off), of('2', &on)), (RoomOrder::Lock(true), RoomOrder::Lock(false)));
        let me = |mute| RoomOrder::Mute(Who::Call("me".into()), mute);
        assert_eq!((of('1', &off), of('1', &on)), (me(true), me(false)));
        let others = |mute| RoomOrder::Mute(Who::Others("me".into()), mute);
        assert_eq!((of('4', &off), of('4', &on)), (others(true), others(false)));
        assert_eq!((of('3', &off), of('0', &off)), (RoomOrder::Kick(Who::Last("me".into())), RoomOrder::End));
    }

    #[test]
    fn members_have_two_keys() {
        let room = room(false, [false, false]);
        let keys: String =
            "0123456789*#".chars().filter(|key| meaning(*key, Role::Member, "me", &room).is_some()).collect();
        assert_eq!(keys, "19");
    }
}
