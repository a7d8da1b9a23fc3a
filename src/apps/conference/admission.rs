//! Who is let into a room, and as what: by PIN.

use super::{prompts, texts};
use crate::apps::Reader;
use crate::call::{AppError, Call, Gather, Role};
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// How often a PIN may be wrong.
const TRIES: usize = 3;
/// Most digits of a PIN.
const PIN_LIMIT: usize = 16;

/// The PINs of a room.
pub(super) struct Admission {
    pin: Option<String>,
    moderator_pin: Option<String>,
    ask: Vec<MediaUri>,
    wrong: Vec<MediaUri>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // PINs are not for logs.
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Admission {
    pub(super) fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let pin = pin(parameters, "pin")?;
        let moderator_pin = pin_other_than(parameters, "moderator_pin", pin.as_deref())?;
        let ask = prompts(parameters, "ask_pin", "beep")?;
        let wrong = prompts(parameters, "wrong_pin", "error")?;
        Ok(Self { pin, moderator_pin, ask, wrong })
    }

    /// A switch that makes no sense in a room that nobody can lead.
    pub(super) fn needs_moderator(&self, parameters: &mut Reader<'_>, name: &'static str) -> Result<bool, Invalid> {
        let on = parameters.switch(name)?.unwrap_or(false);
        if on && self.moderator_pin.is_none() {
            return Err(Invalid::new(name, "false, or a moderator_pin beside it", on));
        }
        Ok(on)
    }

    /// What somebody is who entered this; nothing if he is not let in.
    fn role(&self, entered: &str) -> Option<Role> {
        if self.moderator_pin.as_deref() == Some(entered) {
            return Some(Role::Moderator);
        }
        match &self.pin {
            Some(pin) => (pin == entered).then_some(Role::Member),
            // Whoever enters nothing is a member; a wrong PIN was meant to be the moderator's.
            None => entered.is_empty().then_some(Role::Member),
        }
    }

    /// Asks for the PIN, if there is one. Nothing if it was wrong too often.
    pub(super) async fn ask(&self, call: &mut Call) -> Result<Option<Role>, AppError> {
        if self.pin.is_none() && self.moderator_pin.is_none() {
            return Ok(Some(Role::Member));
        }
        let mut asked = Gather { prompts: texts(&self.ask), max_digits: PIN_LIMIT, ..Gather::default() };
        for _ in 0..TRIES {
            let entered = call.gather(&asked).await?.digits;
            if let Some(role) = self.role(&entered) {
                return Ok(Some(role));
            }
            asked.type_ahead = false;
            call.play(&self.wrong).await?;
        }
        Ok(None)
    }
}

fn pin(parameters: &mut Reader<'_>, name: &'static str) -> Result<Option<String>, Invalid> {
    let pin = parameters.text(name)?;
    let good = |pin: &&String| (1..=PIN_LIMIT).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit());
    if pin.as_ref().is_some_and(|pin| !good(&pin)) {
        // What it was is not shown: it may be nearly right.
        return Err(Invalid::new(name, "1 to 16 digits in quotes", "something else"));
    }
    Ok(pin)
}

fn pin_other_than(
    parameters: &mut Reader<'_>,
    name: &'static str,
    other: Option<&str>,
) -> Result<Option<String>, Invalid> {
    let pin = pin(parameters, name)?;
    if pin.is_some() && pin.as_deref() == other {
        return Err(Invalid::new(name, "another PIN than the members'", "the same"));
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::Admission;
    use crate::call::Role;

    fn admission(pin: Option<&str>, moderator_pin: Option<&str>) -> Admission {
        let text = |pin: Option<&str>| pin.map(str::to_owned);
        Admission { pin: text(pin), moderator_pin: text(moderator_pin), ask: Vec::new(), wrong: Vec::new() }
    }

    #[test]
    fn a_pin_says_who_somebody_is() {
        let both = admission(Some("12"), Some("99"));
        let roles = ["12", "99", "", "129", "1"].map(|entered| both.role(entered));
        assert_eq!(roles, [Some(Role::Member), Some(Role::Moderator), None, None, None]);
        let led = admission(None, Some("99"));
        assert_eq!(
            ["", "99", "98"].map(|entered| led.role(entered)),
            [Some(Role::Member), Some(Role::Moderator), None]
        );
        let closed = admission(Some("12"), None);
        assert_eq!(["", "12"].map(|entered| closed.role(entered)), [None, Some(Role::Member)]);
    }
}
