//! Why a node stays, node by node: for each of its pods that finds no place, what every other node says.

use std::cmp::Reverse;
use std::sync::Arc;

use super::candidates::movable;
use super::{BlockReason, Consolidation, NodePlan, Verdict};
use crate::feasibility::{NodeId, Refusal, Simulation};
use crate::model::{Pod, PodName};
use crate::provision::place_until_nothing_changes;
use crate::snapshot::Snapshot;

/// A pod that finds no place on any other node that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The pod.
    pub pod: PodName,
    /// Each node, with the first rule that refuses; the nearest node first.
    pub refusals: Vec<(String, Refusal)>,
}

/// What keeps pods of a node from moving: those that block it, once everything that the plan removes is gone, and the other
/// pods of the node have moved as far as they can.
#[must_use]
pub fn obstacles(snapshot: &Snapshot, consolidation: &Consolidation, plan: &NodePlan) -> Vec<Obstacle> {
    let mut after = After::of(snapshot, consolidation);
    let pods_by_node = snapshot.pods_by_node();
    let pods = pods_by_node.get(plan.node.name.as_str()).map_or(&[][..], Vec::as_slice);
    after.remove(&plan.node.name, pods);
    let blocks = |pod: &PodName| {
        let without_place =
            plan.blockers.iter().filter(|each| matches!(each.reason, BlockReason::NoDestination { .. }));
        without_place.into_iter().any(|each| each.pod == *pod)
    };
    let (blocking, mut moving): (Vec<_>, Vec<_>) = movable(pods).into_iter().partition(|pod| blocks(&pod.name));
    place_until_nothing_changes(&mut moving, |pod| after.place_anywhere(pod));
    let obstacle = |pod: &Arc<Pod>| {
        let class = after.simulation.class_of(&pod.name)?;
        Some(Obstacle { pod: pod.name.clone(), refusals: after.simulation.refusals_by_node(class, &after.staying) })
    };
    blocking.into_iter().filter_map(obstacle).collect()
}

/// The cluster after the removals of a plan.
struct After {
    simulation: Simulation,
    /// Nodes that take pods, fuller ones first.
    staying: Vec<NodeId>,
}

impl After {
    fn of(snapshot: &Snapshot, consolidation: &Consolidation) -> Self {
        let simulation = Simulation::of(snapshot);
        let unreadable = snapshot.unreadable_nodes();
        let takes_pods =
            |plan: &&NodePlan| plan.node.ready && !plan.node.deleting && !unreadable.contains(plan.node.name.as_str());
        let mut staying: Vec<&NodePlan> = consolidation.nodes.iter().filter(takes_pods).collect();
        staying.sort_by_key(|plan| Reverse(plan.utilization().largest()));
        let staying = staying.into_iter().filter_map(|plan| simulation.node(&plan.node.name)).collect();
        let mut after = Self { simulation, staying };
        for (pod, node) in &consolidation.reserved {
            after.place(pod, node);
        }
        let pods_by_node = snapshot.pods_by_node();
        let removed = |name: &String| consolidation.nodes.iter().find(|plan| plan.node.name == *name);
        for plan in consolidation.removals.iter().filter_map(removed).filter(|plan| plan.verdict == Verdict::Remove) {
            after.remove(&plan.node.name, pods_by_node.get(plan.node.name.as_str()).map_or(&[][..], Vec::as_slice));
            for each in &plan.moves {
                after.place(&each.pod, &each.destination);
            }
        }
        after
    }

    fn place_anywhere(&mut self, pod: &Pod) -> bool {
        let Some(class) = self.simulation.class_of(&pod.name) else { return false };
        let Some(node) = self.staying.iter().find(|node| self.simulation.may_run(class, **node)) else { return false };
        self.simulation.place(class, *node);
        true
    }

    fn place(&mut self, pod: &Pod, node: &str) {
        if let Some((class, node)) = self.simulation.class_of(&pod.name).zip(self.simulation.node(node)) {
            self.simulation.place(class, node);
        }
    }

    fn remove(&mut self, name: &str, pods: &[&Arc<Pod>]) {
        let Some(node) = self.simulation.node(name) else { return };
        for class in pods.iter().filter_map(|pod| self.simulation.class_of(&pod.name)).collect::<Vec<_>>() {
            self.simulation.take(class, node);
        }
        self.simulation.remove_node(node);
        self.staying.retain(|other| *other != node);
    }
}
