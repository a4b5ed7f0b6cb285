//! Plans of nodes to add.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, room::Room};
use crate::feasibility::{Target, placement_refusal, requirement_matches};
use crate::model::{
    Catalog, Node, NodeType, Offering, Owner, Phase, Placement, Pod, PodName, Resources, SchedulingState, key,
};
use crate::provision::{Options, Plan, PlannedNode, PodPlan, Pool, Verdict};
use crate::snapshot::Snapshot;

/// Everything that is wrong with a plan, sorted; nothing, for a plan that may be shown.
///
/// What a plan says of pods, nodes and types is not believed: it is held against the snapshot and the catalog.
#[must_use]
pub fn check_plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options, plan: &Plan) -> Vec<Violation> {
    let pods: BTreeMap<&PodName, &Pod> = snapshot.pods().iter().map(|pod| (&pod.name, &**pod)).collect();
    let mut violations = verdicts(&pods, plan);
    violations.extend(existing_nodes(snapshot, &pods, plan));
    let planned: BTreeMap<&PodName, &str> = plan.pods.iter().filter_map(planned_on).collect();
    let allowed: Launches<'_> = options
        .allowed(catalog)
        .map(|(kind, offering)| ((&*kind.name, &*offering.zone, &*offering.capacity_type), (kind, offering)))
        .collect();
    let mut listed = BTreeSet::new();
    for node in &plan.nodes {
        match launched(node, &allowed) {
            Ok((kind, offering)) => {
                let judge = PlannedNodeJudge { node, kind, offering, snapshot, pods: &pods, planned: &planned };
                violations.extend(judge.violations(plan.pools.get(&node.pool)));
            }
            Err(problem) => violations.push(Violation::new(&node.name, problem)),
        }
        for pod in node.pods.iter().filter(|pod| !listed.insert(*pod)) {
            violations.push(Violation::new(pod, "is on two planned nodes"));
        }
    }
    for pod in planned.keys().filter(|pod| !listed.contains(*pod)) {
        violations.push(Violation::new(pod, "is planned and on no planned node"));
    }
    violations.sort();
    violations
}

fn planned_on(planned: &PodPlan) -> Option<(&PodName, &str)> {
    match &planned.verdict {
        Verdict::Planned { node, .. } => Some((&planned.pod.name, node)),
        Verdict::FitsExisting { .. } | Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    }
}

/// Every unschedulable pod has one verdict, which is never to ignore it, and no other pod gets a node.
fn verdicts(pods: &BTreeMap<&PodName, &Pod>, plan: &Plan) -> Vec<Violation> {
    let given: BTreeMap<&PodName, &Verdict> =
        plan.pods.iter().map(|planned| (&planned.pod.name, &planned.verdict)).collect();
    let needs_node = |pod: &Pod| {
        pod.phase == Phase::Pending
            && !pod.deleting
            && !pod.is_daemon()
            && pod.scheduling == SchedulingState::Unschedulable
    };
    let mut violations = Vec::new();
    for (name, pod) in pods.iter().filter(|(_, pod)| needs_node(pod)) {
        if matches!(given.get(name), None | Some(Verdict::Ignored(_))) {
            violations.push(Violation::new(&pod.name, "is unschedulable and was forgotten"));
        }
    }
    for (name, verdict) in &given {
        let needed = pods.get(name).is_some_and(|pod| needs_node(pod));
        if !needed && !matches!(verdict, Verdict::Ignored(_)) {
            violations.push(Violation::new(name, "needs no node and gets one"));
        }
    }
    if given.len() < plan.pods.len() {
        violations.push(Violation::new("plan", "a pod has two verdicts"));
    }
    violations
}

/// Pods that are said to fit existing nodes fit them, all together.
fn existing_nodes(snapshot: &Snapshot, pods: &BTreeMap<&PodName, &Pod>, plan: &Plan) -> Vec<Violation> {
    let nodes: BTreeMap<&str, &Node> = snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect();
    let mut room = Room::taken_by(snapshot.pods().iter().map(|pod| &**pod));
    let mut placed: Vec<(&Pod, &Node)> = Vec::new();
    let mut violations = Vec::new();
    for planned in &plan.pods {
        let Verdict::FitsExisting { node } = &planned.verdict else { continue };
        let Some(pod) = pods.get(&planned.pod.name) else { continue };
        room.add(node, &pod.requests);
        match nodes.get(node.as_str()) {
            Some(node) if !node.deleting => placed.push((pod, node)),
            _ => violations.push(Violation::new(&pod.name, format_args!("fits {node}, which does not exist any more"))),
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

/// What may be planned, by node type, zone and capacity type.
type Launches<'a> = BTreeMap<(&'a str, &'a str, &'a str), (&'a NodeType, &'a Offering)>;

/// The node type and offering that a planned node claims to be.
fn launched<'a>(node: &PlannedNode, allowed: &Launches<'a>) -> Result<(&'a NodeType, &'a Offering), String> {
    let PlannedNode { instance_type, zone, capacity_type, price_per_hour, .. } = node;
    let (kind, offering) = allowed
        .get(&(instance_type.as_str(), zone.as_str(), capacity_type.as_str()))
        .ok_or_else(|| format!("no {capacity_type} {instance_type} in {zone} may be planned"))?;
    if offering.price_per_hour != *price_per_hour {
        return Err(format!("has not the price of {instance_type}"));
    }
    if kind.allocatable != node.allocatable {
        return Err(format!("has not the allocatable of {instance_type}"));
    }
    Ok((kind, offering))
}

/// One planned node, with all that it is held against.
struct PlannedNodeJudge<'a> {
    node: &'a PlannedNode,
    kind: &'a NodeType,
    offering: &'a Offering,
    snapshot: &'a Snapshot,
    pods: &'a BTreeMap<&'a PodName, &'a Pod>,
    planned: &'a BTreeMap<&'a PodName, &'a str>,
}

impl PlannedNodeJudge<'_> {
    /// Its pool makes such a node, its labels are what its pods ask for, and it holds them with its daemon pods.
    fn violations(&self, pool: Option<&Pool>) -> Vec<Violation> {
        let Self { node, kind, offering, .. } = self;
        let Some(pool) = pool else {
            return vec![Violation::new(&node.name, "is of a pool that the plan does not have")];
        };
        let mut labels = kind.labels_as(offering);
        labels.extend(pool.labels.clone());
        let target = Target { name: None, labels: &labels, extra_labels: None, taints: &[], unschedulable: false };
        let mut violations = Vec::new();
        for requirement in &pool.requirements {
            if !requirement_matches(requirement, target.label(&requirement.key)) {
                violations.push(Violation::new(&node.name, format_args!("its pool asks for {requirement}")));
            }
        }
        let daemons = self.daemon_requests(&target);
        let mut room = Room::default();
        for requests in &daemons {
            room.add(&node.name, requests);
        }
        let mut placed = Vec::new();
        for name in &node.pods {
            let (Some(pod), Some(said)) = (self.pods.get(name), self.planned.get(name)) else {
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
            placed.push(*pod);
        }
        let too_much = |pod: &&Pod| room.overcommitted(&node.name, &node.allocatable, &pod.requests);
        violations.extend(placed.iter().filter_map(too_much));
        if node.daemon_requests != Resources::sum(&daemons) {
            violations.push(Violation::new(&node.name, "does not set aside what its daemon pods request"));
        }
        violations
    }

    /// For each `DaemonSet` that would run here, the most that any of its pods requests of each resource.
    fn daemon_requests(&self, target: &Target<'_>) -> Vec<Resources> {
        let mut sets: BTreeMap<(&str, &Owner), (Resources, bool)> = BTreeMap::new();
        for pod in self.snapshot.pods().iter().filter(|pod| pod.is_daemon() && !pod.deleting) {
            let Some(owner) = &pod.owner else { continue };
            let runs = || placement_refusal(&unpinned(&pod.placement), target).is_none();
            let (largest, _) =
                sets.entry((&pod.name.namespace, owner)).or_insert_with(|| (Resources::default(), runs()));
            *largest = largest.largest(&pod.requests);
        }
        sets.into_values().filter(|(_, runs)| *runs).map(|(requests, _)| requests).collect()
    }
}

/// What a daemon pod asks for, but for the one node that it was made for.
fn unpinned(placement: &Placement) -> Placement {
    let mut placement = placement.clone();
    let mut pinned_only = false;
    for term in placement.node_affinity.iter_mut().flatten() {
        term.fields.retain(|field| field.key != "metadata.name");
        term.labels.retain(|requirement| requirement.key != key::HOSTNAME);
        pinned_only |= term.fields.is_empty() && term.labels.is_empty();
    }
    if pinned_only {
        placement.node_affinity = None;
    }
    placement
}
