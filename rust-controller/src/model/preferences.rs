//! What a pod would like of its node and of the pods around it. Nothing here keeps it from a node.

use crate::model::{AffinityTerm, NodeSelectorTerm, SpreadConstraint};

/// The soft rules of a pod. Taints that are soft (`PreferNoSchedule`) are the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preferences {
    /// Preferred node affinity.
    pub node_affinity: Vec<Weighted<NodeSelectorTerm>>,
    /// Preferred pod affinity.
    pub affinity: Vec<Weighted<AffinityTerm>>,
    /// Preferred pod anti-affinity.
    pub anti_affinity: Vec<Weighted<AffinityTerm>>,
    /// Topology spread constraints that need not hold (`ScheduleAnyway`).
    pub spread: Vec<SpreadConstraint>,
}

/// A term and how much it matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weighted<T> {
    /// From 1 to 100.
    pub weight: u32,
    /// What is preferred.
    pub term: T,
}
