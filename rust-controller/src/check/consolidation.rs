//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets::Budgets;
use super::cluster::{Arrival, Cluster};
use super::{Unchecked, Violation, needs_node, violations};
use crate::consolidate::{Consolidation, Move, NodePlan, Verdict};
use crate::model::{Node, Pod, PodName, key};
use crate::snapshot::Snapshot;

/// Everything that is wrong with a consolidation, sorted; nothing, for one that may be shown.
#[must_use]
pub fn check_consolidation(snapshot: &Snapshot, consolidation: &Consolidation) -> Vec<Violation> {
    let plans: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut replay = Replay::new(snapshot, consolidation);
    let mut violations = replay.reserve(consolidation);
    for removed in &consolidation.removals {
        match plans.get(removed.as_str()) {
            Some(plan) if plan.verdict == Verdict::Remove => {
                violations.extend(forbidden(plan));
                violations.extend(replay.remove(plan));
            }
            _ => violations.push(Violation::new(removed, "is removed without a verdict that says so")),
        }
    }
    let removals: BTreeSet<&str> = consolidation.removals.iter().map(String::as_str).collect();
    for plan in consolidation.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove) {
        if !removals.contains(plan.node.name.as_str()) {
            violations.push(Violation::new(&plan.node.name, "goes, and is not among the removals"));
        }
    }
    violations.sort();
    violations
}

/// Why the node may not go, whatever runs on it.
fn forbidden(plan: &NodePlan) -> Option<Violation> {
    let node = &plan.node;
    let reasons = [
        ("is in use", !plan.underutilized),
        ("runs the control plane", node.labels.contains_key(key::CONTROL_PLANE)),
        ("is not ready", !node.ready),
        ("is being deleted already", node.deleting),
        ("is cordoned already", node.unschedulable),
    ];
    let (reason, _) = reasons.into_iter().find(|(_, holds)| *holds)?;
    Some(Violation::new(&node.name, format_args!("goes, and {reason}")))
}

/// Whether a pod needs another place when its node goes.
fn must_move(pod: &Pod) -> bool {
    !pod.mirror && !pod.is_daemon() && !pod.deleting
}

/// The cluster as it is after each step.
struct Replay<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    pods: BTreeMap<&'a PodName, &'a Pod>,
    cluster: Cluster<'a>,
    budgets: Budgets<'a>,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot, consolidation: &'a Consolidation) -> Self {
        let pods: BTreeMap<&PodName, &Pod> = snapshot.pods().iter().map(|pod| (&pod.name, &**pod)).collect();
        let moved = consolidation.nodes.iter().flat_map(|plan| &plan.moves).map(|each| &each.pod.name);
        let reserved = consolidation.reserved.iter().map(|(pod, _)| &pod.name);
        let coming: Vec<&Pod> = moved.chain(reserved).filter_map(|name| pods.get(name).copied()).collect();
        Self {
            nodes: snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect(),
            cluster: Cluster::new(snapshot, Vec::new(), &coming),
            pods,
            budgets: Budgets::new(snapshot),
        }
    }

    /// Unschedulable pods take the room that is kept for them.
    fn reserve(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for (reserved, node) in &consolidation.reserved {
            let name = &reserved.name;
            let Some(pod) = self.pods.get(name).copied().filter(|pod| needs_node(pod)) else {
                found.push(Violation::new(name, format_args!("needs no room on {node}, which is kept for it")));
                continue;
            };
            if !seen.insert(name) {
                found.push(Violation::new(name, "has room kept for it twice"));
            }
            found.extend(self.arrive(Arrival { pod, made_anew: false }, node, Unchecked::None));
        }
        found
    }

    /// Takes a node away and moves its pods as the plan says.
    fn remove(&mut self, plan: &NodePlan) -> Vec<Violation> {
        let name = plan.node.name.as_str();
        let Some(id) = self.cluster.find(name) else {
            return vec![Violation::new(name, "is removed twice or does not exist")];
        };
        let gone = self.cluster.remove(id);
        let mut leaving: BTreeMap<&PodName, &Pod> =
            gone.into_iter().filter(|pod| must_move(pod)).map(|pod| (&pod.name, pod)).collect();
        let mut found = Vec::new();
        if self.budgets.unread && !plan.moves.is_empty() && !plan.unread_budgets {
            found.push(Violation::new(name, "does not say that nobody could read the budgets of its pods"));
        }
        for each in &plan.moves {
            match leaving.remove(&each.pod.name) {
                Some(pod) => found.extend(self.move_pod(pod, each)),
                None => found.push(Violation::new(
                    &each.pod.name,
                    format_args!("moves off {name}, and need not or is elsewhere"),
                )),
            }
        }
        found.extend(leaving.keys().map(|pod| Violation::new(pod, format_args!("is left behind on {name}"))));
        found
    }

    /// Evicts a pod; its controller makes it anew.
    fn move_pod(&mut self, pod: &'a Pod, to: &Move) -> Vec<Violation> {
        let mut found = self.budgets.evict(pod);
        if pod.owner.is_none() {
            found.push(Violation::new(&pod.name, "has no controller and is evicted"));
        }
        found.extend(self.arrive(
            Arrival { pod, made_anew: true },
            &to.destination,
            Unchecked::Said(&to.unchecked_rules),
        ));
        found
    }

    /// A pod comes to a node that takes pods. One that was evicted is not sent to a node out of reach.
    fn arrive(&mut self, arrival: Arrival<'a>, node: &str, unchecked: Unchecked<'_>) -> Vec<Violation> {
        let pod = &arrival.pod.name;
        let Some(id) = self.cluster.find(node) else {
            return vec![Violation::new(pod, format_args!("comes to {node}, which is gone"))];
        };
        let takes_pods = self.nodes.get(node).is_some_and(|node| (node.ready || !arrival.made_anew) && !node.deleting);
        let closed = (!takes_pods).then(|| Violation::new(pod, format_args!("comes to {node}, which takes no pods")));
        let objections = self.cluster.objections(arrival, id);
        let found = violations(pod, node, objections, unchecked).chain(closed).collect();
        self.cluster.place(arrival, id);
        found
    }
}
