//! Instants in whole seconds, as Kubernetes writes them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

/// The last second of the year 9999, after which RFC 3339 has no more years.
const LAST: u64 = 253_402_300_799;

/// An instant in whole seconds; as text RFC 3339 in UTC: `2026-08-01T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// A text that is no instant.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is no time; write it in UTC, as 2026-08-01T12:00:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// So many seconds after 1970-01-01T00:00:00Z; beyond the year 9999, its last second.
    #[must_use]
    pub const fn unix_seconds(seconds: u64) -> Self {
        Self(if seconds > LAST { LAST } else { seconds })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0)).fmt(out)
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let since_epoch = humantime::parse_rfc3339(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let seconds = since_epoch.ok_or_else(|| TimestampError { text: text.to_owned() })?.as_secs();
        Ok(Self::unix_seconds(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for seconds in [0, 1, 951_782_399, 1_785_585_600, LAST, u64::MAX] {
            let timestamp = Timestamp::unix_seconds(seconds);
            assert_eq!(timestamp.to_string().parse::<Timestamp>().unwrap(), timestamp);
        }
        assert_eq!(Timestamp::unix_seconds(1_785_585_600).to_string(), "2026-08-01T12:00:00Z");
        assert_eq!(Timestamp::unix_seconds(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_instant_in_utc_is_refused() {
        for text in
            ["", "yesterday", "2026-08-01", "2026-13-01T12:00:00Z", "2026-08-01T12:00:00+02:00", "1969-12-31T23:59:59Z"]
        {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert!(error.to_string().contains("write it in UTC"), "{error}");
        }
    }
}
