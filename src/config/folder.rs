//! The files of `directory.folder`: tenants beside the settings file.
//!
//! They are read as the settings file is: unknown keys are errors, and every mistake is named with its file, line and
//! column. Which file an entry of the whole list of tenants came from is known afterwards, for what is found wrong later.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;
use toml::de::DeTable;

use super::load::{read, typed};
use super::place::{Document, Origin, Problem};
use crate::directory::TenantSettings;
use crate::invalid::Invalid;

/// Most files in the folder.
const FILES_LIMIT: usize = 10_000;

/// What one file may hold.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    tenants: Vec<TenantSettings>,
}

/// One file, as it was read.
struct Read {
    path: PathBuf,
    text: String,
    tenants: usize,
}

/// All files of the folder, and how many tenants stand before theirs.
#[derive(Default)]
pub(super) struct Folder {
    before: usize,
    files: Vec<Read>,
}

impl Folder {
    /// Reads every `*.toml` of `folder`, by name, and puts their tenants behind those in `tenants`.
    pub(super) fn read(folder: &Path, tenants: &mut Vec<TenantSettings>) -> (Self, Vec<Problem>) {
        let mut this = Self { before: tenants.len(), files: Vec::new() };
        let paths = match files_in(folder) {
            Ok(paths) => paths,
            Err(message) => {
                return (this, vec![Problem { origin: Origin::Whole(folder.display().to_string()), message }]);
            }
        };
        let mut problems = Vec::new();
        for path in paths {
            match this.take(path, tenants) {
                Ok(()) => {}
                Err(found) => problems.extend(found),
            }
        }
        (this, problems)
    }

    fn take(&mut self, path: PathBuf, tenants: &mut Vec<TenantSettings>) -> Result<(), Vec<Problem>> {
        let text = read(&path).map_err(|problem| vec![problem])?;
        let document = Document::parse(path.clone(), &text)?;
        let (table, problems) = typed::<Content>(&document);
        if !problems.is_empty() {
            return Err(problems);
        }
        let content = Content::deserialize(Table::from(table)).map_err(|error| {
            vec![Problem { origin: Origin::Whole(path.display().to_string()), message: error.message().to_owned() }]
        })?;
        let count = content.tenants.len();
        tenants.extend(content.tenants);
        self.files.push(Read { path, text, tenants: count });
        Ok(())
    }

    /// The refusal of a tenant that stands in one of the files: where, and by the name that it has there.
    pub(super) fn problem(&self, refusal: &Invalid) -> Option<Problem> {
        let (index, rest) = refusal.field.strip_prefix("tenants[")?.split_once(']')?;
        let mut index = index.parse::<usize>().ok()?.checked_sub(self.before)?;
        let file = self.files.iter().find(|file| {
            let here = index < file.tenants;
            if !here {
                index -= file.tenants;
            }
            here
        })?;
        let field = format!("tenants[{index}]{rest}");
        let (table, _) = DeTable::parse_recoverable(&file.text);
        let document = Document { path: file.path.clone(), text: &file.text, table };
        let place = document.find(&field).map(|span| document.origin(span.start));
        let origin = place.unwrap_or_else(|| Origin::Whole(file.path.display().to_string()));
        Some(Problem { origin, message: Invalid { field, ..refusal.clone() }.to_string() })
    }
}

/// The files that are read, by name; hidden ones and other endings are not.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("directory.folder: {error}"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("directory.folder: {error}"))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with('.') && path.extension().is_some_and(|ending| ending == "toml") && path.is_file() {
            paths.push(path);
        }
    }
    if paths.len() > FILES_LIMIT {
        return Err(format!("directory.folder: expected at most {FILES_LIMIT} files, found {}", paths.len()));
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Override, Sources, load};

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).expect("written");
    }

    /// A settings file beside a folder with these files.
    fn loaded(files: &[(&str, &str)]) -> Result<Vec<String>, Vec<String>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tenants.d")).expect("a folder");
        for (name, text) in files {
            write(&folder.path().join("tenants.d"), name, text);
        }
        let main = "[directory]\nfolder = \"tenants.d\"\n[[tenants]]\nname = \"main\"\ndomains = [\"main.test\"]\n";
        write(folder.path(), "kamari.toml", main);
        let sources = Sources { file: Some(folder.path().join("kamari.toml")), ..Sources::default() };
        let place = format!("{}/tenants.d/", folder.path().display());
        match load(&sources) {
            Ok(config) => Ok(config.tenants.into_iter().map(|tenant| tenant.name).collect()),
            Err(problems) => Err(problems.0.iter().map(|problem| problem.to_string().replace(&place, "")).collect()),
        }
    }

    const B: &str = "[[tenants]]\nname = \"b1\"\ndomains = [\"b1.test\"]\n\n[[tenants]]\nname = \"b2\"\ndomains = [\"b2.test\"]\n\
                     [tenants.extensions]\n\"600\" = { app = \"playback\", prompts = [\"hello\"] }\n\"_9.\" = { app = \"echo\" }\n";

    #[test]
    fn the_files_come_in_the_order_of_their_names() {
        let files = [("b.toml", B), ("a.toml", ""), (".hidden.toml", "x"), ("notes.txt", "x")];
        assert_eq!(loaded(&files), Ok(vec!["main".to_owned(), "b1".to_owned(), "b2".to_owned()]));
    }

    #[test]
    fn every_mistake_is_named_with_its_file_line_and_column() {
        let b = B.replace("hello", "absent").replace("\"echo\"", "\"ehco\"");
        let found = loaded(&[
            ("a.toml", "[[tenants]]\nname = \"a\"\ndomains = [\"main.test\"]\n"),
            ("b.toml", &b),
            ("c.toml", "[[tenants]]\nname = \"c\"\ncolour = 1\n"),
            ("d.toml", "[[tenants]]\nname = = 1\n"),
        ]);
        let found = found.expect_err("mistakes");
        let said = |text: &str| found.iter().any(|line| line.starts_with(text));
        assert!(said("a.toml:3:1: tenants[0].domains: expected domains that no other tenant has"), "{found:#?}");
        assert!(said("b.toml:9:29: tenants[1].extensions.\"600\".prompts: expected"), "{found:#?}");
        assert!(said("b.toml:10:11: tenants[1].extensions.\"_9.\".app: expected one of"), "{found:#?}");
        assert!(said("c.toml:3:1: tenants[0].colour: unknown field"), "{found:#?}");
        assert!(said("d.toml:2:"), "{found:#?}");
        assert_eq!(found.len(), 6, "{found:#?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_mistake() {
        let flag = Override::flag("FOLDER", "directory.folder", "/nowhere/at/all");
        let problems = load(&Sources { flags: vec![flag], ..Sources::default() }).expect_err("no folder");
        assert!(problems.to_string().starts_with("/nowhere/at/all: directory.folder:"), "{problems}");
    }
}
