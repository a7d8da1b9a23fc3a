//! The caller hears himself.
//!
//! A channel that listens to the caller (a snoop with `spy=in`) is put into a two-party mixing bridge with him: what he says
//! is what he hears, bit for bit (tried on 22.10), and nothing feeds back, since what is sent to a listening channel goes
//! nowhere. All of it is in the node: no media passes kamari, and echo goes on while kamari is away.

use serde::{Deserialize, Serialize};

use super::{App, Next, Reader};
use crate::call::{AppError, Call, Kind};
use crate::invalid::Invalid;

/// The app `echo`. No parameters.
#[derive(Debug)]
pub struct Echo;

/// What another kamari must know to leave the echo as it is.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    bridge: String,
    ear: String,
}

impl App for Echo {
    const NAME: &'static str = "echo";

    fn build(_: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(Self)
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.answer().await?;
        let goes_on = match call.saved::<Plan>(Self::NAME) {
            Some(plan) => call.bridge_holds(&plan.bridge, &[&plan.ear]).await?,
            None => false,
        };
        if !goes_on {
            let plan = Plan { bridge: call.new_id(Kind::Bridge), ear: call.new_id(Kind::Snoop) };
            call.save(&plan, &[&plan.bridge, &plan.ear]).await?;
            call.bridge_as(&plan.bridge, Self::NAME).await?;
            call.listen_as(&plan.ear).await?;
            call.enter_bridge(&plan.bridge, &[&plan.ear]).await?;
        }
        call.hung_up().await;
        Ok(Next::Done)
    }
}
