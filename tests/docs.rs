//! The documents that are made from the code: settings, metrics, the API. Each is committed, and fails here when it no
//! longer says what the code does. `KAMARI_BLESS=1 cargo test --test docs` writes them anew (`make docs`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kamari::config::{Config, Sources};
use kamari::telemetry::{Metrics, RequestOutcome};

/// What stands around the part of a document that is made from the code.
const BEGIN: &str = "<!-- made from the code: make docs -->\n";
const END: &str = "<!-- end of what is made from the code -->\n";

/// The sections of the settings file, and the structs whose fields are their keys.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("lookup", "src/lookup/settings.rs", "Settings"),
    ("api", "src/api/settings.rs", "Settings"),
    ("pool", "src/pool/settings.rs", "Settings"),
    ("ari", "src/ari/settings.rs", "Settings"),
    ("balance", "src/balance/settings.rs", "Settings"),
    ("call", "src/call/settings.rs", "CallSettings"),
    ("cdr", "src/cdr/settings.rs", "Settings"),
    ("directory", "src/directory/settings.rs", "DirectorySettings"),
    ("media", "src/media/settings.rs", "MediaSettings"),
    ("fallback", "src/fallback/settings.rs", "Settings"),
    ("log", "src/telemetry/log.rs", "LogSettings"),
    ("shutdown", "src/config/shutdown.rs", "ShutdownSettings"),
];

/// Lists in the file: their entries have no defaults of their own.
const LISTS: &[(&str, &str, &str)] =
    &[("nodes", "src/config/nodes.rs", "NodeEntry"), ("tenants", "src/directory/settings.rs", "TenantSettings")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares the made part of a document with `made`, or writes it when asked to.
fn hold(document: &str, made: &str) {
    let path = root().join(document);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{document} lacks the line {BEGIN}"));
    let (now, after) = rest.split_once(END).unwrap_or_else(|| panic!("{document} lacks the line {END}"));
    write_or_compare(&path, now, made, &format!("{before}{BEGIN}{made}{END}{after}"));
}

fn write_or_compare(path: &Path, now: &str, made: &str, whole: &str) {
    if std::env::var_os("KAMARI_BLESS").is_some() {
        std::fs::write(path, whole).expect("written");
        return;
    }
    let differing = made.lines().zip(now.lines()).find(|(made, now)| made != now);
    assert!(
        made == now,
        "{} no longer says what the code does; run `make docs`.\nFirst difference: {differing:#?}",
        path.display()
    );
}

/// A field of a struct in the source, with the sentence above it.
struct Field {
    name: String,
    meaning: String,
}

/// The documented public fields of a struct, and its own description. Read from the source, so that the document says
/// what a developer reads beside the field.
fn fields(file: &str, name: &str) -> (String, Vec<Field>) {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let start = text.find(&format!("pub struct {name} {{")).unwrap_or_else(|| panic!("{file} has no struct {name}"));
    let about = comment_above(&text[..start]);
    let body = text[start..].split_once("{\n").expect("a body").1;
    let body = body.split_once("\n}").expect("its end").0;
    let mut found = Vec::new();
    let mut meaning: Vec<&str> = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            meaning.push(comment.trim());
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(':')) {
            assert!(!meaning.is_empty(), "{file}: {name} is not described");
            found.push(Field { name: name.to_owned(), meaning: meaning.join(" ") });
            meaning.clear();
        }
    }
    (about, found)
}

/// The doc comment that ends a text, attributes after it left out.
fn comment_above(text: &str) -> String {
    let lines = text.lines().rev().skip_while(|line| !line.starts_with("///"));
    let mut comment: Vec<&str> = lines.map_while(|line| line.strip_prefix("///")).map(str::trim).collect();
    comment.reverse();
    comment.join(" ")
}

/// A default as it is written in TOML.
fn shown(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => "unset".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn settings_are_documented() {
    let defaults = serde_json::to_value(Config::default()).expect("JSON");
    let defaults = defaults.as_object().expect("sections");
    let known: BTreeSet<&str> = SECTIONS.iter().chain(LISTS).map(|(section, _, _)| *section).collect();
    let real: BTreeSet<&str> = defaults.keys().map(String::as_str).collect();
    assert_eq!(known, real, "the sections of the settings, and those that this test knows");

    let mut made = String::new();
    for (section, file, name) in SECTIONS {
        let (about, fields) = fields(file, name);
        let values = defaults[*section].as_object().expect("a table");
        let names: BTreeSet<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        for key in values.keys() {
            assert!(names.contains(key.as_str()), "{section}.{key} is not a field that {file} describes");
        }
        let _ = writeln!(made, "\n## `[{section}]`\n\n{about}\n\n| Key | Default | Meaning |\n|---|---|---|");
        for field in fields {
            let default = shown(values.get(&field.name));
            let _ = writeln!(made, "| `{}` | {} | {} |", field.name, cell(&default), cell(&field.meaning));
        }
    }
    for (list, file, name) in LISTS {
        let (about, fields) = fields(file, name);
        let _ = writeln!(made, "\n## `[[{list}]]`\n\n{about}\n\n| Key | Meaning |\n|---|---|");
        for field in fields {
            let _ = writeln!(made, "| `{}` | {} |", field.name, cell(&field.meaning));
        }
    }
    made.push('\n');
    hold("docs/settings.md", &made);
}

#[test]
fn call_records_are_documented() {
    let mut made = String::new();
    for (title, name) in [("The record", "Cdr"), ("`media`", "Media")] {
        let (about, fields) = fields("src/cdr/record.rs", name);
        let _ = writeln!(made, "\n### {title}\n\n{about}\n\n| Field | Meaning |\n|---|---|");
        for field in fields {
            let _ = writeln!(made, "| `{}` | {} |", field.name, cell(&field.meaning));
        }
    }
    made.push('\n');
    hold("docs/cdr.md", &made);
}

#[test]
fn metrics_are_documented() {
    let metrics = Metrics::new().expect("metrics");
    let mut made = "\n| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n".to_owned();
    for described in metrics.catalogue() {
        let labels: Vec<String> = described.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (described.name, described.kind.as_str());
        let _ = writeln!(made, "| `{name}` | {kind} | {} | {} |", labels.join(", "), cell(described.help));
    }
    made.push('\n');
    hold("docs/metrics.md", &made);
}

#[test]
fn the_api_is_documented() {
    let made = kamari::api::document().expect("a document") + "\n";
    let path = root().join("docs/openapi.json");
    let now = std::fs::read_to_string(&path).unwrap_or_default();
    write_or_compare(&path, &now, &made, &made);
}

/// Every path that the router has is in the document; `tests/operator.rs` asks for each path of the document.
#[test]
fn every_route_is_in_the_document() {
    let router = std::fs::read_to_string(root().join("src/api/router.rs")).expect("the router");
    let document: serde_json::Value =
        serde_json::from_str(&kamari::api::document().expect("a document")).expect("JSON");
    let documented: BTreeSet<&str> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let paths = router.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
    let missing: Vec<&str> = paths.filter(|path| *path != "/openapi.json" && !documented.contains(path)).collect();
    assert!(missing.is_empty(), "routed and not documented: {missing:?}");
}

/// Every series that there can be, judged by Prometheus' own linter.
#[test]
fn promtool_finds_nothing_to_complain_of() {
    let promtool =
        ["/usr/bin/promtool", "/usr/local/bin/promtool"].map(PathBuf::from).into_iter().find(|tool| tool.exists());
    let promtool = promtool.expect("promtool is there: `make tools` installs it from Debian's package prometheus");
    let metrics = Metrics::new().expect("metrics");
    let _node = metrics.pool.node("ast1");
    let _socket = metrics.ari.node("ast1");
    metrics.ari.request("channels.get", RequestOutcome::Ok, 0.001);
    metrics.calls.app_begins("echo");
    metrics.calls.app_ends("echo", kamari::telemetry::CallOutcome::Completed, 1.0);

    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let text = metrics.render().expect("text");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "promtool says:\n{said}");
}

/// Every example of the guide to the apps is a settings file that kamari takes.
#[test]
fn examples_of_apps_are_taken() {
    let text = std::fs::read_to_string(root().join("docs/apps.md")).expect("docs/apps.md");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(example, _)| example).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(example.as_bytes()).expect("written");
        let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
        if let Err(problems) = kamari::config::load(&sources) {
            panic!("{problems}\n{example}");
        }
    }
}
