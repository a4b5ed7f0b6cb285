//! Which nodes admit a pod by what they are, so that no others need be asked.

use std::rc::Rc;

use super::fleet::Stop;
use crate::feasibility::{ClassId, Simulation};
use crate::units::FastMap;

/// Positions, ascending; none where that is all of them.
type Positions = Option<Rc<[usize]>>;

/// By number of what is asked of a node by itself.
#[derive(Default)]
pub(super) struct Admitted {
    /// Nodes that admit it. They stay what they are, so this is found once.
    nodes: FastMap<usize, Positions>,
    /// Their places in the order in which pods are sent to nodes.
    places: FastMap<usize, Positions>,
}

impl Admitted {
    /// Pods are sent to nodes in another order.
    pub(super) fn reorder(&mut self) {
        self.places.clear();
    }

    /// Places of the nodes that admit a class, each node with its place. O(nodes) for the first class that asks this, and
    /// O(n log n) for the n that admit it in each order.
    pub(super) fn places(
        &mut self,
        class: ClassId,
        simulation: &Simulation,
        stops: &[Stop<'_>],
        place_of: &[usize],
    ) -> Positions {
        let number = simulation.admission(class);
        let nodes = self.nodes.entry(number).or_insert_with(|| {
            let admits = |node: &usize| simulation.admits_by_itself(class, stops[*node].id);
            let nodes: Vec<usize> = (0..stops.len()).filter(admits).collect();
            (nodes.len() < stops.len()).then(|| nodes.into())
        });
        let in_order = |nodes: &[usize]| {
            let mut places: Vec<usize> = nodes.iter().map(|node| place_of[*node]).collect();
            places.sort_unstable();
            places.into()
        };
        self.places.entry(number).or_insert_with(|| nodes.as_deref().map(in_order)).clone()
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog;
    use crate::consolidate::Options;
    use crate::consolidate::candidates::survey;
    use crate::consolidate::evictions::Evictions;
    use crate::consolidate::fleet::Fleet;
    use crate::feasibility::Simulation;
    use crate::lower;

    /// Ten nodes for each of ten teams, and a pod of each team.
    fn teams() -> String {
        let node = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{at}, labels: {{team: t{}}}}}\n\
                 status: {{allocatable: {{cpu: 2, memory: 1Gi, pods: 9}}}}\n",
                at % 10
            )
        };
        let pod = |team: usize| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{team}}}\n\
                 spec: {{nodeSelector: {{team: t{team}}}, containers: [{{name: c, resources: {{requests: {{cpu: 1500m}}}}}}]}}\n"
            )
        };
        (0..100).map(node).chain((0..10).map(pod)).collect()
    }

    #[test]
    fn nodes_that_never_admit_a_pod_are_not_asked_in_any_order() {
        let snapshot = lower::parse_manifest(&teams()).unwrap().into_snapshot();
        let (by_node, evictions) = (snapshot.pods_by_node(), Evictions::of(&snapshot));
        let catalog = catalog::builtin("generic").unwrap();
        let plans = survey(&snapshot, &by_node, &evictions, &catalog, &Options::default());
        let mut fleet = Fleet::of(Simulation::of(&snapshot), &plans, &snapshot);
        let classes: Vec<_> = (0..10).filter_map(|pod| fleet.simulation.class_at(pod)).collect();
        for order in [(0..100).collect::<Vec<usize>>(), (0..100).rev().collect()] {
            fleet.send_in_order(order.clone());
            let before = fleet.asked;
            for class in &classes {
                // One fills a node, so the next comes to the next of its team's.
                let first: Vec<usize> = (0..2).filter_map(|_| fleet.place(*class)).collect();
                let id = |node: &usize| fleet.stops[*node].id;
                let admitted = order.iter().filter(|node| fleet.simulation.admits_by_itself(*class, id(node)));
                assert_eq!(first, admitted.take(2).copied().collect::<Vec<_>>());
                for node in first {
                    fleet.take(*class, node);
                }
            }
            assert_eq!(fleet.asked - before, 20);
        }
    }
}
