//! Values that win over the file: environment variables `KAMARI_SECTION__KEY` and flags.

use toml::{Table, Value};

use super::place::{Origin, Problem};

/// What every variable of ours begins with.
const PREFIX: &str = "KAMARI_";

/// One value for one key, from outside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The key's full name, `pool.poll_interval_ms`.
    pub field: String,
    /// The value as written: TOML, or a bare string.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

impl Override {
    /// A value given by a flag; `flag` is how the user wrote it.
    pub fn flag(flag: &str, field: &str, value: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: value.into(), origin: Origin::Flag(flag.to_owned()) }
    }
}

/// The settings among the environment's variables. A variable without `__` is none of ours (`KAMARI_CONFIG` is a flag's)
/// unless it begins with a section's name: then an underscore is missing, and that is said.
pub(super) fn from_environment(
    variables: impl IntoIterator<Item = (String, String)>,
    sections: &[String],
) -> (Vec<Override>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut ours: Vec<(String, String)> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, value) in ours {
        let rest = name[PREFIX.len()..].to_ascii_lowercase();
        let origin = Origin::Environment(name);
        if rest.contains("__") {
            found.push(Override { field: rest.replace("__", "."), value, origin });
        } else if let Some((section, key)) = rest.split_once('_')
            && sections.iter().any(|known| known == section)
        {
            let meant = format!("{PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase());
            problems.push(Problem {
                origin,
                message: format!("a section and its key are joined by two underscores: {meant}"),
            });
        }
    }
    (found, problems)
}

/// The ways to read a value as written: as TOML where it is TOML, else (and where that has the wrong type) as a string.
pub(super) fn readings(written: &str) -> Vec<Value> {
    let as_string = Value::String(written.to_owned());
    let parsed: Option<Table> = toml::from_str(&format!("value = {written}")).ok();
    match parsed.and_then(|mut table| table.remove("value").filter(|_| table.is_empty())) {
        Some(value) => vec![value, as_string],
        None => vec![as_string],
    }
}

/// `table` with `value` at `field`; `None` when something that is no table stands in the way.
pub(super) fn with_value(table: &Table, field: &str, value: Value) -> Option<Table> {
    let mut changed = table.clone();
    let mut steps: Vec<&str> = field.split('.').collect();
    let last = steps.pop()?;
    let mut inner = &mut changed;
    for step in steps {
        inner = inner.entry(step).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    inner.insert(last.to_owned(), value);
    Some(changed)
}
