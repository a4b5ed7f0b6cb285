//! What this process takes, and what the kernel says of it.

use std::time::{Duration, Instant};

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
