//! The command line: reading it, and saying what was done.

use std::env;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use testbed::{Binaries, Cluster, Error, KarpenterScheduler, MetricsServer, Up};

const USAGE: &str = "\
A Kubernetes control plane on 127.0.0.1, without Docker.

Usage:
  testbed up [--nodes N]  start it in the background, with N fake nodes (3)
  testbed down            end it
  testbed build           find or build all programs and show their versions
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Up { nodes: usize },
    Down,
    Build,
    Help,
}

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(request) = read(&arguments) else {
        return finish(&mut io::stderr(), USAGE, ExitCode::from(2));
    };
    match answer(&request) {
        Ok(text) => finish(&mut io::stdout(), &text, ExitCode::SUCCESS),
        Err(error) => finish(&mut io::stderr(), &format!("testbed: {error}\n"), ExitCode::FAILURE),
    }
}

/// Writes the answer. Nobody is left to be told if that fails.
fn finish(to: &mut impl io::Write, text: &str, code: ExitCode) -> ExitCode {
    match to.write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn read(arguments: &[&str]) -> Option<Request> {
    match arguments {
        ["up"] => Some(Request::Up { nodes: 3 }),
        ["up", "--nodes", number] => number.parse().ok().map(|nodes| Request::Up { nodes }),
        ["up", joined] => read(&["up", "--nodes", joined.strip_prefix("--nodes=")?]),
        ["down"] => Some(Request::Down),
        ["build"] => Some(Request::Build),
        ["help" | "--help" | "-h"] => Some(Request::Help),
        _ => None,
    }
}

fn answer(request: &Request) -> Result<String, Error> {
    match *request {
        Request::Up { nodes } => up(nodes),
        Request::Down => down(),
        Request::Build => build(),
        Request::Help => Ok(USAGE.to_owned()),
    }
}

/// All lines but one are comments, so that a shell can take in the whole.
fn up(nodes: usize) -> Result<String, Error> {
    let cluster = Cluster::of_user()?;
    let happened = match cluster.up(nodes)? {
        Up::Started => format!("A control plane is running (fake nodes: {nodes})."),
        Up::AlreadyRunning => "A control plane is running already; nothing was changed.".to_owned(),
    };
    let kubeconfig = cluster.kubeconfig();
    let kubeconfig = kubeconfig.display();
    let folder = cluster.folder().display();
    Ok(format!(
        "# {happened}\n\
         export KUBECONFIG='{kubeconfig}'\n\
         # Next: run the line above, then for instance `kubectl get nodes`.\n\
         # Logs and process ids are in {folder}.\n\
         # End it with `make cluster-down`.\n"
    ))
}

fn down() -> Result<String, Error> {
    Ok(match Cluster::of_user()?.down()? {
        0 => "No control plane was running.\n".to_owned(),
        ended => format!("Ended the control plane ({ended} processes).\n"),
    })
}

fn build() -> Result<String, Error> {
    let mut text = String::new();
    for binary in Binaries::locate()?.iter() {
        let (program, origin, path) = (binary.program, binary.origin, binary.path.display());
        let version = binary.version()?;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{program:<23} {version}  ({origin}: {path})");
    }
    let (karpenter, metrics_server) = (KarpenterScheduler::locate()?, MetricsServer::locate()?);
    for (name, version, path) in [
        (KarpenterScheduler::NAME, karpenter.version()?, karpenter.path()),
        (MetricsServer::NAME, metrics_server.version()?, metrics_server.path()),
    ] {
        let _ = writeln!(text, "{name:<23} {version}  (built from go.mod: {})", path.display());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_command_line() {
        assert_eq!(read(&["up"]), Some(Request::Up { nodes: 3 }));
        assert_eq!(read(&["up", "--nodes", "7"]), Some(Request::Up { nodes: 7 }));
        assert_eq!(read(&["up", "--nodes=0"]), Some(Request::Up { nodes: 0 }));
        assert_eq!(read(&["down"]), Some(Request::Down));
        assert_eq!(read(&["build"]), Some(Request::Build));
        for wrong in [&[] as &[&str], &["up", "7"], &["up", "--nodes", "x"], &["down", "now"]] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
