//! `tests/lab/lab` as a function: arguments in, standard output out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The lab's script, bound to one running lab or to none.
#[derive(Clone, Debug)]
pub struct Script {
    run: Option<PathBuf>,
}

impl Script {
    pub(super) fn new(run: Option<PathBuf>) -> Self {
        Self { run }
    }

    pub(super) fn run_directory(&self) -> &Path {
        self.run.as_deref().expect("bound to a running lab")
    }

    /// The command that runs the script with `arguments`.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab"));
        command.args(arguments).stdin(Stdio::null());
        match &self.run {
            Some(run) => command.env("KAMARI_LAB", run),
            None => command.env_remove("KAMARI_LAB"),
        };
        command
    }

    /// Runs the script and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        match self.try_run(arguments) {
            Ok(output) => output,
            Err(error) => panic!("lab {}: {error}", arguments.join(" ")),
        }
    }

    /// Runs the script; `Err` is what it said on standard error.
    pub fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments).output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// Runs the script with its standard error shown as it comes: for what may take minutes.
    #[track_caller]
    pub(super) fn run_shown(&self, arguments: &[&str]) {
        let status = self.command(arguments).stdout(Stdio::null()).status().expect("tests/lab/lab can be run");
        assert!(status.success(), "lab {}: {status}", arguments.join(" "));
    }
}
