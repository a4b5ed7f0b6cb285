//! How much may go into the search for cheaper plans.
//!
//! Steps are counted instead of asking a clock: what is found in a second depends on the machine and on what else it does,
//! and the same input shall give the same plan.

use std::cell::Cell;
use std::time::Duration;

/// So many steps stand for a second, on a machine of some years ago. A step is an offer whose price is looked at, or a lot
/// that is tried for a place on a node.
const STEPS_PER_SECOND: u128 = 20_000_000;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Effort {
    steps_left: Cell<u64>,
    cut_short: Cell<bool>,
}

impl Effort {
    /// As much as a search may take that ends by itself.
    pub(super) fn unlimited() -> Self {
        Self { steps_left: Cell::new(u64::MAX), cut_short: Cell::new(false) }
    }

    /// As much as what is tried in any case takes.
    pub(super) fn none() -> Self {
        Self::of(Duration::ZERO)
    }

    pub(super) fn of(budget: Duration) -> Self {
        let steps = budget.as_micros().saturating_mul(STEPS_PER_SECOND) / 1_000_000;
        Self { steps_left: Cell::new(u64::try_from(steps).unwrap_or(u64::MAX)), ..Self::unlimited() }
    }

    pub(super) fn spend(&self, steps: usize) {
        self.steps_left.set(self.steps_left.get().saturating_sub(steps as u64));
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
