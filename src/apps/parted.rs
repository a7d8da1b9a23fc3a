//! What becomes of a caller whom the one he spoke with left: the same for `dial` and for `queue`.

use super::Next;
use crate::call::{AppError, Call, Cause, Parted};

/// Hangs the caller up, or goes on where a transfer leads him.
pub(super) async fn go_on(call: &Call, parted: Parted) -> Result<Next, AppError> {
    match parted {
        Parted::Called => {
            call.hang_up(Cause::NORMAL).await?;
            Ok(Next::Done)
        }
        Parted::Transferred { to } => Ok(Next::Extension(to.as_ref().to_owned())),
        Parted::Joined { room } => {
            call.join_transfer(&room).await?;
            Ok(Next::Done)
        }
    }
}
