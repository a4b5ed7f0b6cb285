//! What is requested of the nodes that pods move to, summed once more.

use std::collections::BTreeMap;

use mini_karpenter::consolidate::{Consolidation, Destination};
use mini_karpenter::model::Resources;
use mini_karpenter::snapshot::Snapshot;

/// The plan with what its moves, which somebody has changed, make of the nodes that they go to.
pub(crate) fn with_sums(snapshot: &Snapshot, plan: &Consolidation) -> Consolidation {
    let mut plan = plan.clone();
    let mut requested: BTreeMap<String, Resources> = BTreeMap::new();
    for pod in snapshot.pods() {
        if let Some(node) = pod.occupied_node() {
            requested.entry(node.to_owned()).or_default().add(&pod.requests);
        }
    }
    for (pod, node) in plan.expected() {
        requested.entry(node.to_owned()).or_default().add(&pod.requests);
    }
    for removed in &plan.removals {
        let Some(node) = plan.nodes.iter_mut().find(|node| node.node.name == *removed) else { continue };
        let mut destinations: BTreeMap<&str, Destination> = BTreeMap::new();
        for each in &node.moves {
            let Some(to) = snapshot.nodes().iter().find(|node| node.name == each.destination) else { continue };
            let before = requested.entry(to.name.clone()).or_default();
            let destination = destinations.entry(&each.destination).or_insert_with(|| Destination {
                node: to.clone(),
                before: before.clone(),
                after: before.clone(),
            });
            before.add(&each.pod.requests);
            destination.after.add(&each.pod.requests);
        }
        node.destinations = destinations.into_values().collect();
    }
    plan
}
