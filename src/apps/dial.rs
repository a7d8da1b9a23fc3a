//! Rings users or external numbers, and lets the caller talk with who answers.

use std::sync::Arc;
use std::time::Duration;

use super::{App, Next, Reader, parted};
use crate::call::{Address, AppError, Call, CallerId, Cause, DialRequest, Dialled, Strategy, Talk};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// Most who may be dialled by one extension: each is a channel on the caller's node.
const TARGET_LIMIT: usize = 32;
/// What stands for the number that the caller dialled.
const DIALLED: &str = "{number}";

/// The app `dial`.
///
/// Parameters: `to`, whom to dial: a user or number, or a list of them (`{number}` in one is what the caller dialled, and what
/// has no `@domain` is of the domain that he dialled at); `strategy`, `parallel` or `serial`; `timeout_s`, how long each may
/// ring; `caller_id` and `caller_name`, number and name of who calls, each the caller's own if not given; `busy_then`,
/// `no_answer_then`, `failed_then`, numbers with which the call goes on when all are busy, when nobody answers, and when
/// nobody can be dialled; `music_on_hold`, prompts that one hears while the other holds him.
pub struct Dial {
    to: Vec<String>,
    strategy: Strategy,
    timeout: Duration,
    caller_id: Option<CallerId>,
    busy_then: Option<String>,
    no_answer_then: Option<String>,
    failed_then: Option<String>,
    talk: Talk,
}

impl App for Dial {
    const NAME: &'static str = "dial";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let to = parameters.texts("to")?;
        if !(1..=TARGET_LIMIT).contains(&to.len()) {
            return Err(Invalid::new("to", "a user or number, or a list of 1 to 32", to.len()));
        }
        for target in &to {
            let example = target.replace(DIALLED, "0");
            Address::within(&example, "domain").map_err(|refused| {
                Invalid::new(
                    "to",
                    format!("a user, a number or {}; {{number}} is what was dialled", refused.expected),
                    target,
                )
            })?;
        }
        let strategy = match parameters.text("strategy")?.as_deref() {
            None | Some("parallel") => Strategy::Parallel,
            Some("serial") => Strategy::Serial,
            Some(other) => return Err(Invalid::new("strategy", "parallel or serial", other)),
        };
        let (number, name) = (parameters.text("caller_id")?, parameters.text("caller_name")?);
        let caller_id = (number.is_some() || name.is_some())
            .then(|| CallerId::new(&number.unwrap_or_default(), &name.unwrap_or_default()));
        let music = match parameters.prompts("music_on_hold")? {
            Some(prompts) => prompts,
            None => vec![parameters.builtin("music")?],
        };
        let numbers = Arc::clone(parameters.numbers());
        Ok(Self {
            to,
            strategy,
            timeout: Duration::from_secs(parameters.number("timeout_s", 1, 600)?.unwrap_or(30)),
            caller_id,
            busy_then: parameters.extension("busy_then")?,
            no_answer_then: parameters.extension("no_answer_then")?,
            failed_then: parameters.extension("failed_then")?,
            talk: Talk {
                music_on_hold: music.iter().map(MediaUri::to_string).collect(),
                transfers_to: Some(Arc::new(move |number| numbers.has(number))),
            },
        })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        if let Some(parted) = call.resume_connected(&self.talk).await? {
            return parted::go_on(call, parted).await;
        }
        let Some(request) = self.request(call).await? else {
            // What was dialled cannot be a user or a number of anybody.
            return self.go_on(call, self.failed_then.as_ref(), Cause::UNALLOCATED).await;
        };
        match call.dial(&request).await? {
            Dialled::Answered(leg) => {
                let parted = call.connect(leg, &self.talk).await?;
                parted::go_on(call, parted).await
            }
            Dialled::Busy => self.go_on(call, self.busy_then.as_ref(), Cause::BUSY).await,
            Dialled::NoAnswer => self.go_on(call, self.no_answer_then.as_ref(), Cause::NO_ANSWER).await,
            Dialled::Refused(cause) => self.go_on(call, self.failed_then.as_ref(), cause.passed_on()).await,
        }
    }
}

impl Dial {
    async fn request(&self, call: &Call) -> Result<Option<DialRequest>, AppError> {
        let domain = call.domain().await?;
        // What was dialled is a caller's own words. With an `@` in it (`%40` on the wire) he would choose the domain too, and
        // reach whom his tenant's numbers do not lead to.
        let dialled = Some(call.extension()).filter(|dialled| !dialled.contains('@'));
        let address = |to: &String| match dialled {
            Some(dialled) => Address::within(&to.replace(DIALLED, dialled), &domain).ok(),
            None if to.contains(DIALLED) => None,
            None => Address::within(to, &domain).ok(),
        };
        let Some(targets) = self.to.iter().map(address).collect::<Option<Vec<_>>>() else { return Ok(None) };
        Ok(Some(DialRequest {
            strategy: self.strategy,
            ring_timeout: self.timeout,
            caller_id: self.caller_id.clone(),
            ..DialRequest::to(targets)
        }))
    }

    /// With the next number, if there is one; else the caller hears why.
    async fn go_on(&self, call: &Call, then: Option<&String>, cause: Cause) -> Result<Next, AppError> {
        if let Some(number) = then {
            return Ok(Next::Extension(number.clone()));
        }
        call.refuse(cause).await?;
        Ok(Next::Done)
    }
}
