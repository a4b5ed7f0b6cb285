//! Waiting for a condition, always with a deadline.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The first and the longest pause between two looks. Short at first, since
/// most conditions come true at once; longer later, since looking costs.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// Looks again and again until `condition` gives a value.
///
/// `Ok(None)` and `Err` both mean "not yet": what is waited for often does not
/// exist at first. The last error is kept for the deadline's message.
///
/// # Errors
///
/// [`Error::Deadline`], naming `what`, once `timeout` has passed.
pub fn wait_until<T, E: Display>(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> std::result::Result<Option<T>, E>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = PAUSE.0;
    loop {
        let last = match condition() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => "not yet".to_owned(),
            Err(error) => error.to_string(),
        };
        if start.elapsed() >= timeout {
            return Err(Error::Deadline { what: what.to_owned(), waited: timeout, last });
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(PAUSE.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_first_value() {
        let mut looks = 0;
        let value = wait_until("three looks", Duration::from_secs(10), || {
            looks += 1;
            Ok::<_, Error>((looks == 3).then_some(looks))
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn deadline_names_what_was_awaited_and_the_last_error() {
        let error =
            wait_until::<(), _>("the moon", Duration::from_millis(20), || Err("clouds")).unwrap_err().to_string();
        assert!(error.contains("the moon") && error.contains("clouds"), "{error}");
    }
}
