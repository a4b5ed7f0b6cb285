//! What the pods that need a node ask of new ones: labels, of which each set makes launches of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::daemons::daemon_pods;
use super::label_sets::label_sets;
use super::launch::{Launches, Source};
use super::pending::{Need, need};
use super::set_apart::SetApart;
use super::{Shape, ShapeError, Shaper};
use crate::feasibility::{ClassId, InGuise, NodeId, Refusal, Simulation};
use crate::model::{
    Eviction, Labels, Neighbours, Node, Phase, Placement, Pod, PodName, Resources, SchedulingState, Toleration,
};
use crate::snapshot::Snapshot;

/// What the pods that need a node ask of new ones.
#[derive(Debug)]
pub(super) struct Demands<'a> {
    /// A pod for each `DaemonSet`.
    pub(super) daemons: Vec<Arc<Pod>>,
    pub(super) daemon_classes: Vec<ClassId>,
    /// Taints that come with the labels that they ask for.
    pub(super) set_apart: SetApart,
    /// By placement of the pods that need a node, what a new node must be for them.
    of_placement: ByPlacement<'a, ShapeClass>,
    /// What a pod that asks for no labels needs.
    any_shape: ShapeClass,
    /// Pods of which no new node can have the labels: the class that they would be of if they asked for none.
    without_labels: BTreeMap<Bare<'a>, Option<ClassId>>,
}

/// What a new node must be for the pods of a placement.
type ByPlacement<'a, S> = BTreeMap<&'a Placement, Result<Vec<S>, ShapeError>>;

/// What tells pods apart once their labels are left out.
type Bare<'a> = (&'a Placement, &'a Resources);

/// A shape, and a class of pods that ask for just that.
#[derive(Clone, Debug)]
pub(super) struct ShapeClass {
    pub(super) shape: Shape,
    class: Option<ClassId>,
}

/// The cluster, and what could join it for the sake of the pods that need a node. Some nodes tell which labels come with taints.
pub(super) fn simulate<'a>(
    snapshot: &'a Snapshot,
    shaper: &Shaper<'_>,
    telling: &[Arc<Node>],
) -> (Simulation, Demands<'a>) {
    let waiting: Vec<&Arc<Pod>> = snapshot.pods().iter().filter(|pod| need(pod) == Need::Node).collect();
    simulate_for(&waiting, (snapshot, daemon_pods(snapshot)), shaper, telling)
}

/// The same for any pods of the snapshot, be they on nodes or not, and a pod for each of some `DaemonSet`s.
pub(super) fn simulate_for<'a>(
    waiting: &[&'a Arc<Pod>],
    (snapshot, daemons): (&Snapshot, Vec<Arc<Pod>>),
    shaper: &Shaper<'_>,
    telling: &[Arc<Node>],
) -> (Simulation, Demands<'a>) {
    let mut models = Models { pods: daemons.clone() };
    let of_placement = models.shapes(waiting, shaper);
    let without_labels = models.without_labels(waiting, &of_placement, shaper);
    let any_shape = models.shape(shaper.any_shape(), &Placement::default());
    let set_apart = SetApart::of(telling, asked_labels(&of_placement));
    let simulation = Simulation::with_more_pods(snapshot, &models.pods, set_apart.taints());

    let class_of = |position: usize| simulation.class_of_more(position);
    let daemon_classes = (0..daemons.len()).filter_map(class_of).collect();
    let classed = |(shape, position): (Shape, usize)| ShapeClass { shape, class: class_of(position) };
    let of_placement = of_placement
        .into_iter()
        .map(|(placement, found)| (placement, found.map(|found| found.into_iter().map(classed).collect())))
        .collect();
    let any_shape = classed(any_shape);
    let without_labels = without_labels.into_iter().map(|(bare, position)| (bare, class_of(position))).collect();
    (simulation, Demands { daemons, daemon_classes, set_apart, of_placement, any_shape, without_labels })
}

/// The labels of each shape, and what the pods tolerate that have it.
fn asked_labels<'p>(
    of_placement: &'p ByPlacement<'_, (Shape, usize)>,
) -> impl Iterator<Item = (&'p Labels, &'p [Toleration])> {
    of_placement.iter().flat_map(|(placement, found)| {
        let shapes = found.iter().flatten();
        shapes.map(|(shape, _)| (&shape.template_labels, placement.tolerations.as_slice()))
    })
}

impl<'a> Demands<'a> {
    /// What could be launched for some of the pods: each type in each offering, without labels and with each set that one of
    /// these pods asks for, or several together. Pods for which there is room already would only make launches that nobody needs.
    pub(super) fn launches<'p>(
        &'a self,
        pods: impl IntoIterator<Item = &'p Pod>,
        from: Source<'a, '_>,
        simulation: &mut Simulation,
    ) -> Launches<'a> {
        let (mut placements, mut spread_keys) = (BTreeSet::new(), BTreeSet::new());
        for pod in pods {
            placements.insert(&pod.placement);
            spread_keys.extend(pod.neighbours.spread.iter().map(|constraint| constraint.topology_key.as_str()));
        }
        let shapes = placements.iter().filter_map(|placement| self.of_placement.get(placement)).flatten().flatten();
        let labels = label_sets(shapes.map(|class| &class.shape), &spread_keys);
        Launches::of(labels, from, self, simulation)
    }
}

/// Pods that run nowhere, each of which stands for a class that the simulation shall know.
struct Models {
    pods: Vec<Arc<Pod>>,
}

impl Models {
    fn add(&mut self, pod: Pod) -> usize {
        self.pods.push(Arc::new(pod));
        self.pods.len() - 1
    }

    /// Each placement's shapes, each with the position of its model.
    fn shapes<'a>(&mut self, waiting: &[&'a Arc<Pod>], shaper: &Shaper<'_>) -> ByPlacement<'a, (Shape, usize)> {
        let mut of_placement = BTreeMap::new();
        for pod in waiting {
            let placement = &pod.placement;
            of_placement.entry(placement).or_insert_with(|| {
                let found = shaper.shapes(placement)?;
                Ok(found.into_iter().map(|shape| self.shape(shape, placement)).collect())
            });
        }
        of_placement
    }

    /// A pod that asks for nothing but a node of this shape, and tolerates what another placement does.
    fn shape(&mut self, shape: Shape, like: &Placement) -> (Shape, usize) {
        let placement = shape.placement(&like.tolerations);
        let position = self.add(Pod { placement, ..nobody() });
        (shape, position)
    }

    /// The pods of which no new node can have the labels, as if they asked for none.
    fn without_labels<'a>(
        &mut self,
        waiting: &[&'a Arc<Pod>],
        of_placement: &ByPlacement<'_, (Shape, usize)>,
        shaper: &Shaper<'_>,
    ) -> BTreeMap<Bare<'a>, usize> {
        let mut without_labels = BTreeMap::new();
        for pod in waiting.iter().filter(|pod| of_placement.get(&pod.placement).is_some_and(Result::is_err)) {
            without_labels.entry((&pod.placement, &pod.requests)).or_insert_with(|| {
                let placement = shaper.any_shape().placement(&pod.placement.tolerations);
                self.add(Pod { placement, ..Pod::clone(pod) })
            });
        }
        without_labels
    }
}

/// A pod that asks for nothing.
fn nobody() -> Pod {
    Pod {
        name: PodName { namespace: String::new(), name: String::new() },
        labels: Labels::new(),
        owner: None,
        requests: Resources::default(),
        priority: 0,
        placement: Placement::default(),
        neighbours: Neighbours::default(),
        preferences: None,
        host_ports: Vec::new(),
        volumes: Vec::new(),
        claims_devices: false,
        phase: Phase::Pending,
        scheduling: SchedulingState::Unjudged,
        deleting: false,
        mirror: false,
        eviction: Eviction::default(),
    }
}

impl Demands<'_> {
    /// What a new node must be for a pod.
    pub(super) fn shapes(&self, pod: &Pod) -> Result<&[ShapeClass], &ShapeError> {
        match self.of_placement.get(&pod.placement) {
            Some(found) => found.as_deref(),
            None => Ok(&[]),
        }
    }

    /// What a pod that asks for no labels needs, and the class that this pod would be of if it asked for none.
    pub(super) fn without_labels(&self, pod: &Pod) -> Option<(&ShapeClass, ClassId)> {
        let class = self.without_labels.get(&(&pod.placement, &pod.requests)).copied().flatten()?;
        Some((&self.any_shape, class))
    }
}

impl ShapeClass {
    /// Whether a node that could join is of this shape.
    pub(super) fn is_of(&self, simulation: &Simulation, node: NodeId) -> bool {
        self.class.is_some_and(|class| simulation.admits(class, node))
    }

    /// Why it is not.
    pub(super) fn refusal(&self, simulation: &Simulation, node: InGuise<'_>) -> Option<Refusal> {
        simulation.refusal_in(self.class?, node)
    }
}
