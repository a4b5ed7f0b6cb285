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
    Shape(ShapeError),
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
/// Let `p` pods need a node, in `c` classes of equal pods, `n` nodes exist, `t` launches (type × offering) be allowed:
/// `O(c·t + p·(n + planned nodes of the pod's kind))`.
#[must_use]
pub fn plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    let mut verdicts: BTreeMap<PodName, Verdict> = BTreeMap::new();
    let mut waiting: Vec<&Arc<Pod>> = Vec::new();
    for pod in snapshot.pods() {
        match need(pod) {
            Need::Node => waiting.push(pod),
            Need::None(ignored) => drop(verdicts.insert(pod.name.clone(), Verdict::Ignored(ignored))),
            Need::NotPending => {}
        }
    }
    waiting.sort_by(|left, right| pack::most_urgent_first(left, right));
    let mut rest = Vec::new();
    let mut existing = pack::ExistingNodes::of(snapshot);
    for pod in waiting {
        match existing.place(pod) {
            Some(node) => drop(verdicts.insert(pod.name.clone(), Verdict::FitsExisting { node })),
            None => rest.push(pod),
        }
    }
    let choices = choose_by_class(&rest, snapshot, catalog, options);
    let mut planned = pack::PlannedNodes::new(catalog);
    for pod in rest {
        let verdict = match &choices[&Class::of(pod)] {
            Ok(choice) => planned.place(pod, choice),
            Err(unplaceable) => Verdict::Unplaceable(Arc::clone(unplaceable)),
        };
        verdicts.insert(pod.name.clone(), verdict);
    }
    let pods = snapshot.pods().iter().filter_map(|pod| {
        let verdict = verdicts.remove(&pod.name)?;
        Some(PodPlan { pod: Arc::clone(pod), verdict })
    });
    let pods = pods.collect();
    let (nodes, pools) = planned.into_parts();
    Plan { pods, nodes, pools }
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

type Choices<'a> = BTreeMap<Class<'a>, Result<Arc<Choice>, Arc<Unplaceable>>>;

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
        choices.entry(class).or_insert_with(choice);
    }
    choices
}

fn choose(
    class: Class<'_>,
    launches: &[Launch<'_>],
    daemons: &Daemons,
    shaper: &Shaper<'_>,
) -> Result<Choice, Unplaceable> {
    let alternatives = shaper.shapes(class.placement).map_err(Unplaceable::Shape)?;
    let with_placement = |shape: Shape| {
        let placement = shape.placement(class.placement);
        (shape, placement)
    };
    let alternatives: Vec<(Shape, Placement)> = alternatives.into_iter().map(with_placement).collect();
    least_waste::choose(class.requests, &alternatives, launches, daemons)
        .map_err(|miss| miss.map_or(Unplaceable::NoTypes, Unplaceable::NoType))
}
