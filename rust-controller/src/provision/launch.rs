//! Nodes as they would join: each node type in each of its offerings, with the labels of its `NodePool`.
//!
//! Rules see little of a type. Launches that they do not tell apart are one series, of which one node is in the simulation:
//! there are hundreds of types, and pods may ask for hundreds of sets of labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::daemons::hold_daemons;
use super::demands::{Demands, ShapeClass};
use super::existing::Waiting;
use super::{Options, Shape, ShapeError};
use crate::feasibility::{ClassId, Guise, InGuise, NewNode, NodeId, Simulation, Target};
use crate::model::{Catalog, Labels, NodeType, Offering, Pod, PodName, Resources, Taint};
use crate::units::FastMap;

/// A node type in one of its offerings, with the labels that a `NodePool` adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Launch<'a> {
    pub(super) kind: &'a NodeType,
    pub(super) offering: &'a Offering,
    pub(super) series: &'a Series,
    /// Position among all launches.
    pub(super) position: usize,
    offered: &'a Offered<'a>,
}

/// Launches in one zone that no rule tells apart: they differ in type, price and room.
#[derive(Debug)]
pub(super) struct Series {
    /// Position among all series.
    pub(super) number: usize,
    /// Stands for a node of any of them as it would join, with room held for its daemon pods.
    pub(super) node: NodeId,
    /// Labels that the `NodePool` adds.
    pub(super) template_labels: Arc<Labels>,
    /// Taints that come with them.
    pub(super) taints: Arc<[Taint]>,
    /// Positions of the sets of its daemon pods among [`Launches::daemons`].
    pub(super) daemons: Vec<usize>,
    /// What these pods request, by number of the resource.
    held: Vec<i64>,
}

/// A node type in one of its offerings.
#[derive(Debug)]
struct Offered<'a> {
    kind: &'a NodeType,
    offering: &'a Offering,
    /// Number of the type.
    number_of_type: usize,
    labels: Arc<Labels>,
    allocatable: Arc<Resources>,
    /// The same, and slots for volumes, by number.
    amounts: Vec<i64>,
    /// Resources of which something may be wasted, with how much of each there is, and the number; none for one that no pod
    /// requests.
    wasted: Vec<(&'a str, u64, Option<usize>)>,
}

/// Every way to launch a node.
#[derive(Debug)]
pub(super) struct Launches<'a> {
    /// In the catalog's order.
    offered: Vec<Offered<'a>>,
    /// By position there, the guise: what rules see of it without labels that a `NodePool` adds.
    guise_of: Vec<usize>,
    /// By guise, its positions.
    in_guise: Vec<Vec<usize>>,
    /// Sets of labels that a `NodePool` adds, by number.
    labels: BTreeMap<Arc<Labels>, usize>,
    /// By number of the labels, and then by guise.
    series: Vec<Series>,
    /// By guise, positions of those that no other beats: one beats another that costs more and has no more room of anything.
    worthwhile: Vec<Vec<usize>>,
    demands: &'a Demands<'a>,
}

/// What launches are made of: a catalog, the options that allow them, and the zones, if they are not to be in all.
pub(super) type Source<'a, 'o> = (&'a Catalog, &'o Options, Option<&'o BTreeSet<&'o str>>);

impl<'a> Launches<'a> {
    /// Each type in each offering, or each in certain zones, with each of these sets of labels.
    pub(super) fn of(
        labels: BTreeSet<Labels>,
        (catalog, options, zones): Source<'a, '_>,
        demands: &'a Demands<'a>,
        simulation: &mut Simulation,
    ) -> Self {
        let mut offered: Vec<Offered<'a>> = Vec::new();
        let is_in_zones = |offering: &Offering| zones.is_none_or(|zones| zones.contains(offering.zone.as_str()));
        for (kind, offering) in options.allowed(catalog).filter(|(_, offering)| is_in_zones(offering)) {
            let number_of_type =
                offered.last().map_or(0, |last| last.number_of_type + usize::from(last.kind.name != kind.name));
            let allocatable = Arc::new(options.usable(&kind.allocatable));
            let amounts = simulation.amounts(&allocatable, &kind.attach_limits);
            let labels = Arc::new(kind.labels_as(offering));
            let wasted = wasted(kind, simulation);
            offered.push(Offered { kind, offering, number_of_type, labels, allocatable, amounts, wasted });
        }
        let (guise_of, in_guise) = guises(&offered, simulation);
        let labels = labels.into_iter().map(Arc::new).zip(0..).collect();
        let worthwhile = in_guise.iter().map(|positions| worthwhile(positions, &offered)).collect();
        let mut launches = Self { offered, guise_of, in_guise, labels, series: Vec::new(), worthwhile, demands };
        let all_labels: Vec<Arc<Labels>> = launches.labels.keys().cloned().collect();
        for template_labels in all_labels {
            let taints = demands.set_apart.taints_of(&template_labels);
            for guise in 0..launches.in_guise.len() {
                let series = launches.first_of(guise, (&template_labels, &taints), simulation);
                launches.series.push(series);
            }
        }
        launches
    }

    /// The next series: that of a guise with labels, and the taints that come with them.
    fn first_of(
        &self,
        guise: usize,
        (template_labels, taints): (&Arc<Labels>, &Arc<[Taint]>),
        simulation: &mut Simulation,
    ) -> Series {
        let first = &self.offered[self.in_guise[guise][0]];
        let node = simulation.add_new_node(first.new_node(template_labels, taints));
        let daemons = hold_daemons(simulation, &self.demands.daemon_classes, node);
        let held = first.amounts.iter().zip(simulation.room(node)).map(|(all, left)| all.saturating_sub(*left));
        Series {
            number: self.series.len(),
            held: held.collect(),
            node,
            template_labels: Arc::clone(template_labels),
            taints: Arc::clone(taints),
            daemons,
        }
    }

    /// Every launch: by the labels of its `NodePool`, in the catalog's order.
    pub(super) fn all(&'a self) -> impl Iterator<Item = Launch<'a>> {
        let all_offered = 0..self.offered.len();
        (0..self.labels.len()).flat_map(move |labels| all_offered.clone().map(move |at| self.launch(labels, at)))
    }

    /// The launch of an offering with a set of labels.
    fn launch(&'a self, labels: usize, at: usize) -> Launch<'a> {
        let offered = &self.offered[at];
        Launch {
            kind: offered.kind,
            offering: offered.offering,
            series: &self.series[labels * self.in_guise.len() + self.guise_of[at]],
            position: labels * self.offered.len() + at,
            offered,
        }
    }

    /// Every series.
    pub(super) fn series(&self) -> &[Series] {
        &self.series
    }

    /// Every series with the labels of a shape.
    pub(super) fn with_labels(&self, shape: &Shape) -> &[Series] {
        self.labels.get(&shape.template_labels).map_or(&[], |labels| self.with_label_set(*labels))
    }

    /// The number of the labels that the `NodePool` adds.
    pub(super) fn number_of_labels(&self, series: &Series) -> usize {
        series.number / self.in_guise.len().max(1)
    }

    /// The same for the labels of a shape, if there are launches with them.
    pub(super) fn number_of_shape(&self, shape: &Shape) -> Option<usize> {
        self.labels.get(&shape.template_labels).copied()
    }

    /// Every series with the labels of this number.
    pub(super) fn with_label_set(&self, labels: usize) -> &[Series] {
        let guises = self.in_guise.len();
        &self.series[labels * guises..(labels + 1) * guises]
    }

    /// The sets of labels that a `NodePool` adds, in the order of their numbers.
    pub(super) fn all_labels(&self) -> impl Iterator<Item = &Labels> {
        self.labels.keys().map(|labels| &**labels)
    }

    /// How many sets of labels there are.
    pub(super) fn label_sets(&self) -> usize {
        self.labels.len()
    }

    /// How many types there are.
    pub(super) fn type_count(&self) -> usize {
        self.offered.last().map_or(0, |last| last.number_of_type + 1)
    }

    /// The guise that the launches of a series have without labels.
    pub(super) fn guise(&self, series: &Series) -> usize {
        series.number % self.in_guise.len().max(1)
    }

    /// How many guises there are.
    pub(super) fn guise_count(&self) -> usize {
        self.in_guise.len()
    }

    /// The launches of a series, in the catalog's order.
    pub(super) fn of_series(&'a self, series: &Series) -> impl Iterator<Item = Launch<'a>> {
        let labels = self.number_of_labels(series);
        self.in_guise[self.guise(series)].iter().map(move |at| self.launch(labels, *at))
    }

    /// The launches of a series that no other of it beats.
    pub(super) fn worthwhile(&'a self, series: &Series) -> impl Iterator<Item = Launch<'a>> {
        let labels = self.number_of_labels(series);
        self.worthwhile[self.guise(series)].iter().map(move |at| self.launch(labels, *at))
    }

    /// Every launch without labels, in the catalog's order.
    pub(super) fn without_template_labels(&'a self) -> impl Iterator<Item = Launch<'a>> {
        let no_labels = self.labels.get(&Labels::new()).copied();
        no_labels.into_iter().flat_map(move |labels| (0..self.offered.len()).map(move |at| self.launch(labels, at)))
    }

    /// Those, and all others of which the daemon pods request something else.
    pub(super) fn with_rooms_of_their_own(&'a self) -> impl Iterator<Item = Launch<'a>> {
        // Their labels are the first, since they are none.
        let own = |series: &&Series| series.held != self.series[self.guise(series)].held;
        let others = self.series.iter().filter(own).flat_map(|series| self.of_series(series));
        self.without_template_labels().chain(others)
    }

    /// The node that stands for each series.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.series.iter().map(|series| series.node)
    }

    /// What a new node must be for a pod.
    pub(super) fn shapes(&self, pod: &Pod) -> Result<&'a [ShapeClass], &'a ShapeError> {
        self.demands.shapes(pod)
    }

    /// What a pod that asks for no labels needs, and the class that this pod would be of if it asked for none.
    pub(super) fn without_labels(&self, pod: &Pod) -> Option<(&'a ShapeClass, ClassId)> {
        self.demands.without_labels(pod)
    }

    /// Whether a node that could join has one of the shapes that a pod of the class asks for, and what it needs, room aside.
    pub(super) fn suits(
        &self,
        Waiting { pod, class, .. }: &Waiting<'_>,
        node: NodeId,
        simulation: &Simulation,
    ) -> bool {
        simulation.meets_needs(*class, node) && self.are_asked_for(pod, node, simulation)
    }

    /// Whether a node that could join has one of the shapes that a pod asks for.
    pub(super) fn are_asked_for(&self, pod: &Pod, node: NodeId, simulation: &Simulation) -> bool {
        self.shapes(pod).unwrap_or_default().iter().any(|shape| shape.is_of(simulation, node))
    }

    /// A pod for each `DaemonSet`.
    pub(super) fn daemons(&self) -> &[Arc<Pod>] {
        &self.demands.daemons
    }

    /// What the daemon pods of a launch request together.
    pub(super) fn daemon_requests(&self, launch: Launch<'_>) -> Resources {
        Resources::sum(launch.series.daemons.iter().map(|position| &self.demands.daemons[*position].requests))
    }

    /// Namespaces and names of their sets.
    pub(super) fn daemon_sets(&self, launch: Launch<'_>) -> Vec<PodName> {
        launch.series.daemons.iter().map(|position| self.demands.daemons[*position].name.clone()).collect()
    }
}

/// What a node has by which waste is measured: CPU, memory and extended resources.
fn wasted<'a>(kind: &'a NodeType, simulation: &Simulation) -> Vec<(&'a str, u64, Option<usize>)> {
    let amounts = kind.allocatable.amounts();
    let counted = amounts.filter(|(name, amount)| *amount > 0 && !matches!(*name, "pods" | "ephemeral-storage"));
    let number = |name: &str| simulation.resources().iter().position(|other| other == name);
    counted.map(|(name, amount)| (name, amount, number(name))).collect()
}

/// Those of some offerings that no other beats. Daemon pods take the same of all of them.
fn worthwhile(positions: &[usize], offered: &[Offered<'_>]) -> Vec<usize> {
    let price = |at: &usize| offered[*at].offering.price_per_hour;
    let mut by_price = positions.to_vec();
    by_price.sort_by_key(|at| (price(at).is_none(), price(at)));
    let mut kept: Vec<usize> = Vec::new();
    for at in by_price {
        let beats = |other: &usize| {
            let rooms = offered[*other].amounts.iter().zip(&offered[at].amounts);
            price(other) != price(&at) && rooms.into_iter().all(|(other, own)| other >= own)
        };
        // The one that beats it most often is the last one.
        if !kept.iter().rev().any(beats) {
            kept.push(at);
        }
    }
    kept.sort_unstable();
    kept
}

/// The guise of each offering in its zone, and the positions of those in each.
fn guises(offered: &[Offered<'_>], simulation: &Simulation) -> (Vec<usize>, Vec<Vec<usize>>) {
    let (no_labels, no_taints) = (Arc::new(Labels::new()), Arc::default());
    let mut numbers: FastMap<(Guise, &str), usize> = FastMap::default();
    let mut in_guise: Vec<Vec<usize>> = Vec::new();
    let mut guise_of = Vec::with_capacity(offered.len());
    for (position, each) in offered.iter().enumerate() {
        let guise = simulation.guise(&each.new_node(&no_labels, &no_taints));
        let number = *numbers.entry((guise, &each.offering.zone)).or_insert_with(|| {
            in_guise.push(Vec::new());
            in_guise.len() - 1
        });
        in_guise[number].push(position);
        guise_of.push(number);
    }
    (guise_of, in_guise)
}

impl Offered<'_> {
    fn new_node(&self, template_labels: &Arc<Labels>, taints: &Arc<[Taint]>) -> NewNode {
        NewNode {
            labels: Arc::clone(&self.labels),
            template_labels: Arc::clone(template_labels),
            taints: Arc::clone(taints),
            allocatable: Arc::clone(&self.allocatable),
            attach_limits: Arc::clone(&self.kind.attach_limits),
        }
    }
}

impl<'a> Launch<'a> {
    /// The node that stands for its series.
    pub(super) fn node(self) -> NodeId {
        self.series.node
    }

    /// Number of its type.
    pub(super) fn number_of_type(self) -> usize {
        self.offered.number_of_type
    }

    /// Labels that its `NodePool` adds.
    pub(super) fn template_labels(self) -> &'a Labels {
        &self.series.template_labels
    }

    /// Taints that its `NodePool` adds.
    pub(super) fn taints(self) -> &'a [Taint] {
        &self.series.taints
    }

    /// What the rules about one node look at.
    pub(super) fn target(self) -> Target<'a> {
        let (template_labels, taints) = (self.template_labels(), self.taints());
        Target { template_labels, taints, ..Target::new(&self.offered.labels) }
    }

    /// What pods may request of it, less what its daemon pods take, by number of the resource.
    pub(super) fn room(self) -> Vec<i64> {
        let amounts = self.offered.amounts.iter().zip(&self.series.held);
        amounts.map(|(amount, held)| amount.saturating_sub(*held)).collect()
    }

    /// Whether this is its room.
    pub(super) fn has_room(self, room: &[i64]) -> bool {
        let own = self.offered.amounts.iter().zip(&self.series.held).map(|(amount, held)| amount.saturating_sub(*held));
        own.eq(room.iter().copied())
    }

    /// Whether it has so much room.
    pub(super) fn fits(self, requests: &[(usize, i64)]) -> bool {
        let room = |resource: usize| self.offered.amounts[resource].saturating_sub(self.series.held[resource]);
        requests.iter().all(|(resource, amount)| *amount <= room(*resource))
    }

    /// By name of each resource of which something may be wasted, how much there is of it, and how much daemon pods leave.
    pub(super) fn shares(self) -> impl Iterator<Item = (&'a str, u64, u64)> {
        let Self { offered: Offered { amounts, wasted, .. }, series, .. } = self;
        wasted.iter().map(|(name, amount, number)| {
            // A resource that nobody requests is all left.
            let left = |number: usize| amounts[number].saturating_sub(series.held[number]);
            let free = number.map_or(*amount, |number| u64::try_from(left(number)).unwrap_or(0));
            (*name, *amount, free)
        })
    }

    /// The node that stands for its series, with its own labels and room.
    pub(super) fn in_guise(self, room: &'a [i64]) -> InGuise<'a> {
        InGuise { node: self.node(), target: self.target(), room }
    }

    /// Such a node joins.
    pub(super) fn join(self, simulation: &mut Simulation) -> NodeId {
        simulation.join(self.offered.new_node(&self.series.template_labels, &self.series.taints), self.node())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Shaper, default_requirements, demands};
    use super::*;
    use crate::{catalog, lower};

    const WORKLOADS: usize = 40;

    /// However many labels pods ask for, rules see of hundreds of types no more than zones and architectures.
    #[test]
    fn one_node_stands_for_all_launches_that_rules_do_not_tell_apart() {
        let pod = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}}}\nspec: {{nodeSelector: {{team: t-{at}}}, containers: \
                 [{{name: c}}]}}\nstatus: {{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', reason: \
                 Unschedulable}}]}}\n"
            )
        };
        let manifest = lower::parse_manifest(&(0..WORKLOADS).map(pod).collect::<String>()).unwrap();
        let (snapshot, options) = (manifest.into_snapshot(), Options::default());
        let catalog = catalog::builtin("aws").unwrap();
        let shaper = Shaper::new(&catalog, default_requirements(&options, &snapshot));
        let (mut simulation, demands) = demands::simulate(&snapshot, &shaper, snapshot.nodes());
        let pods = snapshot.pods().iter().map(|pod| &**pod);
        let launches = demands.launches(pods, (&catalog, &options, None), &mut simulation);
        let zones: BTreeSet<&str> = launches.all().map(|launch| &*launch.offering.zone).collect();
        let architectures = 2;
        assert_eq!(launches.nodes().count(), (WORKLOADS + 1) * zones.len() * architectures);
        assert!(launches.all().count() > 50 * launches.nodes().count(), "hundreds of types in each zone");
        let room = |launch: Launch<'_>| simulation.amounts(&launch.kind.allocatable, &launch.kind.attach_limits);
        assert!(launches.all().all(|launch| launch.room() == room(launch)), "each has its own room");
    }
}
