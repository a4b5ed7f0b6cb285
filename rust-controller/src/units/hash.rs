//! Hashes: one that stays the same from one version of this program to the next, and one for maps that live for a plan.

use std::collections::{HashMap, HashSet};

/// A map for names and values that are looked up many thousands of times in one plan, where the standard library's hash
/// would take longer than the rest. Its order differs from run to run and must not show.
pub(crate) type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The same without values.
pub(crate) type FastSet<K> = HashSet<K, foldhash::fast::RandomState>;

/// FNV-1a with 32 bits, for short suffixes of names: eight hexadecimal digits.
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::stable_hash;

    #[test]
    fn agrees_with_the_published_test_vectors() {
        for (text, hash) in [("", 0x811c_9dc5), ("a", 0xe40c_292c), ("foobar", 0xbf9c_f968)] {
            assert_eq!(stable_hash(text.as_bytes()), hash, "{text}");
        }
    }
}
