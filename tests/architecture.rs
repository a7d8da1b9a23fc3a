//! The arrows between kamari's modules, held by reading every `crate::` path in `src/`.
//!
//! A module may name only the modules that its line below allows. The table is the same as the one in
//! `docs/architecture.md`; to draw a new arrow, change both and say there why.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who may name whom. `invalid` (a refused value) and `telemetry` (metric structs) are leaves that anyone may name.
const ALLOWED: &[(&str, &[&str])] = &[
    ("invalid", &[]),
    ("telemetry", &["invalid"]),
    ("ari", &["invalid"]),
    ("balance", &["invalid"]),
    ("fallback", &["invalid", "telemetry"]),
    ("directory", &["invalid"]),
    ("serving", &[]),
    ("media", &["invalid", "telemetry", "serving"]),
    ("cdr", &["invalid", "telemetry"]),
    ("statefile", &[]),
    ("pool", &["invalid", "telemetry", "statefile", "ari", "balance"]),
    ("lookup", &["invalid", "telemetry", "pool", "balance", "serving"]),
    ("call", &["invalid", "telemetry", "ari", "pool", "cdr"]),
    ("apps", &["invalid", "telemetry", "statefile", "ari", "call", "directory", "media"]),
    ("simulate", &["invalid", "balance"]),
    (
        "config",
        &[
            "invalid",
            "telemetry",
            "ari",
            "balance",
            "pool",
            "lookup",
            "call",
            "cdr",
            "apps",
            "directory",
            "media",
            "fallback",
            "api",
        ],
    ),
    (
        "api",
        &["invalid", "telemetry", "pool", "call", "apps", "directory", "media", "fallback", "dashboard", "serving"],
    ),
    ("dashboard", &["invalid"]),
    (
        "daemon",
        &[
            "invalid",
            "telemetry",
            "ari",
            "balance",
            "pool",
            "lookup",
            "call",
            "cdr",
            "apps",
            "directory",
            "media",
            "fallback",
            "config",
            "api",
            "dashboard",
        ],
    ),
    ("cli", &["invalid", "telemetry", "config", "daemon", "api", "simulate", "pool", "directory"]),
];

/// The modules at the top of `src/`, each with all of its files.
fn modules(src: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(src).expect("src is there") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        if name == "lib" || name == "main" {
            continue;
        }
        let mut files = Vec::new();
        collect(&path, &mut files);
        found.entry(name).or_insert_with(Vec::new).extend(files);
    }
    found
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a readable folder") {
            collect(&entry.expect("a readable entry").path(), files);
        }
    } else if path.extension().is_some_and(|ending| ending == "rs") {
        files.push(path.to_owned());
    }
}

/// Every top-level module that this text names as `crate::name` or in a `crate::{a, b::c}` list.
fn named(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            names.extend(heads_of_list(list));
        } else {
            names.insert(head(rest));
        }
    }
    names.remove("");
    names
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first segment of each member of a `use crate::{...}` list, at its outermost level.
fn heads_of_list(list: &str) -> Vec<String> {
    let (mut depth, mut heads, mut at_start) = (0_usize, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && (c.is_alphanumeric() || c == '_') => {
                heads.push(head(&list[at..]));
                at_start = false;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn modules_name_only_what_their_arrows_allow() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let modules = modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(!modules.is_empty(), "no modules found: the scan itself is broken");

    let mut wrong = Vec::new();
    for (module, files) in &modules {
        let Some(arrows) = allowed.get(module.as_str()) else {
            wrong.push(format!("src/{module} has no line in ALLOWED"));
            continue;
        };
        for file in files {
            for target in named(&fs::read_to_string(file).expect("a readable file")) {
                let is_module = modules.contains_key(&target);
                if is_module && target != *module && !arrows.contains(&target.as_str()) {
                    wrong.push(format!("{}: {module} -> {target} is not allowed", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the architecture does not have:\n{}", wrong.join("\n"));
}

/// Clean-up of a call is asynchronous work; a `Drop` that starts it would race with the runtime's end.
#[test]
fn calls_are_never_cleaned_up_in_drop() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in ["call", "apps"] {
        let mut files = Vec::new();
        collect(&src.join(module), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).expect("a readable file");
            assert!(
                !(text.contains("impl Drop") && text.contains("spawn(")),
                "{}: work is started from a Drop",
                file.display()
            );
        }
    }
}

#[test]
fn the_scan_sees_every_form_of_a_path() {
    let text = "use crate::pool::Snapshot;\nuse crate::{ari::{Event, rest}, balance};\n// crate::api in a comment\nfn f() { crate::call::g() }";
    let expected: BTreeSet<String> = ["pool", "ari", "balance", "call"].into_iter().map(String::from).collect();
    assert_eq!(named(text), expected);
}
