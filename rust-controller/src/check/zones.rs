//! The option that asks for so many nodes in each zone at least, as far as there are pods for them.

use std::collections::{BTreeMap, BTreeSet};

use super::planned_node::Launches;
use super::{Violation, needs_node};
use crate::feasibility::selects;
use crate::model::{Catalog, LabelSelector, NodeType, Offering, Placement, Pod, Resources, key};
use crate::provision::{Options, Plan, PlannedNode};
use crate::snapshot::Snapshot;
use crate::units::FastSet;

/// What decides whether a pod could have a node elsewhere: the type and pool of the node that it has, and what it asks for.
type Asked<'a> = (&'a str, &'a str, &'a Placement, &'a Resources);

/// A zone with too few nodes must have no pod that could, beyond doubt, have had one more node there: one that is not alone on
/// its node, minds nobody and is minded by nobody. Where a pod that waits is spread, nobody can tell without doing the plan
/// otherwise: one more node is one more domain.
pub(super) fn zones(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    plan: &Plan,
    launches: &Launches<'_>,
) -> Vec<Violation> {
    let mut offerings: BTreeMap<&str, Vec<(&NodeType, &Offering)>> = BTreeMap::new();
    for (kind, offering) in options.allowed(catalog) {
        offerings.entry(&offering.zone).or_default().push((kind, offering));
    }
    let nodes_in = |zone: &str| plan.nodes.iter().filter(|node| node.zone == zone).count();
    offerings.retain(|zone, _| nodes_in(zone) < options.min_nodes_per_zone);
    if offerings.is_empty() {
        return Vec::new();
    }
    let movable = movable_pods(snapshot, plan);
    let mut violations = Vec::new();
    for (zone, offerings) in offerings {
        let mut asked: FastSet<Asked<'_>> = FastSet::default();
        let found = movable.iter().copied().find(|(node, pod)| {
            let new = asked.insert((&node.instance_type, &node.pool, &pod.placement, &pod.requests));
            new && could_have_one(node, pod, &offerings, catalog, plan, launches)
        });
        if let Some((node, pod)) = found {
            let (has, least) = (nodes_in(zone), options.min_nodes_per_zone);
            let problem = format_args!("has {has} new nodes of {least}, and {} need not be on {}", pod.name, node.name);
            violations.push(Violation::new(zone, problem));
        }
    }
    violations
}

/// Pods that could be on other nodes than theirs, as far as other pods go, and leave nobody's node empty.
fn movable_pods<'a>(snapshot: &'a Snapshot, plan: &'a Plan) -> Vec<(&'a PlannedNode, &'a Pod)> {
    let pod = |name| snapshot.pods().binary_search_by(|pod| pod.name.cmp(name)).ok().map(|at| &*snapshot.pods()[at]);
    if snapshot.pods().iter().any(|pod| needs_node(pod) && !pod.neighbours.spread.is_empty()) {
        return Vec::new();
    }
    let selectors: BTreeSet<&LabelSelector> = snapshot.pods().iter().flat_map(|pod| selectors(pod)).collect();
    let is_free = |pod: &Pod| minds_nobody(pod) && !selectors.iter().any(|selector| selects(selector, &pod.labels));
    let crowded = plan.nodes.iter().filter(|node| node.pods.len() > 1);
    let crowded = crowded.flat_map(|node| node.pods.iter().map(move |name| (node, name)));
    crowded.filter_map(|(node, name)| Some((node, pod(name)?))).filter(|(_, pod)| is_free(pod)).collect()
}

/// Whom a pod's rules speak of.
fn selectors(pod: &Pod) -> impl Iterator<Item = &LabelSelector> {
    let spread = pod.neighbours.spread.iter().map(|constraint| &constraint.selector);
    let terms = pod.neighbours.affinity.iter().chain(&pod.neighbours.anti_affinity);
    spread.chain(terms.map(|term| &term.selector))
}

fn minds_nobody(pod: &Pod) -> bool {
    selectors(pod).next().is_none() && pod.host_ports.is_empty() && pod.volumes.is_empty() && !pod.claims_devices
}

/// Whether one of the offerings makes a node of the same pool, architecture and system that would take the pod. Of a pod with
/// several alternatives nobody can tell which of them its node meets.
fn could_have_one(
    node: &PlannedNode,
    pod: &Pod,
    offerings: &[(&NodeType, &Offering)],
    catalog: &Catalog,
    plan: &Plan,
    launches: &Launches<'_>,
) -> bool {
    let one_alternative = pod.placement.node_affinity.as_ref().is_none_or(|terms| terms.len() < 2);
    let (Some(own), Some(pool)) = (catalog.node_type(&node.instance_type), plan.pools.get(&node.pool)) else {
        return false;
    };
    let alike = |kind: &NodeType| [key::ARCH, key::OS].iter().all(|key| kind.labels.get(*key) == own.labels.get(*key));
    let takes =
        |(kind, offering): &(&NodeType, &Offering)| alike(kind) && launches.would_take(pod, kind, offering, pool);
    one_alternative && offerings.iter().any(takes)
}
