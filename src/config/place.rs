//! Where a value came from: the line and column in the file, the environment variable or the flag.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a refused value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the file, at a line and column counted from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// In a flag, written as the user writes it.
    Flag(String),
    /// Nowhere: a default, or the file as a whole could not be read.
    Whole(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Whole(what) => f.write_str(what),
        }
    }
}

/// One reason why the settings were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value stands.
    pub origin: Origin,
    /// What is wrong, beginning with the field's name where there is one.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

/// Every reason found, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Problems(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The text of a file and what was parsed from it, to find fields by place and places by field.
pub(super) struct Document<'t> {
    pub(super) path: PathBuf,
    pub(super) text: &'t str,
    pub(super) table: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// A file's text as a document, or what keeps it from being TOML.
    pub(super) fn parse(path: PathBuf, text: &'t str) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let document = Self { path, text, table };
        if errors.is_empty() {
            return Ok(document);
        }
        let problem = |error: &toml::de::Error| Problem {
            origin: document.origin(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        Err(errors.iter().map(problem).collect())
    }
}

impl Document<'_> {
    /// The origin of a byte offset.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The place of a field such as `nodes[2].ari`, or of the nearest thing around it that the file has.
    /// `None` when not even its section is in the file.
    pub(super) fn find(&self, field: &str) -> Option<Range<usize>> {
        let mut found = None;
        let mut table = Some(self.table.get_ref());
        let mut array = None;
        for step in steps(field) {
            let next: Option<(Range<usize>, &Spanned<DeValue<'_>>)> = match (table, array) {
                (Some(table), _) => {
                    let entry: Option<(&Spanned<_>, _)> = table.iter().find(|(key, _)| key.get_ref() == step);
                    entry.map(|(key, value)| (key.span(), value))
                }
                (None, Some(array)) => {
                    let element = step.parse().ok().and_then(|index: usize| <[_]>::get(array, index));
                    element.map(|value: &Spanned<DeValue<'_>>| (value.span(), value))
                }
                (None, None) => None,
            };
            let Some((span, value)) = next else { break };
            found = Some(span);
            table = value.get_ref().as_table();
            array = value.get_ref().as_array().map(|array| &array[..]);
        }
        found
    }

    /// The full name of the field that `span` points into or at.
    pub(super) fn field_at(&self, span: &Range<usize>) -> Option<String> {
        let mut best: Option<(usize, String)> = None;
        search_table(self.table.get_ref(), "", span, &mut best);
        best.map(|(_, field)| field)
    }
}

/// The steps of a field's name: `tenants[0].extensions."_9.".app` has five. A quoted step may hold anything.
fn steps(field: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        rest = rest.trim_start_matches(['.', '[']);
        let (step, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(['.', '[', ']']).unwrap_or(rest.len())),
        };
        steps.push(step);
        rest = after.trim_start_matches(']');
    }
    steps
}

fn search_table(table: &DeTable<'_>, outer: &str, span: &Range<usize>, best: &mut Option<(usize, String)>) {
    for (key, value) in table {
        let key: &Spanned<_> = key;
        let field = if outer.is_empty() { key.get_ref().to_string() } else { format!("{outer}.{}", key.get_ref()) };
        keep_if_nearer(&key.span(), &field, span, best);
        search_value(value, &field, span, best);
    }
}

fn search_value(value: &Spanned<DeValue<'_>>, field: &str, span: &Range<usize>, best: &mut Option<(usize, String)>) {
    keep_if_nearer(&value.span(), field, span, best);
    match value.get_ref() {
        DeValue::Table(table) => search_table(table, field, span, best),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                search_value(element, &format!("{field}[{index}]"), span, best);
            }
        }
        _ => {}
    }
}

fn keep_if_nearer(around: &Range<usize>, field: &str, span: &Range<usize>, best: &mut Option<(usize, String)>) {
    let holds = around.start <= span.start && span.end <= around.end;
    if holds && best.as_ref().is_none_or(|(length, _)| around.len() <= *length) {
        *best = Some((around.len(), field.to_owned()));
    }
}

/// Takes the field out of the table, so that the rest can be checked without it. Whether something was taken out.
pub(super) fn remove(table: &mut DeTable<'_>, field: &str) -> bool {
    let (first, rest) = match field.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (field, None),
    };
    let name = first.split('[').next().unwrap_or(first);
    let Some(key) = table.keys().find(|key| key.get_ref() == name).cloned() else { return false };
    let element = first.split('[').nth(1).and_then(|index| index.trim_end_matches(']').parse::<usize>().ok());
    match (rest, element) {
        (Some(rest), None) => {
            if let Some(DeValue::Table(inner)) = table.get_mut(&key).map(Spanned::get_mut) {
                return remove(inner, rest);
            }
            false
        }
        // An element that lacks a field cannot be told from one with a wrong field once that is gone: the list goes.
        _ => table.remove(&key).is_some(),
    }
}
