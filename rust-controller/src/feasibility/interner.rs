//! Equal values to one small number each, in the order of their first occurrence.

use std::collections::HashMap;
use std::hash::Hash;

/// Numbers from 0 for distinct values. Looked up by hash, listed in order: the order of a hash map never shows.
#[derive(Clone, Debug)]
pub(super) struct Interner<T> {
    numbers: HashMap<T, usize>,
    values: Vec<T>,
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of a value; a new one where it is new.
    pub(super) fn number(&mut self, value: T) -> usize {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = self.values.len();
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    /// The values, each at its number.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}
