//! Refuses the call.

use super::{App, Next, Reader};
use crate::call::{AppError, Call, Cause};
use crate::invalid::Invalid;

/// The app `reject`. Parameters: `sip`, the SIP status with which the call is refused (603 if there is none), or `cause`, the
/// Q.850 cause.
#[derive(Debug)]
pub struct Reject {
    cause: Cause,
}

impl App for Reject {
    const NAME: &'static str = "reject";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let sip = parameters.number("sip", 400, 699)?;
        let cause = parameters.number("cause", 1, 127)?;
        let cause = match (sip, cause) {
            (Some(_), Some(cause)) => return Err(Invalid::new("cause", "either sip or cause, not both", cause)),
            (Some(status), None) => Cause::from_sip(status as u16)?,
            (None, Some(cause)) => Cause::new(cause as u8)?,
            (None, None) => Cause::NORMAL,
        };
        Ok(Self { cause })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.refuse(self.cause).await?;
        Ok(Next::Done)
    }
}
