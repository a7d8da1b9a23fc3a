//! The prompts that there are, and what a node is told to play for a name in the settings.
//!
//! One name may stand for several files: what a tenant has of his own, and what is spoken in another language. Which of them is
//! meant is decided here, when the settings are accepted; a node is only ever told where to fetch one file.
//!
//! Of what a tenant has of his own a node is not told whose it is or what it is called: the address is kept in the node's cache.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::builtin;
use super::settings::MediaSettings;
use crate::invalid::Invalid;

/// Longest prompt name in bytes.
const NAME_LIMIT: usize = 200;
/// Longest reference to media of a node's own or elsewhere, in bytes.
const URI_LIMIT: usize = 1_000;
/// File endings that are served, with their types. Asterisk takes the format from the type, or else from the ending.
const TYPES: [(&str, &str); 7] = [
    ("wav", "audio/wav"),
    ("wav16", "application/octet-stream"),
    ("ulaw", "audio/basic"),
    ("alaw", "application/octet-stream"),
    ("g722", "application/octet-stream"),
    ("gsm", "audio/x-gsm"),
    ("sln16", "application/octet-stream"),
];
/// The folder within the prompts folder that has a folder for each tenant.
const TENANTS: &str = "tenants";
/// What a reference may look like, for refusals.
const EXPECTED: &str = "a prompt in the prompts folder or a built-in one (beep, join, leave, hello, error, music), \
                        an http or https URL, or a node's own media (sound:demo-congrats, tone:ring), without commas and spaces";

/// Media as Asterisk's `play` takes it: `sound:...`, `tone:...`. Never holds a comma, which would split it in two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaUri(Arc<str>);

impl MediaUri {
    /// What makes a node fetch and play a URL of ours, which holds no comma.
    pub(super) fn of_url(url: &str) -> Self {
        Self(format!("sound:{url}").into())
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for MediaUri {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For whom a prompt is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Listener<'a> {
    /// Whose call it is.
    pub tenant: &'a str,
    /// The language in which to speak to him: `en`, `pt_BR`. Nothing for whatever there is.
    pub language: Option<&'a str>,
}

impl Listener<'_> {
    /// Where a prompt of this name may be in the prompts folder, the best first: what the tenant has of his own before what is
    /// there for all, and of each what is in his language, then what is in the language without its region, then what is in none.
    fn places(self, name: &str) -> impl Iterator<Item = String> {
        let base = self.language.and_then(|language| language.split_once(['_', '-'])).map(|(base, _)| base);
        let own = format!("{TENANTS}/{}/", self.tenant);
        [own, String::new()].into_iter().flat_map(move |folder| {
            // What lies in the folder of the tenants is in no language.
            let languages = self.language.into_iter().chain(base).filter(|language| *language != TENANTS);
            let spoken = languages.map(|language| format!("{folder}{language}/{name}"));
            spoken.chain([format!("{folder}{name}")]).collect::<Vec<_>>()
        })
    }
}

/// A prompt's bytes, wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Made when kamari started.
    Memory(Bytes),
    /// A file in the prompts folder.
    File(PathBuf),
}

/// All prompts. Immutable, but for the files in the folder.
#[derive(Debug)]
pub struct Prompts {
    base: String,
    folder: Option<PathBuf>,
    pub(super) max_age_s: u32,
    builtin: HashMap<String, Bytes>,
    /// What tenants have of their own and the settings name: the file's place in the prompts folder, by the name in its address.
    own: Mutex<HashMap<String, String>>,
}

impl Prompts {
    /// The built-in prompts, and those in the folder that the (validated) settings name.
    pub fn new(settings: &MediaSettings) -> Self {
        let builtin = builtin::all().into_iter().map(|(name, file)| (format!("{name}.wav"), file)).collect();
        let (folder, max_age_s) = (settings.prompts.clone(), settings.max_age_s);
        Self { base: settings.base(), folder, max_age_s, builtin, own: Mutex::default() }
    }

    /// What a node plays to `listener` for `reference`: a prompt's name (`hello`, `menu/main.wav`; without an ending, `.wav` is
    /// meant), a URL, or media that the node has by itself (`sound:...`, `tone:...`). A prompt that does not exist is refused;
    /// the refusal's field is `prompt`.
    pub fn resolve(&self, listener: Listener<'_>, reference: &str) -> Result<MediaUri, Invalid> {
        let refused = || Invalid::new("prompt", EXPECTED, reference);
        let clean =
            |text: &str| text.len() <= URI_LIMIT && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        if !clean(reference) {
            return Err(refused());
        }
        if reference.starts_with("http://") || reference.starts_with("https://") {
            return Ok(MediaUri(format!("sound:{reference}").into()));
        }
        if reference.split_once(':').is_some_and(|(kind, what)| matches!(kind, "sound" | "tone") && !what.is_empty()) {
            return Ok(MediaUri(reference.into()));
        }
        let name = if media_type(reference).is_some() { reference.to_owned() } else { format!("{reference}.wav") };
        if !is_name(&name) {
            return Err(refused());
        }
        let address = match self.best(listener, &name) {
            Some(place) if is_of_a_tenant(&place) => format!("own/{}", self.hide(&place)),
            Some(place) => format!("prompts/{place}"),
            None if self.builtin.contains_key(&name) => format!("prompts/{name}"),
            None => return Err(refused()),
        };
        Ok(MediaUri::of_url(&format!("{}/media/{address}", self.base)))
    }

    /// Where in the prompts folder the best file of this name is.
    fn best(&self, listener: Listener<'_>, name: &str) -> Option<String> {
        let folder = self.folder.as_ref()?;
        listener.places(name).find(|place| folder.join(place).is_file())
    }

    /// A name that tells nothing of the file at `place`, and is the same after a restart: nodes keep what they fetched by it.
    fn hide(&self, place: &str) -> String {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let ending = place.rsplit_once('.').map_or("", |(_, ending)| ending).to_owned();
        let mut round = 0_u32;
        loop {
            let mut hasher = DefaultHasher::new();
            (round, place).hash(&mut hasher);
            let name = format!("{:016x}.{ending}", hasher.finish());
            if *own.entry(name.clone()).or_insert_with(|| place.to_owned()) == place {
                return name;
            }
            // Two files of one name in 2^64: the second gets another.
            round = round.wrapping_add(1);
        }
    }

    /// Where the prompt at `name` (with its ending, as in its address) is, if the name is a good one. A file may have gone
    /// meanwhile. What tenants have of their own is not found this way.
    pub(super) fn find(&self, name: &str) -> Option<Source> {
        if !is_name(name) {
            return None;
        }
        let file = self.folder.as_ref().map(|folder| folder.join(name));
        match (file, self.builtin.get(name)) {
            (Some(file), None) => Some(Source::File(file)),
            (Some(file), Some(_)) if file.is_file() => Some(Source::File(file)),
            (_, Some(bytes)) => Some(Source::Memory(bytes.clone())),
            (None, None) => None,
        }
    }

    /// Where the prompt of a tenant is that settings name, by the name in its address.
    pub(super) fn find_own(&self, name: &str) -> Option<Source> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Source::File(self.folder.as_ref()?.join(own.get(name)?)))
    }
}

/// The type of a prompt by its file's ending, or nothing where such a file is not served.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}

/// Whether this place in the prompts folder is a tenant's.
fn is_of_a_tenant(place: &str) -> bool {
    place.split('/').next() == Some(TENANTS)
}

/// Whether `name` can be a prompt: plain path segments, none hidden, with an ending that is served, and not in a tenant's folder.
fn is_name(name: &str) -> bool {
    let segment_good = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    name.len() <= NAME_LIMIT && media_type(name).is_some() && name.split('/').all(segment_good) && !is_of_a_tenant(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::{Listener, Prompts, Source};
    use crate::media::MediaSettings;

    fn with_folder() -> (tempfile::TempDir, Prompts) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("menu")).expect("a folder");
        fs::write(folder.path().join("menu/main.wav"), b"x").expect("a file");
        fs::write(folder.path().join("beep.wav"), b"y").expect("a file");
        fs::write(folder.path().join("secret.txt"), b"z").expect("a file");
        let settings = MediaSettings { prompts: Some(folder.path().to_owned()), ..MediaSettings::default() };
        let prompts = Prompts::new(&settings);
        (folder, prompts)
    }

    const ANYBODY: Listener<'_> = Listener { tenant: "one", language: None };

    #[test]
    fn references_become_what_a_node_plays() {
        let (_folder, prompts) = with_folder();
        let base = "sound:http://127.0.0.1:8072/media/prompts";
        for (reference, uri) in [
            ("hello", format!("{base}/hello.wav")),
            ("menu/main", format!("{base}/menu/main.wav")),
            ("menu/main.wav", format!("{base}/menu/main.wav")),
            ("sound:demo-congrats", "sound:demo-congrats".to_owned()),
            ("tone:ring", "tone:ring".to_owned()),
            ("https://media.test/a.wav", "sound:https://media.test/a.wav".to_owned()),
        ] {
            assert_eq!(prompts.resolve(ANYBODY, reference).expect(reference).as_str(), uri);
        }
    }

    #[test]
    fn a_prompt_that_does_not_exist_or_makes_no_sense_is_refused() {
        let (_folder, prompts) = with_folder();
        for bad in [
            "",
            "absent",
            "absent.wav",
            "menu",
            "../beep",
            "/etc/passwd",
            "menu/../beep.wav",
            ".hidden",
            "a b",
            "hello,beep",
            "sound:",
            "recording:x",
            "sound:a,b",
            "http://x/a,b.wav",
            "secret.txt",
            "a\0b",
            "tenants/one/beep",
            "tenants/two/beep.wav",
        ] {
            assert_eq!(prompts.resolve(ANYBODY, bad).expect_err(bad).field, "prompt");
        }
    }

    #[test]
    fn a_file_hides_the_built_in_prompt_of_its_name() {
        let (folder, prompts) = with_folder();
        assert_eq!(prompts.find("beep.wav"), Some(Source::File(folder.path().join("beep.wav"))));
        assert!(matches!(prompts.find("hello.wav"), Some(Source::Memory(_))));
        assert_eq!(prompts.find("secret.txt"), None);
        assert_eq!(prompts.find("menu//main.wav"), None);
    }

    fn with_files(places: &[&str]) -> (tempfile::TempDir, Prompts) {
        let folder = tempfile::tempdir().expect("a folder");
        for place in places {
            let file = folder.path().join(place);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, place).expect("a file");
        }
        let settings = MediaSettings { prompts: Some(folder.path().to_owned()), ..MediaSettings::default() };
        (folder, Prompts::new(&settings))
    }

    /// Where the file is that a node would be sent, in the prompts folder; nothing for a built-in prompt.
    fn sent(folder: &tempfile::TempDir, prompts: &Prompts, listener: Listener<'_>, name: &str) -> Option<String> {
        let uri = prompts.resolve(listener, name).expect("it exists");
        let address = uri.as_str().split_once("/media/").expect("an address of ours").1;
        let source = match address.split_once('/').expect("a kind") {
            ("own", name) => {
                assert!(!uri.as_str().contains(listener.tenant), "{uri} tells whose it is");
                prompts.find_own(name)
            }
            (_, name) => prompts.find(name),
        };
        match source.expect("it is served") {
            Source::File(path) => Some(path.strip_prefix(folder.path()).expect("below").to_string_lossy().into_owned()),
            Source::Memory(_) => None,
        }
    }

    /// For `de_AT`, the best first.
    const PLACES: [&str; 6] = [
        "tenants/eins/de_AT/hello.wav",
        "tenants/eins/de/hello.wav",
        "tenants/eins/hello.wav",
        "de_AT/hello.wav",
        "de/hello.wav",
        "hello.wav",
    ];

    proptest! {
        #[test]
        fn the_best_that_is_there_is_sent_and_never_what_is_anothers(there: [bool; 6], others: [bool; 3]) {
            let of_others = ["tenants/zwei/de_AT/hello.wav", "tenants/zwei/hello.wav", "en/hello.wav"];
            let mut files: Vec<&str> = PLACES.iter().zip(there).filter_map(|(place, is)| is.then_some(*place)).collect();
            let best = files.first().map(|place| (*place).to_owned());
            files.extend(of_others.iter().zip(others).filter_map(|(place, is)| is.then_some(*place)));
            let (folder, prompts) = with_files(&files);
            let listener = Listener { tenant: "eins", language: Some("de_AT") };
            prop_assert_eq!(sent(&folder, &prompts, listener, "hello"), best);
            // Without a language those in none count.
            let best = [2, 5].into_iter().find(|place| there[*place]).map(|place| PLACES[place].to_owned());
            prop_assert_eq!(sent(&folder, &prompts, Listener { language: None, ..listener }, "hello.wav"), best);
        }
    }

    #[test]
    fn a_prompt_that_only_another_has_is_missing() {
        let (_folder, prompts) = with_files(&["tenants/zwei/news.wav", "en/today.wav"]);
        let of = |tenant, language, name| prompts.resolve(Listener { tenant, language }, name);
        assert!(of("zwei", None, "news").is_ok());
        assert_eq!(of("eins", None, "news").expect_err("not his").field, "prompt");
        assert!(of("eins", Some("en-GB"), "today").is_ok());
        assert_eq!(of("eins", Some("de"), "today").expect_err("not in German").field, "prompt");
        assert!(of("eins", Some("de"), "en/today").is_ok(), "named in full");
        for language in ["tenants", "tenants-x"] {
            assert!(of("eins", Some(language), "zwei/news").is_err(), "{language} is no way to another's");
        }
        assert_eq!(prompts.find("tenants/zwei/news.wav"), None);
        assert_eq!(prompts.find_own("news.wav"), None);
    }
}
