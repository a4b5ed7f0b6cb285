//! Quantities as integers with a unit in their type.
//!
//! Kubernetes rounds every quantity up to the unit that its scheduler counts in: milli-cores for CPU, whole
//! units for everything else. The types here do the same, so that a sum of requests is the scheduler's sum.

mod hash;
mod money;
mod quantity;
mod timestamp;

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

pub use hash::stable_hash;
pub(crate) use hash::{FastMap, FastSet};
pub use money::{Money, MoneyError};
pub use quantity::{Quantity, QuantityError};
pub use timestamp::{Timestamp, TimestampError};

/// CPU in milli-cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(u64);

/// Memory or storage in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory(u64);

macro_rules! arithmetic {
    ($unit:ident, $of:ident) => {
        impl $unit {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            #[doc = concat!("From a number of ", stringify!($of), ".")]
            #[must_use]
            pub const fn $of(count: u64) -> Self {
                Self(count)
            }

            #[doc = concat!("The number of ", stringify!($of), ".")]
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Whether there is none.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// The sum, or the largest representable amount: a request that large fits nowhere either way.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or `None` where `other` is larger.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(rest) => Some(Self(rest)),
                    None => None,
                }
            }

            /// The difference, or nothing where `other` is larger.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, Self::saturating_add)
            }
        }
    };
}

arithmetic!(Cpu, millicores);
arithmetic!(Memory, bytes);

impl From<Quantity> for Cpu {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.thousandths())
    }
}

impl From<Quantity> for Memory {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.units())
    }
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.parse::<Quantity>().map(Self::from)
    }
}

impl FromStr for Memory {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        text.parse::<Quantity>().map(Self::from)
    }
}

/// Whole cores without a suffix, otherwise milli-cores: `2`, `250m`.
impl fmt::Display for Cpu {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            out.pad(&(self.0 / 1000).to_string())
        } else {
            out.pad(&format!("{}m", self.0))
        }
    }
}

/// The largest binary suffix that divides the bytes exactly: `512Mi`, `1500`.
impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SUFFIXES: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let mut count = self.0;
        let mut suffix = "";
        for next in SUFFIXES {
            if count == 0 || !count.is_multiple_of(1024) {
                break;
            }
            count /= 1024;
            suffix = next;
        }
        out.pad(&format!("{count}{suffix}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_rounds_up_to_the_milli_core_as_the_scheduler_does() {
        for (text, millicores) in
            [("1", 1000), ("250m", 250), ("0.1", 100), ("1u", 1), ("1500001u", 1501), ("0", 0), ("1e3", 1_000_000)]
        {
            assert_eq!(text.parse::<Cpu>(), Ok(Cpu::millicores(millicores)), "{text}");
        }
    }

    #[test]
    fn memory_rounds_up_to_the_byte() {
        for (text, bytes) in [
            ("1Ki", 1024),
            ("1500m", 2),
            ("1.5Gi", 1_610_612_736),
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("1k", 1000),
        ] {
            assert_eq!(text.parse::<Memory>(), Ok(Memory::bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn amounts_print_the_way_kubernetes_prints_them() {
        for text in ["250m", "2", "0", "1001m"] {
            assert_eq!(text.parse::<Cpu>().map(|cpu| cpu.to_string()), Ok(text.to_owned()));
        }
        for text in ["512Mi", "1Gi", "0", "1500", "1025Ki"] {
            assert_eq!(text.parse::<Memory>().map(|memory| memory.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_difference_below_zero_is_none_and_a_sum_above_the_largest_is_the_largest() {
        assert_eq!(Cpu::millicores(1).checked_sub(Cpu::millicores(2)), None);
        assert_eq!([Memory::bytes(u64::MAX), Memory::bytes(1)].into_iter().sum::<Memory>(), Memory::bytes(u64::MAX));
    }
}
