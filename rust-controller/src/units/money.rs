//! Prices, exact to a billionth of the currency's unit.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of money in billionths of the catalog's currency: `0.0765` is 76,500,000. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// Why a text or number is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Below zero or not a number.
    #[error("{0} is not a price (a number of 0 or more)")]
    NotAPrice(String),
    /// So large that sums of it would not fit.
    #[error("{0} is too large for a price per hour")]
    TooLarge(String),
}

const NANOS: u64 = 1_000_000_000;

/// A million of any currency an hour for one node: a slip in the catalog, and far below what overflows.
const LARGEST: f64 = 1e6;

impl Money {
    /// Free of charge.
    pub const ZERO: Self = Self(0);

    /// From billionths of the unit.
    #[must_use]
    pub const fn nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The number of billionths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// From a number of units, rounded to the nearest billionth.
    ///
    /// # Errors
    /// Where the number is negative, not finite, or over a million.
    pub fn from_units(units: f64) -> Result<Self, MoneyError> {
        if !(units.is_finite() && units >= 0.0) {
            return Err(MoneyError::NotAPrice(units.to_string()));
        }
        if units > LARGEST {
            return Err(MoneyError::TooLarge(units.to_string()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1e15, see the checks above"
        )]
        let nanos = (units * 1e9).round() as u64;
        Ok(Self(nanos))
    }

    /// The amount in units, for output: the nearest floating-point number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for output only; sums and comparisons are on integers")]
    pub fn units(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, or the largest representable amount.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing where `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let units: f64 = text.trim().parse().map_err(|_| MoneyError::NotAPrice(format!("{text:?}")))?;
        Self::from_units(units)
    }
}

/// At least two decimals and as many as the price has: `0.10`, `0.0765`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:09}", self.0 % NANOS);
        let (cents, rest) = digits.split_at(2);
        out.pad(&format!("{}.{cents}{}", self.0 / NANOS, rest.trim_end_matches('0')))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.units())
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let units = f64::deserialize(deserializer)?;
        Self::from_units(units).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_every_digit_that_providers_publish() {
        for text in ["0.0765", "0.10", "12.345678901", "0.00", "3.00"] {
            assert_eq!(text.parse::<Money>().map(|price| price.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("0.0765".parse::<Money>().map(Money::units), Ok(0.0765));
    }

    #[test]
    fn a_price_below_zero_or_out_of_range_is_refused() {
        for text in ["-0.1", "NaN", "inf", "free", ""] {
            assert!(matches!(text.parse::<Money>(), Err(MoneyError::NotAPrice(_))), "{text}");
        }
        assert!(matches!("1000001".parse::<Money>(), Err(MoneyError::TooLarge(_))));
    }
}
