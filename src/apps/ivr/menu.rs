//! Menus as data: what is played, which key does what, and what becomes of a caller who presses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::apps::Reader;
use crate::directory::Numbers;
use crate::invalid::Invalid;
use crate::media::MediaUri;

/// The keys of a phone.
const KEYS: &str = "0123456789*#";
/// Most menus of one extension.
const MENU_LIMIT: usize = 100;
/// What a key may do, for refusals.
const EXPECTED: &str =
    "{ extension = \"a number of this tenant\" }, { menu = \"a menu of this extension\" }, \"repeat\" or \"hang_up\"";

/// What a key, or the lack of one, leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// The call goes on with this number of the tenant.
    Extension(String),
    /// Another menu, by its place.
    Menu(usize),
    /// The same menu again.
    Repeat,
    /// The end.
    HangUp,
}

/// One menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Menu {
    pub(super) name: String,
    /// Played to say which keys there are.
    pub(super) prompts: Vec<String>,
    /// Played after a key that does nothing.
    pub(super) invalid: Vec<String>,
    /// Played when no key came in time.
    pub(super) timeout: Vec<String>,
    pub(super) keys: BTreeMap<char, Action>,
    /// Longest number of the tenant that can be dialled here, 0 for none.
    pub(super) dial: usize,
    /// How long the first key is waited for, after the prompts.
    pub(super) first_digit_timeout: Duration,
    /// How long a further key of a number is waited for.
    pub(super) next_digit_timeout: Duration,
    /// How often a caller is asked again who pressed nothing or a wrong key.
    pub(super) retries: u32,
    /// What follows when he has been asked so often.
    pub(super) otherwise: Action,
}

impl Menu {
    /// Reads all menus of the parameter `menus`, in the order of their names.
    pub(super) fn read_all(parameters: &mut Reader<'_>) -> Result<Vec<Self>, Invalid> {
        let names: Vec<String> = parameters.entries("menus")?.iter().map(|(name, _)| (*name).to_owned()).collect();
        if names.is_empty() || names.len() > MENU_LIMIT {
            return Err(Reader::missing("menus", "1 to 100 menus, each a table under its name"));
        }
        let menus = parameters.tables("menus", |name, reader| Self::read(name, &names, reader))?;
        Ok(menus.into_iter().map(|(_, menu)| menu).collect())
    }

    fn read(name: &str, names: &[String], parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        parameters.choose_language()?;
        let mut prompts = |name: &'static str, otherwise: Vec<MediaUri>| -> Result<Vec<String>, Invalid> {
            let prompts = parameters.prompts(name)?.unwrap_or(otherwise);
            Ok(prompts.iter().map(MediaUri::to_string).collect())
        };
        let said = prompts("prompts", Vec::new())?;
        if said.is_empty() {
            return Err(Reader::missing("prompts", "a prompt or a list of prompts"));
        }
        let timeout = prompts("timeout", Vec::new())?;
        let error = parameters.builtin("error")?;
        let invalid = parameters.prompts("invalid")?.unwrap_or(vec![error]);
        let numbers = parameters.numbers().clone();
        let mut keys = BTreeMap::new();
        for (key, value) in parameters.entries("digits")? {
            let place = format!("digits.{}", key.escape_debug());
            let mut one = key.chars();
            let (Some(pressed), None) = (one.next().filter(|key| KEYS.contains(*key)), one.next()) else {
                return Err(Invalid::new(place, "a key: 0 to 9, * or #", key));
            };
            keys.insert(pressed, action(&place, value, names, &numbers)?);
        }
        let dial = parameters.number("dial", 1, 20)?.unwrap_or(0);
        if keys.is_empty() && dial == 0 {
            return Err(Reader::missing("digits", "at least one key, or dial"));
        }
        let seconds = |seconds: Option<u64>, otherwise| Duration::from_secs(seconds.unwrap_or(otherwise));
        let first_digit_timeout = seconds(parameters.number("first_digit_timeout_s", 1, 60)?, 5);
        let next_digit_timeout = seconds(parameters.number("next_digit_timeout_s", 1, 60)?, 3);
        let retries = parameters.number("retries", 0, 20)?.unwrap_or(2) as u32;
        let otherwise = match parameters.value("otherwise") {
            Some(value) => match action("otherwise", value, names, &numbers)? {
                Action::Repeat => {
                    return Err(Invalid::new("otherwise", "an extension, a menu or \"hang_up\"", "repeat"));
                }
                action => action,
            },
            None => Action::HangUp,
        };
        Ok(Self {
            name: name.to_owned(),
            prompts: said,
            invalid: invalid.iter().map(MediaUri::to_string).collect(),
            timeout,
            keys,
            dial: dial as usize,
            first_digit_timeout,
            next_digit_timeout,
            retries,
            otherwise,
        })
    }
}

fn action(place: &str, value: &Value, names: &[String], numbers: &Numbers) -> Result<Action, Invalid> {
    let refused = || Invalid::new(place, EXPECTED, value);
    match value {
        Value::String(text) if text == "repeat" => Ok(Action::Repeat),
        Value::String(text) if text == "hang_up" => Ok(Action::HangUp),
        Value::Object(table) if table.len() == 1 => {
            if let Some(number) = table.get("extension") {
                let known = number.as_str().filter(|number| numbers.has(number));
                let expected = "a number of this tenant, as a text";
                let known = known.ok_or_else(|| Invalid::new(format!("{place}.extension"), expected, number))?;
                return Ok(Action::Extension(known.to_owned()));
            }
            let menu = table.get("menu").ok_or_else(refused)?;
            let known = menu.as_str().and_then(|menu| names.iter().position(|name| name == menu));
            let expected = format!("one of the menus {}", names.join(", "));
            known.map(Action::Menu).ok_or_else(|| Invalid::new(format!("{place}.menu"), expected, menu))
        }
        _ => Err(refused()),
    }
}
