//! `testbed up | down | build`: the control plane for people.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
