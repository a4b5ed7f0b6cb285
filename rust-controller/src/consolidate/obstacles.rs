//! Why a node stays, node by node: for each of its pods that finds no place, what every other node says.

use std::cmp::Reverse;
use std::sync::Arc;

use super::candidates::movable;
use super::reasons::has_a_say;
use super::{BlockReason, Consolidation, Move, NodePlan, Verdict};
use crate::feasibility::{NodeId, Refusal, Simulation};
use crate::model::{Node, Pod, PodName, key};
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

/// What keeps pods of a node from moving, and those that the plan sends there from going elsewhere: once everything that the
/// plan removes is gone, the pods that block it find no place, and others may find none after the rest has moved.
#[must_use]
pub fn obstacles(snapshot: &Snapshot, consolidation: &Consolidation, plan: &NodePlan) -> Vec<Obstacle> {
    if !has_a_say(plan) {
        return Vec::new();
    }
    let mut after = After::of(snapshot, consolidation);
    let pods_by_node = snapshot.pods_by_node();
    let pods = pods_by_node.get(plan.node.name.as_str()).map_or(&[][..], Vec::as_slice);
    let to_node = |each: &&Move| each.destination == plan.node.name;
    let removed = consolidation.nodes.iter().filter(|other| other.verdict == Verdict::Remove);
    let guests: Vec<&Arc<Pod>> = removed.flat_map(|other| &other.moves).filter(to_node).map(|each| &each.pod).collect();
    for pod in &guests {
        after.take(pod, &plan.node.name);
    }
    after.remove(&plan.node.name, pods);
    let is_blocker = |pod: &PodName, which: fn(&BlockReason) -> bool| {
        plan.blockers.iter().any(|each| each.pod == *pod && which(&each.reason))
    };
    let own = movable(pods).into_iter().filter(|pod| !is_blocker(&pod.name, BlockReason::is_final));
    let without_place = |reason: &BlockReason| matches!(reason, BlockReason::NoDestination { .. });
    let (mut blocking, own): (Vec<_>, Vec<_>) = own.partition(|pod| is_blocker(&pod.name, without_place));
    let mut moving: Vec<&Arc<Pod>> = guests.into_iter().chain(own).collect();
    place_until_nothing_changes(&mut moving, |pod| after.place_anywhere(pod));
    blocking.extend(moving);
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
        let takes_pods = |plan: &&NodePlan| {
            let Node { name, labels, ready, deleting, .. } = &*plan.node;
            *ready && !deleting && !labels.contains_key(key::CONTROL_PLANE) && !unreadable.contains(name.as_str())
        };
        let mut staying: Vec<&NodePlan> = consolidation.nodes.iter().filter(takes_pods).collect();
        staying.sort_by_key(|plan| Reverse(plan.utilization().largest()));
        let staying = staying.into_iter().filter_map(|plan| simulation.node(&plan.node.name)).collect();
        let mut after = Self { simulation, staying };
        let pods_by_node = snapshot.pods_by_node();
        let pods_on = |name: &str| pods_by_node.get(name).map_or(&[][..], Vec::as_slice);
        for plan in consolidation.nodes.iter().filter(|plan| plan.node.deleting) {
            after.remove(&plan.node.name, pods_on(&plan.node.name));
        }
        for (pod, node) in consolidation.expected() {
            after.place(pod, node);
        }
        let removed = |name: &String| consolidation.nodes.iter().find(|plan| plan.node.name == *name);
        for plan in consolidation.removals.iter().filter_map(removed).filter(|plan| plan.verdict == Verdict::Remove) {
            after.remove(&plan.node.name, pods_on(&plan.node.name));
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

    fn take(&mut self, pod: &Pod, node: &str) {
        if let Some((class, node)) = self.simulation.class_of(&pod.name).zip(self.simulation.node(node)) {
            self.simulation.take(class, node);
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
