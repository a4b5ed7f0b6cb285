//! The program, run as a user runs it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Far more than any command takes that does not hang.
const LONGEST: Duration = Duration::from_mins(2);

/// Runs the program in the crate's folder, with this environment and nothing else in it, until it ends.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mini-karpenter-rs"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input closes it, which is no error.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let texts = [text_of(child.stdout.take()), text_of(child.stderr.take())];
    let [stdout, stderr] = texts.map(|text| text.recv_timeout(LONGEST).unwrap_or_else(|_| stop(&mut child, arguments)));
    Outcome { status: child.wait().unwrap().code(), stdout, stderr }
}

/// Reads to the end on a thread of its own.
fn text_of(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let mut stream = stream.unwrap();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        sender.send(String::from_utf8(bytes).unwrap())
    });
    receiver
}

fn stop(child: &mut Child, arguments: &[&str]) -> ! {
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{arguments:?} has not ended after {LONGEST:?}");
}
