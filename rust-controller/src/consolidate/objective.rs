//! What is to be as little as possible: what nodes cost, or, where a price is missing, how large they are.

use super::{Consolidation, Keep, NodePlan, Verdict, is_candidate};
use crate::model::in_units;
use crate::units::Money;

/// What nodes are compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Objective {
    /// What they cost per hour, in the catalog's currency.
    #[default]
    Price,
    /// Their number, weighted by size: CPU and memory, in cores, of which one counts as much as 4 GiB.
    Size,
}

impl Objective {
    /// Price, as long as that of every candidate is known.
    pub(super) fn among(plans: &[NodePlan]) -> Self {
        let mut candidates = plans.iter().filter(|plan| is_candidate(plan));
        if candidates.all(|plan| plan.price_per_hour.is_some()) { Self::Price } else { Self::Size }
    }

    /// What a node counts, in billionths of the currency or in milli-cores.
    pub(super) fn weight(self, plan: &NodePlan) -> u64 {
        match self {
            Self::Price => plan.price_per_hour.unwrap_or_default().get(),
            Self::Size => plan.node.allocatable.size(),
        }
    }

    /// What nodes count together, in the currency or in cores.
    #[must_use]
    pub fn total<'p>(self, plans: impl IntoIterator<Item = &'p NodePlan>) -> f64 {
        self.in_units(plans.into_iter().map(|plan| self.weight(plan)).fold(0, u64::saturating_add))
    }

    /// So much in the currency or in cores.
    pub(super) fn in_units(self, weight: u64) -> f64 {
        match self {
            Self::Price => Money::nanos(weight).units(),
            Self::Size => in_units("cpu", weight),
        }
    }
}

impl Consolidation {
    /// How large all nodes are together, before and after, in cores.
    #[must_use]
    pub fn sizes(&self) -> (f64, f64) {
        let staying = self.nodes.iter().filter(|plan| plan.verdict != Verdict::Remove);
        (Objective::Size.total(&self.nodes), Objective::Size.total(staying))
    }

    /// Whether what a node counts would be saved if it went, so that the lower bound speaks of it. Not those of the control plane,
    /// nor those that are going already, or of which nobody knows what they hold; and where prices are what counts, not those
    /// that have none, which stay.
    #[must_use]
    pub fn counts(&self, plan: &NodePlan) -> bool {
        let stays_anyway = matches!(
            plan.verdict,
            Verdict::Keep(
                Keep::ControlPlane
                    | Keep::NotReady
                    | Keep::Deleting
                    | Keep::Cordoned
                    | Keep::NoAllocatable
                    | Keep::UnreadablePod
            )
        );
        !stays_anyway && (self.objective == Objective::Size || plan.price_per_hour.is_some())
    }
}
