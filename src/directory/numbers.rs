//! The numbers that a tenant has, without what they stand for: enough to tell whether a call can be handed on to one.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::pattern::{Key, Pattern};

/// All numbers of one tenant. Immutable.
#[derive(Debug, Default)]
pub struct Numbers {
    exact: BTreeSet<String>,
    patterns: Vec<Pattern>,
}

impl Numbers {
    pub(super) fn new(keys: &[Key]) -> Self {
        let mut numbers = Self::default();
        for key in keys {
            match key {
                Key::Exact(number) => {
                    numbers.exact.insert(number.clone());
                }
                Key::Pattern(pattern) => numbers.patterns.push(pattern.clone()),
            }
        }
        numbers
    }

    /// Whether some extension of the tenant answers `number`.
    pub fn has(&self, number: &str) -> bool {
        self.exact.contains(number) || self.patterns.iter().any(|pattern| pattern.matches(number))
    }

    /// Whether an extension of the tenant is exactly `number`, whatever its patterns match.
    pub fn has_exactly(&self, number: &str) -> bool {
        self.exact.contains(number)
    }

    /// Whether an extension of the tenant is exactly `beginning` and more, but at most `limit` characters in all, each of which
    /// a phone has a key for.
    pub fn goes_on(&self, beginning: &str, limit: usize) -> bool {
        let dialled = |number: &str| number.len() <= limit && number.bytes().all(|key| b"0123456789*#".contains(&key));
        let from = self.exact.range::<str, _>((Bound::Excluded(beginning), Bound::Unbounded));
        from.take_while(|number| number.starts_with(beginning)).any(|number| dialled(number))
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Numbers};

    #[test]
    fn a_number_is_there_by_itself_or_by_a_pattern() {
        let keys = ["600", "_2XX", "prefix:+49"].map(|text| Key::parse(text).expect("a good key"));
        let numbers = Numbers::new(&keys);
        for (number, there, exactly) in [
            ("600", true, true),
            ("200", true, false),
            ("+4930", true, false),
            ("60", false, false),
            ("", false, false),
        ] {
            assert_eq!((numbers.has(number), numbers.has_exactly(number)), (there, exactly), "{number}");
        }
    }

    #[test]
    fn a_beginning_goes_on_to_numbers_that_can_be_dialled() {
        let keys = ["6", "600", "7a", "8000"].map(|text| Key::parse(text).expect("a good key"));
        let numbers = Numbers::new(&keys);
        for (beginning, limit, goes_on) in
            [("6", 3, true), ("60", 3, true), ("600", 3, false), ("7", 3, false), ("8", 3, false), ("8", 4, true)]
        {
            assert_eq!(numbers.goes_on(beginning, limit), goes_on, "{beginning} of {limit}");
        }
    }
}
