//! Plans of nodes to add.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Arrival, Cluster};
use super::daemons::daemon_pods;
use super::planned_node::{ForSale, Launched};
use super::{Unchecked, Violation, needs_node, violations};
use crate::model::{Catalog, Pod, PodName};
use crate::provision::{Options, Plan, PodPlan, Verdict};
use crate::snapshot::Snapshot;

/// Everything that is wrong with a plan, sorted; nothing, for a plan that may be shown.
///
/// What a plan says of pods, nodes and types is not believed: it is held against the snapshot and the catalog. Then the
/// plan is done, pod by pod, and each must be allowed on its node at its turn.
#[must_use]
pub fn check_plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options, plan: &Plan) -> Vec<Violation> {
    let pods: Pods<'_> = snapshot.pods().iter().map(|pod| (&pod.name, &**pod)).collect();
    let daemons = daemon_pods(snapshot);
    let for_sale = ForSale::allowed(catalog, options);
    let mut found = verdicts(&pods, plan);
    found.extend(placements(plan));
    found.extend(lists(plan));
    found.extend(names(snapshot, plan));
    let mut launched = Vec::new();
    for node in &plan.nodes {
        let pool = plan.pools.get(&node.pool);
        match Launched::new(node, &for_sale, pool, &daemons) {
            Ok(node) => {
                found.extend(pool.into_iter().flat_map(|pool| node.violations(pool)));
                launched.push(node);
            }
            Err(violation) => found.push(violation),
        }
    }
    found.extend(Replay::new(snapshot, &pods, plan, &launched, &daemons).run());
    found.sort();
    found
}

type Pods<'a> = BTreeMap<&'a PodName, &'a Pod>;

/// The node that a pod gets, by its verdict, and whether it exists already.
fn node_of(planned: &PodPlan) -> Option<(&str, bool)> {
    match &planned.verdict {
        Verdict::Planned { node, .. } => Some((node, false)),
        Verdict::FitsExisting { node } => Some((node, true)),
        Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    }
}

/// Every unschedulable pod has one verdict, which is never to ignore it, and no other pod gets a node.
fn verdicts(pods: &Pods<'_>, plan: &Plan) -> Vec<Violation> {
    let given: BTreeMap<&PodName, &Verdict> =
        plan.pods.iter().map(|planned| (&planned.pod.name, &planned.verdict)).collect();
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

/// The order of placements names each pod that gets a node once, and nothing else; those on existing nodes first.
fn placements(plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut placed = BTreeSet::new();
    let mut planned_nodes_are_there = false;
    for position in &plan.placements {
        let Some(planned) = plan.pods.get(*position) else {
            violations.push(Violation::new("plan", format_args!("places pod number {position}, which it has not")));
            continue;
        };
        let name = &planned.pod.name;
        if !placed.insert(*position) {
            violations.push(Violation::new(name, "is placed twice"));
        }
        match node_of(planned) {
            None => violations.push(Violation::new(name, "gets no node and is placed")),
            Some((_, true)) if planned_nodes_are_there => {
                violations.push(Violation::new(name, "fits an existing node and is placed after planned nodes came"));
            }
            Some((_, exists)) => planned_nodes_are_there = !exists,
        }
    }
    let gets_node = plan.pods.iter().enumerate().filter(|(_, planned)| node_of(planned).is_some());
    for (_, planned) in gets_node.filter(|(position, _)| !placed.contains(position)) {
        violations.push(Violation::new(&planned.pod.name, "gets a node and is not placed"));
    }
    violations
}

/// Planned nodes list the pods that say to be there.
fn lists(plan: &Plan) -> Vec<Violation> {
    let said: BTreeMap<&PodName, &str> = plan
        .pods
        .iter()
        .filter_map(|planned| Some((&planned.pod.name, node_of(planned).filter(|(_, exists)| !exists)?.0)))
        .collect();
    let mut violations = Vec::new();
    let mut listed = BTreeSet::new();
    for node in &plan.nodes {
        for pod in &node.pods {
            if !listed.insert(pod) {
                violations.push(Violation::new(pod, "is on two planned nodes"));
            }
            match said.get(pod) {
                None => violations.push(Violation::new(pod, format_args!("is on {} and not planned", node.name))),
                Some(said) if *said != node.name => {
                    violations.push(Violation::new(pod, format_args!("is on {} and said to be on {said}", node.name)));
                }
                Some(_) => {}
            }
        }
    }
    for pod in said.keys().filter(|pod| !listed.contains(*pod)) {
        violations.push(Violation::new(pod, "is planned and on no planned node"));
    }
    violations
}

/// No planned node is called like another node.
fn names(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut names: BTreeSet<&str> = snapshot.nodes().iter().map(|node| node.name.as_str()).collect();
    let again = plan.nodes.iter().filter(|node| !names.insert(&node.name));
    again.map(|node| Violation::new(&node.name, "is the name of another node, too")).collect()
}

/// The plan, done.
struct Replay<'a> {
    pods: &'a Pods<'a>,
    plan: &'a Plan,
    /// Names of nodes that are being deleted.
    going: BTreeSet<&'a str>,
    cluster: Cluster<'a>,
    /// Daemon pods of planned nodes that are still empty.
    waiting: BTreeMap<&'a str, &'a [&'a Pod]>,
    planned_nodes_are_there: bool,
}

impl<'a> Replay<'a> {
    fn new(
        snapshot: &'a Snapshot,
        pods: &'a Pods<'a>,
        plan: &'a Plan,
        launched: &'a [Launched<'a>],
        daemons: &'a [Pod],
    ) -> Self {
        let placed = plan.pods.iter().filter(|planned| node_of(planned).is_some());
        let placed = placed.filter_map(|planned| pods.get(&planned.pod.name).copied());
        let coming: Vec<&Pod> = placed.chain(daemons).collect();
        let going = snapshot.nodes().iter().filter(|node| node.deleting);
        Self {
            pods,
            plan,
            going: going.map(|node| node.name.as_str()).collect(),
            cluster: Cluster::new(snapshot, launched.iter().map(Launched::site).collect(), &coming),
            waiting: launched.iter().map(|each| (each.node.name.as_str(), each.daemons.as_slice())).collect(),
            planned_nodes_are_there: false,
        }
    }

    fn run(mut self) -> Vec<Violation> {
        let plan = self.plan;
        plan.placements
            .iter()
            .filter_map(|position| plan.pods.get(*position))
            .flat_map(|each| self.step(each))
            .collect()
    }

    fn step(&mut self, planned: &'a PodPlan) -> Vec<Violation> {
        let (Some(pod), Some((node, exists))) = (self.pods.get(&planned.pod.name).copied(), node_of(planned)) else {
            return Vec::new();
        };
        if !exists && !self.planned_nodes_are_there {
            self.cluster.join_planned();
            self.planned_nodes_are_there = true;
        }
        let Some(id) = self.cluster.find(node).filter(|_| !exists || !self.going.contains(node)) else {
            return vec![Violation::new(&pod.name, format_args!("gets {node}, which does not exist, or not for long"))];
        };
        for daemon in self.waiting.remove(node).into_iter().flatten() {
            self.cluster.put(daemon, id);
        }
        let arrival = Arrival { pod, made_anew: false };
        let unchecked = if exists { Unchecked::None } else { Unchecked::Said(&planned.unchecked_rules) };
        let found = violations(&pod.name, node, self.cluster.objections(arrival, id), unchecked).collect();
        self.cluster.place(arrival, id);
        found
    }
}
