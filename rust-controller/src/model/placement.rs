//! What a pod asks of its node beyond resources, and what a node refuses.

use std::fmt;

use crate::model::{Labels, Requirement};

/// The hard rules of a pod about the node it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
    /// The one node that it may run on, for a pod that names it in its spec and does not run yet.
    pub node_name: Option<String>,
    /// Labels that the node must carry.
    pub node_selector: Labels,
    /// Required node affinity: alternatives of which one must match. `None` asks nothing; an empty list matches no
    /// node.
    pub node_affinity: Option<Vec<NodeSelectorTerm>>,
    /// Taints that the pod does not mind.
    pub tolerations: Vec<Toleration>,
}

/// Requirements that must all hold. A term without any matches no node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSelectorTerm {
    /// On the node's labels.
    pub labels: Vec<Requirement>,
    /// On the node's fields; the only one that Kubernetes knows is `metadata.name`.
    pub fields: Vec<Requirement>,
}

/// A mark on a node that keeps pods away unless they tolerate it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Taint key.
    pub key: String,
    /// Taint value, often empty.
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if there is another node: a wish, never a refusal.
    PreferNoSchedule,
    /// New pods stay away and running ones are evicted.
    NoExecute,
}

/// A taint, or a kind of taints, that a pod does not mind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// Taint key; empty together with [`TolerationMatch::Exists`] stands for every key.
    pub key: String,
    /// How the taint's value is held against it.
    pub value: TolerationMatch,
    /// Taint effect; `None` stands for every effect.
    pub effect: Option<TaintEffect>,
}

/// How a toleration treats a taint's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TolerationMatch {
    /// Any value.
    Exists,
    /// Exactly this value.
    Equal(String),
}

impl fmt::Display for TaintEffect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        })
    }
}

/// As `kubectl taint` writes it: `dedicated=gpu:NoSchedule`.
impl fmt::Display for Taint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.value.is_empty() { "" } else { "=" };
        write!(out, "{}{equals}{}:{}", self.key, self.value, self.effect)
    }
}
