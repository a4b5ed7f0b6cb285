//! The nodes with the pods on them: what may run where, and what changes when a pod comes or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::affinity::{AffinityCounts, AntiCounts};
use super::class::{Class, ClassId, Classes, SeenBy, node_requirements};
use super::domains::Domains;
use super::mounts::Mounts;
use super::shape::{Attention, ShapeVerdicts, Shapes};
use super::spread::{Eligibility, SpreadCounts, SpreadDomains};
use super::stock::RackedVolumes;
use super::taints::Taints;
use super::target::{AFFINITY, TAINTS, Target};
use super::volumes::VolumeSpace;
use crate::model::{
    AttachCounts, HostPort, Labels, Node, NodeSelectorTerm, ObjectName, Pod, PodName, Resources, Taint, key,
};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// A node of a [`Simulation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) usize);

/// A node as it would join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Labels that it joins with, whatever its `NodePool` is. Nodes of several pools share them.
    pub labels: Arc<Labels>,
    /// Labels that its `NodePool` adds; they win over the others.
    pub template_labels: Arc<Labels>,
    /// Taints that its `NodePool` adds.
    pub taints: Arc<[Taint]>,
    /// What pods, daemon pods included, may request of it.
    pub allocatable: Arc<Resources>,
    /// How many volumes of each CSI driver it can attach.
    pub attach_limits: Arc<AttachCounts>,
}

/// Of a node that is there the rule counts what is attached, and not its room.
static NO_LIMITS: AttachCounts = AttachCounts::new();

/// The nodes of a cluster with the pods on them, and nodes that could join.
///
/// Pods are looked at by class, nodes by shape: the rules that look at one node by itself are asked once for each class
/// and shape. The rules that count pods keep their counts for each domain. [`Simulation::may_run`] therefore takes O(1)
/// for a class without rules about other pods, and O(its terms) for any other; so do [`Simulation::place`] and
/// [`Simulation::take`], for the terms of others that find the class. What pods ask for is shared by all clones.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The snapshot's, by namespace and name.
    pods: Arc<[Arc<Pod>]>,
    /// Of the snapshot's pods, then of those given on top.
    pub(super) classes: Arc<Classes>,
    pub(super) nodes: Vec<Site>,
    /// How many of them are the cluster's, by name.
    existing: usize,
    /// What of further nodes makes their shape.
    pub(super) attention: Attention,
    pub(super) shapes: Shapes,
    pub(super) verdicts: ShapeVerdicts,
    pub(super) domains: Domains,
    /// What is left of each resource, and of slots for volumes, by node and number.
    free: Vec<i64>,
    ports: Vec<Vec<HostPort>>,
    /// Classes for which a node that could join holds room, by node: those of its daemon pods.
    pub(super) held: Vec<Vec<ClassId>>,
    /// By node, whether the pods that it holds room for have not come yet; see [`Simulation::wake`].
    asleep: Vec<bool>,
    /// By eligibility.
    pub(super) spread_domains: Vec<SpreadDomains>,
    /// By spread group.
    pub(super) spread: Vec<SpreadCounts>,
    pub(super) affinity: Vec<AffinityCounts>,
    /// How many changes there have been, and the last one of each eligibility, spread group and affinity group.
    changes: u64,
    domains_changed: Vec<u64>,
    spread_changed: Vec<u64>,
    affinity_changed: Vec<u64>,
    pub(super) anti_affinity: Vec<AntiCounts>,
    pub(super) mounts: Mounts,
    pub(super) storage: Arc<Storage>,
}

/// What is known of volumes, by number.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) terms: Vec<Vec<NodeSelectorTerm>>,
    /// By number of the set, racks of free volumes.
    pub(super) rack_sets: Vec<Vec<usize>>,
    /// Node affinity of the volumes of each rack, by number of the terms; none where every node can attach them.
    pub(super) rack_terms: Vec<Option<usize>>,
    /// The same of volumes that are meant for a claim.
    pub(super) terms_of_meant: BTreeMap<usize, Option<usize>>,
    pub(super) claims: Vec<ObjectName>,
    pub(super) drivers: Vec<String>,
    /// By node, how many volumes of each driver it can attach; none for no limit.
    pub(super) limits: Vec<Vec<Option<u32>>>,
    /// By node of the cluster, whether it has a limit for some driver, be it one that no pod asks for.
    pub(super) limited: Vec<bool>,
}

/// A node, existing or new.
#[derive(Clone, Debug)]
pub(super) enum Site {
    Existing(Arc<Node>),
    New(NewNode),
}

impl NewNode {
    /// What the rules about one node look at.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        Target { template_labels: &self.template_labels, taints: &self.taints, ..Target::new(&self.labels) }
    }
}

impl Site {
    pub(super) fn target(&self) -> Target<'_> {
        match self {
            Self::Existing(node) => Target::existing(node),
            Self::New(new) => new.target(),
        }
    }

    pub(super) fn allocatable(&self) -> &Resources {
        match self {
            Self::Existing(node) => &node.allocatable,
            Self::New(new) => &new.allocatable,
        }
    }
}

impl Simulation {
    /// Every node of a snapshot, with the pods that hold room on it.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self::with_more_pods(snapshot, &[], [])
    }

    /// The same with pods that run nowhere yet beside the snapshot's, and with taints that none of its nodes may have, but
    /// nodes that join.
    #[must_use]
    pub fn with_more_pods<'t>(
        snapshot: &Snapshot,
        more_pods: &[Arc<Pod>],
        more_taints: impl IntoIterator<Item = &'t Taint>,
    ) -> Self {
        let mut domains = Domains::default();
        let all: Vec<&Pod> = snapshot.pods().iter().chain(more_pods).map(|pod| &**pod).collect();
        let mut space = VolumeSpace::new(snapshot.extras(), &all);
        let taints = Taints::of(snapshot.nodes().iter().map(|node| &**node), more_taints);
        let classes = Classes::of(&all, (taints, snapshot.extras()), &mut space, &mut domains);
        let (storage, free_volumes) = Storage::of(space, snapshot);
        let attention = Attention::of(&classes.placements, node_requirements(&classes.placements, &storage.terms));
        let verdicts = ShapeVerdicts::new(classes.placements.len(), storage.terms.len());
        let sites = snapshot.nodes().iter().map(|node| Site::Existing(Arc::clone(node)));
        let mut simulation = Self {
            nodes: Vec::new(),
            existing: snapshot.nodes().len(),
            attention,
            shapes: Shapes::default(),
            verdicts,
            free: Vec::new(),
            ports: Vec::new(),
            held: Vec::new(),
            asleep: Vec::new(),
            spread_domains: vec![SpreadDomains::default(); classes.eligibilities.len()],
            spread: vec![SpreadCounts::default(); classes.spread.len()],
            affinity: vec![AffinityCounts::default(); classes.affinity.len()],
            changes: 0,
            domains_changed: vec![0; classes.eligibilities.len()],
            spread_changed: vec![0; classes.spread.len()],
            affinity_changed: vec![0; classes.affinity.len()],
            anti_affinity: vec![AntiCounts::default(); classes.anti_affinity.len()],
            mounts: Mounts::new(free_volumes),
            pods: snapshot.shared_pods(),
            classes: Arc::new(classes),
            domains,
            storage: Arc::new(storage),
        };
        sites.for_each(|site| simulation.add(site));
        simulation.settle();
        simulation
    }

    /// One more node that could join. It counts for nothing before [`Simulation::join`] or
    /// [`Simulation::expect_new_nodes`].
    ///
    /// It may stand for nodes that can attach other numbers of volumes ([`Guise`](super::Guise)): these are a matter of room.
    pub fn add_new_node(&mut self, new: NewNode) -> NodeId {
        let attach_limits = Arc::new(self.told_apart(&new.attach_limits).clone());
        self.add(Site::New(new));
        if let Some(Site::New(new)) = self.nodes.last_mut() {
            new.attach_limits = attach_limits;
        }
        NodeId(self.nodes.len() - 1)
    }

    fn add(&mut self, site: Site) {
        let target = site.target();
        self.shapes.add(&self.attention, &target);
        self.domains.add(&target);
        self.add_room(&site);
        self.nodes.push(site);
    }

    fn add_room(&mut self, site: &Site) {
        let amounts = match site {
            Site::Existing(node) => self.amounts(&node.allocatable, &NO_LIMITS),
            Site::New(new) => self.amounts(&new.allocatable, &new.attach_limits),
        };
        self.free.extend(amounts);
        self.ports.push(Vec::new());
        self.held.push(Vec::new());
        self.asleep.push(false);
    }

    /// Puts the cluster's nodes in place, and its pods on them.
    fn settle(&mut self) {
        for node in 0..self.existing {
            self.count_node(NodeId(node), true);
        }
        for (class, node) in self.occupied() {
            self.settle_pod(class, node, false);
        }
    }

    /// The class and the node of each pod of the snapshot that is on one.
    fn occupied(&self) -> Vec<(ClassId, NodeId)> {
        let by_name: FastMap<&str, NodeId> = self.existing_nodes().map(|node| (self.name(node), node)).collect();
        let pods = self.pods.iter().zip(&self.classes.of_pod);
        pods.filter_map(|(pod, class)| Some(((*class)?, *by_name.get(pod.occupied_node()?)?))).collect()
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<NodeId> {
        let existing = &self.nodes[..self.existing];
        let by_name = |site: &Site| site.target().name.unwrap_or_default().cmp(name);
        existing.binary_search_by(by_name).ok().map(NodeId)
    }

    /// The cluster's nodes, by name.
    pub fn existing_nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.existing).map(NodeId)
    }

    /// The name of a node of the cluster; empty for any other.
    #[must_use]
    pub fn name(&self, node: NodeId) -> &str {
        self.nodes[node.0].target().name.unwrap_or_default()
    }

    /// Whether pods, ports, volumes or devices decide where the class may run, and not only room and the node itself.
    #[must_use]
    pub fn depends_on_others(&self, class: ClassId) -> bool {
        !self.classes.is_plain(class)
    }

    /// Whether pods that come can only keep the class away from nodes, never let it in.
    #[must_use]
    pub fn is_only_hindered(&self, class: ClassId) -> bool {
        self.classes.is_only_hindered(class)
    }

    /// The class of a pod of the snapshot; none for a pod that is over, or not there.
    #[must_use]
    pub fn class_of(&self, pod: &PodName) -> Option<ClassId> {
        let position = self.pods.binary_search_by(|other| other.name.cmp(pod)).ok()?;
        self.classes.of_pod[position]
    }

    /// The class of the pod at this position of the snapshot.
    #[must_use]
    pub fn class_at(&self, position: usize) -> Option<ClassId> {
        self.classes.of_pod[..self.pods.len()].get(position).copied().flatten()
    }

    /// The class of the pod at this position of those given on top.
    #[must_use]
    pub fn class_of_more(&self, position: usize) -> Option<ClassId> {
        self.classes.of_pod.get(self.pods.len() + position).copied().flatten()
    }

    pub(super) fn free_of(&self, node: NodeId) -> &[i64] {
        let count = self.dimensions();
        &self.free[node.0 * count..(node.0 + 1) * count]
    }

    pub(super) fn ports_of(&self, node: NodeId) -> &[HostPort] {
        &self.ports[node.0]
    }

    /// A node joins, with a host name of its own, of which the rules see the same as of one that could join. It counts from
    /// now on, and the pods that it holds room for, which are the same, do once it wakes.
    pub fn join(&mut self, new: NewNode, like: NodeId) -> NodeId {
        let site = Site::New(new);
        self.shapes.add_like(like.0);
        self.domains.add_like(like.0);
        self.add_room(&site);
        self.nodes.push(site);
        let node = NodeId(self.nodes.len() - 1);
        self.count_node(node, true);
        let held = self.held[like.0].clone();
        for class in &held {
            self.mount_held(*class, node);
            self.take_room(*class, node);
        }
        self.asleep[node.0] = held.iter().any(|class| self.is_counted(*class));
        self.held[node.0] = held;
        node
    }

    /// Whether some rule of others, or its own anti-affinity, speaks of a pod of the class.
    fn is_counted(&self, class: ClassId) -> bool {
        let asked = self.classes.class(class);
        !asked.rules.anti_affinity.is_empty() || self.classes.seen_by[asked.seen_by] != SeenBy::default()
    }

    /// Whether no rule about other pods, ports, volumes or devices speaks of the class, be it its own or another's.
    #[must_use]
    pub fn minds_nobody(&self, class: ClassId) -> bool {
        self.classes.is_plain(class) && !self.is_counted(class)
    }

    /// The daemon pods of a node that has joined come, right before its first other pod. Whether they had not yet.
    pub fn wake(&mut self, node: NodeId) -> bool {
        let woken = std::mem::take(&mut self.asleep[node.0]);
        if woken {
            self.count_held(node, true);
        }
        woken
    }

    /// They have not come, after all, since no other pod has.
    pub fn sleep(&mut self, node: NodeId) {
        if !std::mem::replace(&mut self.asleep[node.0], true) {
            self.count_held(node, false);
        }
    }

    fn count_held(&mut self, node: NodeId, come: bool) {
        for class in self.held[node.0].clone() {
            self.count_pod(class, node, come, |_| true);
        }
    }

    /// Whether two nodes hold room for the same pods, as far as rules speak of them.
    #[must_use]
    pub fn hold_alike(&self, one: NodeId, other: NodeId) -> bool {
        let counted = |node: NodeId| self.held[node.0].iter().filter(|class| self.is_counted(**class));
        counted(one).eq(counted(other))
    }

    /// Takes room and ports on a node that could join, for a pod that would run there as soon as it has joined.
    pub fn hold(&mut self, class: ClassId, node: NodeId) {
        self.take_room(class, node);
        self.held[node.0].push(class);
    }

    /// From now on the domains of all nodes that could join count where pods are spread: sooner or later such a node may
    /// be there, without any of the pods.
    pub fn expect_new_nodes(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            self.count_node(node, true);
        }
    }

    /// A node that has joined last is taken away again, with the pods that it held room for.
    pub fn remove_joined(&mut self, node: NodeId) {
        self.wake(node);
        for class in std::mem::take(&mut self.held[node.0]) {
            self.take(class, node);
        }
        self.remove_node(node);
    }

    /// From now on of the nodes that could join only their host names count where pods are spread, and no domain that no
    /// node is in: see [`Simulation::opens_domain`].
    pub fn expect_known_domains_only(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            self.count_node_where(node, false, |key| key != key::HOSTNAME);
        }
    }

    /// From now on their host names count no longer, either: no node joins any more.
    pub fn expect_no_new_nodes(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            self.count_node_where(node, false, |key| key == key::HOSTNAME);
        }
    }

    /// Whether pods would be spread over one domain more than there are if such a node joined, host names aside.
    #[must_use]
    pub fn opens_domain(&self, node: NodeId) -> bool {
        let opens = |(eligibility, domains): (&Eligibility, &SpreadDomains)| {
            self.domains.name(eligibility.key) != key::HOSTNAME
                && self.counts(eligibility, node)
                && domains.are_without(self.domains.of(eligibility.key, node.0))
        };
        self.classes.eligibilities.iter().zip(&self.spread_domains).any(opens)
    }

    /// The last change after which a class that was refused may be admitted: to the pods that its spread constraints or
    /// its affinity count.
    #[must_use]
    pub fn changed(&self, class: ClassId) -> u64 {
        let rules = &self.classes.class(class).rules;
        let spread = rules.spread.iter().map(|rule| {
            let eligibility = self.classes.spread[rule.group].eligibility;
            self.spread_changed[rule.group].max(self.domains_changed[eligibility])
        });
        let affinity = rules.affinity.iter().map(|(group, _)| self.affinity_changed[*group]);
        spread.chain(affinity).max().unwrap_or(0)
    }

    /// A node, and with it its domain where it was the last one there, goes. Its pods must have been taken.
    pub fn remove_node(&mut self, node: NodeId) {
        self.count_node(node, false);
    }

    /// A node that was removed is there again.
    pub fn restore_node(&mut self, node: NodeId) {
        self.count_node(node, true);
    }

    fn count_node(&mut self, node: NodeId, come: bool) {
        self.count_node_where(node, come, |_| true);
    }

    /// Counts a node for the spread constraints over certain keys.
    fn count_node_where(&mut self, node: NodeId, come: bool, counted: impl Fn(&str) -> bool) {
        for number in 0..self.classes.eligibilities.len() {
            let eligibility = &self.classes.eligibilities[number];
            if counted(self.domains.name(eligibility.key)) && self.counts(eligibility, node) {
                let domain = self.domains.of(eligibility.key, node.0);
                self.spread_domains[number].change(domain, come);
                self.changes += 1;
                self.domains_changed[number] = self.changes;
            }
        }
    }

    /// Whether a node counts for the spread constraints of an eligibility.
    pub(super) fn counts(&self, eligibility: &Eligibility, node: NodeId) -> bool {
        let Eligibility { placement, honors_node_affinity, honors_node_taints, .. } = eligibility;
        let refuses =
            |rule: usize| placement.is_some_and(|placement| self.refusing_rules(placement, node) & (1 << rule) != 0);
        eligibility.has_all_keys(&self.domains, node.0)
            && !(*honors_node_affinity && refuses(AFFINITY))
            && !(*honors_node_taints && refuses(TAINTS))
    }

    /// One bit for each rule that looks at a node by itself, set where it refuses.
    pub(super) fn refusing_rules(&self, placement: usize, node: NodeId) -> u8 {
        let asked = &self.classes.placements[placement];
        let shape = (&self.shapes, self.shapes.of(node.0));
        self.verdicts.refusing(placement, asked, shape, |node| self.nodes[node].target())
    }

    /// Whether a node has the labels that one of these terms asks for.
    pub(super) fn reaches(&self, terms: usize, node: NodeId) -> bool {
        let asked = &self.storage.terms[terms];
        let shape = (&self.shapes, self.shapes.of(node.0));
        self.verdicts.reaches(terms, asked, shape, |node| self.nodes[node].target())
    }

    /// A pod of the class comes to the node, whether it may or not.
    pub fn place(&mut self, class: ClassId, node: NodeId) {
        self.settle_pod(class, node, true);
    }

    fn settle_pod(&mut self, class: ClassId, node: NodeId, comes: bool) {
        self.mount(class, node, comes);
        self.take_room(class, node);
        self.count_pod(class, node, true, |_| true);
    }

    fn take_room(&mut self, class: ClassId, node: NodeId) {
        let first = node.0 * self.dimensions();
        let Self { classes, free, ports, .. } = self;
        let Class { requests, ports: taken, .. } = classes.class(class);
        for (resource, amount) in requests {
            let left = &mut free[first + resource];
            *left = left.saturating_sub(*amount);
        }
        ports[node.0].extend(taken.iter().cloned());
    }

    /// A pod that was taken from the node is there again, with the volumes that it had.
    pub fn put_back(&mut self, class: ClassId, node: NodeId) {
        self.settle_pod(class, node, false);
    }

    /// A pod of the class leaves the node.
    pub fn take(&mut self, class: ClassId, node: NodeId) {
        self.unmount(class, node);
        let first = node.0 * self.dimensions();
        let Self { classes, free, ports, .. } = self;
        let Class { requests, ports: taken, .. } = classes.class(class);
        for (resource, amount) in requests {
            let left = &mut free[first + resource];
            *left = left.saturating_add(*amount);
        }
        for port in taken {
            if let Some(at) = ports[node.0].iter().position(|other| other == port) {
                ports[node.0].swap_remove(at);
            }
        }
        self.count_pod(class, node, false, |_| true);
    }

    /// Counts a pod wherever a term of others, or its own anti-affinity, speaks of it, for terms over certain keys.
    pub(super) fn count_pod(&mut self, class: ClassId, node: NodeId, come: bool, counted: impl Fn(&str) -> bool) {
        let seen_by = self.classes.class(class).seen_by;
        self.changes += 1;
        for at in 0..self.classes.seen_by[seen_by].spread.len() {
            let group = self.classes.seen_by[seen_by].spread[at];
            let eligibility = &self.classes.eligibilities[self.classes.spread[group].eligibility];
            if counted(self.domains.name(eligibility.key)) && self.counts(eligibility, node) {
                let domain = self.domains.of(eligibility.key, node.0);
                self.spread[group].change(domain, come);
                self.spread_changed[group] = self.changes;
            }
        }
        let Self { classes, domains, affinity, affinity_changed, anti_affinity, changes, .. } = self;
        let SeenBy { affinity: groups, anti_affinity: terms, .. } = &classes.seen_by[seen_by];
        for group in groups {
            affinity[*group].change(&classes.affinity[*group], domains, node.0, come, &counted);
            affinity_changed[*group] = *changes;
        }
        let speaks = |term: &&usize| counted(domains.name(classes.anti_affinity[**term].key));
        for term in terms.iter().filter(speaks) {
            let domain = domains.of(classes.anti_affinity[*term].key, node.0);
            anti_affinity[*term].matching.change(domain, come);
        }
        for term in classes.class(class).rules.anti_affinity.iter().filter(speaks) {
            let domain = domains.of(classes.anti_affinity[*term].key, node.0);
            anti_affinity[*term].carriers.change(domain, come);
        }
    }
}

impl Storage {
    /// And the volumes that are free at the start, by rack.
    fn of(space: VolumeSpace<'_>, snapshot: &Snapshot) -> (Self, Vec<BTreeSet<usize>>) {
        let (claims, terms, drivers, racked) = space.into_parts();
        let RackedVolumes { sets: rack_sets, terms: rack_terms, volumes: free, terms_of_meant } = racked;
        let limits = snapshot.extras().attach_limits.as_ref();
        let volumes = |node: &Arc<Node>| Some(&limits?.get(&node.name)?.volumes);
        let of_node = |node: &Arc<Node>| match volumes(node) {
            Some(volumes) => drivers.iter().map(|driver| volumes.get(driver).copied()).collect(),
            None => Vec::new(),
        };
        let limited = |node: &Arc<Node>| volumes(node).is_some_and(|volumes| !volumes.is_empty());
        let limited = snapshot.nodes().iter().map(limited).collect();
        let limits = snapshot.nodes().iter().map(of_node).collect();
        (Self { terms, rack_sets, rack_terms, terms_of_meant, claims, drivers, limits, limited }, free)
    }
}
