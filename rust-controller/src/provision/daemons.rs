//! The daemon pods that come with a new node.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use crate::feasibility::{ClassId, NodeId, Simulation};
use crate::model::{NodeSelectorTerm, Phase, Placement, Pod, PodName, SchedulingState};
use crate::snapshot::Snapshot;

/// A pod for each `DaemonSet`, such as it would make on a new node: with the set's name, the most that any of its pods
/// requests of each resource, and not pinned to a node. By namespace and name of the set.
#[must_use]
pub fn daemon_pods(snapshot: &Snapshot) -> Vec<Arc<Pod>> {
    let mut of_set: BTreeMap<(&str, &str), Pod> = BTreeMap::new();
    for pod in snapshot.pods().iter().filter(|pod| pod.is_daemon() && !pod.deleting) {
        let Some(owner) = &pod.owner else { continue };
        match of_set.entry((&pod.name.namespace, &owner.name)) {
            Entry::Vacant(entry) => drop(entry.insert(Pod {
                name: PodName { namespace: pod.name.namespace.clone(), name: owner.name.clone() },
                placement: unpinned(pod),
                phase: Phase::Pending,
                scheduling: SchedulingState::Unjudged,
                ..Pod::clone(pod)
            })),
            Entry::Occupied(mut entry) => {
                let daemon = entry.get_mut();
                daemon.requests = daemon.requests.largest(&pod.requests);
            }
        }
    }
    of_set.into_values().map(Arc::new).collect()
}

/// A daemon pod's placement before the `DaemonSet` controller pinned it to its node by name.
fn unpinned(pod: &Pod) -> Placement {
    let mut placement = pod.placement.clone();
    for term in placement.node_affinity.iter_mut().flatten() {
        term.fields.retain(|field| field.key != "metadata.name");
    }
    let unpinned =
        |terms: &Vec<NodeSelectorTerm>| terms.iter().any(|term| term.labels.is_empty() && term.fields.is_empty());
    if placement.node_affinity.as_ref().is_some_and(unpinned) {
        placement.node_affinity = None;
    }
    placement
}

/// Holds room on a node that could join for every daemon pod that would run there, and names their sets by position. Of
/// two that need the same port only the first runs.
pub(super) fn hold_daemons(simulation: &mut Simulation, daemons: &[ClassId], node: NodeId) -> Vec<usize> {
    let mut running = Vec::new();
    for (position, daemon) in daemons.iter().enumerate() {
        if simulation.takes_daemon(*daemon, node) {
            simulation.hold(*daemon, node);
            running.push(position);
        }
    }
    running
}
