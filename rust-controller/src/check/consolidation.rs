//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, room::Room};
use crate::consolidate::{Consolidation, NodePlan, Verdict};
use crate::feasibility::{Target, placement_refusal};
use crate::model::{Node, Pod, PodName, Resources, key};
use crate::snapshot::Snapshot;

/// Everything that is wrong with a consolidation, sorted; nothing, for one that may be shown.
#[must_use]
pub fn check_consolidation(snapshot: &Snapshot, consolidation: &Consolidation) -> Vec<Violation> {
    let plans: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut replay = Replay::new(snapshot);
    let mut violations = Vec::new();
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

/// The cluster as it is after each step.
struct Replay<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    pods: BTreeMap<String, BTreeMap<&'a PodName, &'a Pod>>,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut pods: BTreeMap<String, BTreeMap<&PodName, &Pod>> = BTreeMap::new();
        for pod in snapshot.pods() {
            if let Some(node) = pod.occupied_node() {
                pods.entry(node.to_owned()).or_default().insert(&pod.name, pod);
            }
        }
        let nodes = snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect();
        Self { nodes, pods }
    }

    /// Takes a node away and moves its pods as the plan says.
    fn remove(&mut self, plan: &NodePlan) -> Vec<Violation> {
        let name = plan.node.name.as_str();
        let mut violations = Vec::new();
        if self.nodes.remove(name).is_none() {
            return vec![Violation::new(name, "is removed twice or does not exist")];
        }
        let destinations: BTreeMap<&PodName, &str> =
            plan.moves.iter().map(|each| (&each.pod.name, each.destination.as_str())).collect();
        let here = self.pods.remove(name).unwrap_or_default();
        let must_move = |pod: &Pod| !pod.mirror && !pod.is_daemon() && !pod.deleting;
        let mut arrived: BTreeMap<&str, Resources> = BTreeMap::new();
        for moved in destinations.keys().filter(|pod| !here.get(*pod).is_some_and(|pod| must_move(pod))) {
            violations.push(Violation::new(moved, format_args!("moves off {name}, and need not or is elsewhere")));
        }
        for (pod_name, pod) in here.iter().filter(|(_, pod)| must_move(pod)) {
            match destinations.get(pod_name) {
                _ if pod.owner.is_none() => {
                    violations.push(Violation::new(pod_name, "has no controller and is evicted"));
                }
                None => violations.push(Violation::new(pod_name, format_args!("is left behind on {name}"))),
                Some(destination) => {
                    self.pods.entry((*destination).to_owned()).or_default().insert(pod_name, pod);
                    arrived.entry(destination).or_default().add(&pod.requests);
                    violations.extend(self.refused(pod, destination));
                }
            }
        }
        violations.extend(arrived.into_iter().filter_map(|(node, added)| self.overcommitted(node, &added)));
        violations
    }

    fn refused(&self, pod: &Pod, destination: &str) -> Option<Violation> {
        let Some(node) = self.nodes.get(destination) else {
            return Some(Violation::new(&pod.name, format_args!("moves to {destination}, which is gone")));
        };
        if node.deleting || !node.ready {
            return Some(Violation::new(&pod.name, format_args!("moves to {destination}, which takes no pods")));
        }
        let refusal = placement_refusal(&pod.placement, &Target::existing(node))?;
        Some(Violation::new(&pod.name, format_args!("moves to {destination}: {refusal}")))
    }

    fn overcommitted(&self, destination: &str, added: &Resources) -> Option<Violation> {
        let node = self.nodes.get(destination)?;
        let mut room = Room::default();
        for pod in self.pods.get(destination)?.values() {
            room.add(destination, &pod.requests);
        }
        room.overcommitted_node(node, added)
    }
}
