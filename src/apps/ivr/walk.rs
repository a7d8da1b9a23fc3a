//! A caller's way through the menus: what he is asked next, given the keys that he pressed so far.
//!
//! Invariants:
//! - Pure: no time, no I/O. One key is asked for at a time, so that a number is complete as soon as no number of the tenant
//!   goes on from it.
//! - It ends, whatever is pressed: menus are asked [`ASK_LIMIT`] times in all, and each for at most [`Menu::dial`] keys.
//! - A number that is dialled must be an extension of the tenant by itself: what a pattern matches (a way out to the public
//!   network, say) cannot be dialled through a menu.

use std::time::Duration;

use super::menu::{Action, Menu};
use crate::directory::Numbers;

/// How often one caller is asked by menus, before the call is ended as one that gets nowhere.
pub(super) const ASK_LIMIT: u32 = 100;

/// Where a caller is.
#[derive(Debug)]
pub(super) struct Walk<'m> {
    menus: &'m [Menu],
    numbers: &'m Numbers,
    at: usize,
    /// Keys of this menu that are not decided on yet.
    typed: String,
    /// Wrong keys and time-outs in this menu, one after the other.
    misses: u32,
    asked: u32,
    /// What is played before the menu's own prompts.
    notice: Notice,
}

#[derive(Debug, Clone, Copy)]
enum Notice {
    Nothing,
    Invalid,
    Timeout,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// Play this and wait so long for one key.
    Ask {
        /// Played first; a key cuts it short.
        prompts: Vec<String>,
        /// How long the key is waited for, after the prompts.
        wait: Duration,
        /// Whether `#` means that the number is complete.
        hash_ends: bool,
    },
    /// The call goes on with this number.
    GoOn(String),
    /// The call ends.
    HangUp,
}

impl<'m> Walk<'m> {
    /// A caller who enters the menu at the place `at`.
    pub(super) fn begin(menus: &'m [Menu], numbers: &'m Numbers, at: usize) -> Self {
        Self { menus, numbers, at, typed: String::new(), misses: 0, asked: 1, notice: Notice::Nothing }
    }

    /// The menu that he is in.
    pub(super) fn menu(&self) -> &'m Menu {
        &self.menus[self.at]
    }

    /// What he is to be asked now.
    pub(super) fn ask(&self) -> Turn {
        let menu = self.menu();
        if !self.typed.is_empty() {
            return Turn::Ask { prompts: Vec::new(), wait: menu.next_digit_timeout, hash_ends: true };
        }
        let notice = match self.notice {
            Notice::Nothing => &[][..],
            Notice::Invalid => &menu.invalid,
            Notice::Timeout => &menu.timeout,
        };
        let prompts = notice.iter().chain(&menu.prompts).cloned().collect();
        Turn::Ask { prompts, wait: menu.first_digit_timeout, hash_ends: false }
    }

    /// Takes the key that was pressed, or nothing if none came in time (or `#`, where that ends a number).
    pub(super) fn hear(&mut self, key: Option<char>) -> Turn {
        let menu = self.menu();
        match key {
            None if self.typed.is_empty() => return self.miss(Notice::Timeout),
            None => return self.decide(),
            Some(key) => self.typed.push(key),
        }
        if self.typed.len() < menu.dial && self.numbers.goes_on(&self.typed, menu.dial) {
            return self.ask();
        }
        self.decide()
    }

    /// No further key is waited for.
    fn decide(&mut self) -> Turn {
        let typed = std::mem::take(&mut self.typed);
        let menu = self.menu();
        let mut keys = typed.chars();
        if let (Some(key), None) = (keys.next(), keys.next())
            && let Some(action) = menu.keys.get(&key)
        {
            self.misses = 0;
            return self.act(action);
        }
        if typed.len() <= menu.dial && self.numbers.has_exactly(&typed) {
            return Turn::GoOn(typed);
        }
        self.miss(Notice::Invalid)
    }

    fn miss(&mut self, notice: Notice) -> Turn {
        let menu = self.menu();
        self.misses += 1;
        if self.misses > menu.retries {
            return self.act(&menu.otherwise);
        }
        self.ask_menu(self.at, notice)
    }

    fn act(&mut self, action: &Action) -> Turn {
        match action {
            Action::Extension(number) => Turn::GoOn(number.clone()),
            Action::HangUp => Turn::HangUp,
            Action::Repeat => self.ask_menu(self.at, Notice::Nothing),
            Action::Menu(at) => {
                self.misses = 0;
                self.ask_menu(*at, Notice::Nothing)
            }
        }
    }

    fn ask_menu(&mut self, at: usize, notice: Notice) -> Turn {
        if self.asked >= ASK_LIMIT {
            return Turn::HangUp;
        }
        self.asked += 1;
        self.at = at;
        self.notice = notice;
        self.ask()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{ASK_LIMIT, Turn, Walk};
    use crate::apps::ivr::menu::Menu;
    use crate::apps::{Queues, Reader};
    use crate::directory::{Directory, Numbers, TenantSettings};
    use crate::invalid::Invalid;
    use crate::media::{MediaSettings, Prompts};

    static PROMPTS: LazyLock<Prompts> = LazyLock::new(|| Prompts::new(&MediaSettings::default()));

    /// The numbers of a tenant, and its menus.
    fn read(menus: &str) -> Result<(Arc<Numbers>, Vec<Menu>), Invalid> {
        let text = format!(
            r#"
            name = "one"
            domains = ["one.test"]
            [extensions]
            "200" = {{ app = "echo" }}
            "201" = {{ app = "echo" }}
            "2015" = {{ app = "echo" }}
            "_9." = {{ app = "echo" }}
            [extensions.ivr]
            app = "ivr"
            {menus}
            "#
        );
        let tenant: TenantSettings = toml::from_str(&text).expect("TOML of a tenant");
        let mut read = None;
        Directory::build(&[tenant], |owner, extension| {
            if extension.app == "ivr" {
                let queues = Queues::default();
                let mut reader = Reader::new(owner, &extension.parameters, &PROMPTS, &queues);
                read = Some((Arc::clone(&owner.numbers), Menu::read_all(&mut reader)?));
            }
            Ok(())
        })?;
        Ok(read.expect("there is an ivr"))
    }

    const MENUS: &str = r#"
        [extensions.ivr.menus.main]
        prompts = "hello"
        timeout = "beep"
        dial = 4
        first_digit_timeout_s = 7
        next_digit_timeout_s = 2
        otherwise = { extension = "201" }
        [extensions.ivr.menus.main.digits]
        1 = { menu = "sales" }
        2 = { extension = "200" }
        9 = "repeat"
        "*" = "hang_up"
        [extensions.ivr.menus.sales]
        prompts = ["join", "leave"]
        invalid = []
        retries = 0
        [extensions.ivr.menus.sales.digits]
        0 = { menu = "main" }
    "#;

    /// What the first media asked with sounds like: the last part of its name; and how long is waited.
    fn asked(turn: &Turn) -> String {
        match turn {
            Turn::Ask { prompts, wait, hash_ends } => {
                let names = prompts.iter().map(|prompt| prompt.rsplit('/').next().unwrap_or_default());
                let names: Vec<_> = names.map(|name| name.trim_end_matches(".wav")).collect();
                format!("{} {}{}", names.join("+"), wait.as_secs(), if *hash_ends { "#" } else { "" })
            }
            Turn::GoOn(number) => format!("-> {number}"),
            Turn::HangUp => "end".to_owned(),
        }
    }

    /// The turns that follow from these keys, `_` being none in time.
    fn walk(keys: &str) -> Vec<String> {
        let (numbers, menus) = read(MENUS).expect("good menus");
        let mut walk = Walk::begin(&menus, &numbers, 0);
        let first = asked(&walk.ask());
        let turns = keys.chars().map(|key| asked(&walk.hear(Some(key).filter(|key| *key != '_'))));
        std::iter::once(first).chain(turns).collect()
    }

    #[test]
    fn keys_lead_where_the_menu_says() {
        assert_eq!(walk("1"), ["hello 7", "join+leave 5"]);
        assert_eq!(walk("10*"), ["hello 7", "join+leave 5", "hello 7", "end"]);
        assert_eq!(walk("9"), ["hello 7", "hello 7"]);
    }

    #[test]
    fn a_number_is_dialled_as_soon_as_it_is_complete_or_no_key_follows() {
        // 2 does something by itself, but numbers go on from it: a moment is waited for those.
        assert_eq!(walk("2_"), ["hello 7", " 2#", "-> 200"]);
        assert_eq!(walk("200"), ["hello 7", " 2#", " 2#", "-> 200"]);
        assert_eq!(walk("201_"), ["hello 7", " 2#", " 2#", " 2#", "-> 201"]);
        assert_eq!(walk("2015"), ["hello 7", " 2#", " 2#", " 2#", "-> 2015"]);
        assert_eq!(walk("207"), ["hello 7", " 2#", " 2#", "error+hello 7"]);
    }

    #[test]
    fn what_only_a_pattern_matches_cannot_be_dialled() {
        let open = MENUS.replace("9 = \"repeat\"", "");
        let (numbers, menus) = read(&open).expect("good menus");
        assert!(numbers.has("90"));
        assert_eq!(asked(&Walk::begin(&menus, &numbers, 0).hear(Some('9'))), "error+hello 7");
    }

    #[test]
    fn wrong_keys_and_silence_count_together_until_the_retries_are_used_up() {
        assert_eq!(walk("3_4"), ["hello 7", "error+hello 7", "beep+hello 7", "-> 201"]);
        assert_eq!(walk("___"), ["hello 7", "beep+hello 7", "beep+hello 7", "-> 201"]);
        // A right key makes up for them.
        assert_eq!(walk("339__")[3..], ["hello 7", "beep+hello 7", "beep+hello 7"]);
        assert_eq!(walk("1_"), ["hello 7", "join+leave 5", "end"]);
    }

    #[test]
    fn a_refusal_names_the_field_in_full() {
        let field = |from: &str, to: &str| {
            let refused = read(&MENUS.replacen(from, to, 1)).expect_err("refused").field;
            refused.replace("tenants[0].extensions.\"ivr\".", "")
        };
        assert_eq!(field("\"sales\" }", "\"absent\" }"), "menus.main.digits.1.menu");
        assert_eq!(field("\"200\" }", "\"300\" }"), "menus.main.digits.2.extension");
        assert_eq!(field("\"repeat\"", "\"again\""), "menus.main.digits.9");
        assert_eq!(field("9 =", "99 ="), "menus.main.digits.99");
        assert_eq!(field("\"*\" =", "A ="), "menus.main.digits.A");
        assert_eq!(field("prompts = \"hello\"", ""), "menus.main.prompts");
        assert_eq!(field("prompts = \"hello\"", "prompts = \"absent\""), "menus.main.prompts");
        assert_eq!(field("dial = 4", "dial = 21"), "menus.main.dial");
        assert_eq!(field("dial = 4", "dials = 4"), "menus.main.dials");
        assert_eq!(field("retries = 0", "retries = -1"), "menus.sales.retries");
        assert_eq!(field("{ extension = \"201\" }", "\"repeat\""), "menus.main.otherwise");
        assert_eq!(field("0 = { menu = \"main\" }", ""), "menus.sales.digits");
        assert_eq!(read("").expect_err("refused").field, "tenants[0].extensions.\"ivr\".menus");
    }

    proptest! {
        #[test]
        fn it_always_ends(keys in vec(prop::option::of(prop::sample::select(b"0123456789*#".to_vec())), 0..40), back in any::<bool>()) {
            // A caller who presses these keys over and over, and menus that lead to each other for ever.
            let menus = if back { MENUS.replace("otherwise = { extension = \"201\" }", "otherwise = { menu = \"sales\" }")
                .replace("retries = 0", "otherwise = { menu = \"main\" }") } else { MENUS.to_owned() };
            let (numbers, menus) = read(&menus).expect("good menus");
            let mut walk = Walk::begin(&menus, &numbers, 0);
            let mut turn = walk.ask();
            let mut pressed = keys.iter().cycle();
            let mut turns = 0;
            while matches!(turn, Turn::Ask { .. }) {
                turn = walk.hear(pressed.next().copied().flatten().map(char::from));
                turns += 1;
                prop_assert!(turns <= ASK_LIMIT * 4, "menus of at most four keys each");
            }
            if let Turn::GoOn(number) = turn {
                prop_assert!(numbers.has(&number));
            }
        }
    }
}
