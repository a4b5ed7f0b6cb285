//! Pods without a node -> the nodes that would let them run, and what they cost.
//!
//! Each class of equal pods gets the node type with the least waste ([`least_waste`]); pods that need the same kind
//! of node share nodes, first fit by decreasing size. Existing nodes come first: a pod that fits one as it is needs
//! no other.

mod bound;
mod launch;
pub mod least_waste;
mod options;
mod pack;
mod pending;
mod pool;
pub mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use bound::{Certificate, LowerBound};
pub use least_waste::{Choice, Fit, NearestMiss};
pub use options::{Options, TypeFilter};
pub use pending::Ignored;
pub use pool::Pool;
pub use shape::{Shape, ShapeError};

use crate::model::{Catalog, Placement, Pod, PodName, Resources};
use crate::snapshot::Snapshot;
use crate::units::Money;
use launch::{Daemons, Launch};
use pack::PlannedNodes;
use pending::{Need, need};
use shape::Shaper;

/// What to add to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One for each pending pod, by namespace and name.
    pub pods: Vec<PodPlan>,
    /// Nodes to add, in the order of their names.
    pub nodes: Vec<PlannedNode>,
    /// The kinds of nodes that pods need, by name.
    pub pools: BTreeMap<String, Pool>,
}

/// What becomes of one pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A planned node runs it.
    Planned {
        /// Name of the planned node.
        node: String,
        /// Name of the kind of node, in [`Plan::pools`].
        pool: String,
        /// How the node type was chosen for this pod by itself; shared by all pods of its class.
        choice: Arc<Choice>,
    },
    /// This existing node has room for it as it is.
    FitsExisting {
        /// Name of the node.
        node: String,
    },
    /// No node type can run it.
    Unplaceable(Arc<Unplaceable>),
    /// Nothing is planned for it.
    Ignored(Ignored),
}

/// Why no node type can run a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplaceable {
    /// No new node can have the labels that it asks for.
    Shape {
        /// Why not.
        error: ShapeError,
        /// The node type that comes nearest: the one that would do without that label.
        nearest: Option<String>,
    },
    /// Every node type is too small or of the wrong labels.
    NoType(NearestMiss),
    /// The options leave no node type at all.
    NoTypes,
}

/// A node to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedNode {
    /// `planned-0001` …
    pub name: String,
    /// Node type.
    pub instance_type: String,
    /// Zone.
    pub zone: String,
    /// Capacity type.
    pub capacity_type: String,
    /// Per hour; `None` where it is not known.
    pub price_per_hour: Option<Money>,
    /// Name of its kind, in [`Plan::pools`].
    pub pool: String,
    /// What pods, daemon pods included, may request of it.
    pub allocatable: Resources,
    /// What its daemon pods request.
    pub daemon_requests: Resources,
    /// The pods it is for, by namespace and name.
    pub pods: Vec<PodName>,
}

impl Plan {
    /// What all planned nodes cost per hour; `None` where one price is not known.
    #[must_use]
    pub fn cost_per_hour(&self) -> Option<Money> {
        self.nodes.iter().map(|node| node.price_per_hour).sum()
    }

    /// How many pods have a verdict of this kind.
    #[must_use]
    pub fn count(&self, of_kind: impl Fn(&Verdict) -> bool) -> usize {
        self.pods.iter().filter(|planned| of_kind(&planned.verdict)).count()
    }
}

/// Plans nodes for the pods that need one.
///
/// Let `p` pods need a node, in `c` classes of equal pods, `n` nodes exist, `t` launches (type × offering) be allowed, and
/// `d` DaemonSets run: `O(t·d + c·t + p·n)`.
#[must_use]
pub fn plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    let mut verdicts: BTreeMap<&PodName, Verdict> = BTreeMap::new();
    for pod in snapshot.pods() {
        if let Need::None(ignored) = need(pod) {
            verdicts.insert(&pod.name, Verdict::Ignored(ignored));
        }
    }
    let OnExisting { fitting, rest } = place_on_existing(snapshot);
    for (pod, node) in fitting {
        verdicts.insert(&pod.name, Verdict::FitsExisting { node });
    }
    let mut choices = choose_by_class(&rest, snapshot, catalog, options);
    let mut planned = PlannedNodes::default();
    for pod in rest {
        let Some(class) = choices.get_mut(&Class::of(pod)) else { continue };
        let verdict = match &class.choice {
            Ok(choice) => {
                let pool = class.pool.get_or_insert_with(|| planned.pool(choice, catalog));
                planned.place(pod, choice, pool, &mut class.cursor)
            }
            Err(unplaceable) => Verdict::Unplaceable(Arc::clone(unplaceable)),
        };
        verdicts.insert(&pod.name, verdict);
    }
    let pods = snapshot.pods().iter().filter_map(|pod| {
        let verdict = verdicts.remove(&pod.name)?;
        Some(PodPlan { pod: Arc::clone(pod), verdict })
    });
    let pods = pods.collect();
    let (nodes, pools) = planned.into_parts();
    Plan { pods, nodes, pools }
}

/// Which unschedulable pods need no new node. Both lists are in order of urgency.
#[derive(Debug, Default)]
pub struct OnExisting<'a> {
    /// Those that fit existing nodes as they are, all together, each with its node.
    pub fitting: Vec<(&'a Arc<Pod>, String)>,
    /// Those that do not.
    pub rest: Vec<&'a Arc<Pod>>,
}

/// Finds room on existing nodes for the unschedulable pods.
#[must_use]
pub fn place_on_existing(snapshot: &Snapshot) -> OnExisting<'_> {
    let mut waiting: Vec<&Arc<Pod>> = snapshot.pods().iter().filter(|pod| need(pod) == Need::Node).collect();
    waiting.sort_by(|left, right| pack::most_urgent_first(left, right));
    let mut existing = pack::ExistingNodes::of(snapshot);
    let mut placed = OnExisting::default();
    for pod in waiting {
        match existing.place(pod) {
            Some(node) => placed.fitting.push((pod, node)),
            None => placed.rest.push(pod),
        }
    }
    placed
}

/// Pods that no rule can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class<'a> {
    requests: &'a Resources,
    placement: &'a Placement,
}

impl<'a> Class<'a> {
    fn of(pod: &'a Pod) -> Self {
        Self { requests: &pod.requests, placement: &pod.placement }
    }
}

type Choices<'a> = BTreeMap<Class<'a>, ClassPlan>;

/// What is decided once for a whole class.
struct ClassPlan {
    choice: Result<Arc<Choice>, Arc<Unplaceable>>,
    /// Name of the kind of node, once one pod has needed it.
    pool: Option<String>,
    cursor: pack::Cursor,
}

fn choose_by_class<'a>(
    pods: &[&'a Arc<Pod>],
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
) -> Choices<'a> {
    let mut choices = Choices::new();
    if pods.is_empty() {
        return choices;
    }
    let daemons = Daemons::of(snapshot);
    let launches = launch::launches(catalog, options, &daemons);
    let shaper = Shaper::new(catalog, options::default_requirements(options, snapshot));
    for pod in pods {
        let class = Class::of(pod);
        let choice = || choose(class, &launches, &daemons, &shaper).map(Arc::new).map_err(Arc::new);
        choices.entry(class).or_insert_with(|| ClassPlan { choice: choice(), pool: None, cursor: 0 });
    }
    choices
}

fn choose(
    class: Class<'_>,
    launches: &[Launch<'_>],
    daemons: &Daemons,
    shaper: &Shaper<'_>,
) -> Result<Choice, Unplaceable> {
    let among = |shapes: Vec<Shape>| {
        let with_placement = |shape: Shape| {
            let placement = shape.placement(&class.placement.tolerations);
            (shape, placement)
        };
        let alternatives: Vec<(Shape, Placement)> = shapes.into_iter().map(with_placement).collect();
        least_waste::choose(class.requests, &alternatives, launches, daemons)
    };
    match shaper.shapes(class.placement) {
        Ok(alternatives) => among(alternatives).map_err(|miss| miss.map_or(Unplaceable::NoTypes, Unplaceable::NoType)),
        Err(error) => {
            // What would do, were it not for the label that no new node can have.
            let nearest = match among(vec![shaper.any_shape()]) {
                Ok(choice) => Some(choice.best.instance_type),
                Err(miss) => miss.map(|miss| miss.instance_type),
            };
            Err(Unplaceable::Shape { error, nearest })
        }
    }
}
