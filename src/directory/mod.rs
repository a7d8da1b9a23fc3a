//! Which app answers a number of a tenant.
//!
//! Why it exists: the routing decision sees performance only, so what a call *means* is found here, once, when the call
//! has arrived. One customer is a *tenant*, known by the domain that Kamailio passed; his numbers are *extensions*.
//!
//! Invariants:
//! - Pure and immutable: a [`Directory`] that exists is valid as a whole. A change builds a new one and swaps it in; calls
//!   that run keep what they were given.
//! - It knows no app: whoever builds it says what an extension's settings become, and refuses what makes no sense.
//! - A number is looked up within one tenant only; names of two tenants never meet.

mod numbers;
mod owner;
mod pattern;
mod settings;

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

pub use numbers::Numbers;
pub use owner::Owner;
pub(crate) use owner::check_language;
use pattern::{Key, Pattern};
pub(crate) use settings::is_pin;
pub use settings::{DirectorySettings, ExtensionSettings, Parameters, TenantSettings};

use crate::invalid::Invalid;

/// Longest tenant name in bytes: it is part of room names, file names and log lines.
const NAME_LIMIT: usize = 63;
/// The domain that stands for all others.
const ANY_DOMAIN: &str = "*";

/// All tenants and their extensions; `T` is what an extension stands for.
#[derive(Debug)]
pub struct Directory<T> {
    tenants: Vec<Tenant<T>>,
    by_domain: HashMap<String, usize>,
}

#[derive(Debug)]
struct Tenant<T> {
    name: Arc<str>,
    exact: HashMap<String, T>,
    /// Most specific first.
    patterns: Vec<(Pattern, T)>,
}

/// An extension that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'d, T> {
    /// The tenant's name.
    pub tenant: &'d Arc<str>,
    /// What the extension stands for.
    pub target: &'d T,
}

/// Why a number stands for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No tenant has this domain.
    #[error("no tenant has this domain")]
    Domain,
    /// The tenant has no such extension.
    #[error("the tenant has no such extension")]
    Extension,
}

impl<T> Directory<T> {
    /// Builds a directory, or says which field is wrong, the first of several. `target` turns the settings of one extension
    /// of a tenant into what it stands for; what it refuses is reported under the extension's own name.
    pub fn build(
        settings: &[TenantSettings],
        target: impl FnMut(&Owner, &ExtensionSettings) -> Result<T, Invalid>,
    ) -> Result<Self, Invalid> {
        let (directory, refused) = Self::assemble(settings, target);
        refused.into_iter().next().map_or(Ok(directory), Err)
    }

    /// Everything that [`Directory::build`] would refuse, in the order of the settings.
    pub fn problems(
        settings: &[TenantSettings],
        target: impl FnMut(&Owner, &ExtensionSettings) -> Result<T, Invalid>,
    ) -> Vec<Invalid> {
        Self::assemble(settings, target).1
    }

    fn assemble(
        settings: &[TenantSettings],
        mut target: impl FnMut(&Owner, &ExtensionSettings) -> Result<T, Invalid>,
    ) -> (Self, Vec<Invalid>) {
        let mut refused = Vec::new();
        let mut names = HashSet::new();
        let mut by_domain = HashMap::new();
        let mut tenants = Vec::with_capacity(settings.len());
        for (index, raw) in settings.iter().enumerate() {
            let place = format!("tenants[{index}]");
            let known = refused.len();
            refused.extend(check_name(&raw.name).err());
            refused.extend(raw.language.as_deref().and_then(|language| check_language(language).err()));
            if !names.insert(raw.name.as_str()) {
                refused.push(Invalid::new("name", "a name that no other tenant has", &raw.name));
            }
            for domain in &raw.domains {
                match check_domain(domain) {
                    Ok(key) => {
                        if by_domain.insert(key, index).is_some() {
                            let expected = "domains that no other tenant has, each once";
                            refused.push(Invalid::new("domains", expected, domain));
                        }
                    }
                    Err(refusal) => refused.push(refusal),
                }
            }
            tenants.push(Tenant::assemble(raw, &mut target, &mut refused));
            let ours = refused.split_off(known);
            refused.extend(ours.into_iter().map(|refusal| refusal.within(&place)));
        }
        (Self { tenants, by_domain }, refused)
    }

    /// The extension that answers `number` at `domain` (a host name or address without port, in any case of letters).
    pub fn find(&self, domain: &str, number: &str) -> Result<Found<'_, T>, Unknown> {
        let index = self.by_domain.get(&domain_key(domain)).or_else(|| self.by_domain.get(ANY_DOMAIN));
        let tenant = index.and_then(|index| self.tenants.get(*index)).ok_or(Unknown::Domain)?;
        let target = tenant.find(number).ok_or(Unknown::Extension)?;
        Ok(Found { tenant: &tenant.name, target })
    }

    /// What all extensions of all tenants stand for, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &T> {
        self.tenants
            .iter()
            .flat_map(|tenant| tenant.exact.values().chain(tenant.patterns.iter().map(|(_, target)| target)))
    }

    /// The names of all tenants, in the order of the settings.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tenants.iter().map(|tenant| &tenant.name)
    }
}

impl<T> Tenant<T> {
    /// The tenant, without what is refused.
    fn assemble(
        raw: &TenantSettings,
        target: &mut impl FnMut(&Owner, &ExtensionSettings) -> Result<T, Invalid>,
        refused: &mut Vec<Invalid>,
    ) -> Self {
        let place = |text: &str| format!("extensions.\"{}\"", text.escape_debug());
        let mut keys = Vec::with_capacity(raw.extensions.len());
        let mut extensions = Vec::with_capacity(raw.extensions.len());
        for (text, extension) in &raw.extensions {
            match Key::parse(text) {
                Ok(key) => {
                    keys.push(key);
                    extensions.push((text, extension));
                }
                Err(refusal) => refused.push(Invalid { field: place(text), ..refusal }),
            }
        }
        let owner = Owner {
            name: raw.name.as_str().into(),
            language: raw.language.as_deref().map(Arc::from),
            numbers: Arc::new(Numbers::new(&keys)),
        };
        let mut tenant = Self { name: Arc::clone(&owner.name), exact: HashMap::new(), patterns: Vec::new() };
        for (key, (text, extension)) in keys.into_iter().zip(extensions) {
            match (target(&owner, extension), key) {
                (Ok(built), Key::Exact(number)) => drop(tenant.exact.insert(number, built)),
                (Ok(built), Key::Pattern(pattern)) => tenant.patterns.push((pattern, built)),
                (Err(refusal), _) => refused.push(refusal.within(&place(text))),
            }
        }
        tenant.patterns.sort_by(|(a, _), (b, _)| a.cmp(b));
        refused.extend(same_patterns(raw).map(|text| {
            Invalid::new(place(text), "a pattern that matches other numbers than every other of this tenant", text)
        }));
        tenant
    }

    fn find(&self, number: &str) -> Option<&T> {
        self.exact
            .get(number)
            .or_else(|| self.patterns.iter().find(|(pattern, _)| pattern.matches(number)).map(|(_, target)| target))
    }
}

/// The patterns of a tenant that match exactly what one before them matches, in another spelling: which of the two a number
/// means would be chance.
fn same_patterns(raw: &TenantSettings) -> impl Iterator<Item = &str> {
    let mut seen = HashSet::new();
    raw.extensions.keys().map(String::as_str).filter(move |text| match Key::parse(text) {
        Ok(Key::Pattern(pattern)) => !seen.insert(pattern),
        _ => false,
    })
}

fn check_name(name: &str) -> Result<(), Invalid> {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=NAME_LIMIT).contains(&name.len())
        && name.bytes().all(letters)
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let expected = "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit";
    if good { Ok(()) } else { Err(Invalid::new("name", expected, name)) }
}

/// The key of a good domain: a host name, an address (IPv6 in brackets or not), or `*`.
fn check_domain(domain: &str) -> Result<String, Invalid> {
    let key = domain_key(domain);
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let host = (1..=253).contains(&key.len()) && key.bytes().all(letters);
    if host || key == ANY_DOMAIN || key.parse::<Ipv6Addr>().is_ok() {
        return Ok(key);
    }
    Err(Invalid::new("domains", "host names or addresses without a port, or \"*\"", domain))
}

/// One spelling of each domain: lower case, without the root's dot and without an IPv6 address's brackets.
fn domain_key(domain: &str) -> String {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let bare = domain.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(domain);
    bare.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Directory, ExtensionSettings, Parameters, TenantSettings, Unknown};
    use crate::invalid::Invalid;

    #[derive(serde::Deserialize)]
    struct File {
        tenants: Vec<TenantSettings>,
    }

    fn build(toml: &str) -> Result<Directory<String>, Invalid> {
        let file: File = toml::from_str(toml).expect("TOML of tenants");
        Directory::build(&file.tenants, |owner, extension| match extension.app.as_str() {
            "bad" => Err(Invalid::new("app", "a good app", "bad")),
            app => Ok(format!("{}/{app}{}", owner.name, serde_json::Value::Object(extension.parameters.clone()))),
        })
    }

    const TWO: &str = r#"
        [[tenants]]
        name = "one"
        domains = ["One.test", "[2001:db8::1]"]
        [tenants.extensions]
        "600" = { app = "conference", room = "600" }
        "_6XX" = { app = "echo" }
        "prefix:6" = { app = "playback", prompts = ["hello"] }
        [[tenants]]
        name = "two"
        domains = ["two.test", "*"]
        [tenants.extensions]
        "600" = { app = "reject" }
    "#;

    #[test]
    fn the_most_specific_extension_of_the_right_tenant_answers() {
        let directory = build(TWO).expect("good settings");
        let target = |domain: &str, number: &str| directory.find(domain, number).map(|found| found.target.as_str());
        assert_eq!(target("one.test", "600"), Ok(r#"one/conference{"room":"600"}"#));
        assert_eq!(target("ONE.TEST.", "601"), Ok("one/echo{}"));
        assert_eq!(target("2001:db8::1", "6"), Ok(r#"one/playback{"prompts":["hello"]}"#));
        assert_eq!(target("one.test", "700"), Err(Unknown::Extension));
        assert_eq!(target("two.test", "600"), Ok("two/reject{}"));
        assert_eq!(target("two.test", "601"), Err(Unknown::Extension));
        assert_eq!(target("anything.test", "600"), Ok("two/reject{}"));
    }

    #[test]
    fn without_a_tenant_for_all_others_an_unknown_domain_is_unknown() {
        let directory = build(&TWO.replace(", \"*\"", "")).expect("good settings");
        assert_eq!(directory.find("anything.test", "600").map(|found| found.target.clone()), Err(Unknown::Domain));
        assert_eq!(directory.find("", "").map(|found| found.target.clone()), Err(Unknown::Domain));
    }

    #[test]
    fn a_refusal_names_the_field_in_full() {
        let field = |toml: &str| build(toml).expect_err("refused").field;
        assert_eq!(field(&TWO.replace("\"echo\"", "\"bad\"")), "tenants[0].extensions.\"_6XX\".app");
        assert_eq!(field(&TWO.replace("\"two\"", "\"one\"")), "tenants[1].name");
        assert_eq!(field(&TWO.replace("two.test", "one.TEST")), "tenants[1].domains");
        assert_eq!(field(&TWO.replace("two.test", "sip:two")), "tenants[1].domains".to_owned());
        assert_eq!(field(&TWO.replace("_6XX", "_6.X")), "tenants[0].extensions.\"_6.X\"");
        assert_eq!(field(&TWO.replace("\"one\"", "\"\"")), "tenants[0].name");
    }

    /// One place of a pattern: as it is written, and what it takes.
    fn place() -> impl Strategy<Value = (String, Vec<char>)> {
        let class = |text: &str, first: char| Just((text.to_owned(), (first..='9').collect::<Vec<_>>()));
        prop_oneof![
            class("X", '0'),
            class("Z", '1'),
            class("N", '2'),
            (0..9_u8).prop_map(|d| (format!("[{d}-{}]", d + 1), vec![char::from(b'0' + d), char::from(b'1' + d)])),
            (0..=9_u8).prop_map(|d| (d.to_string(), vec![char::from(b'0' + d)])),
        ]
    }

    proptest! {
        /// Against the rules written down anew: who matches, and who of those is the most specific.
        #[test]
        fn of_all_that_match_the_most_specific_answers(
            patterns in prop::collection::vec((prop::collection::vec(place(), 1..5), 0..3_usize), 1..8),
            number in "[0-9]{1,5}",
        ) {
            let digits: Vec<char> = number.chars().collect();
            // Ending 0: nothing more, 1: `.` (one or more), 2: `!` (none or more).
            let matches = |(places, ending): &(Vec<(String, Vec<char>)>, usize)| {
                let length = match ending { 0 => digits.len() == places.len(), 1 => digits.len() > places.len(), _ => digits.len() >= places.len() };
                length && places.iter().zip(&digits).all(|((_, set), digit)| set.contains(digit))
            };
            let widths = |(places, ending): &(Vec<(String, Vec<char>)>, usize)| -> Vec<usize> {
                let open = match ending { 0 => None, 1 => Some(usize::MAX - 1), _ => Some(usize::MAX) };
                places.iter().map(|(_, set)| set.len()).chain(open).collect()
            };
            let best = patterns.iter().filter(|pattern| matches(pattern)).map(widths).min();
            let key = |(places, ending): &(Vec<(String, Vec<char>)>, usize)| {
                let text: String = places.iter().map(|(text, _)| text.as_str()).collect();
                format!("_{text}{}", ["", ".", "!"][*ending])
            };
            let extensions = patterns.iter().map(|pattern| {
                let app = format!("{:?}", widths(pattern));
                (key(pattern), ExtensionSettings { app, parameters: Parameters::new() })
            });
            let (name, domains) = ("one".into(), vec!["*".into()]);
            let tenant = TenantSettings { name, domains, language: None, extensions: extensions.collect() };
            let directory = Directory::build(&[tenant], |_, extension| Ok(extension.app.clone())).expect("good patterns");
            let found = directory.find("any.test", &number).map(|found| found.target.clone()).ok();
            prop_assert_eq!(found, best.map(|widths| format!("{widths:?}")));
        }
    }

    #[test]
    fn two_spellings_of_one_pattern_are_refused() {
        let tenant =
            |keys: &str| build(&format!("[[tenants]]\nname = \"a\"\ndomains = [\"a\"]\n[tenants.extensions]\n{keys}"));
        let refused = tenant("\"_2XX\" = { app = \"one\" }\n\"_2[0-9]X\" = { app = \"two\" }\n").expect_err("the same");
        assert!(refused.to_string().contains("a pattern that matches other numbers"), "{refused}");
        tenant("\"prefix:49\" = { app = \"one\" }\n\"_49!\" = { app = \"two\" }\n").expect_err("the same");
        tenant("\"_2XX\" = { app = \"one\" }\n\"_2XZ\" = { app = \"two\" }\n").expect("one is more specific");
    }
}
