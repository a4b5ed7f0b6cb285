//! Which needs something meets, of those that the market has numbered.

/// Numbers of needs. Most nodes meet few of those that there are: only these are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NeedSet(
    /// Sorted, none twice.
    Vec<u32>,
);

impl NeedSet {
    /// Quick where numbers come in ascending order.
    pub(super) fn insert(&mut self, number: usize) {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        if self.0.last().is_none_or(|last| *last < number) {
            self.0.push(number);
        } else if let Err(at) = self.0.binary_search(&number) {
            self.0.insert(at, number);
        }
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0.binary_search(&number).is_ok())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of another's are among these.
    pub(super) fn includes(&self, other: &Self) -> bool {
        other.0.len() <= self.0.len() && other.numbers().all(|number| self.contains(number))
    }

    /// In ascending order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|number| *number as usize)
    }
}

impl FromIterator<usize> for NeedSet {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}
