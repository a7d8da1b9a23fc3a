//! The form in which every bench tells its figures.
//!
//! A bench collects [`Rows`] and writes them as `target/bench/NAME.json`, an array of objects:
//!
//! ```json
//! {"name": "CPU of a lookup against bare hyper, 200 nodes", "figure": 1.12, "unit": "x",
//!  "goal": "at most 1.2", "met": true, "command": "cargo bench --bench lookup"}
//! ```
//!
//! `figure` is one number, `unit` is `x` for a ratio of two things measured in one run; `goal` and `met` are null for a figure
//! that explains another and has no goal of its own. `cargo bench --bench report` gathers all files into one printed table, and
//! puts each bench's rows between its markers in `docs/performance.md`:
//!
//! ```text
//! <!-- bench: lookup -->
//! <!-- end of bench -->
//! ```
//!
//! A new bench is: `benches/NAME.rs` with `mod rows;`, `[[bench]]` with `harness = false` in Cargo.toml, its name in `BENCHES`
//! of the Makefile in the place where it shall run, and a section with those markers in `docs/performance.md`.
//!
//! A goal that is missed is a figure like any other: the bench prints it and ends well. It fails only when it could not
//! measure.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::path::PathBuf;
use std::{fs, io};

use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was measured, and against what.
    pub(crate) name: String,
    /// The figure, in `unit`.
    pub(crate) figure: f64,
    /// `x` for a ratio, else `us`, `ms`, `/s`, `KiB`, `%`, ...
    pub(crate) unit: String,
    /// What was to be reached, in words.
    pub(crate) goal: Option<String>,
    /// Whether it was.
    pub(crate) met: Option<bool>,
    /// What measures it again.
    pub(crate) command: String,
}

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// The figure, or less.
    AtMost(f64),
    /// The figure, or more.
    AtLeast(f64),
    /// Nothing: it is told so that another can be understood.
    None,
}

/// The figures of one bench.
#[derive(Debug)]
pub(crate) struct Rows {
    bench: &'static str,
    command: String,
    measured: Vec<Row>,
}

impl Rows {
    /// No figures yet, of `benches/BENCH.rs`.
    pub(crate) fn new(bench: &'static str) -> Self {
        Self { bench, command: format!("cargo bench --bench {bench}"), measured: Vec::new() }
    }

    /// One more figure, printed at once.
    pub(crate) fn add(&mut self, name: &str, figure: f64, unit: &str, goal: Goal) {
        let (goal, met) = match goal {
            Goal::AtMost(limit) => (Some(format!("at most {limit}")), Some(figure <= limit)),
            Goal::AtLeast(limit) => (Some(format!("at least {limit}")), Some(figure >= limit)),
            Goal::None => (None, None),
        };
        let (name, unit, command) = (name.to_owned(), unit.to_owned(), self.command.clone());
        let row = Row { name, figure, unit, goal, met, command };
        println!("{}", row.line());
        self.measured.push(row);
    }

    /// Writes them where the report looks for them.
    pub(crate) fn write(self) -> io::Result<()> {
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let text = serde_json::to_string_pretty(&self.measured)?;
        fs::write(folder.join(format!("{}.json", self.bench)), text + "\n")
    }
}

impl Row {
    /// The row of a Markdown table with the columns of [`HEADING`].
    pub(crate) fn line(&self) -> String {
        let goal = self.goal.as_deref().unwrap_or("");
        let met = self.met.map_or("", |met| if met { "yes" } else { "**no**" });
        format!("| {} | {} | {goal} | {met} |", self.name, measured(self.figure, &self.unit))
    }
}

/// The columns of [`Row::line`].
pub(crate) const HEADING: &str = "| what | measured | goal | met |\n|---|---:|---|---|";

/// Where the benches leave their rows.
pub(crate) fn folder() -> PathBuf {
    // Cargo gives benches a directory inside its target directory, wherever that is.
    let mut folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.pop();
    folder.join("bench")
}

/// Three digits are as many as these figures repeat.
fn measured(figure: f64, unit: &str) -> String {
    let digits = match figure.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let space = if unit.starts_with(['/', '%', 'x']) { "" } else { " " };
    format!("{figure:.digits$}{space}{unit}")
}
