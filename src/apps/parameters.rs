//! Reads the parameters of an extension, so that each refusal names the parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::Queues;
use super::app::Records;
use super::recorder::Recorder;
use crate::directory::{Numbers, Owner, Parameters, check_language, is_pin};
use crate::invalid::Invalid;
use crate::media::{Listener, MediaUri, Prompts};

/// Longest name in bytes.
const NAME_LIMIT: usize = 128;
/// Most prompts in one list.
const LIST_LIMIT: usize = 100;

/// An extension's parameters while an app is made of them. What was not asked for when the app is made is refused.
#[derive(Debug)]
pub struct Reader<'a> {
    owner: &'a Owner,
    language: Option<Arc<str>>,
    parameters: &'a Parameters,
    prompts: &'a Prompts,
    records: &'a Records,
    queues: &'a Queues,
    known: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(owner: &'a Owner, parameters: &'a Parameters, prompts: &'a Prompts, queues: &'a Queues) -> Self {
        let language = owner.language.clone();
        Self { owner, language, parameters, prompts, queues, records: &Records::Nowhere, known: BTreeSet::new() }
    }

    pub(super) fn with_records(self, records: &'a Records) -> Self {
        Self { records, ..self }
    }

    /// Whose extension it is.
    pub fn tenant(&self) -> &Arc<str> {
        &self.owner.name
    }

    /// Reads `language`, in which the prompts are that are read after this; without it, they stay in what they were.
    pub(super) fn choose_language(&mut self) -> Result<(), Invalid> {
        if let Some(language) = self.text("language")? {
            check_language(&language)?;
            self.language = Some(language.into());
        }
        Ok(())
    }

    fn resolve(&self, reference: &str) -> Result<MediaUri, Invalid> {
        let listener = Listener { tenant: &self.owner.name, language: self.language.as_deref() };
        self.prompts.resolve(listener, reference)
    }

    /// All queues.
    pub(super) fn queues(&self) -> &Queues {
        self.queues
    }

    /// A name that must be there: of a queue, say.
    pub(super) fn name(&mut self, name: &'static str) -> Result<Arc<str>, Invalid> {
        let text = self.text(name)?.unwrap_or_default();
        if (1..=NAME_LIMIT).contains(&text.len()) && !text.chars().any(|one| one.is_control() || one == '/') {
            return Ok(text.into());
        }
        Err(Invalid::new(name, "a name: 1 to 128 bytes without control characters and '/'", text))
    }

    /// Prompts, among which `placeholder` stands for what is known only when they are played; nothing if they are not there.
    pub(super) fn prompts_with(
        &mut self,
        name: &'static str,
        placeholder: &str,
    ) -> Result<Option<Vec<String>>, Invalid> {
        if self.get(name).is_none() {
            return Ok(None);
        }
        let texts = self.texts(name)?;
        let resolve = |text: &String| {
            if text == placeholder {
                return Ok(text.clone());
            }
            let resolved = self.resolve(text).map(|uri| uri.to_string());
            resolved.map_err(|refused| Invalid { field: name.to_owned(), ..refused })
        };
        texts.iter().map(resolve).collect::<Result<_, _>>().map(Some)
    }

    /// The numbers of the tenant.
    pub fn numbers(&self) -> &Arc<Numbers> {
        &self.owner.numbers
    }

    /// A table of parameters of its own, read by `read`; nothing if it is not there. What is refused in it is named in full.
    pub fn table<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Value::Object(table) = value else { return Err(Invalid::new(name, "a table", value)) };
        self.read_table(table, read).map(Some).map_err(|refused| refused.within(name))
    }

    /// A table of tables whose names are free, in the order of their names; none if it is not there.
    pub fn tables<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&str, &mut Reader<'_>) -> Result<T, Invalid>,
    ) -> Result<Vec<(String, T)>, Invalid> {
        let mut tables = Vec::new();
        for (key, value) in self.entries(name)? {
            let place = format!("{name}.{}", key.escape_debug());
            let Value::Object(table) = value else { return Err(Invalid::new(place, "a table", value)) };
            let read = self.read_table(table, |reader| read(key, reader)).map_err(|refused| refused.within(&place))?;
            tables.push((key.to_owned(), read));
        }
        Ok(tables)
    }

    /// The entries of a table whose names are free, in the order of their names; none if it is not there.
    pub fn entries(&mut self, name: &'static str) -> Result<Vec<(&'a str, &'a Value)>, Invalid> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(table)) => Ok(table.iter().map(|(key, value)| (key.as_str(), value)).collect()),
            Some(other) => Err(Invalid::new(name, "a table", other)),
        }
    }

    fn read_table<T>(
        &self,
        table: &Parameters,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        let reader = Reader::new(self.owner, table, self.prompts, self.queues).with_records(self.records);
        let mut reader = Reader { language: self.language.clone(), ..reader };
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// A list of texts, or one; none if it is not there.
    pub fn texts(&mut self, name: &'static str) -> Result<Vec<String>, Invalid> {
        let expected = "a text or a list of at most 100 texts";
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(Invalid::new(name, expected, told(name, other))),
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= LIST_LIMIT => list.iter().map(text).collect(),
            Some(other) => text(other).map(|one| vec![one]),
        }
    }

    /// A number of the tenant, for the call to go on with ([`Next::Extension`](super::Next)); nothing if it is not there.
    pub fn extension(&mut self, name: &'static str) -> Result<Option<String>, Invalid> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(number)) if self.owner.numbers.has(number) => Ok(Some(number.clone())),
            Some(other) => Err(Invalid::new(name, "a number of this tenant, as a text", told(name, other))),
        }
    }

    /// A value of any kind; nothing if it is not there.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.get(name)
    }

    /// A text; nothing if it is not there.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Invalid> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(Invalid::new(name, "a text", told(name, other))),
        }
    }

    /// A whole number from `least` to `most`; nothing if it is not there.
    pub fn number(&mut self, name: &'static str, least: u64, most: u64) -> Result<Option<u64>, Invalid> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Invalid::new(name, format!("a whole number from {least} to {most}"), told(name, value))),
        }
    }

    /// A switch; nothing if it is not there.
    pub fn switch(&mut self, name: &'static str) -> Result<Option<bool>, Invalid> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(other) => Err(Invalid::new(name, "true or false", told(name, other))),
        }
    }

    /// Prompts: one, or a list of them, each of which exists; nothing if it is not there.
    pub fn prompts(&mut self, name: &'static str) -> Result<Option<Vec<MediaUri>>, Invalid> {
        let expected = "a prompt or a list of at most 100 prompts";
        let Some(value) = self.get(name) else { return Ok(None) };
        let references = match value {
            Value::String(_) => std::slice::from_ref(value),
            Value::Array(list) if list.len() <= LIST_LIMIT => list.as_slice(),
            other => return Err(Invalid::new(name, expected, told(name, other))),
        };
        let resolve = |reference: &Value| match reference {
            Value::String(reference) => {
                self.resolve(reference).map_err(|refused| Invalid { field: name.to_owned(), ..refused })
            }
            other => Err(Invalid::new(name, expected, told(name, other))),
        };
        references.iter().map(resolve).collect::<Result<_, _>>().map(Some)
    }

    /// A prompt that kamari brings along, or the tenant's or his language's own of that name, for what a parameter is when it is not
    /// there.
    pub fn builtin(&self, name: &str) -> Result<MediaUri, Invalid> {
        self.resolve(name)
    }

    /// A table of texts; empty if it is not there.
    pub fn table_of_texts(&mut self, name: &'static str) -> Result<BTreeMap<String, String>, Invalid> {
        let expected = "a table of texts";
        match self.get(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(table)) => table
                .iter()
                .map(|(key, value)| match value {
                    Value::String(text) => Ok((key.clone(), text.clone())),
                    // What stands in such a table may be secret.
                    _ => Err(Invalid::new(format!("{name}.{key}"), "a text", "something else")),
                })
                .collect(),
            Some(_) => Err(Invalid::new(name, expected, "something else")),
        }
    }

    /// What records callers and plays recordings; an app that needs it is refused where nothing is recorded. There is none
    /// while settings are only checked: no call comes then.
    pub fn recorder(&self) -> Result<Option<Recorder>, Invalid> {
        match self.records {
            Records::Nowhere => {
                let expected = "an app that does not record, since media.recordings names no folder";
                Err(Invalid::new("app", expected, "one that does"))
            }
            Records::Checked => Ok(None),
            Records::By(recorder) => Ok(Some(recorder.clone())),
        }
    }

    /// A refusal of a parameter that must be there.
    pub fn missing(name: &'static str, expected: &str) -> Invalid {
        Invalid::new(name, expected, "nothing")
    }

    fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.insert(name);
        self.parameters.get(name)
    }

    /// Refuses what no app asked for.
    pub(super) fn finish(self) -> Result<(), Invalid> {
        match self.parameters.iter().find(|(name, _)| !self.known.contains(name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let known: Vec<_> = self.known.into_iter().collect();
                let expected = match known.as_slice() {
                    [] => "no parameters".to_owned(),
                    known => format!("only the parameters {}", known.join(", ")),
                };
                // The name, not the value: a PIN under a wrong name is a PIN.
                Err(Invalid::new(name.as_str(), expected, name))
            }
        }
    }
}

/// A refused value as its writer wrote it: a text without JSON's quotes, and no PIN.
fn told(name: &str, value: &Value) -> String {
    match value {
        _ if is_pin(name) => "something else".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
