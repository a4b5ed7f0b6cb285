//! What a process takes, and what the kernel says of it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What this benchmark prints with other arguments in a process of its own, so that its peak of memory is of that alone;
/// `None` where it takes too long.
pub(crate) fn apart(arguments: &[String], limit: Duration) -> anyhow::Result<Option<String>> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().context("no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        // Nobody listens any more where it took too long.
        _ = sender.send(output.read_to_string(&mut text).map(|_| text));
    });
    let Ok(text) = receiver.recv_timeout(limit) else {
        child.kill()?;
        child.wait()?;
        return Ok(None);
    };
    let status = child.wait()?;
    ensure!(status.success(), "{}: {status}", arguments.join(" "));
    Ok(Some(text?.trim_end().to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work();
    (outcome, start.elapsed())
}

/// The most memory that this process has had at once; only Linux tells.
pub(crate) fn peak_memory_mib() -> Option<u64> {
    let kibibytes: u64 = field("/proc/self/status", "VmHWM")?.trim_end_matches("kB").trim_end().parse().ok()?;
    Some(kibibytes / 1024)
}

/// The first value of a field in a file of lines `name: value`.
#[expect(clippy::disallowed_methods, reason = "what the kernel says of this process and machine")]
pub(crate) fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned());
    values.next()
}
