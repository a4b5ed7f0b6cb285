//! Pods without a node -> the nodes that would let them run, and what they cost.
//!
//! Each class of equal pods gets the node type with the least waste ([`least_waste`]); pods that need the same kind
//! of node share nodes, first fit by decreasing size. Existing nodes come first: a pod that fits one as it is needs
//! no other.

mod bound;
mod daemons;
mod existing;
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
pub use existing::{
    ExistingMisses, NodeVerdicts, OnExisting, place_on_existing, place_until_nothing_changes, verdicts_on_existing,
};
pub use least_waste::{Choice, Fit, NearestMiss};
pub use options::{Options, TypeFilter};
pub use pending::Ignored;
pub use pool::Pool;
pub use shape::{Shape, ShapeError};

use crate::feasibility::Rule;
use crate::model::{Catalog, Pod, PodName, Resources};
use crate::snapshot::Snapshot;
use crate::units::Money;
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
    /// Positions in [`Plan::pods`] of those that get a node, in an order in which the scheduler can place them one by one:
    /// first those that fit existing nodes, then, once all planned nodes are there, the others.
    pub placements: Vec<usize>,
}

/// What becomes of one pending pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// The pod.
    pub pod: Arc<Pod>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why no existing node takes it; for pods that fit none.
    pub existing: Option<Arc<ExistingMisses>>,
    /// Rules that could not be checked for it, since nobody could read what they look at.
    pub unchecked_rules: Vec<Rule>,
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
    /// It claims devices through Dynamic Resource Allocation, and nothing here can judge where they are.
    Devices,
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
/// Let `p` pods need a node, in `c` classes, `n` nodes exist and `t` launches (type × offering) be allowed:
/// `O(c·t·log t + p·n)` at most, and `O(c·t·log t + p + n)` where no pod has rules about other pods.
#[must_use]
pub fn plan(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Plan {
    let mut waiting: Vec<&Arc<Pod>> = snapshot.pods().iter().filter(|pod| need(pod) == Need::Node).collect();
    waiting.sort_by(|left, right| pack::most_urgent_first(left, right));
    let shaper = Shaper::new(catalog, options::default_requirements(options, snapshot));
    let (mut simulation, launches) = launch::simulate(snapshot, &waiting, catalog, options, &shaper);
    let OnExisting { fitting, rest } = place_on_existing(snapshot, &mut simulation);
    let packed = pack::pack(&rest, catalog, &launches, &mut simulation);

    let order: Vec<&PodName> = fitting.iter().map(|(pod, _)| &pod.name).chain(packed.order).collect();
    let mut outcomes: BTreeMap<&PodName, Outcome> = packed.outcomes;
    let on_existing = fitting.into_iter().map(|(pod, node)| (&pod.name, Outcome::from(Verdict::FitsExisting { node })));
    outcomes.extend(on_existing);
    for pod in snapshot.pods() {
        if let Need::None(ignored) = need(pod) {
            outcomes.insert(&pod.name, Outcome::from(Verdict::Ignored(ignored)));
        }
    }
    let pods = snapshot.pods().iter().filter_map(|pod| {
        let Outcome { verdict, existing, unchecked_rules } = outcomes.remove(&pod.name)?;
        Some(PodPlan { pod: Arc::clone(pod), verdict, existing, unchecked_rules })
    });
    let pods: Vec<PodPlan> = pods.collect();
    let position = |name: &PodName| pods.binary_search_by(|planned| planned.pod.name.cmp(name)).ok();
    let placements = order.into_iter().filter_map(position).collect();
    Plan { pods, nodes: packed.nodes, pools: packed.pools, placements }
}

/// What becomes of a pod, before it stands in the plan.
struct Outcome {
    verdict: Verdict,
    existing: Option<Arc<ExistingMisses>>,
    unchecked_rules: Vec<Rule>,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, existing: None, unchecked_rules: Vec::new() }
    }
}
