//! Handing a call on from one app to the next, as if it had been dialled so.
//!
//! Invariants:
//! - The next app finds the call as a fresh one is, but answered if it was, and with the keys that nobody read: what the
//!   app before made on the node is gone, nothing is played, and what it saved is forgotten.
//! - Which number the call is served for is saved before the next app begins, so that another kamari goes on with that one.
//! - The number of hops is bounded, and saved: two numbers that hand a call to each other end it, also over a restart.

use std::sync::Arc;

use super::error::{AppError, CallError};
use super::handle::Call;
use super::handler;
use super::view::Step;

/// How often one call may be handed on.
pub const HOP_LIMIT: u32 = 32;

impl Call {
    /// Hands the call on to the app `app`, which serves the number `extension` of the same tenant.
    pub async fn hand_on(&mut self, extension: &str, app: &'static str) -> Result<(), AppError> {
        let hops = self.core.state().hops;
        if hops >= HOP_LIMIT {
            return Err(AppError::other(format!(
                "the call was handed on {hops} times; the next number was {extension}"
            )));
        }
        self.let_go().await?;
        self.extension = extension.into();
        self.saved = None;
        self.core.step(Step::HandedOn { extension: Arc::clone(&self.extension) });
        self.core.reassign(app);
        self.core.save_hop(extension).await?;
        Ok(())
    }

    /// Removes what the app made, and stops what the caller hears.
    async fn let_go(&self) -> Result<(), CallError> {
        self.core.stop_playbacks().await?;
        let owned = std::mem::take(&mut *self.core.owned());
        if owned.music {
            self.stop_music().await?;
        }
        if owned.silence {
            self.stop_silence().await?;
        }
        handler::remove_owned(&self.core, owned, true).await;
        Ok(())
    }
}
