//! What is said of one node: whether it goes, why not, and where its pods go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Millionths;
use crate::feasibility::{Refusal, Rule};
use crate::model::{Node, ObjectName, Pod, PodName, Resources};
use crate::units::{Money, Timestamp};

/// What becomes of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// The node.
    pub node: Arc<Node>,
    /// Sums of the effective requests of all pods that run on it; of pods, their number.
    pub requested: Resources,
    /// The same without the pods that end with it: those of DaemonSets, and static ones.
    pub requested_without_daemon_sets: Resources,
    /// Whether the shares of CPU and of memory that are requested are below the threshold.
    pub underutilized: bool,
    /// The share from which on it has no suggestion, where it is at or above the threshold, was below it, and is not clearly
    /// above it yet: see [`Options::leaving`](super::Options::leaving).
    pub held_until: Option<Millionths>,
    /// Since when it has had a suggestion without a break, as far as that is known.
    pub underutilized_since: Option<Timestamp>,
    /// Whether it goes.
    pub verdict: Verdict,
    /// Pods that keep it, each with the reason, those that must not be evicted first; a pod has more than one where it must not be evicted and has no other place, too. Of a node
    /// that takes pods, its own that find no place once those have other ones.
    pub blockers: Vec<Blocker>,
    /// Pods of removed nodes that move here, if any.
    pub receives: Option<Receives>,
    /// Whether the other nodes were not asked about its pods, since that would have taken too long: there may be more of those.
    pub unasked: bool,
    /// Of a node that is being deleted, pods that find no place elsewhere, each with the reason. They block nothing.
    pub stranded: Vec<Blocker>,
    /// Pods that move if it goes, in an order in which each finds its place; of a node that is being deleted, those for which
    /// room is kept elsewhere.
    pub moves: Vec<Move>,
    /// Pods move, and nobody could read the budgets that decide whether they may be evicted.
    pub unread_budgets: bool,
    /// What is requested of each node that its pods move to, before and after they do; in the order of the names.
    pub destinations: Vec<Destination>,
    /// In which wave it goes: nodes of one wave need no more evictions than the budgets allow at once. From 1; 0 for a node
    /// that stays.
    pub wave: u32,
    /// Budgets that allow fewer evictions at once than it has pods under them, in the order of their names: its drain waits
    /// in between.
    pub in_turns: Vec<Turns>,
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
    /// It runs the control plane.
    ControlPlane,
    /// It is not ready: what runs there is not known.
    NotReady,
    /// Somebody has cordoned it already.
    Cordoned,
    /// It is being deleted already.
    Deleting,
    /// This annotation forbids to disturb it.
    DoNotDisrupt(&'static str),
    /// It has not reported what it offers.
    NoAllocatable,
    /// A pod that runs there could not be read, so nobody knows what it takes and whether it may move.
    UnreadablePod,
    /// Room is kept here for pods that are to come.
    AwaitsPods {
        /// Pending pods that fit here as it is.
        pending: Vec<PodName>,
        /// Pods of nodes that are being deleted.
        displaced: Vec<PodName>,
    },
    /// No other node would be left that takes whatever pods may come.
    LastNode(Last),
    /// Some of its pods cannot move; see the blockers.
    Blocked,
    /// Pods of removed nodes move here; see what it receives.
    ReceivesPods,
}

/// What comes to a node that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receives {
    /// The removed nodes, by name.
    pub from: Vec<String>,
    /// How many of their pods move here.
    pub pods: usize,
    /// How many of its own pods would need another place if it went.
    pub own: usize,
    /// Why they are not all somewhere else.
    pub why: WhyKept,
}

/// Why the pods that a node has, and those that it gets, are not all somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyKept {
    /// No other node would be left that takes whatever pods may come.
    LastNode(Last),
    /// Some of them find no place on the others.
    WithoutPlace {
        /// So many, as tried.
        pods: usize,
        /// Whether it could not be fewer, however they are placed.
        is_least: bool,
    },
    /// All of them would have a place, but no plan that leads there was found.
    NoPlanFound,
    /// The nodes were not asked, since that would have taken too long.
    Unasked,
}

/// What a node is the last of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// Of all nodes that take pods.
    TakingPods,
    /// Of those that take pods without tolerations: the others have taints.
    Untainted,
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
    /// This annotation forbids to evict it, or to take its node away from it.
    DoNotDisrupt(String),
    /// It uses this volume, which is a disk of the node.
    LocalVolume(String),
    /// Room is being made for it on this node.
    Nominated,
    /// This `PodDisruptionBudget` allows no eviction now.
    Budget(ObjectName),
    /// Nobody knows what this one allows: its controller has not set its status yet, or not since it was changed.
    StaleBudget(ObjectName),
    /// More than one budget protects it, and Kubernetes evicts no such pod.
    SeveralBudgets(Vec<ObjectName>),
    /// It finds no place on another node that stays.
    NoDestination {
        /// The nearest of them, and why it may not; none where some would if it came alone.
        nearest: Option<(String, Refusal)>,
        /// How many of them each rule refuses.
        refused_nodes: BTreeMap<Rule, usize>,
        /// How many would take it if it came alone: the other pods that would have to move take that room.
        alone: usize,
    },
}

impl BlockReason {
    /// Whether the pod has no other place whatever happens, or needs none.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::NoController | Self::LocalVolume(_) | Self::Nominated)
    }

    /// How many nodes would take a pod without a place if it came alone.
    pub(super) fn takers(&self) -> usize {
        if let Self::NoDestination { alone, .. } = self { *alone } else { 0 }
    }
}

/// More pods of one node under a budget than that allows to evict at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// The `PodDisruptionBudget`.
    pub budget: ObjectName,
    /// How many pods under it leave the node.
    pub pods: u32,
    /// How many evictions it allows now.
    pub allowed: u32,
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
    /// What the move costs whoever uses the pod.
    pub warnings: Vec<Warning>,
}

/// A node that takes pods of one that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The node.
    pub node: Arc<Node>,
    /// Requests of all pods there, its daemon pods included, before the others come.
    pub before: Resources,
    /// And after.
    pub after: Resources,
}

/// What the eviction of a pod costs, beside its start elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// What is in its `emptyDir` volumes is lost.
    LosesScratch,
    /// What it has written to its `hostPath` volumes stays on the node, and what it reads there may not be on another.
    LeavesHostPath,
    /// No other pod of its controller runs meanwhile.
    OnlyReplica,
    /// Its Job starts it again from the beginning.
    StartsAnew,
}

impl NodePlan {
    /// Whether it gets a suggestion of its own: it is underutilized, or has one that is held.
    #[must_use]
    pub fn has_suggestion(&self) -> bool {
        self.underutilized || self.held_until.is_some()
    }
}
