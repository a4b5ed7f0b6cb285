//! Lines for the person who waits.

use std::io::Write;

/// Writes one line to standard error. It goes past the test harness's capture
/// on purpose: a build takes minutes, and silence looks like a hang. A closed
/// standard error is no reason to fail.
pub(crate) fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "testbed: {line}");
}
