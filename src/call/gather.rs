//! Digits from a caller: prompts that a key cuts short, and keys until there are enough of them.
//!
//! Keys are RFC 4733 events as the node reports them (one event per key, at its end). Which of them make up the input is
//! decided by [`Collector`], which knows no time and no I/O.

use std::time::Duration;

use super::error::CallError;
use super::handle::Call;

/// What to ask a caller for, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// Media played first, one after the other.
    pub prompts: Vec<String>,
    /// The id, of [`Call::new_id`], under which the media is played, for an app that saves it; one that nobody else knows, if
    /// there is none.
    pub playback: Option<String>,
    /// So many digits are enough; 1 or more.
    pub max_digits: usize,
    /// The key that ends the input and is not part of it.
    pub terminator: Option<char>,
    /// How long the first key is waited for, from the end of the prompts on.
    pub first_digit_timeout: Duration,
    /// How long each further key is waited for.
    pub next_digit_timeout: Duration,
    /// Whether a key stops the prompts. If not, they are played to their end.
    pub barge_in: bool,
    /// Whether keys count that were pressed before they were asked for (also during prompts without `barge_in`): people who
    /// know a menu dial through it. If not, such keys are forgotten. With `barge_in`, prompts whose answer is there
    /// already are not begun.
    pub type_ahead: bool,
}

impl Default for Gather {
    /// One digit within 5 s, none after more than 3 s; `#` ends; prompts can be cut short; keys pressed ahead count.
    fn default() -> Self {
        Self {
            prompts: Vec::new(),
            playback: None,
            max_digits: 1,
            terminator: Some('#'),
            first_digit_timeout: Duration::from_secs(5),
            next_digit_timeout: Duration::from_secs(3),
            barge_in: true,
            type_ahead: true,
        }
    }
}

/// What a caller entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The keys without the terminator, `0`-`9`, `*`, `#`, `A`-`D`. Hostile, and maybe secret (a PIN): not for logs.
    pub digits: String,
    /// Why there are no more.
    pub ended_by: GatherEnd,
}

/// Why a caller's input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatherEnd {
    /// There are `max_digits`.
    Full,
    /// The terminator was pressed; alone, the input is empty.
    Terminator,
    /// No key came in time; the input has what came before.
    Timeout,
}

/// The input so far.
#[derive(Debug)]
struct Collector<'a> {
    asked: &'a Gather,
    digits: String,
}

impl<'a> Collector<'a> {
    fn new(asked: &'a Gather) -> Self {
        Self { asked, digits: String::new() }
    }

    /// Takes a key; says whether the input is complete.
    fn take(&mut self, key: char) -> Option<GatherEnd> {
        if self.asked.terminator == Some(key) {
            return Some(GatherEnd::Terminator);
        }
        self.digits.push(key);
        (self.digits.len() >= self.asked.max_digits).then_some(GatherEnd::Full)
    }

    /// How long the next key is waited for.
    fn patience(&self) -> Duration {
        if self.digits.is_empty() { self.asked.first_digit_timeout } else { self.asked.next_digit_timeout }
    }

    fn end(self, ended_by: GatherEnd) -> Gathered {
        Gathered { digits: self.digits, ended_by }
    }
}

impl Call {
    /// Plays prompts and takes the keys that the caller presses, until the input is complete or he stops.
    ///
    /// Dropping the wait leaves a prompt playing, and loses the keys that were taken; keys that were not are still there. To
    /// wait for something else beside, give it to `tokio::select!` together with this as a whole.
    pub async fn gather(&mut self, asked: &Gather) -> Result<Gathered, CallError> {
        if asked.max_digits == 0 {
            return Err(CallError::Misuse("at least one digit must be asked for"));
        }
        let mut input = Collector::new(asked);
        if !asked.type_ahead {
            self.forget_digits();
        }
        let mut key = self.prompt(asked).await?;
        loop {
            key = match key {
                Some(key) => Some(key),
                None => self.digit_within(input.patience()).await?,
            };
            let Some(pressed) = key.take() else { return Ok(input.end(GatherEnd::Timeout)) };
            if let Some(end) = input.take(pressed) {
                return Ok(input.end(end));
            }
        }
    }

    /// Plays the prompts; gives the key that cut them short.
    async fn prompt(&mut self, asked: &Gather) -> Result<Option<char>, CallError> {
        if asked.prompts.is_empty() || (asked.barge_in && self.has_digits()) {
            return Ok(None);
        }
        let prompts = match &asked.playback {
            Some(id) => self.start_playing_as(id, &asked.prompts).await?,
            None => self.start_playing(&asked.prompts).await?,
        };
        if asked.barge_in {
            let key = tokio::select! {
                biased;
                key = self.digit() => key?,
                played = prompts.finished() => return played.map(|()| None),
            };
            prompts.stop().await?;
            return Ok(Some(key));
        }
        prompts.finished().await?;
        if !asked.type_ahead {
            self.forget_digits();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Collector, Gather, GatherEnd};

    /// What comes of these keys: the digits, and the end if there was one.
    fn of(asked: &Gather, keys: &str) -> (String, Option<GatherEnd>) {
        let mut input = Collector::new(asked);
        let end = keys.chars().find_map(|key| input.take(key));
        (input.digits, end)
    }

    #[test]
    fn input_ends_when_it_is_full_or_with_the_terminator() {
        let three = Gather { max_digits: 3, ..Gather::default() };
        assert_eq!(of(&three, "12"), ("12".to_owned(), None));
        assert_eq!(of(&three, "1239"), ("123".to_owned(), Some(GatherEnd::Full)));
        assert_eq!(of(&three, "1#"), ("1".to_owned(), Some(GatherEnd::Terminator)));
        assert_eq!(of(&three, "#1"), (String::new(), Some(GatherEnd::Terminator)));
        let hash = Gather { max_digits: 2, terminator: None, ..Gather::default() };
        assert_eq!(of(&hash, "#*"), ("#*".to_owned(), Some(GatherEnd::Full)));
    }

    #[test]
    fn the_first_key_has_its_own_time() {
        let asked = Gather { max_digits: 3, ..Gather::default() };
        let mut input = Collector::new(&asked);
        assert_eq!(input.patience(), asked.first_digit_timeout);
        input.take('1');
        assert_eq!(input.patience(), asked.next_digit_timeout);
    }
}
