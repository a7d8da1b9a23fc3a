//! The prompts that there are, and what a node is told to play for a name in the settings.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
}

impl Prompts {
    /// The built-in prompts, and those in the folder that the (validated) settings name.
    pub fn new(settings: &MediaSettings) -> Self {
        let builtin = builtin::all().into_iter().map(|(name, file)| (format!("{name}.wav"), file)).collect();
        Self { base: settings.base(), folder: settings.prompts.clone(), max_age_s: settings.max_age_s, builtin }
    }

    /// What a node plays for `reference`: a prompt's name (`hello`, `menu/main.wav`; without an ending, `.wav` is meant),
    /// a URL, or media that the node has by itself (`sound:...`, `tone:...`). A prompt that does not exist is refused;
    /// the refusal's field is `prompt`.
    pub fn resolve(&self, reference: &str) -> Result<MediaUri, Invalid> {
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
        match self.find(&name) {
            Some(Source::File(path)) if !path.is_file() => Err(refused()),
            Some(_) => Ok(MediaUri(format!("sound:{}/media/prompts/{name}", self.base).into())),
            None => Err(refused()),
        }
    }

    /// Where the prompt `name` (with its ending) is, if the name is a good one. A file may have gone meanwhile.
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
}

/// The type of a prompt by its file's ending, or nothing where such a file is not served.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| *media_type)
}

/// Whether `name` can be a prompt: plain path segments, none hidden, with an ending that is served.
fn is_name(name: &str) -> bool {
    let segment_good = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    name.len() <= NAME_LIMIT && media_type(name).is_some() && name.split('/').all(segment_good)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Prompts, Source};
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
            assert_eq!(prompts.resolve(reference).expect(reference).as_str(), uri);
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
        ] {
            assert_eq!(prompts.resolve(bad).expect_err(bad).field, "prompt");
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
}
