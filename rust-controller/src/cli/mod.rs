//! Arguments, wiring, exit status.

mod arguments;
mod explain;
mod files;
mod offline;
mod progress;
mod run;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::cluster::AccessError;
use arguments::{Arguments, Command};
use progress::StatusLine;

/// Everything was planned.
const PLANNED: u8 = 0;
/// The cluster or the process failed.
const FAILED: u8 = 1;
/// The arguments or a file are wrong.
const BAD_INPUT: u8 = 2;
/// Some pod can be placed by no node type.
const UNPLACEABLE: u8 = 3;

/// Something that the user gave is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(String);

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let line = StatusLine::default();
    start_log(arguments.log_level(), line.clone());
    match execute(arguments, &line) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            report(&error);
            ExitCode::from(if is_bad_input(&error) { BAD_INPUT } else { FAILED })
        }
    }
}

/// No kubeconfig is the user's to mend, a cluster that is away is not.
fn is_bad_input(error: &anyhow::Error) -> bool {
    error.is::<BadInput>() || matches!(error.downcast_ref(), Some(AccessError::NoConfig(_)))
}

fn execute(arguments: Arguments, line: &StatusLine) -> anyhow::Result<u8> {
    match arguments.command {
        None => run::run(arguments.run),
        Some(Command::Run(arguments)) => run::run(arguments),
        Some(Command::Plan(arguments)) => offline::plan(&arguments, line),
        Some(Command::Consolidate(arguments)) => offline::consolidate(&arguments, line),
        Some(Command::Explain(arguments)) => explain::explain(&arguments, line),
        Some(Command::Catalog(arguments)) => offline::catalog(&arguments),
    }
}

/// Log lines go to standard error: standard output is for documents. The client's own lines stay out unless `RUST_LOG`
/// asks for them: what they tell is in this program's errors, with what to do about it.
fn start_log(default_level: &str, line: StatusLine) {
    let default = || format!("{default_level},kube_client=off,kube_runtime=off");
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || line.clone())
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

#[expect(clippy::print_stderr, reason = "the last word to whoever started the program, in plain text")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
