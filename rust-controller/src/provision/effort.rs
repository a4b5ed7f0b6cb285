//! How much may go into the search for cheaper plans.
//!
//! Steps are counted instead of asking a clock: what is found in a second depends on the machine and on what else it does,
//! and the same input shall give the same plan.

use std::cell::Cell;
use std::time::Duration;

/// So many steps stand for a second, on a machine of some years ago. A step is an offer whose price is looked at, a lot that
/// is tried for a place on a node, or a node that is asked whether it takes a pod.
const STEPS_PER_SECOND: u128 = 20_000_000;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Effort {
    steps_left: Cell<u64>,
    spent: Cell<u64>,
    cut_short: Cell<bool>,
}

impl Effort {
    /// As much as a search may take that ends by itself.
    pub(super) fn unlimited() -> Self {
        Self { steps_left: Cell::new(u64::MAX), spent: Cell::new(0), cut_short: Cell::new(false) }
    }

    /// As much as what is tried in any case takes.
    pub(super) fn none() -> Self {
        Self::of(Duration::ZERO)
    }

    pub(super) fn of(budget: Duration) -> Self {
        let steps = budget.as_micros().saturating_mul(STEPS_PER_SECOND) / 1_000_000;
        Self { steps_left: Cell::new(u64::try_from(steps).unwrap_or(u64::MAX)), ..Self::unlimited() }
    }

    /// Another one: what is left of this, and so much in any case.
    pub(super) fn at_least(&self, least: Duration) -> Self {
        let other = Self::of(least);
        other.steps_left.set(other.steps_left.get().max(self.steps_left.get()));
        other
    }

    /// Somebody who had another one was told that nothing is left of it.
    pub(super) fn is_cut_short_with(&self, other: &Self) {
        self.cut_short.set(self.cut_short.get() || other.cut_short.get());
    }

    pub(super) fn spend(&self, steps: u64) {
        self.steps_left.set(self.steps_left.get().saturating_sub(steps));
        self.spent.set(self.spent.get().saturating_add(steps));
    }

    /// How many steps have been taken, those included that nothing was left for.
    pub(super) fn spent(&self) -> u64 {
        self.spent.get()
    }

    /// Whether nothing is left of it. Asked by whoever has more to try.
    pub(super) fn is_spent(&self) -> bool {
        let is_spent = self.steps_left.get() == 0;
        self.cut_short.set(self.cut_short.get() || is_spent);
        is_spent
    }

    /// Whether somebody who had more to try was told so.
    pub(super) fn was_cut_short(&self) -> bool {
        self.cut_short.get()
    }
}
