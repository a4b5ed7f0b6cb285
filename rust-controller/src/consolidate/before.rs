//! What was said last time, so that little changes in a plan where little has changed in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::fleet::{Fleet, Passenger};
use super::joint::Joint;
use super::{Consolidation, NodePlan, Options};
use crate::model::PodName;
use crate::units::Timestamp;

/// What the last consolidation said, as far as it guides the next one. Empty where nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Nodes that were to go.
    pub removals: BTreeSet<String>,
    /// Nodes that their pods were to move to.
    pub destinations: BTreeMap<PodName, String>,
    /// Nodes that had a suggestion of their own ([`NodePlan::has_suggestion`]), each with the time since when, if that was
    /// said.
    pub suggested: BTreeMap<String, Option<Timestamp>>,
    /// When the next consolidation is asked for; `None` where nobody needs to know since when a node is underutilized.
    pub now: Option<Timestamp>,
}

impl Before {
    /// What a consolidation says, for one that is asked for at `now`.
    #[must_use]
    pub fn of(consolidation: &Consolidation, now: Option<Timestamp>) -> Self {
        let destinations = consolidation.moves().map(|each| (each.pod.name.clone(), each.destination.clone()));
        Self {
            removals: consolidation.removals.iter().cloned().collect(),
            destinations: destinations.collect(),
            suggested: consolidation.suggested(),
            now,
        }
    }

    /// Adds suggestions that were made and are not said, and times that are not.
    pub fn fill_in(&mut self, suggested: &BTreeMap<String, Option<Timestamp>>) {
        for (node, since) in suggested {
            let said = self.suggested.entry(node.clone()).or_default();
            *said = said.or(*since);
        }
    }

    /// Holds the suggestion of a node that is not clearly above the threshold again, and says since when there is one.
    pub(super) fn hold(&self, plan: &mut NodePlan, options: &Options) {
        let suggested = self.suggested.get(&plan.node.name);
        let held = !plan.underutilized && suggested.is_some() && plan.utilization().largest() < options.leaving();
        plan.held_until = held.then(|| options.leaving());
        if plan.has_suggestion() {
            plan.underutilized_since = suggested.copied().flatten().or(self.now);
        }
    }

    /// What was said of those candidates that were to go, by position.
    pub(super) fn guide(&self, fleet: &Fleet<'_>, plans: &[NodePlan], candidates: &[usize]) -> Joint {
        let position = |name: &String| plans.binary_search_by(|plan| plan.node.name.cmp(name)).ok();
        let destination = |Passenger { pod, .. }: &Passenger<'_>| position(self.destinations.get(&pod.name)?);
        let were_to_go = |node: &usize| self.removals.contains(&plans[*node].node.name);
        let removed: Vec<usize> = candidates.iter().copied().filter(were_to_go).collect();
        let destinations =
            removed.iter().map(|node| (*node, fleet.stops[*node].passengers.iter().map(destination).collect()));
        Joint { destinations: destinations.collect(), removed }
    }
}
