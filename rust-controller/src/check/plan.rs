//! Plans of nodes to add.

use std::collections::BTreeSet;

use super::certificate::certificate;
use super::choices::choices;
use super::cluster::{Arrival, Cluster};
use super::daemons::daemon_pods;
use super::kinds::{Guest, Kinds};
use super::left_out::{LeftOut, Probe, left_out};
use super::planned_node::{LaunchId, Launches};
use super::roster::Roster;
use super::set_apart::unfounded;
use super::site::{Site, SiteId};
use super::zones::zones;
use super::{Unchecked, Violation, needs_node, violations};
use crate::model::{Catalog, Labels, Pod, PodName};
use crate::provision::{Options, Plan, PlannedNode, PodPlan, Verdict};
use crate::snapshot::Snapshot;
use crate::units::{FastMap, FastSet};

/// Everything that is wrong with a plan, sorted; nothing, for a plan that may be shown.
///
/// What a plan says of pods, nodes and types is not believed: it is held against the snapshot and the catalog. Then the
/// plan is done, pod by pod, and each must be allowed on its node at its turn. In the end nothing may be there, or for sale,
/// that would take a pod which gets no node.
#[must_use]
pub fn check_plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options, plan: &Plan) -> Vec<Violation> {
    let roster = Roster::new(snapshot.pods(), &plan.pods);
    let daemons = daemon_pods(snapshot);
    let mut launches = Launches::new(catalog, options, &plan.pools, &daemons);
    let mut found = verdicts(&roster, plan);
    found.extend(placements(plan));
    found.extend(lists(plan));
    found.extend(names(snapshot, plan));
    found.extend(certificate(snapshot, catalog, options, (&roster, plan), &daemons));
    found.extend(choices(snapshot, options, plan.pools.values()));
    found.extend(unfounded(snapshot, plan.pools.values()));
    found.extend(zones(snapshot, catalog, options, plan, &launches));
    let obtainable = launches.obtainable(&plan.nodes, &mut found);
    let get_no_node = |(position, planned): (usize, &PodPlan)| {
        let left_out = matches!(planned.verdict, Verdict::Unplaceable(_));
        roster.pod(position).filter(|_| left_out)
    };
    let left_out =
        left_out(plan.pods.iter().enumerate().filter_map(get_no_node), &daemons, snapshot, (catalog, options));
    found.extend(Replay::new(snapshot, &roster, plan, (&launches, &obtainable), &daemons, &left_out).run());
    found.sort();
    found
}

/// The node that a pod gets, by its verdict, and whether it exists already.
fn node_of(planned: &PodPlan) -> Option<(&str, bool)> {
    match &planned.verdict {
        Verdict::Planned { node, .. } => Some((node, false)),
        Verdict::FitsExisting { node } => Some((node, true)),
        Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    }
}

/// Every unschedulable pod has one verdict, which is never to ignore it, and no other pod gets a node.
fn verdicts(roster: &Roster<'_>, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut given: Vec<Option<&PodPlan>> = vec![None; roster.count];
    let mut one_each = true;
    for (number, planned) in roster.numbers.iter().zip(&plan.pods) {
        one_each &= given[*number].replace(planned).is_none();
    }
    if !one_each {
        violations.push(Violation::new("plan", "a pod has two verdicts"));
    }
    for (number, given) in given.into_iter().enumerate() {
        let needy = roster.pods.get(number).filter(|pod| needs_node(pod));
        let ignored = given.is_none_or(|planned| matches!(planned.verdict, Verdict::Ignored(_)));
        match (needy, given) {
            (Some(pod), _) if ignored => {
                violations.push(Violation::new(&pod.name, "is unschedulable and was forgotten"));
            }
            (None, Some(planned)) if !ignored => {
                violations.push(Violation::new(&planned.pod.name, "needs no node and gets one"));
            }
            _ => {}
        }
    }
    violations
}

/// The order of placements names each pod that gets a node once, and nothing else; those on existing nodes first.
fn placements(plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut placed = vec![false; plan.pods.len()];
    let mut planned_nodes_are_there = false;
    for position in &plan.placements {
        let Some(planned) = plan.pods.get(*position) else {
            violations.push(Violation::new("plan", format_args!("places pod number {position}, which it has not")));
            continue;
        };
        let name = &planned.pod.name;
        if std::mem::replace(&mut placed[*position], true) {
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
    let not_placed = plan.pods.iter().zip(placed).filter(|(_, placed)| !placed);
    for (planned, _) in not_placed.filter(|(planned, _)| node_of(planned).is_some()) {
        violations.push(Violation::new(&planned.pod.name, "gets a node and is not placed"));
    }
    violations
}

/// Planned nodes list the pods that say to be there.
fn lists(plan: &Plan) -> Vec<Violation> {
    // By pod, the planned node that it says to be on, and whether one lists it.
    let mut said: FastMap<&PodName, (&str, bool)> = FastMap::default();
    said.reserve(plan.pods.len());
    for planned in &plan.pods {
        if let Some((node, false)) = node_of(planned) {
            said.insert(&planned.pod.name, (node, false));
        }
    }
    let mut violations = Vec::new();
    let mut strangers = FastSet::default();
    for node in &plan.nodes {
        for pod in &node.pods {
            let (said, again) = match said.get_mut(pod) {
                None => (None, !strangers.insert(pod)),
                Some((said, listed)) => (Some(*said), std::mem::replace(listed, true)),
            };
            if again {
                violations.push(Violation::new(pod, "is on two planned nodes"));
            }
            match said {
                None => violations.push(Violation::new(pod, format_args!("is on {} and not planned", node.name))),
                Some(said) if said != node.name => {
                    violations.push(Violation::new(pod, format_args!("is on {} and said to be on {said}", node.name)));
                }
                Some(_) => {}
            }
        }
    }
    let not_listed = said.into_iter().filter(|(_, (_, listed))| !listed);
    violations.extend(not_listed.map(|(pod, _)| Violation::new(pod, "is planned and on no planned node")));
    violations
}

/// No planned node is called like another node.
fn names(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut names: FastSet<&str> = snapshot.nodes().iter().map(|node| node.name.as_str()).collect();
    let again = plan.nodes.iter().filter(|node| !names.insert(&node.name));
    again.map(|node| Violation::new(&node.name, "is the name of another node, too")).collect()
}

/// The plan, done.
struct Replay<'a> {
    plan: &'a Plan,
    /// Planned nodes that can be had.
    obtainable: Vec<&'a PlannedNode>,
    /// By position in the plan, the pods that get a node.
    guests: Vec<Option<Guest<'a>>>,
    /// Names of nodes that are being deleted.
    going: BTreeSet<&'a str>,
    /// Names of nodes whose room nobody knows.
    unknown: BTreeSet<&'a str>,
    cluster: Cluster<'a>,
    /// A pod for each `DaemonSet`.
    daemons: Vec<Guest<'a>>,
    /// By node, positions of the daemon pods of those that are planned and still empty.
    waiting: Vec<Option<&'a [usize]>>,
    planned_nodes_are_there: bool,
    /// How many nodes exist, and how many are planned; those that nobody plans come after them.
    counts: (usize, usize),
    /// Pods that get no node.
    left_out: Vec<(&'a LeftOut<'a>, Guest<'a>)>,
    /// Existing nodes that would have taken one of them before planned nodes came, by its number there.
    taking: BTreeSet<(usize, SiteId)>,
}

impl<'a> Replay<'a> {
    fn new(
        snapshot: &'a Snapshot,
        roster: &Roster<'a>,
        plan: &'a Plan,
        (launches, obtainable): (&'a Launches<'a>, &[(&'a PlannedNode, LaunchId)]),
        daemons: &'a [Pod],
        left_out: &'a [LeftOut<'a>],
    ) -> Self {
        let mut kinds = Kinds::default();
        let placed = |(position, planned)| node_of(planned).and_then(|_| roster.pod(position));
        let guests = plan.pods.iter().enumerate().map(placed).map(|pod| Some(kinds.coming(pod?)));
        let guests: Vec<Option<Guest<'a>>> = guests.collect();
        let daemons: Vec<Guest<'a>> = daemons.iter().map(|daemon| kinds.coming(daemon)).collect();
        let left_out: Vec<(&LeftOut<'_>, Guest<'a>)> =
            left_out.iter().map(|left| (left, kinds.coming(left.pod))).collect();
        let coming = guests.iter().flatten().chain(&daemons).chain(left_out.iter().map(|(_, guest)| guest));
        let coming: Vec<Guest<'a>> = coming.copied().collect();
        let sites = obtainable.iter().map(|(node, launch)| launches.site(node, *launch));
        let probes = left_out.iter().flat_map(|(left, _)| left.probes.iter().map(Probe::site));
        let sites = sites.chain(probes).collect();
        let waiting = obtainable.iter().map(|(_, launch)| Some(launches.daemons(*launch)));
        let going = snapshot.nodes().iter().filter(|node| node.deleting);
        Self {
            plan,
            obtainable: obtainable.iter().map(|(node, _)| *node).collect(),
            guests,
            going: going.map(|node| node.name.as_str()).collect(),
            unknown: snapshot.unreadable_nodes(),
            cluster: Cluster::new(snapshot, sites, kinds, &coming),
            daemons,
            waiting: std::iter::repeat_n(None, snapshot.nodes().len()).chain(waiting).collect(),
            planned_nodes_are_there: false,
            counts: (snapshot.nodes().len(), obtainable.len()),
            left_out,
            taking: BTreeSet::new(),
        }
    }

    fn run(mut self) -> Vec<Violation> {
        let mut found: Vec<Violation> = self.plan.placements.iter().flat_map(|position| self.step(*position)).collect();
        if !self.planned_nodes_are_there {
            self.join_planned();
        }
        for number in 0..self.left_out.len() {
            found.extend(self.place_for(number));
        }
        found
    }

    fn join_planned(&mut self) {
        let (existing, planned) = self.counts;
        self.taking = self.takers();
        self.cluster.join((existing..existing + planned).collect());
        self.planned_nodes_are_there = true;
    }

    /// Existing nodes that take one of the pods that get no node, beyond doubt.
    fn takers(&self) -> BTreeSet<(usize, SiteId)> {
        let is_usable = |site: &Site<'_>| !self.going.contains(site.name) && !self.unknown.contains(site.name);
        let usable = self.cluster.there().filter(|(_, site)| is_usable(site)).map(|(id, _)| id);
        let usable: Vec<SiteId> = usable.collect();
        let left_out = self.left_out.iter().enumerate().filter(|(_, (_, guest))| !self.cluster.is_undecided(*guest));
        let takes = |guest: &Guest<'a>, id: SiteId| self.cluster.takes(Arrival { guest: *guest, made_anew: false }, id);
        let of_pod = |(number, (_, guest)): (usize, &(&LeftOut<'_>, Guest<'a>))| {
            let taking: Vec<SiteId> = usable.iter().copied().filter(|id| takes(guest, *id)).collect();
            taking.into_iter().map(move |id| (number, id))
        };
        left_out.flat_map(of_pod).collect()
    }

    /// A node for a pod that gets none, now that all others are where they are to be: an existing one that would have taken it
    /// before planned nodes came, too; a planned one; or a new one.
    fn place_for(&mut self, number: usize) -> Option<Violation> {
        let (left, guest) = self.left_out[number];
        let arrival = Arrival { guest, made_anew: false };
        let is_asked = |id: SiteId, site: &Site<'_>| match self.pool_labels_of(id) {
            Some(labels) => left.asks_for(site, labels),
            None => self.taking.contains(&(number, id)),
        };
        let asked = self.cluster.there().filter(|(id, site)| is_asked(*id, site));
        let taker =
            asked.filter(|(id, _)| self.cluster.takes(arrival, *id)).map(|(_, site)| site.name.to_owned()).next();
        let taker = taker.or_else(|| self.new_node_for(number, arrival));
        taker.map(|node| Violation::new(&guest.pod.name, format_args!("gets no node, and {node} would take it")))
    }

    /// Labels that the `NodePool` of a planned node adds.
    fn pool_labels_of(&self, id: SiteId) -> Option<&'a Labels> {
        let node = self.obtainable.get(id.checked_sub(self.counts.0)?)?;
        self.plan.pools.get(&node.pool).map(|pool| &pool.labels)
    }

    fn new_node_for(&mut self, number: usize, arrival: Arrival<'a>) -> Option<String> {
        if self.left_out[number].0.is_spread_over_hosts() {
            // One more node is one more host to spread over, and who is there already may depend on there being none.
            return None;
        }
        let before: usize = self.left_out[..number].iter().map(|(left, _)| left.probes.len()).sum();
        let first = self.counts.0 + self.counts.1 + before;
        let left = self.left_out[number].0;
        (first..).zip(&left.probes).find_map(|(id, probe)| {
            if self.cluster.would_undo(id) {
                return None;
            }
            self.cluster.join(vec![id]);
            for daemon in &probe.daemons {
                self.cluster.put(self.daemons[*daemon], id);
            }
            let takes = self.cluster.takes(arrival, id);
            self.cluster.remove(id);
            takes.then(|| probe.name.clone())
        })
    }

    fn step(&mut self, position: usize) -> Vec<Violation> {
        let Some(planned) = self.plan.pods.get(position) else { return Vec::new() };
        let (Some(guest), Some((node, exists))) = (self.guests[position], node_of(planned)) else { return Vec::new() };
        let pod = &guest.pod.name;
        if !exists && !self.planned_nodes_are_there {
            self.join_planned();
        }
        let Some(id) = self.cluster.find(node).filter(|_| !exists || !self.going.contains(node)) else {
            return vec![Violation::new(pod, format_args!("gets {node}, which does not exist, or not for long"))];
        };
        for daemon in self.waiting[id].take().into_iter().flatten() {
            self.cluster.put(self.daemons[*daemon], id);
        }
        let arrival = Arrival { guest, made_anew: false };
        let unchecked = if exists { Unchecked::None } else { Unchecked::Said(&planned.unchecked_rules) };
        let found = violations(pod, node, self.cluster.objections(arrival, id), unchecked).collect();
        self.cluster.place(arrival, id);
        found
    }
}
