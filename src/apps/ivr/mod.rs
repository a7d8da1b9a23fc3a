//! Menus: a caller hears what there is and presses a key, or dials a number of the tenant.
//!
//! What the menus are is data (`menu`), where a caller is in them is a pure walk (`walk`); here they meet a call.

mod menu;
mod walk;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hours::Hours;
use super::{App, Next, Reader};
use crate::call::{AppError, Call, Cause, Gather, Kind};
use crate::directory::Numbers;
use crate::invalid::Invalid;
use menu::Menu;
use walk::{Turn, Walk};

/// The app `ivr`.
///
/// Parameters: `menus`, one table a menu (`prompts`, `digits`, `dial`, `invalid`, `timeout`, `first_digit_timeout_s`,
/// `next_digit_timeout_s`, `retries`, `otherwise`); `start`, the first menu's name (`main`, if there is none); `hours`, when
/// somebody is there (`zone`, `weekly`, `holidays`); `closed_then`, the number that the call goes on with at other times.
#[derive(Debug)]
pub struct Ivr {
    menus: Vec<Menu>,
    numbers: Arc<Numbers>,
    start: usize,
    /// When the menus are there, and the number for other times.
    hours: Option<(Hours, String)>,
}

/// What another kamari must know to ask the caller where he was asked last.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    menu: String,
    /// What is played to him.
    playback: String,
}

impl App for Ivr {
    const NAME: &'static str = "ivr";

    fn build(parameters: &mut Reader<'_>) -> Result<Self, Invalid> {
        let menus = Menu::read_all(parameters)?;
        let name = parameters.text("start")?.unwrap_or_else(|| "main".to_owned());
        let start = menus.iter().position(|menu| menu.name == name);
        let start =
            start.ok_or_else(|| Invalid::new("start", "the name of one of the menus (main, if not said)", &name))?;
        let closed_then = parameters.extension("closed_then")?;
        let hours = match (parameters.table("hours", Hours::read)?, closed_then) {
            (None, None) => None,
            (Some(hours), Some(number)) => Some((hours, number)),
            (Some(_), None) => {
                return Err(Reader::missing("closed_then", "a number of this tenant, since there are hours"));
            }
            (None, Some(_)) => return Err(Reader::missing("hours", "a table, since there is closed_then")),
        };
        Ok(Self { menus, numbers: Arc::clone(parameters.numbers()), start, hours })
    }

    async fn run(&self, call: &mut Call) -> Result<Next, AppError> {
        let saved = call.saved::<Place>(Self::NAME);
        // Who was let in before kamari was away is not sent home.
        if let Some((hours, closed_then)) = &self.hours
            && saved.is_none()
            && !hours.is_open(Timestamp::now())
        {
            return Ok(Next::Extension(closed_then.clone()));
        }
        call.answer().await?;
        if let Some(place) = &saved
            && let Some(prompts) = call.resume_playing(&place.playback, &[""]).await?
        {
            prompts.stop().await?;
        }
        let found = saved.and_then(|place| self.menus.iter().position(|menu| menu.name == place.menu));
        let mut walk = Walk::begin(&self.menus, &self.numbers, found.unwrap_or(self.start));
        let mut turn = walk.ask();
        loop {
            let (prompts, wait, hash_ends) = match turn {
                Turn::Ask { prompts, wait, hash_ends } => (prompts, wait, hash_ends),
                Turn::GoOn(number) => return Ok(Next::Extension(number)),
                Turn::HangUp => break,
            };
            let mut asked = Gather { prompts, first_digit_timeout: wait, ..Gather::default() };
            asked.terminator = hash_ends.then_some('#');
            if !asked.prompts.is_empty() {
                let place = Place { menu: walk.menu().name.clone(), playback: call.new_id(Kind::Playback) };
                call.save(&place, &[]).await?;
                asked.playback = Some(place.playback);
            }
            turn = walk.hear(call.gather(&asked).await?.digits.chars().next());
        }
        call.hang_up(Cause::NORMAL).await?;
        Ok(Next::Done)
    }
}
