//! What an extension of the directory matches: one number, an Asterisk-style pattern, or a prefix.
//!
//! Rules of patterns as in Asterisk's dialplan, written with a leading `_`: `X` a digit, `Z` 1-9, `N` 2-9, `[1-37a]` a
//! set, a last `.` one or more of any character, a last `!` none or more; anything else is itself. Two departures, so
//! that user names can be written plainly: the classes are upper case only, and `-` is an ordinary character.

use std::cmp::Ordering;

use crate::invalid::Invalid;

/// Longest key in characters; Asterisk itself carries no extension longer than this.
const LENGTH_LIMIT: usize = 79;
/// What a good key looks like, for refusals.
const EXPECTED: &str =
    "a number or name (600, alice), a pattern (_2XX, _9.) or a prefix (prefix:49), at most 79 characters";

/// One position of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    /// Exactly one of these characters (a literal is a set of one). Never empty, sorted, without repeats.
    OneOf(Vec<char>),
    /// Any characters to the end, at least this many (0 or 1).
    Rest(usize),
}

/// What an extension's key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Just this number or name.
    Exact(String),
    /// Every number that the pattern matches.
    Pattern(Pattern),
}

/// A parsed pattern or prefix. Ordered by how specific it is: the most specific is the least.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern(Vec<Place>);

impl Key {
    /// Reads a key as it stands in the settings; the refusal's field is `extensions`.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new("extensions", EXPECTED, text);
        if text.chars().count() > LENGTH_LIMIT || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(refused());
        }
        if let Some(pattern) = text.strip_prefix('_') {
            return parse_pattern(pattern).map(|places| Self::Pattern(Pattern(places))).ok_or_else(refused);
        }
        if let Some(prefix) = text.strip_prefix("prefix:") {
            if prefix.is_empty() {
                return Err(refused());
            }
            let mut places: Vec<Place> = prefix.chars().map(|c| Place::OneOf(vec![c])).collect();
            places.push(Place::Rest(0));
            return Ok(Self::Pattern(Pattern(places)));
        }
        if text.is_empty() { Err(refused()) } else { Ok(Self::Exact(text.to_owned())) }
    }
}

impl Pattern {
    /// Whether the whole of `number` fits.
    pub(super) fn matches(&self, number: &str) -> bool {
        let mut rest = number.chars();
        for place in &self.0 {
            match place {
                Place::OneOf(set) => {
                    if rest.next().is_none_or(|c| set.binary_search(&c).is_err()) {
                        return false;
                    }
                }
                Place::Rest(least) => return rest.count() >= *least,
            }
        }
        rest.next().is_none()
    }

    /// How many characters each position lets through, the rest of a number counting as more than any set.
    fn widths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|place| match place {
            Place::OneOf(set) => set.len(),
            Place::Rest(least) => usize::MAX - least,
        })
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> Ordering {
        let sets = |pattern: &Self| -> Vec<Vec<char>> {
            pattern.0.iter().map(|place| if let Place::OneOf(set) = place { set.clone() } else { Vec::new() }).collect()
        };
        self.widths().cmp(other.widths()).then_with(|| sets(self).cmp(&sets(other)))
    }
}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The places of a pattern without its `_`, or nothing where it makes no sense.
fn parse_pattern(text: &str) -> Option<Vec<Place>> {
    let mut places = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        places.push(match c {
            'X' => Place::OneOf(('0'..='9').collect()),
            'Z' => Place::OneOf(('1'..='9').collect()),
            'N' => Place::OneOf(('2'..='9').collect()),
            '[' => {
                let (inside, after) = rest.as_str().split_once(']')?;
                rest = after.chars();
                Place::OneOf(parse_set(inside)?)
            }
            '.' | '!' if rest.as_str().is_empty() => Place::Rest(usize::from(c == '.')),
            '.' | '!' | ']' => return None,
            literal => Place::OneOf(vec![literal]),
        });
    }
    (!places.is_empty()).then_some(places)
}

/// The characters of `1-37a`: ranges and single ones.
fn parse_set(text: &str) -> Option<Vec<char>> {
    let mut set = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        let last = if rest.peek() == Some(&'-') {
            rest.next();
            rest.next()?
        } else {
            first
        };
        if !first.is_ascii() || !last.is_ascii() || first > last {
            return None;
        }
        set.extend(first..=last);
    }
    set.sort_unstable();
    set.dedup();
    (!set.is_empty()).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::{Key, Pattern};

    fn pattern(text: &str) -> Pattern {
        match Key::parse(text) {
            Ok(Key::Pattern(pattern)) => pattern,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn patterns_match_as_in_a_dialplan() {
        for (key, yes, no) in [
            ("_2XX", vec!["200", "299"], vec!["20", "2000", "300", "2a0", ""]),
            ("_9.", vec!["91", "9abc"], vec!["9", "8"]),
            ("_9!", vec!["9", "91"], vec!["8", ""]),
            ("_NZX", vec!["210", "999"], vec!["110", "200"]),
            ("_[1-37a]0", vec!["10", "30", "70", "a0"], vec!["40", "60"]),
            ("_alice-X", vec!["alice-1"], vec!["alice1", "alice-"]),
            ("prefix:+49", vec!["+49", "+4930"], vec!["+4", "49"]),
            ("_.", vec!["x", "12"], vec![""]),
        ] {
            let pattern = pattern(key);
            for number in yes {
                assert!(pattern.matches(number), "{key} matches {number}");
            }
            for number in no {
                assert!(!pattern.matches(number), "{key} does not match {number}");
            }
        }
    }

    #[test]
    fn the_most_specific_pattern_is_the_least() {
        let mut patterns: Vec<_> = ["_.", "_9!", "_9.", "_9X.", "_91.", "_XXX", "_9XX", "_9[12]X"].map(pattern).into();
        patterns.sort();
        let expected = ["_91.", "_9[12]X", "_9XX", "_9X.", "_9.", "_9!", "_XXX", "_."].map(pattern);
        assert_eq!(patterns, expected);
    }

    #[test]
    fn keys_that_make_no_sense_are_refused() {
        for bad in ["", "_", "prefix:", "_9.1", "_[", "_[]", "_[3-1]", "_[1-]", "_]", "6 00", "6\r\n", &"9".repeat(80)]
        {
            assert_eq!(Key::parse(bad).expect_err(bad).field, "extensions");
        }
    }
}
