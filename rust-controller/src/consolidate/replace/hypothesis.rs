//! The cluster as provisioning sees it once some nodes are gone and their pods wait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::candidates::must_move;
use super::Inputs;
use crate::model::{
    Node, NodeSelectorTerm, Operator, Phase, Pod, PodName, Preferences, Requirement, SchedulingState, Weighted, key,
    normalized_key,
};
use crate::provision::{self, Plan, default_requirements, plan_like};
use crate::units::{Cpu, FastMap};

/// Plans for the pods of nodes that are gone. Those that the removals alone send to a node that stays are there. Of others that
/// wait, those that fit existing nodes have their room, and nothing is planned for the rest.
pub(super) struct Hypothesis<'a> {
    inputs: &'a Inputs<'a>,
    options: provision::Options,
    /// Pods for which room is kept, and those that the removals alone move, each with its node.
    expected: FastMap<&'a PodName, &'a str>,
    moved: FastMap<&'a PodName, &'a str>,
}

impl<'a> Hypothesis<'a> {
    /// With these options of provisioning, but for the architecture of pods that do not ask for one: it is that of most nodes
    /// there are, whichever go.
    pub(super) fn of(inputs: &'a Inputs<'a>, budget: Duration) -> Self {
        let defaults = default_requirements(inputs.provisioning, inputs.snapshot);
        let is_arch = |requirement: &&Requirement| requirement.key == key::ARCH && requirement.operator == Operator::In;
        let arch = defaults.iter().filter(is_arch).flat_map(|requirement| requirement.values.iter().cloned()).collect();
        let moved = inputs.consolidation.nodes.iter().flat_map(|plan| &plan.moves);
        Self {
            inputs,
            // Not those of a plan for pending pods: who applies both needs the types and limits of both.
            options: provision::Options { arch, budget, pool_prefix: "replacement", ..inputs.provisioning.clone() },
            expected: inputs.consolidation.expected().map(|(pod, node)| (&pod.name, node)).collect(),
            moved: moved.map(|each| (&each.pod.name, each.destination.as_str())).collect(),
        }
    }

    /// The node that a pod of one that is gone moves to without a plan.
    pub(super) fn destination(&self, pod: &PodName, gone: &BTreeSet<&str>) -> Option<&'a str> {
        self.moved.get(pod).copied().filter(|node| !gone.contains(node))
    }

    /// The cheapest new nodes for what does not fit the nodes that stay.
    pub(super) fn plan(&self, gone: &BTreeSet<&str>) -> Plan {
        let Inputs { snapshot, catalog, .. } = self.inputs;
        let without = snapshot.edited(|node| staying(node, gone), |pod| self.pod(pod, gone));
        let mut plan = plan_like(snapshot.nodes(), &without, catalog, &self.options);
        // Until they are gone, they count for the limits of the pools that made them.
        for node in snapshot.nodes().iter().filter(|node| gone.contains(node.name.as_str())) {
            let pool = node.labels.get(key::NODE_POOL).and_then(|name| plan.pools.get_mut(name));
            if let Some(pool) = pool {
                pool.most_cores += cores(node.allocatable.cpu);
            }
        }
        plan
    }

    fn pod(&self, pod: &Arc<Pod>, gone: &BTreeSet<&str>) -> Option<Arc<Pod>> {
        if let Some(node) = self.expected.get(&pod.name) {
            return Some(bound_to(node, pod));
        }
        if pod.scheduling == SchedulingState::Unschedulable {
            return Some(Arc::new(Pod { scheduling: SchedulingState::Unjudged, ..Pod::clone(pod) }));
        }
        if !pod.occupied_node().is_some_and(|node| gone.contains(node)) {
            return Some(Arc::clone(pod));
        }
        if let Some(node) = self.destination(&pod.name, gone) {
            return Some(bound_to(node, pod));
        }
        if must_move(pod) {
            // Soft rules cost nothing and save nothing, but take time.
            let preferences = pod.preferences.as_deref().and_then(about_choices).map(Arc::new);
            let (phase, scheduling) = (Phase::Pending, SchedulingState::Unschedulable);
            return Some(Arc::new(Pod { preferences, phase, scheduling, ..Pod::clone(pod) }));
        }
        // Pods of DaemonSets are on no node then; they tell what a new node needs for its own.
        pod.is_daemon().then(|| Arc::clone(pod))
    }
}

/// Wishes that decide which architectures and capacity types a pool may have together.
fn about_choices(soft: &Preferences) -> Option<Preferences> {
    let is_about_it = |wish: &&Weighted<NodeSelectorTerm>| {
        wish.term.labels.iter().any(|asked| matches!(normalized_key(&asked.key), key::ARCH | key::CAPACITY_TYPE))
    };
    let node_affinity: Vec<_> = soft.node_affinity.iter().filter(is_about_it).cloned().collect();
    (!node_affinity.is_empty()).then(|| Preferences { node_affinity, ..Preferences::default() })
}

fn bound_to(node: &str, pod: &Pod) -> Arc<Pod> {
    Arc::new(Pod { scheduling: SchedulingState::Bound(node.to_owned()), ..Pod::clone(pod) })
}

/// Nodes that stay. One that is not ready, or runs the control plane, takes no pod, as if it were being deleted.
fn staying(node: &Arc<Node>, gone: &BTreeSet<&str>) -> Option<Arc<Node>> {
    if gone.contains(node.name.as_str()) {
        return None;
    }
    if node.ready && !node.labels.contains_key(key::CONTROL_PLANE) {
        return Some(Arc::clone(node));
    }
    Some(Arc::new(Node { deleting: true, ..Node::clone(node) }))
}

/// Of a machine: what is not allocatable of them is less than one.
fn cores(allocatable: Cpu) -> u64 {
    allocatable.get().div_ceil(1000)
}
