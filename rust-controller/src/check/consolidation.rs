//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets::Budgets;
use super::cluster::{Arrival, Cluster};
use super::kinds::{Guest, Kinds};
use super::site::Site;
use super::{Unchecked, Violation, violations};
use crate::consolidate::{Consolidation, Destination, Move, NodePlan, Objective, Verdict};
use crate::model::{
    Catalog, Node, ObjectName, Phase, Pod, PodName, PodVolume, Resources, SchedulingState, TaintEffect, key,
};
use crate::snapshot::{Extras, Snapshot};
use crate::units::{FastMap, FastSet};

/// Everything that is wrong with a consolidation, sorted; nothing, for one that may be shown.
#[must_use]
pub fn check_consolidation(snapshot: &Snapshot, catalog: &Catalog, consolidation: &Consolidation) -> Vec<Violation> {
    let plans: FastMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut replay = Replay::new(snapshot, consolidation);
    let mut violations = replay.expect(consolidation);
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
    let staying = consolidation.nodes.iter().filter(|plan| plan.verdict != Verdict::Remove && !plan.node.deleting);
    for plan in staying.filter(|plan| !plan.moves.is_empty()) {
        violations.push(Violation::new(&plan.node.name, "stays, and its pods move"));
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

/// A pod that ends with its node, and asks to be left alone: Karpenter heeds that of every pod that is not ending anyway.
fn asks_for_its_node(pod: &Pod) -> Option<Violation> {
    let asks = pod.eviction.forbidden_by.is_some() && pod.ends_with_its_node() && !pod.deleting;
    asks.then(|| Violation::new(&pod.name, "ends with its node, and asks not to be disturbed"))
}

/// Whether the scheduler will bind a pod to a node that has room for it.
fn waits(pod: &Pod) -> bool {
    let has_no_node = matches!(pod.scheduling, SchedulingState::Unschedulable | SchedulingState::Unjudged);
    pod.phase == Phase::Pending && has_no_node && !pod.deleting && !pod.is_daemon()
}

/// Pods on nodes that are being deleted.
fn displaced(snapshot: &Snapshot) -> impl Iterator<Item = &Pod> {
    let deleting = snapshot.nodes().iter().filter(|node| node.deleting);
    let deleting: BTreeSet<&str> = deleting.map(|node| node.name.as_str()).collect();
    let pods = snapshot.pods().iter().map(|pod| &**pod);
    pods.filter(move |pod| pod.occupied_node().is_some_and(|node| deleting.contains(node)))
}

/// Whether nobody makes the pod again once its node is gone.
fn is_lost(pod: &Pod) -> bool {
    pod.owner.is_none() && matches!(pod.scheduling, SchedulingState::Bound(_))
}

/// What a plan says of the pods of a node that is being deleted: where each goes, if anywhere.
fn said_of_pods(plan: &NodePlan) -> impl Iterator<Item = (&PodName, Option<&Move>)> {
    let moves = plan.moves.iter().map(|each| (&each.pod.name, Some(each)));
    plan.stranded.iter().map(|each| (&each.pod, None)).chain(moves)
}

/// What the plan says is requested of the destinations before and after, where it is not so.
fn wrong_sums(requested: &FastMap<&str, Resources>, plan: &NodePlan) -> Option<Violation> {
    let mut coming: BTreeMap<&str, Resources> = BTreeMap::new();
    for each in &plan.moves {
        coming.entry(&each.destination).or_default().add(&each.pod.requests);
    }
    let right = |said: &Destination| {
        let before = requested.get(said.node.name.as_str()).cloned().unwrap_or_default();
        let mut after = before.clone();
        coming.get(said.node.name.as_str()).into_iter().for_each(|more| after.add(more));
        said.before == before && said.after == after
    };
    let named = plan.destinations.iter().map(|said| said.node.name.as_str());
    let all = named.eq(coming.keys().copied()) && plan.destinations.iter().all(right);
    (!all).then(|| Violation::new(&plan.node.name, "says wrongly what is requested of the nodes that its pods move to"))
}

/// The cluster as it is after each step.
pub(super) struct Replay<'a> {
    nodes: FastMap<&'a str, &'a Node>,
    /// Pods that the plan keeps room for, as the snapshot has them.
    reserved: Vec<Option<Guest<'a>>>,
    /// All pods that wait for a node.
    waiting: Vec<Guest<'a>>,
    cluster: Cluster<'a>,
    /// What is requested of each node.
    requested: FastMap<&'a str, Resources>,
    /// Pods that have come somewhere.
    arrived: FastSet<&'a PodName>,
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
        let pods: FastMap<&PodName, &Pod> = snapshot.pods().iter().map(|pod| (&pod.name, &**pod)).collect();
        let mut guest = |pod: &Pod| pods.get(&pod.name).map(|pod| kinds.coming(pod));
        let moved: Vec<Guest<'a>> =
            plans.iter().flat_map(|plan| &plan.moves).filter_map(|each| guest(&each.pod)).collect();
        let reserved: Vec<Option<Guest<'a>>> = reserved.iter().map(|(pod, _)| guest(pod)).collect();
        // Whatever a plan says of them.
        let displaced: Vec<Guest<'a>> = displaced(snapshot).map(|pod| kinds.coming(pod)).collect();
        let waiting = snapshot.pods().iter().filter(|pod| waits(pod));
        let waiting: Vec<Guest<'a>> = waiting.map(|pod| kinds.coming(pod)).collect();
        let coming = moved.into_iter().chain(reserved.iter().copied().flatten()).chain(displaced);
        let coming = coming.chain(waiting.iter().copied());
        let coming: Vec<Guest<'a>> = coming.chain(daemons.iter().copied()).collect();
        let names = snapshot.nodes().iter().map(|node| node.name.as_str());
        let mut requested: FastMap<&str, Resources> = names.map(|name| (name, Resources::default())).collect();
        for pod in snapshot.pods() {
            if let Some(node) = pod.occupied_node() {
                requested.entry(node).or_default().add(&pod.requests);
            }
        }
        Self {
            nodes: snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect(),
            reserved,
            waiting,
            cluster: Cluster::new(snapshot, planned, kinds, &coming),
            requested,
            arrived: FastSet::default(),
            unreadable: snapshot.unreadable_nodes(),
            budgets: Budgets::new(snapshot),
            extras: snapshot.extras(),
        }
    }

    /// Pods take the room that is kept for them: pending ones, then those of nodes that are being deleted.
    pub(super) fn expect(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = self.reserve(consolidation);
        found.extend(self.displace(consolidation));
        found
    }

    /// Nodes that are being deleted are gone, and their pods come to where the plan keeps room for them, in the order that it
    /// says. Where it finds none for a pod that somebody makes anew, there is none.
    fn displace(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = Vec::new();
        let (mut coming, mut homeless) = (Vec::new(), Vec::new());
        let mut requested = self.requested.clone();
        for plan in consolidation.nodes.iter().filter(|plan| plan.node.deleting) {
            found.extend(wrong_sums(&requested, plan));
            for each in &plan.moves {
                requested.entry(&each.destination).or_default().add(&each.pod.requests);
            }
        }
        let mut leaving: Vec<&str> = self.nodes.values().filter(|node| node.deleting).map(|node| &*node.name).collect();
        leaving.sort_unstable();
        for name in leaving {
            let plan = consolidation.nodes.iter().find(|plan| plan.node.name == *name);
            let plan = plan.filter(|plan| plan.node.deleting);
            let said: BTreeMap<&PodName, Option<&Move>> = plan.into_iter().flat_map(said_of_pods).collect();
            let gone = self.cluster.find(name).map(|id| self.cluster.remove(id)).unwrap_or_default();
            for guest in gone.into_iter().filter(|guest| must_move(guest.pod)) {
                match said.get(&guest.pod.name) {
                    None => found.push(Violation::new(&guest.pod.name, format_args!("is forgotten on {name}"))),
                    Some(Some(_)) if is_lost(guest.pod) => {
                        found.push(Violation::new(&guest.pod.name, "has room kept for it, and is lost"));
                    }
                    Some(Some(to)) => coming.push((guest, *to)),
                    Some(None) if is_lost(guest.pod) => {}
                    Some(None) => homeless.push(guest),
                }
            }
        }
        let turns: BTreeMap<&PodName, usize> = consolidation.displaced.iter().zip(0..).collect();
        coming.sort_by_key(|(guest, _): &(Guest<'_>, &Move)| turns.get(&guest.pod.name).copied().unwrap_or(usize::MAX));
        for (guest, to) in coming {
            self.arrived.insert(&guest.pod.name);
            let unchecked = Unchecked::Said(&to.unchecked_rules);
            found.extend(self.arrive(Arrival { guest, made_anew: true }, &to.destination, unchecked));
        }
        found.extend(self.has_room_for(homeless, true));
        found
    }

    /// Nodes that take pods for which the plan finds none.
    fn has_room_for(&self, mut homeless: Vec<Guest<'a>>, made_anew: bool) -> Vec<Violation> {
        // What differs only in its name has no place either.
        let mut asked = BTreeSet::new();
        homeless.retain(|guest| !guest.pod.volumes.is_empty() || asked.insert(guest.kind));
        let room_for = |guest: Guest<'a>| {
            let arrival = Arrival { guest, made_anew };
            let takes = |name: &str| self.is_open(name, arrival);
            let mut there = self.cluster.there();
            let (_, site) = there.find(|(id, site)| takes(site.name) && self.cluster.takes(arrival, *id))?;
            Some(Violation::new(&guest.pod.name, format_args!("is left without a place, and {} takes it", site.name)))
        };
        homeless.into_iter().filter_map(room_for).collect()
    }

    /// Pending pods take the room that is kept for them; for the others there is none.
    fn reserve(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = Vec::new();
        for (position, (reserved, node)) in consolidation.reserved.iter().enumerate() {
            let name = &reserved.name;
            let Some(guest) = self.reserved[position].filter(|guest| waits(guest.pod)) else {
                found.push(Violation::new(name, format_args!("needs no room on {node}, which is kept for it")));
                continue;
            };
            if !self.arrived.insert(&guest.pod.name) {
                found.push(Violation::new(name, "has room kept for it twice"));
            }
            found.extend(self.arrive(Arrival { guest, made_anew: false }, node, Unchecked::None));
        }
        let is_left = |guest: &Guest<'_>| !self.arrived.contains(&guest.pod.name) && !self.cluster.is_undecided(*guest);
        let left = self.waiting.iter().copied().filter(is_left).collect();
        found.extend(self.has_room_for(left, false));
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
        found.extend(gone.iter().filter_map(|guest| asks_for_its_node(guest.pod)));
        let mut leaving: FastMap<&PodName, Guest<'a>> =
            gone.into_iter().filter(|guest| must_move(guest.pod)).map(|guest| (&guest.pod.name, guest)).collect();
        let evicted = plan.moves.iter().filter_map(|each| leaving.get(&each.pod.name));
        found.extend(self.budgets.evict(plan, evicted.map(|guest| guest.pod)));
        found.extend(wrong_sums(&self.requested, plan));
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
        if self.runs_control_plane(&to.destination) {
            found.push(Violation::new(&pod.name, format_args!("moves to {}, of the control plane", to.destination)));
        }
        let forbidden = reasons.into_iter().filter(|(_, holds)| *holds);
        found.extend(forbidden.map(|(why, _)| Violation::new(&pod.name, format_args!("is evicted, and {why}"))));
        found.extend(self.arrive(
            Arrival { guest, made_anew: true },
            &to.destination,
            Unchecked::Said(&to.unchecked_rules),
        ));
        found
    }

    /// Whether a node is left that takes pods, where some go; and one for pods without tolerations, where there was one.
    fn nobody_left(&self, removals: &BTreeSet<&str>) -> Option<Violation> {
        let takes_pods = |node: &Node| {
            let name = node.name.as_str();
            let open = node.ready && !node.deleting && !node.unschedulable && !self.runs_control_plane(name);
            open && !self.unreadable.contains(name)
        };
        let lets_all_in = |node: &Node| !node.taints.iter().any(|taint| taint.effect != TaintEffect::PreferNoSchedule);
        let (going, staying): (Vec<&Node>, Vec<&Node>) = self
            .nodes
            .values()
            .copied()
            .filter(|node| takes_pods(node))
            .partition(|node| removals.contains(node.name.as_str()));
        let some = |nodes: &[&Node]| nodes.iter().any(|node| lets_all_in(node));
        if !removals.is_empty() && staying.is_empty() {
            return Some(Violation::new("removals", "leave no node that takes pods"));
        }
        let all_tainted = some(&going) && !some(&staying);
        all_tainted.then(|| Violation::new("removals", "leave no node that takes pods without tolerations"))
    }

    fn runs_control_plane(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|node| node.labels.contains_key(key::CONTROL_PLANE))
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
        let found = self.against(arrival, node, unchecked);
        if let Some(id) = self.cluster.find(node) {
            self.cluster.place(arrival, id);
            if let Some(requested) = self.requested.get_mut(node) {
                requested.add(&arrival.guest.pod.requests);
            }
        }
        found
    }

    /// What is against a pod's coming to a node.
    fn against(&self, arrival: Arrival<'a>, node: &str, unchecked: Unchecked<'_>) -> Vec<Violation> {
        let pod = &arrival.guest.pod.name;
        let Some(id) = self.cluster.find(node) else {
            return vec![Violation::new(pod, format_args!("comes to {node}, which is gone"))];
        };
        let is_open = self.is_open(node, arrival);
        let closed = (!is_open).then(|| Violation::new(pod, format_args!("comes to {node}, which takes no pods")));
        violations(pod, node, self.cluster.objections(arrival, id), unchecked).chain(closed).collect()
    }

    /// Whether a node takes pods at all. One that is not among those that are there now is planned.
    fn is_open(&self, node: &str, arrival: Arrival<'a>) -> bool {
        let takes_pods = |node: &&Node| (node.ready || !arrival.made_anew) && !node.deleting;
        self.nodes.get(node).is_none_or(takes_pods) && !self.unreadable.contains(node)
    }
}
