//! Room on the nodes that there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::pending::{Ignored, Need, need};
use super::preferences::on_existing;
use crate::feasibility::{ClassId, Miss, NodeId, Refusal, Rule, Simulation};
use crate::model::{Node, Pod};
use crate::snapshot::Snapshot;

/// Which unschedulable pods need no new node. Both lists are in order of urgency.
#[derive(Debug, Default)]
pub struct OnExisting<'a> {
    /// Those that fit existing nodes as they are, all together, each with its node.
    pub fitting: Vec<(Waiting<'a>, String)>,
    /// Those that do not.
    pub rest: Vec<Waiting<'a>>,
}

/// A pod that needs a node.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// Position in the snapshot.
    pub position: usize,
    /// The pod.
    pub pod: &'a Arc<Pod>,
    /// Its class in the simulation.
    pub class: ClassId,
    /// Whether it comes before all others, whatever their priority, since an earlier try has left it out.
    pub urgent: bool,
}

/// Why no existing node takes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExistingMisses {
    /// How many nodes each rule refuses.
    pub refused_nodes: BTreeMap<Rule, usize>,
    /// The node that comes nearest, and why it does not take the pod.
    pub nearest: Option<(String, Refusal)>,
}

/// Finds room on existing nodes for the unschedulable pods, and takes it in the simulation.
///
/// A pod for which some rule cannot be checked is placed nowhere: the scheduler, which checks it, has refused every node.
pub fn place_on_existing<'a>(snapshot: &'a Snapshot, simulation: &mut Simulation) -> OnExisting<'a> {
    place_urgent_first(snapshot, &[], simulation, |_, _| Vec::new())
}

/// The same, but for all pods that the scheduler will find a node for if there is one: those at which it has not looked yet come
/// after the unschedulable ones.
pub fn place_pending_on_existing<'a>(snapshot: &'a Snapshot, simulation: &mut Simulation) -> OnExisting<'a> {
    let OnExisting { mut fitting, mut rest } = place_on_existing(snapshot, simulation);
    let unjudged = pods_that(snapshot, |need| *need == Need::None(Ignored::Unjudged));
    // Who has found no place may find one beside these.
    rest.extend(waiting(snapshot, unjudged, simulation));
    place_all(&mut rest, &mut fitting, &usable_nodes(snapshot, simulation), simulation);
    OnExisting { fitting, rest }
}

/// The same, but some pods, by their position in the snapshot, come before all others. Those that fit nowhere get nodes that
/// could join, as long as the others are placed, so that nobody takes a place that keeps them away.
pub(super) fn place_urgent_first<'a>(
    snapshot: &'a Snapshot,
    urgent: &[usize],
    simulation: &mut Simulation,
    reserve: impl Fn(&[Waiting<'a>], &mut Simulation) -> Vec<(ClassId, NodeId)>,
) -> OnExisting<'a> {
    let all = in_order(snapshot, urgent, simulation);
    let (mut first, mut waiting): (Vec<Waiting<'_>>, Vec<Waiting<'_>>) = all.iter().partition(|pod| pod.urgent);
    let mut usable = usable_nodes(snapshot, simulation);
    let mut fitting: Vec<(Waiting<'_>, String)> = Vec::new();
    loop {
        let before = fitting.len();
        place_all(&mut first, &mut fitting, &usable, simulation);
        let reserved = reserve(&first, simulation);
        place_all(&mut waiting, &mut fitting, &usable, simulation);
        for (class, node) in reserved.iter().rev() {
            simulation.take(*class, *node);
            simulation.remove_joined(*node);
        }
        if !reserved.is_empty() {
            waiting.extend(place_again(&mut fitting, simulation));
        }
        // An urgent one may have waited for one of the others.
        if first.is_empty() || fitting.len() <= before {
            break;
        }
    }
    let fits: BTreeSet<usize> = fitting.iter().map(|(waiting, _)| waiting.position).collect();
    let rest: Vec<Waiting<'_>> = all.into_iter().filter(|waiting| !fits.contains(&waiting.position)).collect();
    usable.sort_unstable();
    on_existing(snapshot, &mut fitting, &rest, &usable, simulation);
    OnExisting { fitting, rest }
}

/// The pods that need a node, the urgent ones first.
fn in_order<'a>(snapshot: &'a Snapshot, urgent: &[usize], simulation: &Simulation) -> Vec<Waiting<'a>> {
    let known: BTreeSet<usize> = urgent.iter().copied().collect();
    let others = waiting_pods(snapshot).into_iter().filter(|position| !known.contains(position));
    let mut all = waiting(snapshot, urgent.iter().copied(), simulation);
    for pod in &mut all {
        pod.urgent = true;
    }
    all.extend(waiting(snapshot, others, simulation));
    all
}

fn waiting<'a>(
    snapshot: &'a Snapshot,
    positions: impl IntoIterator<Item = usize>,
    simulation: &Simulation,
) -> Vec<Waiting<'a>> {
    let waiting = |position: usize| {
        let class = simulation.class_at(position)?;
        Some(Waiting { position, pod: &snapshot.pods()[position], class, urgent: false })
    };
    positions.into_iter().filter_map(waiting).collect()
}

/// Places what fits existing nodes; what does not stays.
fn place_all<'a>(
    waiting: &mut Vec<Waiting<'a>>,
    fitting: &mut Vec<(Waiting<'a>, String)>,
    usable: &[NodeId],
    simulation: &mut Simulation,
) {
    let mut searches: BTreeMap<ClassId, Search> = BTreeMap::new();
    place_until_nothing_changes(waiting, |waiting| {
        let class = waiting.class;
        if !simulation.unchecked_rules(class).is_empty() {
            return false;
        }
        let Some(node) = searches.entry(class).or_default().next(simulation, class, usable) else { return false };
        simulation.place(class, node);
        fitting.push((*waiting, simulation.name(node).to_owned()));
        true
    });
}

/// Takes out those that found their place only beside pods for which nodes were reserved, and returns them.
fn place_again<'a>(fitting: &mut Vec<(Waiting<'a>, String)>, simulation: &mut Simulation) -> Vec<Waiting<'a>> {
    take_back(fitting, simulation);
    let mut out = Vec::new();
    fitting.retain(|(waiting, name)| {
        let node = simulation.node(name).filter(|node| simulation.may_run(waiting.class, *node));
        match node {
            Some(node) => simulation.place(waiting.class, node),
            None => out.push(*waiting),
        }
        node.is_some()
    });
    out
}

/// As if nobody had been placed.
pub(super) fn take_back(fitting: &[(Waiting<'_>, String)], simulation: &mut Simulation) {
    for (waiting, name) in fitting.iter().rev() {
        if let Some(node) = simulation.node(name) {
            simulation.take(waiting.class, node);
        }
    }
}

/// Positions of the unschedulable pods in the snapshot, in the order of their urgency.
pub(super) fn waiting_pods(snapshot: &Snapshot) -> Vec<usize> {
    pods_that(snapshot, |need| *need == Need::Node)
}

/// Positions of such pods in the snapshot. Higher priority first, since room may run out; then those that ask for
/// what few nodes have, such as GPUs; then larger pods, which fit fewer holes; then by name.
fn pods_that(snapshot: &Snapshot, wait: impl Fn(&Need) -> bool) -> Vec<usize> {
    let pods = snapshot.pods();
    let mut waiting: Vec<usize> = (0..pods.len()).filter(|position| wait(&need(&pods[*position]))).collect();
    // The snapshot is in the order of names, and the sort keeps it.
    waiting.sort_by_key(|position| {
        let Pod { priority, requests, .. } = &*pods[*position];
        Reverse((*priority, !requests.extended.is_empty(), requests.cpu, requests.memory))
    });
    waiting
}

/// Places what can be placed, in order, and tries the rest again as long as that helps: a pod that has come may be the one
/// near which another must run, or the one that others must not outnumber.
pub fn place_until_nothing_changes<T>(waiting: &mut Vec<T>, mut place: impl FnMut(&T) -> bool) {
    loop {
        let before = waiting.len();
        waiting.retain(|each| !place(each));
        if waiting.is_empty() || waiting.len() == before {
            return;
        }
    }
}

/// Where the search for a class stands.
#[derive(Default)]
struct Search {
    /// Nodes before this one will never take the class.
    from: usize,
    /// When no node took the class.
    failed: Option<u64>,
}

impl Search {
    /// The first node that takes a pod of the class.
    fn next(&mut self, simulation: &Simulation, class: ClassId, nodes: &[NodeId]) -> Option<NodeId> {
        let now = simulation.changed(class);
        if self.failed == Some(now) {
            return None;
        }
        let mut rest = nodes.iter().copied().enumerate().skip(self.from);
        let found = rest.find(|(_, node)| simulation.may_run(class, *node));
        self.failed = found.is_none().then_some(now);
        // Room only shrinks: a class that nothing but room can refuse need not look back.
        if !simulation.depends_on_others(class) {
            self.from = found.map_or(nodes.len(), |(at, _)| at);
        }
        found.map(|(_, node)| node)
    }
}

/// Nodes that take pods: not those that go, nor those with a pod that could not be read, whose room is unknown.
pub(super) fn usable_nodes(snapshot: &Snapshot, simulation: &Simulation) -> Vec<NodeId> {
    let unreadable = snapshot.unreadable_nodes();
    let usable = |node: &Node| !node.deleting && !unreadable.contains(node.name.as_str());
    let nodes = simulation.existing_nodes().zip(snapshot.nodes()).filter(|(_, node)| usable(node));
    // What few nodes have is left to those that ask for it, as long as there is other room.
    let (rare, common): (Vec<_>, Vec<_>) = nodes.partition(|(_, node)| !node.allocatable.extended.is_empty());
    common.into_iter().chain(rare).map(|(id, _)| id).collect()
}

/// What every existing node says of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeVerdicts {
    /// Nodes that refuse it, each with the first rule that does; the nearest first.
    pub refusing: Vec<(String, Refusal)>,
    /// Nodes that would take it.
    pub taking: Vec<String>,
    /// Nodes that would take it, to which the planner sends nobody: they are being deleted, or hold a pod that could not be
    /// read, so that nobody knows what room is left.
    pub shunned: Vec<String>,
}

/// What every existing node says of a pod, as if it ran nowhere. Room that other pods are to take is taken.
#[must_use]
pub fn verdicts_on_existing(snapshot: &Snapshot, pod: &Pod) -> NodeVerdicts {
    let mut simulation = Simulation::of(snapshot);
    let fitting = place_on_existing(snapshot, &mut simulation).fitting;
    let Some(class) = simulation.class_of(&pod.name) else { return NodeVerdicts::default() };
    let placed = fitting.iter().find(|(other, _)| other.pod.name == pod.name).map(|(_, node)| node.as_str());
    if let Some(node) = pod.occupied_node().or(placed).and_then(|name| simulation.node(name)) {
        simulation.take(class, node);
    }
    let nodes: Vec<NodeId> = simulation.existing_nodes().collect();
    let usable: BTreeSet<NodeId> = usable_nodes(snapshot, &simulation).into_iter().collect();
    let takers = nodes.iter().filter(|node| simulation.may_run(class, **node));
    let (taking, shunned): (Vec<NodeId>, Vec<NodeId>) = takers.partition(|node| usable.contains(node));
    let names = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| simulation.name(node).to_owned()).collect();
    let refusing = simulation.refusals_by_node(class, &nodes);
    NodeVerdicts { refusing, taking: names(taking), shunned: names(shunned) }
}

impl ExistingMisses {
    /// Asks every existing node. Linear in nodes.
    pub(super) fn of(simulation: &Simulation, class: ClassId) -> Self {
        let mut refused_nodes = BTreeMap::new();
        let mut nearest: Option<(Miss, NodeId)> = None;
        for node in simulation.existing_nodes() {
            let Some(miss) = simulation.miss(class, node) else { continue };
            *refused_nodes.entry(miss.rule()).or_default() += 1;
            if nearest.is_none_or(|nearest| (miss, node) < nearest) {
                nearest = Some((miss, node));
            }
        }
        let nearest =
            nearest.and_then(|(_, node)| Some((simulation.name(node).to_owned(), simulation.refusal(class, node)?)));
        Self { refused_nodes, nearest }
    }
}
