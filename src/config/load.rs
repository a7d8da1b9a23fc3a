//! Layers: defaults, then the file, then the environment, then flags; and all that is wrong with them in one list.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Table;
use toml::de::Deserializer;

use super::folder::Folder;
use super::overrides::{self, Override};
use super::place::{Document, Origin, Problem, Problems, remove};
use super::{Config, nodes};

/// The largest file that is read, in bytes. A thousand nodes and ten thousand extensions fit.
const FILE_LIMIT: u64 = 8 * 1024 * 1024;
/// After so many problems the rest can wait.
const PROBLEM_LIMIT: usize = 20;

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file, if any.
    pub file: Option<PathBuf>,
    /// The environment, all of it; only `KAMARI_*` is looked at.
    pub environment: Vec<(String, String)>,
    /// Values given by flags.
    pub flags: Vec<Override>,
}

/// Reads, layers and validates. `Err` holds every problem found (at most 20).
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let text = match &sources.file {
        Some(path) => read(path).map_err(|problem| Problems(vec![problem]))?,
        None => String::new(),
    };
    let path = sources.file.clone().unwrap_or_default();
    let document = Document::parse(path, &text).map_err(first_problems)?;

    let (table, mut problems) = typed::<Config>(&document);
    let (mut wanted, misspelt) = overrides::from_environment(sources.environment.iter().cloned(), &sections());
    problems.extend(misspelt);
    wanted.extend(sources.flags.iter().cloned());
    let (config, refused) = apply(table, &wanted);
    problems.extend(refused);

    let Some(mut config) = config else { return Err(Problems(problems)) };
    let base = sources.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let mut folder = Folder::default();
    if let Some(named) = &mut config.directory.folder {
        *named = base.join(&*named);
        let (read, found) = Folder::read(named, &mut config.tenants);
        folder = read;
        problems.extend(found);
    }
    let refusals = config.problems().into_iter().chain(nodes::read_password_files(&mut config.nodes, base));
    problems.extend(refusals.map(|refusal| {
        if let Some(problem) = folder.problem(&refusal) {
            return problem;
        }
        let set = wanted.iter().rev().find(|set| set.field == refusal.field).map(|set| set.origin.clone());
        let origin = set.or_else(|| document.find(&refusal.field).map(|span| document.origin(span.start)));
        Problem { origin: origin.unwrap_or_else(|| Origin::Whole("settings".to_owned())), message: refusal.to_string() }
    }));
    if problems.is_empty() { Ok(config) } else { Err(first_problems(problems)) }
}

fn first_problems(mut problems: Vec<Problem>) -> Problems {
    problems.truncate(PROBLEM_LIMIT);
    Problems(problems)
}

pub(super) fn read(path: &Path) -> Result<String, Problem> {
    let refuse = |message: String| Problem { origin: Origin::Whole(path.display().to_string()), message };
    let size = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
    if size > FILE_LIMIT {
        return Err(refuse(format!("a file of at most {FILE_LIMIT} bytes is read, this one has {size}")));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| refuse(format!("not UTF-8 text: {error}")))
}

/// Checks names and types in the file: what is wrong is reported and taken out, and the rest checked again.
pub(super) fn typed<T: DeserializeOwned>(document: &Document<'_>) -> (Table, Vec<Problem>) {
    let mut table = document.table.clone();
    let mut problems = Vec::new();
    loop {
        let Err(error) = T::deserialize(Deserializer::from(table.clone())) else { break };
        let span = error.span().unwrap_or_default();
        let field = document.field_at(&span).unwrap_or_default();
        let message = typed_message(&field, error.message());
        problems.push(Problem { origin: document.origin(span.start), message });
        if problems.len() >= PROBLEM_LIMIT || !remove(table.get_mut(), &field) {
            // What is left cannot be told apart from the mistake: leave it all out, the problems are reported anyway.
            return (Table::new(), problems);
        }
    }
    // The typed document was read, so the untyped one can be.
    (Table::deserialize(Deserializer::from(table)).unwrap_or_default(), problems)
}

/// The message of a type error, with its field in front; of a secret, not the value.
fn typed_message(field: &str, message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(" ");
    if field.ends_with("password") {
        return format!("{field}: expected a string");
    }
    let message = in_words(&message);
    if field.is_empty() { message } else { format!("{field}: {message}") }
}

/// A message of the parser without the names of Rust's types.
fn in_words(message: &str) -> String {
    if message.ends_with("invalid socket address syntax") {
        return "expected an address and port, such as 127.0.0.1:8070 (no host name)".to_owned();
    }
    let Some((rest, kind)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let kind = match kind {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "f32" | "f64" => "a number",
        other => other,
    };
    format!("{rest}expected {kind}")
}

/// The table under its overrides, as a `Config`; each override that does not fit is reported and left out.
fn apply(mut table: Table, wanted: &[Override]) -> (Option<Config>, Vec<Problem>) {
    let mut problems = Vec::new();
    for set in wanted {
        let mut refusal = format!("{}: a section's name stands where a key is expected", set.field);
        let fitting = overrides::readings(&set.value).into_iter().find_map(|value| {
            let changed = overrides::with_value(&table, &set.field, value)?;
            match Config::deserialize(changed.clone()) {
                Ok(_) => Some(changed),
                Err(error) => {
                    refusal = typed_message(&set.field, error.message());
                    None
                }
            }
        });
        match fitting {
            Some(changed) => table = changed,
            None => problems.push(Problem { origin: set.origin.clone(), message: refusal }),
        }
    }
    match Config::deserialize(table) {
        Ok(config) => (Some(config), problems),
        Err(error) => {
            problems
                .push(Problem { origin: Origin::Whole("settings".to_owned()), message: error.message().to_owned() });
            (None, problems)
        }
    }
}

/// The names of the file's sections.
fn sections() -> Vec<String> {
    match serde_json::to_value(Config::default()) {
        Ok(serde_json::Value::Object(sections)) => sections.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::overrides::Override;
    use super::{Sources, load};

    fn with_file(text: &str) -> (tempfile::NamedTempFile, Sources) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        (file, sources)
    }

    /// The problems of a file, without its path.
    fn problems(text: &str) -> Vec<String> {
        let (file, sources) = with_file(text);
        let problems = load(&sources).expect_err("a bad file");
        let path = format!("{}:", file.path().display());
        problems.0.iter().map(|problem| problem.to_string().replace(&path, "")).collect()
    }

    #[test]
    fn nothing_at_all_is_valid() {
        let config = load(&Sources::default()).expect("defaults are valid");
        assert_eq!(config.api.listen.to_string(), "127.0.0.1:8071");
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        let found = problems(
            "[api]\nmax_body_bytes = \"many\"\nlisten_on = 1\n\n[log]\nlevel = \"kamari=loudly\"\n\n[[nodes]]\nname = \"a\"\nari = \"http://a\"\n",
        );
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found[0].starts_with("3:1: api.listen_on: unknown field"), "{found:#?}");
        assert!(found[1].starts_with("2:18: api.max_body_bytes: invalid type"), "{found:#?}");
        assert!(found[2].starts_with("8:1: nodes[0]: missing field `sip`"), "{found:#?}");
        assert!(found[3].starts_with("6:1: log.level: expected"), "{found:#?}");
    }

    #[test]
    fn mistakes_are_told_in_words_for_people() {
        let found = problems(
            "[pool]\ndefault_capacity = 1.5\n[lookup]\nlisten = \"localhost:8070\"\n[balance]\ncpu_limit = \"high\"\n[log]\nlevel = \"loud\"\n",
        );
        assert_eq!(found.len(), 4, "{found:#?}");
        let all = found.join("\n");
        assert!(
            all.contains("2:20: pool.default_capacity: invalid type: floating point `1.5`, expected a whole number")
        );
        assert!(all.contains("4:10: lookup.listen: expected an address and port, such as 127.0.0.1:8070"), "{all}");
        assert!(all.contains("6:13: balance.cpu_limit: invalid type: string \"high\", expected a number"), "{all}");
        assert!(all.contains("8:1: log.level: expected error, warn, info"), "{all}");
    }

    #[test]
    fn text_that_is_no_toml_is_refused_at_its_line() {
        let found = problems("[api]\nlisten = = 3\n");
        assert!(found[0].starts_with("2:"), "{found:#?}");
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let (_file, mut sources) =
            with_file("[api]\nmax_body_bytes = 2000\nmax_event_streams = 2\nlisten = \"127.0.0.9:1\"\n");
        sources.environment = vec![
            ("KAMARI_API__MAX_BODY_BYTES".to_owned(), "3000".to_owned()),
            ("KAMARI_API__LISTEN".to_owned(), "127.0.0.9:2".to_owned()),
            ("KAMARI_CONFIG".to_owned(), "ignored".to_owned()),
            ("PATH".to_owned(), "ignored".to_owned()),
        ];
        sources.flags = vec![Override::flag("--api-listen", "api.listen", "127.0.0.9:3")];
        let config = load(&sources).expect("valid");
        assert_eq!(config.api.max_event_streams, 2);
        assert_eq!(config.api.max_body_bytes, 3000);
        assert_eq!(config.api.listen.to_string(), "127.0.0.9:3");
    }

    #[test]
    fn a_bad_variable_or_flag_is_named() {
        let sources = Sources {
            environment: vec![
                ("KAMARI_API__MAX_BODY_BYTES".to_owned(), "lots".to_owned()),
                ("KAMARI_API_LISTEN".to_owned(), "127.0.0.1:1".to_owned()),
                ("KAMARI_API__MAX_EVENT_STREAMS".to_owned(), "0".to_owned()),
            ],
            flags: vec![Override::flag("--set log.format", "log.format", "pretty")],
            ..Sources::default()
        };
        let found: Vec<String> = load(&sources).expect_err("bad").0.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(found[0].contains("KAMARI_API_LISTEN") && found[0].contains("KAMARI_API__LISTEN"), "{found:#?}");
        assert!(
            found[1].starts_with("environment variable KAMARI_API__MAX_BODY_BYTES: api.max_body_bytes: invalid type")
        );
        assert!(found[2].starts_with("flag --set log.format: log.format: unknown variant"), "{found:#?}");
        assert!(found[3].starts_with("environment variable KAMARI_API__MAX_EVENT_STREAMS: api.max_event_streams:"));
    }

    #[test]
    fn a_password_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("secret"), "s3cr3t-in-file\n").expect("written");
        let file = folder.path().join("kamari.toml");
        let text = "[[nodes]]\nname = \"a\"\nari = \"http://10.0.0.1:8088/ari\"\nsip = \"sip:10.0.0.1\"\npassword_file = \"secret\"\n\
                    [[nodes]]\nname = \"b\"\nari = \"http://10.0.0.2:8088/ari\"\nsip = \"sip:10.0.0.2\"\npassword = \"s3cr3t-inline\"\n";
        std::fs::write(&file, text).expect("written");
        let config = load(&Sources { file: Some(file), ..Sources::default() }).expect("valid");
        assert!(config.nodes.iter().all(|node| node.password.is_some()));
        let shown = format!("{config:?} {}", config.to_toml().expect("TOML"));
        assert!(!shown.contains("s3cr3t"), "{shown}");

        let found = problems("[[nodes]]\nname = \"a\"\nari = \"http://h\"\nsip = \"sip:h\"\npassword = 4711\n");
        assert!(!found[0].contains("4711") && found[0].contains("nodes[0].password: expected a string"), "{found:#?}");
        let found =
            problems("[[nodes]]\nname = \"a\"\nari = \"http://h\"\nsip = \"sip:h\"\npassword_file = \"/nowhere/x\"\n");
        assert!(found[0].starts_with("5:1: nodes[0].password_file: expected a readable file"), "{found:#?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let sources = Sources { file: Some("/nowhere/kamari.toml".into()), ..Sources::default() };
        assert!(load(&sources).expect_err("missing").to_string().starts_with("/nowhere/kamari.toml: "));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-z\\[\\]=\"\\.\n #{},0-9]{0,120})|(\\PC{0,80})") {
            let (_file, sources) = with_file(&text);
            let _ = load(&sources);
        }
    }
}
