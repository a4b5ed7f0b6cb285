//! The daemon pods that come with a planned node.

use std::collections::{BTreeMap, btree_map::Entry};

use super::cluster::meet;
use crate::feasibility::{Target, placement_refusal};
use crate::model::{Owner, Placement, Pod, Resources};
use crate::snapshot::Snapshot;

/// A pod for each `DaemonSet`, by namespace and name of the set: like the first of its pods, without the node that it
/// was made for, and with the most that any of them requests of each resource.
pub(super) fn daemon_pods(snapshot: &Snapshot) -> Vec<Pod> {
    let mut sets: BTreeMap<(&str, &Owner), Pod> = BTreeMap::new();
    for pod in snapshot.pods().iter().filter(|pod| pod.is_daemon() && !pod.deleting) {
        let Some(owner) = &pod.owner else { continue };
        match sets.entry((&pod.name.namespace, owner)) {
            Entry::Vacant(set) => {
                set.insert(Pod { placement: unpinned(&pod.placement), ..Pod::clone(pod) });
            }
            Entry::Occupied(mut set) => {
                let largest = set.get().requests.largest(&pod.requests);
                set.get_mut().requests = largest;
            }
        }
    }
    sets.into_values().collect()
}

/// Positions of those that would run on a node that offers so much. Of two that need the same port, the first; none that
/// requests a device of which there is none.
pub(super) fn running(daemons: &[Pod], target: &Target<'_>, allocatable: &Resources) -> Vec<usize> {
    let mut running: Vec<usize> = Vec::new();
    for (position, daemon) in daemons.iter().enumerate() {
        let taken = running.iter().flat_map(|other| &daemons[*other].host_ports);
        let mut pairs = taken.flat_map(|taken| daemon.host_ports.iter().map(move |port| (port, taken)));
        let lacks = daemon.requests.extended.keys().any(|device| allocatable.amount(device) == 0);
        if !lacks
            && placement_refusal(&daemon.placement, target).is_none()
            && !pairs.any(|(port, taken)| meet(port, taken))
        {
            running.push(position);
        }
    }
    running
}

/// What a daemon pod asks for, but for the one node that it was made for.
fn unpinned(placement: &Placement) -> Placement {
    let mut placement = placement.clone();
    let mut pinned_only = false;
    for term in placement.node_affinity.iter_mut().flatten() {
        term.fields.retain(|field| field.key != "metadata.name");
        pinned_only |= term.fields.is_empty() && term.labels.is_empty();
    }
    if pinned_only {
        placement.node_affinity = None;
    }
    placement
}
