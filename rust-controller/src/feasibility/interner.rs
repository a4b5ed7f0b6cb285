//! Equal values to one small number each, in the order of their first occurrence.

use std::borrow::Borrow;
use std::hash::Hash;

use crate::units::FastMap;

/// Numbers from 0 for distinct values. Looked up by hash, listed in order: the order of a hash map never shows.
#[derive(Clone, Debug)]
pub(super) struct Interner<T> {
    numbers: FastMap<T, usize>,
    values: Vec<T>,
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of a value; a new one where it is new.
    pub(super) fn number(&mut self, value: T) -> usize {
        match self.find(&value) {
            Some(number) => number,
            None => self.add(value),
        }
    }

    /// The same, for a value that is copied only where it is new.
    pub(super) fn number_of<Q>(&mut self, value: &Q) -> usize
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        match self.find(value) {
            Some(number) => number,
            None => self.add(value.to_owned()),
        }
    }

    /// The number of a value that is there already.
    pub(super) fn find<Q>(&self, value: &Q) -> Option<usize>
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.numbers.get(value).copied()
    }

    fn add(&mut self, value: T) -> usize {
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
        Self { numbers: FastMap::default(), values: Vec::new() }
    }
}
