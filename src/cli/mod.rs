//! The command line: one file a command, each thin.
//!
//! Why it exists: the operator adds, watches, drains and removes nodes from a shell or a script. Every command but
//! `serve`, `config` and `simulate` only speaks HTTP to a running kamari, by the same API that anyone may use.
//!
//! Invariants: what is asked for goes to standard output, everything else to standard error; `--json` prints the API's
//! own JSON; the exit code is 0 when done, 1 when refused or failed, 2 when the command line was wrong, 3 when kamari
//! does not answer.

#![allow(clippy::doc_markdown, reason = "doc comments of arguments are help texts, which a terminal shows as they are")]

mod call;
mod client;
mod clock;
mod config;
mod directory;
mod node;
mod route;
mod serve;
mod simulate;
mod table;
mod tenant;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// kamari routes calls from Kamailio to a pool of identical Asterisk nodes by their load, and runs the calls' logic over ARI.
#[derive(Debug, Parser)]
#[command(name = "kamari", version, propagate_version = true, max_term_width = 100, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Start it:              kamari serve --config /etc/kamari/kamari.toml
Add an Asterisk:       kamari node add as1 --ari http://192.0.2.11:8088 --sip sip:192.0.2.11:5060 --capacity 100
Watch the pool:        kamari node list
Ask as Kamailio does: kamari route --user 600 --domain example.test

Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 kamari does not answer.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run kamari in the foreground until SIGTERM
    Serve(serve::Serve),
    /// Add, watch, drain and remove Asterisk nodes of a running kamari
    Node(node::Node),
    /// List, show and hang up calls of a running kamari
    Call(call::Calls),
    /// Ask where a call would go, as Kamailio asks, and print the ranked nodes
    Route(route::Route),
    /// List, show, add and remove tenants of a running kamari
    Tenant(tenant::TenantCommand),
    /// Check the tenants and numbers in files, or have a running kamari read them again
    Directory(directory::DirectoryCommand),
    /// Check a settings file, or print the settings in effect
    Config(config::ConfigCommand),
    /// Compare routing rules by simulation, or plan the size of a pool
    Simulate(simulate::Args),
}

/// A command that did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It was refused, or failed: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Nobody answered: exit code 3.
    #[error("{0}")]
    NoAnswer(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(format!("{error:#}"))
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(command) => command.run(),
        Command::Node(command) => client::block_on(command.run()),
        Command::Call(command) => client::block_on(command.run()),
        Command::Route(command) => client::block_on(command.run()),
        Command::Tenant(command) => client::block_on(command.run()),
        Command::Directory(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Simulate(args) => simulate::run(args).map_err(Failure::from),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("kamari: {failure}\n"));
            match failure {
                Failure::Failed(_) => ExitCode::from(1),
                Failure::NoAnswer(_) => ExitCode::from(3),
            }
        }
    }
}

/// Prints one line to standard output. A reader that went away (`kamari node list | head -1`) is no failure.
fn print(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as indented JSON.
fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Failed(error.to_string()))?;
    print(&text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
