//! Plans of nodes to remove, replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets::Budgets;
use super::cluster::{Arrival, Cluster};
use super::kinds::{Guest, Kinds};
use super::site::Site;
use super::{Unchecked, Violation, fleet_bound, needs_node, violations};
use crate::consolidate::{Consolidation, Move, NodePlan, Verdict};
use crate::model::{Catalog, Node, Pod, PodName, PodVolume, key};
use crate::snapshot::{Extras, Snapshot};

/// Everything that is wrong with a consolidation, sorted; nothing, for one that may be shown.
#[must_use]
pub fn check_consolidation(snapshot: &Snapshot, catalog: &Catalog, consolidation: &Consolidation) -> Vec<Violation> {
    let plans: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut replay = Replay::new(snapshot, consolidation);
    let mut violations = replay.reserve(consolidation);
    violations.extend(consolidation.bound.iter().flat_map(|bound| fleet_bound::violations(snapshot, catalog, bound)));
    for removed in &consolidation.removals {
        match plans.get(removed.as_str()) {
            Some(plan) if plan.verdict == Verdict::Remove => {
                violations.extend(forbidden(&plan.node));
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
pub(super) fn forbidden(node: &Node) -> Option<Violation> {
    let reasons = [
        ("runs the control plane", node.labels.contains_key(key::CONTROL_PLANE)),
        ("is not ready", !node.ready),
        ("is being deleted already", node.deleting),
        ("is cordoned already", node.unschedulable),
        ("asks not to be disturbed", node.do_not_disrupt.is_some()),
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
    pub(super) nodes: BTreeMap<&'a str, &'a Node>,
    /// Pods that the plan keeps room for, as the snapshot has them.
    reserved: Vec<Option<Guest<'a>>>,
    pub(super) cluster: Cluster<'a>,
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
        Self {
            nodes: snapshot.nodes().iter().map(|node| (node.name.as_str(), &**node)).collect(),
            reserved,
            cluster: Cluster::new(snapshot, planned, kinds, &coming),
            budgets: Budgets::new(snapshot),
            extras: snapshot.extras(),
        }
    }

    /// Unschedulable pods take the room that is kept for them.
    pub(super) fn reserve(&mut self, consolidation: &Consolidation) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for (position, (reserved, node)) in consolidation.reserved.iter().enumerate() {
            let name = &reserved.name;
            let Some(guest) = self.reserved[position].filter(|guest| needs_node(guest.pod)) else {
                found.push(Violation::new(name, format_args!("needs no room on {node}, which is kept for it")));
                continue;
            };
            if !seen.insert(name) {
                found.push(Violation::new(name, "has room kept for it twice"));
            }
            found.extend(self.arrive(Arrival { guest, made_anew: false }, node, Unchecked::None));
        }
        found
    }

    /// Takes a node away and moves its pods as the plan says.
    pub(super) fn remove(&mut self, plan: &NodePlan) -> Vec<Violation> {
        let name = plan.node.name.as_str();
        let Some(id) = self.cluster.find(name) else {
            return vec![Violation::new(name, "is removed twice or does not exist")];
        };
        let gone = self.cluster.remove(id);
        let mut leaving: BTreeMap<&PodName, Guest<'a>> =
            gone.into_iter().filter(|guest| must_move(guest.pod)).map(|guest| (&guest.pod.name, guest)).collect();
        let mut found = Vec::new();
        if !self.budgets.begin(plan.wave) {
            found.push(Violation::new(name, format_args!("goes in wave {}, out of order", plan.wave)));
        }
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
        let mut found = self.budgets.evict(pod);
        let reasons = [
            ("has no controller", pod.owner.is_none()),
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

    fn has_local_volume(&self, pod: &Pod) -> bool {
        let Extras { claims: Some(claims), volumes: Some(volumes), .. } = self.extras else { return false };
        if pod.volumes.is_empty() {
            return false;
        }
        let of_pod = claims.values().filter(|claim| {
            let named = |volume: &PodVolume| {
                matches!(volume, PodVolume::Claim { name, ephemeral: false } if *name == claim.name.name)
            };
            claim.name.namespace == pod.name.namespace && pod.volumes.iter().any(named)
        });
        let mut volumes = of_pod.filter_map(|claim| volumes.get(claim.volume.as_deref()?));
        volumes.any(|volume| volume.local)
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
        let closed = (!takes_pods).then(|| Violation::new(pod, format_args!("comes to {node}, which takes no pods")));
        let objections = self.cluster.objections(arrival, id);
        let found = violations(pod, node, objections, unchecked).chain(closed).collect();
        self.cluster.place(arrival, id);
        found
    }
}
