//! Running a helper program to its end, within a time limit.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How much of a failed program's standard error an [`Error`] carries.
const TAIL_BYTES: usize = 4000;

/// Runs `command` with `input` on its standard input and gives its output.
///
/// The streams are unnamed temporary files, not pipes: nothing can block on a
/// full pipe, so one polling loop bounds the whole run.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Result<String> {
    let line = describe(command);
    let failed = |what: &str| Error::io(format!("{what} of `{line}`"));
    let mut stdin = tempfile::tempfile().map_err(failed("input"))?;
    stdin.write_all(input.as_bytes()).map_err(failed("input"))?;
    stdin.seek(SeekFrom::Start(0)).map_err(failed("input"))?;
    let mut stdout = tempfile::tempfile().map_err(failed("output"))?;
    let mut stderr = tempfile::tempfile().map_err(failed("output"))?;

    let child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().map_err(failed("output"))?)
        .stderr(stderr.try_clone().map_err(failed("output"))?)
        .spawn()
        .map_err(failed("start"))?;
    let status = wait(child, limit).map_err(failed("end"))?;

    if status.is_some_and(|status| status.success()) {
        return read(&mut stdout).map_err(failed("output"));
    }
    // Some programs report their failures on standard output.
    let mut said = read(&mut stderr).map_err(failed("output"))?;
    if said.trim().is_empty() {
        said = read(&mut stdout).map_err(failed("output"))?;
    }
    Err(Error::Command {
        outcome: status
            .map_or_else(|| format!("took more than {limit:?} and was killed"), |status| format!("failed ({status})")),
        stderr: tail(&said).to_owned(),
        command: line,
    })
}

/// Runs `command` only to learn whether it can be run and succeeds.
pub(crate) fn succeeds(command: &mut Command, limit: Duration) -> bool {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.and_then(|child| wait(child, limit)).is_ok_and(|status| status.is_some_and(|status| status.success()))
}

/// The end of a text, cut at a character.
pub(crate) fn tail(text: &str) -> &str {
    let start = text.len().saturating_sub(TAIL_BYTES);
    let start = (start..=text.len()).find(|&at| text.is_char_boundary(at));
    text[start.unwrap_or(0)..].trim_end()
}

/// The exit status, or `None` if the limit passed and the child was killed.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_output() {
        let output = run(&mut Command::new("cat"), "hello", Duration::from_secs(10));
        assert_eq!(output.unwrap(), "hello");
    }

    #[test]
    fn a_failure_carries_standard_error() {
        let mut command = Command::new("sh");
        let error = run(command.args(["-c", "echo oh >&2; exit 3"]), "", Duration::from_secs(10));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("oh") && error.contains('3'), "{error}");
    }

    #[test]
    fn the_limit_ends_it() {
        let mut command = Command::new("sleep");
        let error = run(command.arg("60"), "", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("was killed"), "{error}");
    }

    #[test]
    fn the_tail_starts_at_a_character() {
        let text = "é".repeat(TAIL_BYTES) + "x";
        assert!(tail(&text).ends_with('x') && tail(&text).len() <= TAIL_BYTES);
    }
}
