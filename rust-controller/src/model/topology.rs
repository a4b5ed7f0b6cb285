//! What a pod asks of the other pods around it.

use std::collections::BTreeSet;

use crate::model::LabelSelector;

/// The hard rules of a pod about other pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Neighbours {
    /// Topology spread constraints that must hold (`DoNotSchedule`).
    pub spread: Vec<SpreadConstraint>,
    /// Required pod affinity: all of these hold at once, for one and the same set of pods.
    pub affinity: Vec<AffinityTerm>,
    /// Required pod anti-affinity.
    pub anti_affinity: Vec<AffinityTerm>,
}

/// Keeps the pods that a selector finds in the pod's own namespace spread over the values of a node label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpreadConstraint {
    /// The node label whose values are the domains.
    pub topology_key: String,
    /// By how many pods a domain may exceed the emptiest one.
    pub max_skew: u32,
    /// With fewer domains than these, the emptiest one counts as empty. At least 1.
    pub min_domains: u32,
    /// The pods that count, `matchLabelKeys` included.
    pub selector: LabelSelector,
    /// Only nodes that the pod's own node selector and affinity allow are domains.
    pub honors_node_affinity: bool,
    /// Only nodes whose taints the pod tolerates are domains.
    pub honors_node_taints: bool,
}

/// Pods near which, or away from which, a pod must run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AffinityTerm {
    /// The node label whose equal values are near.
    pub topology_key: String,
    /// The pods that count.
    pub selector: LabelSelector,
    /// Namespaces of those pods, by name; the pod's own where the term names none in either way.
    pub namespaces: BTreeSet<String>,
    /// Namespaces of those pods, by their labels, on top of those named.
    pub namespace_selector: LabelSelector,
}

/// A port of the node that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Port number, above 0.
    pub port: u16,
    /// Address on the node; `0.0.0.0` stands for every address.
    pub ip: String,
}
