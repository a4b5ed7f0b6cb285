//! The text form of Kubernetes quantities.
//!
//! Grammar and rounding: `k8s.io/apimachinery/pkg/api/resource`. A quantity is a decimal number with an optional
//! binary (`Ki` … `Ei`), decimal (`n` … `E`) or exponent (`e3`, `E-2`) suffix.

use std::str::FromStr;

/// A non-negative quantity in billionths, the finest step that Kubernetes keeps: sums of it are exact, and only
/// their total is rounded to the unit that the scheduler counts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: u128,
}

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the grammar.
    #[error("{0:?} is not a quantity (examples: 250m, 1.5, 512Mi)")]
    Malformed(String),
    /// Below zero, which no request and no capacity may be.
    #[error("{0:?} is negative")]
    Negative(String),
    /// More digits than any resource has.
    #[error("{0:?} has too many digits")]
    TooLong(String),
}

/// Digits beyond these cannot change an amount that fits 64 bits, and would overflow the arithmetic.
const MOST_DIGITS: usize = 34;

/// The API server cuts larger amounts to this one.
const LARGEST_UNITS: u64 = i64::MAX as u64;
const NANOS: u128 = 1_000_000_000;
const LARGEST: u128 = LARGEST_UNITS as u128 * NANOS;

impl Quantity {
    /// In thousandths (milli-cores), rounded up; cut to 2^63 − 1.
    #[must_use]
    pub fn thousandths(self) -> u64 {
        cut(self.nanos.div_ceil(NANOS / 1000))
    }

    /// In whole units (bytes, devices, pods), rounded up; cut to 2^63 − 1.
    #[must_use]
    pub fn units(self) -> u64 {
        cut(self.nanos.div_ceil(NANOS))
    }

    /// Whether it is whole units, with no part of one.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.nanos.is_multiple_of(NANOS)
    }

    /// The exact sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos) }
    }

    /// `digits · 10^exponent · 1024^binary`, rounded up to a billionth and cut to the largest.
    fn scaled(digits: u128, exponent: i32, binary: u32) -> Self {
        let exponent = exponent.saturating_add(9);
        let power = 10_u128.checked_pow(exponent.unsigned_abs());
        let nanos = match power {
            _ if digits == 0 => 0,
            Some(power) if exponent >= 0 => {
                digits.saturating_mul(power).saturating_mul(1024_u128.saturating_pow(binary))
            }
            Some(power) => quotient(digits, binary, power),
            None if exponent < 0 => 1,
            None => LARGEST,
        };
        Self { nanos: nanos.min(LARGEST) }
    }
}

/// `digits · 1024^binary / divisor`, rounded up. The product may need more than 128 bits where the quotient does not,
/// so the remainder is multiplied step by step. With a binary suffix the divisor is at most `10^MOST_DIGITS`.
fn quotient(digits: u128, binary: u32, divisor: u128) -> u128 {
    let (mut whole, mut rest) = (digits / divisor, digits % divisor);
    for _ in 0..binary {
        rest *= 1024;
        whole = whole.saturating_mul(1024).saturating_add(rest / divisor);
        rest %= divisor;
    }
    whole.saturating_add(u128::from(rest > 0))
}

fn cut(amount: u128) -> u64 {
    u64::try_from(amount).map_or(LARGEST_UNITS, |amount| amount.min(LARGEST_UNITS))
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let malformed = || QuantityError::Malformed(text.to_owned());
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|next: char| !next.is_ascii_digit() && next != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(malformed());
        }
        let fraction = fraction.trim_end_matches('0');
        let significant = format!("{}{fraction}", whole.trim_start_matches('0'));
        if significant.len() > MOST_DIGITS {
            return Err(QuantityError::TooLong(text.to_owned()));
        }
        let digits = if significant.is_empty() { 0 } else { significant.parse().map_err(|_| malformed())? };
        if negative && digits != 0 {
            return Err(QuantityError::Negative(text.to_owned()));
        }
        let (exponent, binary) = suffix_of(suffix).ok_or_else(malformed)?;
        let places = i32::try_from(fraction.len()).map_err(|_| malformed())?;
        Ok(Self::scaled(digits, exponent - places, binary))
    }
}

/// Exponent of ten and exponent of 1024 that a suffix stands for.
fn suffix_of(suffix: &str) -> Option<(i32, u32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 1),
        "Mi" => (0, 2),
        "Gi" => (0, 3),
        "Ti" => (0, 4),
        "Pi" => (0, 5),
        "Ei" => (0, 6),
        _ => (decimal_exponent(suffix)?, 0),
    })
}

/// `e3`, `E-2`: at most four digits, far beyond what 64 bits hold.
fn decimal_exponent(suffix: &str) -> Option<i32> {
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if plain { exponent.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_grammar_is_refused_with_the_text_in_the_message() {
        for text in ["", "m", ".", "1..2", "1 Gi", "0x10", "1Kib", "1e", "1e+", "１", "--1", "1e12345", "NaN", "+-1"] {
            let error = text.parse::<Quantity>().expect_err(text);
            assert_eq!(error, QuantityError::Malformed(text.to_owned()));
        }
        assert_eq!("-1".parse::<Quantity>(), Err(QuantityError::Negative("-1".to_owned())));
        assert!("-0".parse::<Quantity>().is_ok());
    }

    #[test]
    fn amounts_beyond_63_bits_are_cut_as_the_api_server_cuts_them() {
        for text in ["9223372036854775808", "8Ei", "1e30", "1e9999", "99999999999999999999999999999999Ei"] {
            assert_eq!(text.parse::<Quantity>().map(Quantity::thousandths), Ok(i64::MAX as u64), "{text}");
        }
    }

    #[test]
    fn the_smallest_amounts_round_up_to_one() {
        for text in ["1n", "1e-9999", ".000000000000001"] {
            assert_eq!(text.parse::<Quantity>().map(Quantity::units), Ok(1), "{text}");
        }
        assert_eq!("0e-9999".parse::<Quantity>().map(Quantity::units), Ok(0));
    }

    #[test]
    fn a_fraction_of_a_binary_unit_is_exact() {
        assert_eq!("1.1Ki".parse::<Quantity>().map(Quantity::units), Ok(1127));
        assert_eq!("0.5Mi".parse::<Quantity>().map(Quantity::units), Ok(524_288));
    }

    #[test]
    fn a_long_fraction_of_a_binary_unit_is_as_exact_as_a_short_one() {
        for (text, units) in [
            ("1.99999999999999999999999999999999Ei", 1 << 61),
            ("0.0000000000000000000000000000000001Ei", 1),
            ("1.500000000000000000000000000000001Ki", 1537),
        ] {
            assert_eq!(text.parse::<Quantity>().map(Quantity::units), Ok(units), "{text}");
        }
    }
}
