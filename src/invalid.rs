//! A value that was refused, said so that whoever sent it can mend it: which field, what was expected, what was found.
//!
//! Every door of kamari (configuration file, operator API, lookup, command line) answers bad input with this one type,
//! so that a person reads the same sentence wherever the value came from. It depends on nothing.

use std::fmt;

/// The longest piece of a refused value that is repeated back, in characters: enough to recognise it, too short to flood a log.
const FOUND_LIMIT: usize = 80;

/// A refused value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The field's full name, as the sender wrote it: `pool.poll_interval_ms`, `call_id`, `nodes[2].ari`.
    pub field: String,
    /// What would have been taken, with unit and range: `a whole number of milliseconds from 100 to 60000`.
    pub expected: String,
    /// What came, shortened and with control characters escaped.
    pub found: String,
}

impl Invalid {
    /// A refusal of `found`. The value is shortened and escaped here, so hostile input may be passed as it came.
    pub fn new(field: impl Into<String>, expected: impl Into<String>, found: impl fmt::Display) -> Self {
        let text = found.to_string();
        let mut shown: String = text.chars().take(FOUND_LIMIT).flat_map(char::escape_debug).collect();
        if text.chars().nth(FOUND_LIMIT).is_some() {
            shown.push('…');
        }
        Self { field: field.into(), expected: expected.into(), found: shown }
    }

    /// The same refusal seen from one level further out: `ari` refused inside `nodes[2]` becomes `nodes[2].ari`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found \"{}\"", self.field, self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::Invalid;

    #[test]
    fn a_hostile_value_is_shortened_and_escaped() {
        let refusal = Invalid::new("call_id", "at most 256 bytes", "\r\n".repeat(500));
        assert!(refusal.found.starts_with("\\r\\n") && refusal.found.ends_with('…'));
        assert!(!refusal.to_string().contains('\n'));
    }

    #[test]
    fn the_field_is_named_in_full() {
        let refusal = Invalid::new("ari", "an http or https URL", "ftp://x").within("nodes[2]");
        assert_eq!(refusal.to_string(), "nodes[2].ari: expected an http or https URL, found \"ftp://x\"");
    }
}
