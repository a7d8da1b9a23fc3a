//! An agent tells a queue by phone that he serves, or no longer does.

use std::sync::Arc;
use std::time::Duration;

use super::{Duty, Queues};
use crate::apps::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, Gather};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The app `queue_agent`.
///
/// Parameters: `queue`, the queue's name; `duty`: `login`, `logout`, `pause` or `unpause`; `pin`, digits that the agent must
/// enter. Who he is, is his phone's user name: it is to be believed as far as Kamailio authenticates callers.
#[derive(Debug)]
pub struct QueueAgent {
    queues: Queues,
    tenant: Arc<str>,
    queue: Arc<str>,
    duty: Duty,
    pin: Option<String>,
    ask: MediaUri,
    done: MediaUri,
    refused: MediaUri,
}

impl App for QueueAgent {
    const NAME: &'static str = "queue_agent";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let expected = "login, logout, pause or unpause";
        let duty = match parameters.text("duty")?.as_deref() {
            Some("login") => Duty::Login,
            Some("logout") => Duty::Logout,
            Some("pause") => Duty::Pause,
            Some("unpause") => Duty::Unpause,
            Some(other) => return Err(Invalid::new("duty", expected, other)),
            None => return Err(Reader::missing("duty", expected)),
        };
        let pin = parameters.text("pin")?;
        if pin
            .as_ref()
            .is_some_and(|pin| !(4..=16).contains(&pin.len()) || !pin.bytes().all(|one| one.is_ascii_digit()))
        {
            return Err(Invalid::new("pin", "4 to 16 digits", "something else"));
        }
        Ok(Self {
            queues: parameters.queues().clone(),
            tenant: Arc::clone(parameters.tenant()),
            queue: parameters.name("queue")?,
            duty,
            pin,
            ask: parameters.builtin("beep")?,
            done: parameters.builtin("join")?,
            refused: parameters.builtin("error")?,
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        call.answer().await?;
        let known = match &self.pin {
            None => true,
            Some(pin) => {
                let asked = Gather {
                    prompts: vec![self.ask.to_string()],
                    max_digits: pin.len(),
                    first_digit_timeout: Duration::from_secs(10),
                    ..Gather::default()
                };
                call.gather(&asked).await?.digits == *pin
            }
        };
        let told = known && self.queues.tell(&self.tenant, &self.queue, call.caller(), self.duty);
        call.play(&[if told { &self.done } else { &self.refused }]).await?;
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}
