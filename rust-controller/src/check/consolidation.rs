//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets::Budgets;
use super::cluster::{Arrival, Cluster};
use super::kinds::{Guest, Kinds};
use super::site::Site;
use super::{Unchecked, Violation, needs_node, violations};
use crate::consolidate::{Consolidation, Destination, Move, NodePlan, Objective, Verdict};
use crate::model::{Catalog, Node, ObjectName, Pod, PodName, PodVolume, Resources, SchedulingState, key};
use crate::snapshot::{Extras, Snapshot};

/// Everything that is wrong with a consolidation, sorted; nothing, for one that may be shown.
#[must_use]
pub fn check_consolidation(snapshot: &Snapshot, catalog: &Catalog, consolidation: &Consolidation) -> Vec<Violation> {
    let plans: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut replay = Replay::new(snapshot, consolidation);
    let mut violations = replay.reserve(consolidation);
    violations.extend(prices(snapshot, catalog, consolidation));
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
    violations.extend(replay.nobody_left(&removals));
    violations.sort();
    violations
}

/// Prices are those of the catalog, and what nodes are compared by as long as those of all that could go are known.
fn prices(snapshot: &Snapshot, catalog: &Catalog, consolidation: &Consolidation) -> Vec<Violation> {
    let unreadable = snapshot.unreadable_nodes();
    let mut found = Vec::new();
    let mut unknown = false;
    for node in snapshot.nodes() {
        let plans = &consolidation.nodes;
        let plan = plans.binary_search_by(|plan| plan.node.name.cmp(&node.name)).ok().map(|at| &plans[at]);
        let price = catalog.price_per_hour(&node.labels);
        if plan.is_none_or(|plan| plan.price_per_hour != price) {
            found.push(Violation::new(&node.name, "has no plan, or not at its price"));
        }
        if price.is_some() || forbidden(node).is_some() || unreadable.contains(node.name.as_str()) {
            continue;
        }
        unknown = true;
        let goes = plan.is_some_and(|plan| plan.verdict == Verdict::Remove);
        if consolidation.objective == Objective::Price && goes {
            found.push(Violation::new(&node.name, "goes for its price, which nobody knows"));
        }
    }
    if consolidation.objective == Objective::Size && !unknown {
        found.push(Violation::new("removals", "go by size, and every price is known"));
    }
    found
}

/// Why the node may not go, whatever runs on it.
fn forbidden(node: &Node) -> Option<Violation> {
    let reasons = [
        ("runs the control plane", node.labels.contains_key(key::CONTROL_PLANE)),
        ("is not ready", !node.ready),
        ("is being deleted already", node.deleting),
        ("is cordoned already", node.unschedulable),
        ("asks not to be disturbed", node.do_not_disrupt.is_some()),
        ("has not reported what it offers", node.allocatable.cpu.is_zero() || node.allocatable.memory.is_zero()),
    ];
    let (reason, _) = reasons.into_iter().find(|(_, holds)| *holds)?;
    Some(Violation::new(&node.name, format_args!("goes, and {reason}")))
}

/// Whether a pod needs another place when its node goes.
fn must_move(pod: &Pod) -> bool {
    !pod.ends_with_its_node() && !pod.deleting
}

/// The cluster as it is after each step.
pub(super) struct Replay<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    /// Pods that the plan keeps room for, as the snapshot has them.
    reserved: Vec<Option<Guest<'a>>>,
    cluster: Cluster<'a>,
    /// What is requested of each node.
    requested: BTreeMap<&'a str, Resources>,
    /// Pods that have come somewhere.
    arrived: BTreeSet<&'a PodName>,
    /// Nodes with a pod that could not be read, so that nobody knows what is free there and who would have to go.
    unreadable: BTreeSet<&'a str>,
    budgets: Budgets<'a>,
    extras: &'a Extras,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot, consolidation: &'a Consolidation) -> Self {
        let kinds = Kinds::default();
        Self::with_planned(snapshot, consolidation, &consolidation.nodes, (Vec::new(), kinds, &[]))
    }

    /// With nodes that are planned and not there yet, and the daemon pods that may come to these. The pods move that these
    /// nodes' plans say, beside those that a consolidation keeps room for.
    pub(super) fn with_planned(
        snapshot: &'a Snapshot,
        Consolidation { reserved, .. }: &'a Consolidation,
        plans: &'a [NodePlan],
        (planned, mut kinds, daemons): (Vec<Site<'a>>, Kinds<'a>, &[Guest<'a>]),
    ) -> Self {
        let pods: BTreeMap<&PodName, &Pod> = snapshot.pods().iter().map(|pod| (&pod.name, &**pod)).collect();
        let mut guest = |pod: &Pod| pods.get(&pod.name).map(|pod| kinds.coming(pod));
        let moved: Vec<Guest<'a>> =
            plans.iter().flat_map(|plan| &plan.moves).filter_map(|each| guest(&each.pod)).collect();
        let reserved: Vec<Option<Guest<'a>>> = reserved.iter().map(|(pod, _)| guest(pod)).collect();
        let coming: Vec<Guest<'a>> =
            moved.into_iter().chain(reserved.iter().copied().flatten()).chain(daemons.iter().copied()).collect();
        let names = snapshot.nodes().iter().map(|node| node.name.as_str());
        let mut requested: BTreeMap<&str, Resources> = names.map(|name| (name, Resources::default())).collect();
        for pod in snapshot.pods() {
            if let Some(node) = pod.occupied_node() {
                requested.entry(node).or_default().add(&pod.requests);
            }
        }
        Self {
            nodes: snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect(),
            reserved,
            cluster: Cluster::new(snapshot, planned, kinds, &coming),
            requested,
            arrived: BTreeSet::new(),
            unreadable: snapshot.unreadable_nodes(),
            budgets: Budgets::new(snapshot),
            extras: snapshot.extras(),
        }
    }

    /// Unschedulable pods take the room that is kept for them.
    pub(super) fn reserve(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = Vec::new();
        for (position, (reserved, node)) in consolidation.reserved.iter().enumerate() {
            let name = &reserved.name;
            let Some(guest) = self.reserved[position].filter(|guest| needs_node(guest.pod)) else {
                found.push(Violation::new(name, format_args!("needs no room on {node}, which is kept for it")));
                continue;
            };
            if !self.arrived.insert(&guest.pod.name) {
                found.push(Violation::new(name, "has room kept for it twice"));
            }
            found.extend(self.arrive(Arrival { guest, made_anew: false }, node, Unchecked::None));
        }
        found
    }

    /// A planned node, by its position and name, comes with its daemon pods.
    pub(super) fn come(&mut self, (position, name): (usize, &'a str), daemons: impl Iterator<Item = Guest<'a>>) {
        let id = self.nodes.len() + position;
        self.cluster.join(vec![id]);
        let requested = self.requested.entry(name).or_default();
        for daemon in daemons {
            self.cluster.put(daemon, id);
            requested.add(&daemon.pod.requests);
        }
    }

    /// Takes a node away and moves its pods as the plan says.
    pub(super) fn remove(&mut self, plan: &NodePlan) -> Vec<Violation> {
        let name = plan.node.name.as_str();
        let Some(id) = self.cluster.find(name) else {
            return vec![Violation::new(name, "is removed twice or does not exist")];
        };
        let node = self.nodes.get(name).copied();
        let mut found: Vec<Violation> = node.and_then(forbidden).into_iter().collect();
        if self.unreadable.contains(name) {
            found.push(Violation::new(name, "goes, and runs a pod that could not be read"));
        }
        let gone = self.cluster.remove(id);
        let mut leaving: BTreeMap<&PodName, Guest<'a>> =
            gone.into_iter().filter(|guest| must_move(guest.pod)).map(|guest| (&guest.pod.name, guest)).collect();
        let evicted = plan.moves.iter().filter_map(|each| leaving.get(&each.pod.name));
        found.extend(self.budgets.evict(plan, evicted.map(|guest| guest.pod)));
        found.extend(self.wrong_sums(plan));
        if self.budgets.unread && !plan.moves.is_empty() && !plan.unread_budgets {
            found.push(Violation::new(name, "does not say that nobody could read the budgets of its pods"));
        }
        for each in &plan.moves {
            match leaving.remove(&each.pod.name) {
                Some(guest) => found.extend(self.move_pod(guest, each)),
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
    fn move_pod(&mut self, guest: Guest<'a>, to: &Move) -> Vec<Violation> {
        let pod = guest.pod;
        let mut found = Vec::new();
        if !self.arrived.insert(&pod.name) {
            found.push(Violation::new(&pod.name, "moves from where it was to come"));
        }
        let reasons = [
            ("has no controller", pod.owner.is_none()),
            ("has room made for it", matches!(pod.scheduling, SchedulingState::Nominated(_))),
            ("asks not to be", pod.eviction.forbidden_by.is_some()),
            ("has a volume that is a disk of its node", self.has_local_volume(pod)),
        ];
        let forbidden = reasons.into_iter().filter(|(_, holds)| *holds);
        found.extend(forbidden.map(|(why, _)| Violation::new(&pod.name, format_args!("is evicted, and {why}"))));
        found.extend(self.arrive(
            Arrival { guest, made_anew: true },
            &to.destination,
            Unchecked::Said(&to.unchecked_rules),
        ));
        found
    }

    /// What the plan says is requested of the destinations before and after, where it is not so.
    fn wrong_sums(&self, plan: &NodePlan) -> Option<Violation> {
        let mut coming: BTreeMap<&str, Resources> = BTreeMap::new();
        for each in &plan.moves {
            coming.entry(&each.destination).or_default().add(&each.pod.requests);
        }
        let right = |said: &Destination| {
            let before = self.requested.get(said.node.name.as_str()).cloned().unwrap_or_default();
            let mut after = before.clone();
            coming.get(said.node.name.as_str()).into_iter().for_each(|more| after.add(more));
            said.before == before && said.after == after
        };
        let named = plan.destinations.iter().map(|said| said.node.name.as_str());
        let all = named.eq(coming.keys().copied()) && plan.destinations.iter().all(right);
        (!all).then(|| {
            Violation::new(&plan.node.name, "says wrongly what is requested of the nodes that its pods move to")
        })
    }

    /// Whether a node is left that takes pods of any kind, where some go.
    fn nobody_left(&self, removals: &BTreeSet<&str>) -> Option<Violation> {
        let takes_pods = |node: &Node| {
            let name = node.name.as_str();
            let open = node.ready && !node.deleting && !node.unschedulable;
            open && !self.unreadable.contains(name) && !removals.contains(name)
        };
        let left = removals.is_empty() || self.nodes.values().any(|node| takes_pods(node));
        (!left).then(|| Violation::new("removals", "leave no node that takes pods"))
    }

    fn has_local_volume(&self, pod: &Pod) -> bool {
        let Extras { claims: Some(claims), volumes: Some(volumes), .. } = self.extras else { return false };
        pod.volumes.iter().any(|volume| {
            let PodVolume::Claim { name, ephemeral: false } = volume else { return false };
            let name = ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() };
            let bound_to = claims.get(&name).and_then(|claim| volumes.get(claim.volume.as_deref()?));
            bound_to.is_some_and(|volume| volume.local)
        })
    }

    /// A pod comes to a node that takes pods. One that was evicted is not sent to a node out of reach.
    fn arrive(&mut self, arrival: Arrival<'a>, node: &str, unchecked: Unchecked<'_>) -> Vec<Violation> {
        let pod = &arrival.guest.pod.name;
        let Some(id) = self.cluster.find(node) else {
            return vec![Violation::new(pod, format_args!("comes to {node}, which is gone"))];
        };
        // A node that is not among those that are there now is planned.
        let known = self.nodes.get(node);
        let takes_pods = known.is_none_or(|node| (node.ready || !arrival.made_anew) && !node.deleting);
        let takes_pods = takes_pods && !self.unreadable.contains(node);
        let closed = (!takes_pods).then(|| Violation::new(pod, format_args!("comes to {node}, which takes no pods")));
        let objections = self.cluster.objections(arrival, id);
        let found = violations(pod, node, objections, unchecked).chain(closed).collect();
        self.cluster.place(arrival, id);
        if let Some(requested) = self.requested.get_mut(node) {
            requested.add(&arrival.guest.pod.requests);
        }
        found
    }
}
