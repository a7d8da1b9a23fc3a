//! Whose an extension is.

use std::sync::Arc;

use super::numbers::Numbers;
use crate::invalid::Invalid;

/// Longest language tag in bytes (RFC 5646, section 4.4.1).
const LANGUAGE_LIMIT: usize = 35;

/// What an extension's app needs to know of the tenant.
#[derive(Debug, Clone)]
pub struct Owner {
    /// His name.
    pub name: Arc<str>,
    /// The language of his prompts, unless the extension names another.
    pub language: Option<Arc<str>>,
    /// His numbers.
    pub numbers: Arc<Numbers>,
}

/// Holds a language to the shape of a tag: subtags of 1 to 8 letters and digits, the first of 2 to 8 letters, between them `-` as in
/// RFC 5646 or `_` as in Asterisk. The refusal's field is `language`.
pub(crate) fn check_language(text: &str) -> Result<(), Invalid> {
    let subtags = || text.split(['-', '_']);
    let begins =
        subtags().next().is_some_and(|one| one.len() >= 2 && one.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let is_subtag = |one: &str| (1..=8).contains(&one.len()) && one.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if begins && subtags().all(is_subtag) && text.len() <= LANGUAGE_LIMIT {
        return Ok(());
    }
    Err(Invalid::new("language", "a language such as en, pt_BR or de-AT", text))
}

#[cfg(test)]
mod tests {
    use super::check_language;

    #[test]
    fn a_language_is_a_tag_and_no_path() {
        for good in ["en", "pt_BR", "de-AT", "zh-Hant-TW", "sl-rozaj-biske"] {
            assert!(check_language(good).is_ok(), "{good}");
        }
        for bad in
            ["", "e", "1e", "en_", "_en", "en__GB", "..", "en/GB", "en GB", "a2", "abcdefghi", "en-\u{e9}", "tenants/a"]
        {
            assert_eq!(check_language(bad).expect_err(bad).field, "language");
        }
        assert!(check_language(&["en"; 12].join("-")).is_ok());
        assert!(check_language(&["en"; 13].join("-")).is_err());
    }
}
