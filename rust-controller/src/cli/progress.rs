//! What a command is doing, on one line of the terminal, once that takes a while.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Work that is done sooner is not worth a line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is looked after.
const REFRESH: Duration = Duration::from_millis(100);

/// The last line of the terminal, which log lines and progress share: whoever writes a log line through it erases what
/// progress has written there first.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusLine(Arc<Mutex<Shown>>);

#[derive(Debug, Default)]
struct Shown {
    /// Empty where nothing of it is to be seen.
    text: String,
    work: Option<Work>,
}

/// What is being done.
#[derive(Debug)]
struct Work {
    began: Instant,
    step: &'static str,
    step_began: Instant,
}

/// Work of which a person at a terminal is told while it lasts; nothing of that is left when it ends.
#[derive(Debug)]
pub(super) struct Progress {
    line: StatusLine,
    /// Ends the thread that looks after the line; none where standard error is no terminal.
    thread: Option<mpsc::Sender<()>>,
}

impl Progress {
    /// Begins with `step`.
    pub(super) fn start(line: &StatusLine, step: &'static str) -> Self {
        Self::start_where(io::stderr().is_terminal(), line, step)
    }

    fn start_where(is_terminal: bool, line: &StatusLine, step: &'static str) -> Self {
        let began = now();
        line.shown().work = Some(Work { began, step, step_began: began });
        let thread = is_terminal.then(|| {
            let (alive, ended) = mpsc::channel();
            let line = line.clone();
            thread::spawn(move || {
                while ended.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
                    line.shown().refresh();
                }
            });
            alive
        });
        Self { line: line.clone(), thread }
    }

    /// Goes on to another step.
    pub(super) fn step(&self, step: &'static str) {
        if let Some(work) = &mut self.line.shown().work {
            (work.step, work.step_began) = (step, now());
        }
    }

    /// Nothing more is to be told: what comes next is the answer.
    pub(super) fn finish(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.thread.take());
        let mut shown = self.line.shown();
        shown.work = None;
        shown.show("");
    }
}

impl StatusLine {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Log lines.
impl Write for StatusLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = self.shown();
        shown.show("");
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Shown {
    fn refresh(&mut self) {
        let Some(Work { began, step, step_began }) = &self.work else { return };
        let text = text(step, began.elapsed(), step_began.elapsed());
        self.show(&text);
    }

    fn show(&mut self, text: &str) {
        if self.text != text {
            // Where the terminal cannot be written to, nobody sees the line.
            let _ = io::stderr().write_all(over(&self.text, text).as_bytes());
            text.clone_into(&mut self.text);
        }
    }
}

/// The line for a step, after so long in all and so long for the step.
fn text(step: &str, in_all: Duration, for_step: Duration) -> String {
    match for_step.as_secs() {
        _ if in_all < PATIENCE => String::new(),
        0 => step.to_owned(),
        seconds => format!("{step}: {seconds} s"),
    }
}

/// What replaces one line by another, without control sequences, which not every terminal knows: blanks over the old one,
/// then the new one.
fn over(old: &str, new: &str) -> String {
    format!("\r{:width$}\r{new}", "", width = old.chars().count())
}

#[expect(clippy::disallowed_methods, reason = "how long a person has waited is all that it is for")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_work_shows_nothing_and_long_work_its_step_and_for_how_long() {
        let seconds = Duration::from_secs_f64;
        assert_eq!(text("planning", seconds(0.99), seconds(0.99)), "");
        assert_eq!(text("planning", seconds(1.0), seconds(1.0)), "planning: 1 s");
        assert_eq!(text("planning", seconds(12.9), seconds(11.9)), "planning: 11 s");
        // A short step of long work is told, too.
        assert_eq!(text("checking", seconds(12.9), seconds(0.1)), "checking");
    }

    /// What a terminal's line shows after these characters.
    fn seen(written: &str) -> String {
        let (mut cells, mut column) = (Vec::new(), 0);
        for character in written.chars() {
            if character == '\r' {
                column = 0;
                continue;
            }
            cells.resize(cells.len().max(column + 1), ' ');
            cells[column] = character;
            column += 1;
        }
        cells.into_iter().collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn a_line_leaves_nothing_of_the_one_before() {
        let first = over("", "reading the cluster: 9 s");
        let second = over("reading the cluster: 9 s", "planning");
        let end = over("planning", "");
        assert_eq!(seen(&first), "reading the cluster: 9 s");
        assert_eq!(seen(&(first.clone() + &second)), "planning");
        assert_eq!(seen(&(first + &second + &end)), "");
    }

    #[test]
    fn without_a_terminal_no_thread_looks_after_the_line() {
        let line = StatusLine::default();
        assert!(Progress::start_where(false, &line, "planning").thread.is_none());
        let progress = Progress::start_where(true, &line, "planning");
        assert!(progress.thread.is_some());
        progress.step("checking");
        assert_eq!(line.shown().work.as_ref().map(|work| work.step), Some("checking"));
        progress.finish();
        assert!(line.shown().work.is_none());
    }
}
