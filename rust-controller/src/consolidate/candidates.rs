//! Every node with what is requested of it, and what forbids its removal before any destination is sought.

use std::cmp::Reverse;
use std::sync::Arc;

use super::evictions::Evictions;
use super::{BlockReason, Blocker, Keep, NodePlan, Options, Utilization, Verdict};
use crate::model::{Catalog, Node, Pod, Resources, SchedulingState, key};
use crate::snapshot::{PodsByNode, Snapshot};

pub(super) fn survey(
    snapshot: &Snapshot,
    pods_by_node: &PodsByNode<'_>,
    evictions: &Evictions<'_>,
    catalog: &Catalog,
    options: &Options,
) -> Vec<NodePlan> {
    let unreadable = snapshot.unreadable_nodes();
    let plan = |node: &Arc<Node>| {
        let pods = pods_by_node.get(node.name.as_str()).map_or(&[][..], Vec::as_slice);
        let mut plan = node_plan(node, pods, evictions, (catalog, options));
        if unreadable.contains(node.name.as_str()) {
            plan.verdict = Verdict::Keep(Keep::UnreadablePod);
        }
        plan
    };
    snapshot.nodes().iter().map(plan).collect()
}

fn node_plan(
    node: &Arc<Node>,
    pods: &[&Arc<Pod>],
    evictions: &Evictions<'_>,
    (catalog, options): (&Catalog, &Options),
) -> NodePlan {
    let running = || pods.iter().filter(|pod| matches!(pod.scheduling, SchedulingState::Bound(_)));
    let requested = Resources::sum(running().map(|pod| &pod.requests));
    let others = running().filter(|pod| !pod.ends_with_its_node());
    let utilization = Utilization { requested: &requested, allocatable: &node.allocatable };
    let underutilized = utilization.largest() < options.threshold;
    let keep = forbidden(node).unwrap_or(Keep::Blocked);
    let has_a_say = matches!(keep, Keep::Blocked | Keep::Cordoned | Keep::DoNotDisrupt(_));
    let blockers = if has_a_say { blockers(pods, evictions) } else { Vec::new() };
    NodePlan {
        node: Arc::clone(node),
        requested_without_daemon_sets: Resources::sum(others.map(|pod| &pod.requests)),
        requested,
        underutilized,
        held_until: None,
        underutilized_since: None,
        verdict: Verdict::Keep(keep),
        blockers,
        receives: None,
        unasked: false,
        stranded: Vec::new(),
        moves: Vec::new(),
        destinations: Vec::new(),
        unread_budgets: false,
        wave: 0,
        in_turns: Vec::new(),
        local_pods: pods.iter().filter(|pod| pod.ends_with_its_node()).map(|pod| pod.name.clone()).collect(),
        price_per_hour: catalog.price_per_hour(&node.labels),
    }
}

/// What forbids to remove a node whatever runs on it.
fn forbidden(node: &Node) -> Option<Keep> {
    let reasons = [
        (Keep::Deleting, node.deleting),
        (Keep::ControlPlane, node.labels.contains_key(key::CONTROL_PLANE)),
        (Keep::NotReady, !node.ready),
        (Keep::NoAllocatable, node.allocatable.cpu.is_zero() || node.allocatable.memory.is_zero()),
        (Keep::Cordoned, node.unschedulable),
    ];
    let forbidden = reasons.into_iter().find(|(_, holds)| *holds).map(|(reason, _)| reason);
    forbidden.or_else(|| node.do_not_disrupt.map(Keep::DoNotDisrupt))
}

/// Pods of DaemonSets and static ones keep their node where an annotation asks for it, as in Karpenter.
fn blockers(pods: &[&Arc<Pod>], evictions: &Evictions<'_>) -> Vec<Blocker> {
    let reason = |pod: &Pod| {
        if must_move(pod) {
            return evictions.forbidding(pod);
        }
        pod.eviction.forbidden_by.clone().filter(|_| !pod.deleting).map(BlockReason::DoNotDisrupt)
    };
    let blocker = |pod: &&Arc<Pod>| Some(Blocker { pod: pod.name.clone(), reason: reason(pod)? });
    pods.iter().filter_map(blocker).collect()
}

/// Those of a node's pods that need another place if it goes: larger ones first, since they fit fewer holes.
pub(super) fn movable<'a>(pods: &[&'a Arc<Pod>]) -> Vec<&'a Arc<Pod>> {
    let mut pods: Vec<_> = pods.iter().copied().filter(|pod| must_move(pod)).collect();
    pods.sort_by_key(|pod| larger_first(pod, &pod.name));
    pods
}

/// Larger pods come first, equal ones by name, or by a position in its order.
pub(super) fn larger_first<Name: Ord>(pod: &Pod, name: Name) -> impl Ord + use<Name> {
    (Reverse((pod.requests.cpu, pod.requests.memory)), name)
}

/// Whether a pod needs another place if its node goes.
pub(super) fn must_move(pod: &Pod) -> bool {
    !pod.ends_with_its_node() && !pod.deleting
}
