//! Why pods find no place: what each node says of their class.

use std::collections::BTreeMap;

use super::fleet::{Fleet, Passenger};
use super::{BlockReason, Blocker};
use crate::feasibility::{ClassId, Rule};

/// What nodes say, found once for all pods of a class. It holds as long as the fleet does not change.
#[derive(Default)]
pub(super) struct Refusals {
    of_class: BTreeMap<ClassId, Refused>,
}

impl Refusals {
    /// Why a pod of a node finds no place on any other. O(nodes) for the first pod of a class.
    pub(super) fn blocker(&mut self, fleet: &mut Fleet<'_>, node: usize, passenger: Passenger<'_>) -> Blocker {
        Blocker { pod: passenger.pod.name.clone(), reason: self.reason(fleet, node, passenger.class) }
    }

    /// Why a pod of this class that is on a node, or is to come there, finds no place on any other.
    pub(super) fn reason(&mut self, fleet: &mut Fleet<'_>, node: usize, class: ClassId) -> BlockReason {
        let refused = self.of_class.entry(class).or_insert_with(|| Refused::of(fleet, class));
        refused.without(fleet, class, node)
    }
}

/// What the nodes that take pods say of a class.
pub(super) struct Refused {
    by_rule: BTreeMap<Rule, usize>,
    /// How many would take a pod of it.
    takers: usize,
    /// The nearest of the others.
    nearest: Vec<usize>,
}

impl Refused {
    /// As things are. O(nodes).
    pub(super) fn of(fleet: &mut Fleet<'_>, class: ClassId) -> Self {
        let mut refused = Self { by_rule: BTreeMap::new(), takers: 0, nearest: Vec::new() };
        let mut misses = Vec::new();
        let open: Vec<usize> = (0..fleet.stops.len()).filter(|node| fleet.takes_pods(*node)).collect();
        fleet.asked += open.len() as u64;
        for node in open {
            match fleet.simulation.miss(class, fleet.stops[node].id) {
                None => refused.takers += 1,
                Some(miss) => {
                    *refused.by_rule.entry(miss.rule()).or_default() += 1;
                    misses.push((miss, node));
                }
            }
        }
        misses.sort();
        refused.nearest = misses.into_iter().take(2).map(|(_, node)| node).collect();
        refused
    }

    /// The reason, as long as the fleet is as it was.
    pub(super) fn reason(&self, fleet: &Fleet<'_>, class: ClassId) -> BlockReason {
        self.reason_of(fleet, class, self.nearest.first().copied())
    }

    fn reason_of(&self, fleet: &Fleet<'_>, class: ClassId, nearest: Option<usize>) -> BlockReason {
        let explained = |node: usize| {
            let id = fleet.stops[node].id;
            Some((fleet.simulation.name(id).to_owned(), fleet.simulation.refusal(class, id)?))
        };
        let nearest = nearest.filter(|_| self.takers == 0).and_then(explained);
        BlockReason::NoDestination { nearest, refused_nodes: self.by_rule.clone(), alone: self.takers }
    }

    /// The reason for a pod that runs on this node, which is no other.
    fn without(&self, fleet: &Fleet<'_>, class: ClassId, node: usize) -> BlockReason {
        let mut others = Self { by_rule: self.by_rule.clone(), takers: self.takers, nearest: Vec::new() };
        if fleet.takes_pods(node) {
            match fleet.simulation.miss(class, fleet.stops[node].id) {
                None => others.takers -= 1,
                Some(miss) => *others.by_rule.entry(miss.rule()).or_insert(1) -= 1,
            }
        }
        others.by_rule.retain(|_, count| *count > 0);
        others.reason_of(fleet, class, self.nearest.iter().copied().find(|other| *other != node))
    }
}
