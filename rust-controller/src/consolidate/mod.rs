//! Which nodes could go, and where each of their pods would run.
//!
//! Underutilized nodes are tried from the emptiest up. A node goes if every pod that must move fits another node that
//! stays; its room is taken there at once, so later nodes see it. A node that has received pods stays. The removals
//! are therefore feasible in their order, and no pod moves twice.

mod budgets;
mod candidates;
mod destinations;
mod obstacles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use obstacles::{Obstacle, obstacles};

use crate::feasibility::{Refusal, Rule};
use crate::model::{Catalog, Node, ObjectName, Pod, PodName};
use crate::snapshot::{PodsByNode, Snapshot};
use crate::units::{Cpu, Memory, Money};
use destinations::{Destinations, Leaving};

/// A share of a whole in millionths: 0.2 is 200,000.
pub type Millionths = u64;

/// Options of a consolidation.
#[derive(Clone, Debug)]
pub struct Options {
    /// A node is underutilized where both shares of its allocatable that are requested, of CPU and of memory, are
    /// below this one.
    pub threshold: Millionths,
}

impl Default for Options {
    /// 20 %.
    fn default() -> Self {
        Self { threshold: 200_000 }
    }
}

/// What to remove from the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consolidation {
    /// Every node, by name.
    pub nodes: Vec<NodePlan>,
    /// Nodes to remove, in this order.
    pub removals: Vec<String>,
    /// Unschedulable pods that fit nodes as they are, each with its node, in the order in which they take their room;
    /// before any pod moves.
    pub reserved: Vec<(Arc<Pod>, String)>,
}

/// What becomes of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// The node.
    pub node: Arc<Node>,
    /// How much of it is requested.
    pub utilization: Utilization,
    /// Whether that is below the threshold.
    pub underutilized: bool,
    /// Whether it goes.
    pub verdict: Verdict,
    /// Pods that keep it, each with the reason.
    pub blockers: Vec<Blocker>,
    /// Pods that move if it goes, in an order in which each finds its place.
    pub moves: Vec<Move>,
    /// Pods move, and nobody could read the budgets that decide whether they may be evicted.
    pub unread_budgets: bool,
    /// Pods that go with the node and need no other: those of DaemonSets and static ones.
    pub local_pods: Vec<PodName>,
    /// Per hour; `None` where it is not known.
    pub price_per_hour: Option<Money>,
}

/// Whether a node goes, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be removed.
    Remove,
    /// It stays.
    Keep(Keep),
}

/// Why a node stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Enough of it is in use.
    Utilized,
    /// It runs the control plane.
    ControlPlane,
    /// It is not ready: what runs there is not known.
    NotReady,
    /// Somebody has cordoned it already.
    Cordoned,
    /// It is being deleted already.
    Deleting,
    /// It has not reported what it offers.
    NoAllocatable,
    /// A pod that runs there could not be read, so nobody knows what it takes and whether it may move.
    UnreadablePod,
    /// An unschedulable pod fits here as it is.
    AwaitsPods,
    /// No other node would be left that takes pods.
    LastNode,
    /// Some of its pods cannot move; see the blockers.
    Blocked,
    /// The pods of these removed nodes move here.
    ReceivesPods(Vec<String>),
}

/// A pod that keeps its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The pod.
    pub pod: PodName,
    /// Why it cannot move.
    pub reason: BlockReason,
}

/// Why a pod cannot move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// Nobody would make it again: it would be lost, not moved.
    NoController,
    /// Room is being made for it on this node.
    Nominated,
    /// A budget allows no more evictions now.
    Budget {
        /// The `PodDisruptionBudget`.
        budget: ObjectName,
        /// How many it allows in all.
        disruptions_allowed: u32,
    },
    /// More than one budget protects it, and Kubernetes evicts no such pod.
    SeveralBudgets(Vec<ObjectName>),
    /// No other node that stays may run it.
    NoDestination {
        /// The nearest of them, and why it may not.
        nearest: Option<(String, Refusal)>,
        /// How many of them each rule refuses.
        refused_nodes: BTreeMap<Rule, usize>,
    },
}

/// A pod's new place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The node that it moves to.
    pub destination: String,
    /// Rules that could not be checked there, since nobody could read what they look at.
    pub unchecked_rules: Vec<Rule>,
}

/// How much of a node's allocatable is requested. Requests, not use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utilization {
    /// Sum of the pods' effective CPU requests.
    pub requested_cpu: Cpu,
    /// Sum of the pods' effective memory requests.
    pub requested_memory: Memory,
    /// Share of the allocatable CPU.
    pub cpu: Millionths,
    /// Share of the allocatable memory.
    pub memory: Millionths,
}

impl Utilization {
    /// The larger share.
    #[must_use]
    pub fn largest(self) -> Millionths {
        self.cpu.max(self.memory)
    }
}

impl Consolidation {
    /// What all nodes cost per hour, before and after; `None` where a price is not known.
    #[must_use]
    pub fn costs_per_hour(&self) -> (Option<Money>, Option<Money>) {
        let cost = |remaining: bool| {
            let counted = self.nodes.iter().filter(|plan| !remaining || plan.verdict != Verdict::Remove);
            counted.map(|plan| plan.price_per_hour).sum()
        };
        (cost(false), cost(true))
    }

    /// What the removed nodes cost per hour; `None` where a price is not known.
    #[must_use]
    pub fn savings_per_hour(&self) -> Option<Money> {
        let removed = self.nodes.iter().filter(|plan| plan.verdict == Verdict::Remove);
        removed.map(|plan| plan.price_per_hour).sum()
    }
}

/// Decides for every node.
///
/// With `u` underutilized nodes of `m` pods together and `n` nodes: `O(m·n)` for each pass, and less where the first
/// destinations have room. A second pass is the last unless it removes something.
#[must_use]
pub fn consolidate(snapshot: &Snapshot, catalog: &Catalog, options: &Options) -> Consolidation {
    let pods_by_node = snapshot.pods_by_node();
    let mut plans = candidates::survey(snapshot, &pods_by_node, catalog, options);
    let (destinations, reserved) = Destinations::of(snapshot, &mut plans);
    let mut order: Vec<usize> = (0..plans.len()).filter(|index| is_candidate(&plans[*index])).collect();
    order.sort_by_key(|index| (plans[*index].utilization.largest(), *index));
    let mut removing = Removing { pods_by_node, plans, destinations, senders: BTreeMap::new(), removals: Vec::new() };
    // Who was blocked is tried again once others are gone: the blockers that are told are those of the end.
    loop {
        let removed_before = removing.removals.len();
        for index in &order {
            removing.try_to_remove(*index);
        }
        if removing.removals.len() == removed_before {
            return removing.finish(&order, reserved);
        }
    }
}

/// Removals as they are decided.
struct Removing<'a> {
    pods_by_node: PodsByNode<'a>,
    plans: Vec<NodePlan>,
    destinations: Destinations<'a>,
    /// By node that receives pods, the nodes that they come from.
    senders: BTreeMap<String, Vec<String>>,
    removals: Vec<String>,
}

impl Removing<'_> {
    fn try_to_remove(&mut self, index: usize) {
        let Self { pods_by_node, plans, destinations, senders, removals } = self;
        let plan = &mut plans[index];
        let name = &plan.node.name;
        if plan.verdict == Verdict::Remove || senders.contains_key(name) {
            return;
        }
        if destinations.is_last(index) {
            plan.verdict = Verdict::Keep(Keep::LastNode);
            plan.blockers.clear();
            return;
        }
        let pods = pods_by_node.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        match destinations.clear(index, &Leaving { moving: candidates::movable(pods), all: pods }) {
            Ok(moves) => {
                for destination in moves.iter().map(|each| &each.destination).collect::<BTreeSet<_>>() {
                    senders.entry(destination.clone()).or_default().push(name.clone());
                }
                removals.push(name.clone());
                plan.verdict = Verdict::Remove;
                plan.blockers.clear();
                plan.unread_budgets = !moves.is_empty() && destinations.has_unread_budgets();
                plan.moves = moves;
            }
            Err(blockers) => plan.blockers = blockers,
        }
    }

    fn finish(self, order: &[usize], reserved: Vec<(Arc<Pod>, String)>) -> Consolidation {
        let Self { mut plans, mut senders, removals, .. } = self;
        for index in order {
            let plan = &mut plans[*index];
            let Some(senders) = senders.remove(&plan.node.name) else { continue };
            plan.verdict = Verdict::Keep(Keep::ReceivesPods(senders));
            plan.blockers.clear();
        }
        Consolidation { nodes: plans, removals, reserved }
    }
}

/// Until it is decided, an underutilized node that nothing forbids to remove counts as blocked.
fn is_candidate(plan: &NodePlan) -> bool {
    plan.underutilized && plan.verdict == Verdict::Keep(Keep::Blocked) && plan.blockers.is_empty()
}
