//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, room::Room};
use crate::consolidate::{Consolidation, NodePlan, Verdict};
use crate::feasibility::{Target, placement_refusal};
use crate::model::{Node, Pod, PodName, Resources};
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
            Some(plan) if plan.verdict == Verdict::Remove => violations.extend(replay.remove(plan)),
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

/// The cluster as it is after each step.
struct Replay<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    location: BTreeMap<&'a PodName, (&'a Pod, String)>,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let located = |pod: &'a Pod| Some((&pod.name, (pod, pod.occupied_node()?.to_owned())));
        Self {
            nodes: snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect(),
            location: snapshot.pods().iter().filter_map(|pod| located(pod)).collect(),
        }
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
        let here: Vec<(&PodName, &Pod)> = self
            .location
            .iter()
            .filter(|(_, (pod, node))| node == name && !pod.mirror && !pod.is_daemon() && !pod.deleting)
            .map(|(name, (pod, _))| (*name, *pod))
            .collect();
        let mut arrived = BTreeSet::new();
        for (pod_name, pod) in here {
            match destinations.get(pod_name) {
                _ if pod.owner.is_none() => {
                    violations.push(Violation::new(pod_name, "has no controller and is evicted"));
                }
                None => violations.push(Violation::new(pod_name, format_args!("is left behind on {name}"))),
                Some(destination) => {
                    self.location.insert(pod_name, (pod, (*destination).to_owned()));
                    arrived.insert(*destination);
                    violations.extend(self.refused(pod, destination));
                }
            }
        }
        violations.extend(arrived.into_iter().filter_map(|destination| self.overcommitted(destination)));
        violations
    }

    fn refused(&self, pod: &Pod, destination: &str) -> Option<Violation> {
        let Some(node) = self.nodes.get(destination) else {
            return Some(Violation::new(&pod.name, format_args!("moves to {destination}, which is gone")));
        };
        let refusal = placement_refusal(&pod.placement, &Target::existing(node))?;
        Some(Violation::new(&pod.name, format_args!("moves to {destination}: {refusal}")))
    }

    fn overcommitted(&self, destination: &str) -> Option<Violation> {
        let node = self.nodes.get(destination)?;
        let mut room = Room::default();
        let pods = self.location.values().filter(|(_, at)| at == destination).map(|(pod, _)| *pod);
        let mut arrived = Resources::default();
        for pod in pods {
            room.add(destination, &pod.requests);
            if pod.occupied_node() != Some(destination) {
                arrived.add(&pod.requests);
            }
        }
        room.overcommitted_node(node, &arrived)
    }
}
