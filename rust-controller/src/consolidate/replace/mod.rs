//! Which nodes could be replaced by cheaper ones of the catalog, beside those that can simply go.
//!
//! A set of nodes goes, and their pods wait: existing room first, then the cheapest new nodes, as in provisioning. Which set is
//! tried is decided by what its nodes cost beyond what their pods are worth at the catalog's prices (`choice`). Then the new
//! nodes are there and the others go one after the other, as in any consolidation (`carry_out`): no pod moves twice, and every
//! step is feasible.

mod carry_out;
mod choice;
mod hypothesis;
mod worth;

use std::collections::{BTreeMap, BTreeSet};

use super::{BlockReason, Consolidation, Keep, Millionths, NodePlan, Objective, Options, Verdict};
use crate::model::{Catalog, Resources, in_units};
use crate::provision::{self, PlannedNode, Pool, UnknownAttachLimit};
use crate::snapshot::Snapshot;
use crate::units::Money;
use choice::Choice;

/// Nodes to add, and the nodes that go then: what could be done instead of removals alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    /// Nodes that come first, by name, each with the pods that move there.
    pub nodes: Vec<PlannedNode>,
    /// The kinds of those nodes, by name.
    pub pools: BTreeMap<String, Pool>,
    /// Types of those nodes that are to attach volumes, and of which nobody knows how many they can.
    pub unknown_attach_limits: Vec<UnknownAttachLimit>,
    /// Nodes that go then, in this order, each with where its pods move.
    pub removals: Vec<NodePlan>,
    /// Nodes that the removals alone would take, and that stay here, by name.
    pub staying: Vec<String>,
    /// What the nodes cost per hour that go here and would stay if no new ones came: those that are replaced.
    pub replaced_per_hour: Money,
    /// What is saved per hour beyond what the removals alone save.
    pub further_savings_per_hour: Money,
}

impl Replacement {
    /// What the new nodes cost per hour; `None` where a price is not known.
    #[must_use]
    pub fn added_per_hour(&self) -> Option<Money> {
        self.nodes.iter().map(|node| node.price_per_hour).sum()
    }

    /// How many pods are evicted and start elsewhere.
    #[must_use]
    pub fn pods_disturbed(&self) -> usize {
        self.removals.iter().map(|plan| plan.moves.len()).sum()
    }

    /// Which share of what the replaced nodes cost is saved beyond the removals alone.
    #[must_use]
    pub fn savings_share(&self) -> Millionths {
        let share = u128::from(self.further_savings_per_hour.get()) * 1_000_000;
        let share = share.checked_div(u128::from(self.replaced_per_hour.get())).unwrap_or(0);
        Millionths::try_from(share).unwrap_or(Millionths::MAX)
    }

    /// Whether a node goes.
    #[must_use]
    pub fn removes(&self, node: &str) -> bool {
        self.removals.iter().any(|plan| plan.node.name == node)
    }

    /// What all nodes cost per hour once the new ones are there and the others gone; `None` where a price is not known.
    #[must_use]
    pub fn cost_after(&self, consolidation: &Consolidation) -> Option<Money> {
        self.cost_of_staying(consolidation, |_| true)
    }

    /// By which share the nodes that count cost more then than the lower bound; `None` where there is none, or where sizes are
    /// what counts: new nodes are compared by price alone.
    #[must_use]
    pub fn gap(&self, consolidation: &Consolidation) -> Option<f64> {
        let bound = consolidation.bound.as_ref().filter(|_| consolidation.objective == Objective::Price)?;
        Some(self.cost_of_staying(consolidation, |plan| consolidation.counts(plan))?.units() / bound.least - 1.0)
    }

    /// How large all nodes are then, in cores.
    #[must_use]
    pub fn size_after(&self, consolidation: &Consolidation) -> f64 {
        let staying = self.staying_beside(consolidation).map(|plan| &plan.node.allocatable);
        let all = staying.chain(self.nodes.iter().map(|node| &node.allocatable));
        in_units("cpu", all.map(Resources::size).sum())
    }

    fn cost_of_staying(&self, consolidation: &Consolidation, counts: impl Fn(&NodePlan) -> bool) -> Option<Money> {
        let staying = self.staying_beside(consolidation).filter(|plan| counts(plan));
        staying.map(|plan| plan.price_per_hour).chain([self.added_per_hour()]).sum()
    }

    /// Existing nodes that do not go.
    fn staying_beside<'c>(&self, consolidation: &'c Consolidation) -> impl Iterator<Item = &'c NodePlan> + use<'c> {
        let gone: BTreeSet<String> = self.removals.iter().map(|plan| plan.node.name.clone()).collect();
        consolidation.nodes.iter().filter(move |plan| !gone.contains(&plan.node.name))
    }
}

impl Consolidation {
    /// How many pods the removals evict.
    #[must_use]
    pub fn pods_disturbed(&self) -> usize {
        self.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove).map(|plan| plan.moves.len()).sum()
    }
}

/// What could be done beyond the removals of a consolidation if new nodes came, where that saves more than
/// [`Options::min_savings`] of what the replaced nodes cost.
///
/// Deterministic: what is tried is limited by counting, not by time. The steps and their costs are in `docs/ARCHITECTURE.md`.
#[must_use]
pub fn replace(
    snapshot: &Snapshot,
    catalog: &Catalog,
    consolidation: &Consolidation,
    provisioning: &provision::Options,
    options: &Options,
) -> Option<Replacement> {
    let inputs = Inputs { snapshot, catalog, consolidation, provisioning, options };
    let mut choice = Choice::of(&inputs);
    choice.search();
    for _ in 0..MOST_CARRIED_OUT {
        let (trial, gone) = choice.take_best()?;
        match carry_out::carry_out(&inputs, &choice, (&trial, &gone)) {
            Ok(replacement) => return Some(replacement),
            Err(stuck) => choice.descend_without(trial, &stuck),
        }
    }
    None
}

/// So many trials are carried out, as long as rules refuse a pod at its turn.
const MOST_CARRIED_OUT: usize = 4;

/// What everything here looks at.
struct Inputs<'a> {
    snapshot: &'a Snapshot,
    catalog: &'a Catalog,
    consolidation: &'a Consolidation,
    provisioning: &'a provision::Options,
    options: &'a Options,
}

/// Whether nothing but the want of another place could keep a node.
fn may_go(plan: &NodePlan) -> bool {
    match &plan.verdict {
        Verdict::Remove | Verdict::Keep(Keep::ReceivesPods | Keep::LastNode(_)) => true,
        Verdict::Keep(Keep::Blocked) => {
            plan.blockers.iter().all(|blocker| matches!(blocker.reason, BlockReason::NoDestination { .. }))
        }
        Verdict::Keep(_) => false,
    }
}
