//! Plans of nodes to add.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, room::Room};
use crate::feasibility::{Target, placement_refusal};
use crate::model::{Catalog, Labels, Node, NodeType, Offering, Phase, Pod, PodName, SchedulingState, key};
use crate::provision::{Options, Plan, PlannedNode, PodPlan, Verdict};
use crate::snapshot::Snapshot;

/// Everything that is wrong with a plan, sorted; nothing, for a plan that may be shown.
#[must_use]
pub fn check_plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options, plan: &Plan) -> Vec<Violation> {
    let mut violations = pods_without_verdict(snapshot, plan);
    violations.extend(existing_nodes(snapshot, plan));
    let pods: BTreeMap<&PodName, &PodPlan> = plan.pods.iter().map(|planned| (&planned.pod.name, planned)).collect();
    let mut listed = BTreeSet::new();
    for node in &plan.nodes {
        match launched(node, catalog, options) {
            Ok((kind, offering)) => violations.extend(planned_node(node, kind, offering, plan, &pods)),
            Err(problem) => violations.push(Violation::new(&node.name, problem)),
        }
        for pod in node.pods.iter().filter(|pod| !listed.insert(*pod)) {
            violations.push(Violation::new(pod, "is on two planned nodes"));
        }
    }
    for planned in &plan.pods {
        if matches!(planned.verdict, Verdict::Planned { .. }) && !listed.contains(&planned.pod.name) {
            violations.push(Violation::new(&planned.pod.name, "is planned and on no planned node"));
        }
    }
    violations.sort();
    violations
}

/// Every unschedulable pod has one verdict, and it is never to ignore it.
fn pods_without_verdict(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let verdicts: BTreeMap<&PodName, &Verdict> =
        plan.pods.iter().map(|planned| (&planned.pod.name, &planned.verdict)).collect();
    let unschedulable = |pod: &&Pod| {
        pod.phase == Phase::Pending
            && !pod.deleting
            && !pod.is_daemon()
            && matches!(pod.scheduling, SchedulingState::Unschedulable(_))
    };
    let forgotten = |pod: &Pod| matches!(verdicts.get(&pod.name), None | Some(Verdict::Ignored(_)));
    let mut violations: Vec<Violation> = snapshot
        .pods()
        .iter()
        .map(|pod| &**pod)
        .filter(unschedulable)
        .filter(|pod| forgotten(pod))
        .map(|pod| Violation::new(&pod.name, "is unschedulable and was forgotten"))
        .collect();
    if verdicts.len() < plan.pods.len() {
        violations.push(Violation::new("plan", "a pod has two verdicts"));
    }
    violations
}

/// Pods that are said to fit existing nodes fit them, all together.
fn existing_nodes(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let nodes: BTreeMap<&str, &Node> = snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect();
    let mut room = Room::taken_by(snapshot.pods().iter().map(|pod| &**pod));
    let mut placed: Vec<(&Pod, &Node)> = Vec::new();
    let mut violations = Vec::new();
    for planned in &plan.pods {
        let Verdict::FitsExisting { node } = &planned.verdict else { continue };
        room.add(node, &planned.pod.requests);
        match nodes.get(node.as_str()) {
            Some(node) => placed.push((&planned.pod, node)),
            None => {
                violations.push(Violation::new(&planned.pod.name, format_args!("fits {node}, which does not exist")));
            }
        }
    }
    for (pod, node) in placed {
        violations.extend(room.overcommitted_node(node, &pod.requests));
        if let Some(refusal) = placement_refusal(&pod.placement, &Target::existing(node)) {
            violations.push(Violation::new(&pod.name, format_args!("on {}: {refusal}", node.name)));
        }
    }
    violations
}

/// The node type and offering that a planned node claims to be.
fn launched<'a>(
    node: &PlannedNode,
    catalog: &'a Catalog,
    options: &Options,
) -> Result<(&'a NodeType, &'a Offering), String> {
    let PlannedNode { instance_type, zone, capacity_type, price_per_hour, .. } = node;
    let (kind, offering) = options
        .allowed(catalog)
        .find(|(kind, offering)| {
            kind.name == *instance_type && offering.zone == *zone && offering.capacity_type == *capacity_type
        })
        .ok_or_else(|| format!("no {capacity_type} {instance_type} in {zone} may be planned"))?;
    if offering.price_per_hour != *price_per_hour {
        return Err(format!("has not the price of {instance_type}"));
    }
    if kind.allocatable != node.allocatable {
        return Err(format!("has not the allocatable of {instance_type}"));
    }
    Ok((kind, offering))
}

/// A planned node holds its pods and its daemon pods, and its labels are what they ask for.
fn planned_node(
    node: &PlannedNode,
    kind: &NodeType,
    offering: &Offering,
    plan: &Plan,
    pods: &BTreeMap<&PodName, &PodPlan>,
) -> Vec<Violation> {
    let Some(pool) = plan.pools.get(&node.pool) else {
        return vec![Violation::new(&node.name, "is of a pool that the plan does not have")];
    };
    let labels = joined_labels(&node.name, kind, offering, &pool.labels);
    let target =
        Target { name: Some(&node.name), labels: &labels, extra_labels: None, taints: &[], unschedulable: false };
    let mut room = Room::default();
    room.add(&node.name, &node.daemon_requests);
    let mut violations = Vec::new();
    let mut placed = Vec::new();
    for name in &node.pods {
        let Some(PodPlan { pod, verdict: Verdict::Planned { node: said, .. } }) = pods.get(name) else {
            violations.push(Violation::new(name, format_args!("is on {} and not planned", node.name)));
            continue;
        };
        if *said != node.name {
            violations.push(Violation::new(name, format_args!("is on {} and said to be on {said}", node.name)));
        }
        if let Some(refusal) = placement_refusal(&pod.placement, &target) {
            violations.push(Violation::new(name, format_args!("on {}: {refusal}", node.name)));
        }
        room.add(&node.name, &pod.requests);
        placed.push(pod);
    }
    violations.extend(placed.iter().filter_map(|pod| room.overcommitted(&node.name, &node.allocatable, &pod.requests)));
    violations
}

/// The labels of the node once it has joined: those of its type and offering, its host name, those of its `NodePool`,
/// and the old forms of keys, under which clouds and kubelets repeat them.
fn joined_labels(name: &str, kind: &NodeType, offering: &Offering, pool_labels: &Labels) -> Labels {
    let mut labels = kind.labels_as(offering);
    labels.insert(key::HOSTNAME.to_owned(), name.to_owned());
    for (old, stable) in key::OLD {
        if let Some(value) = labels.get(stable).cloned() {
            labels.insert(old.to_owned(), value);
        }
    }
    labels.extend(pool_labels.clone());
    labels
}
