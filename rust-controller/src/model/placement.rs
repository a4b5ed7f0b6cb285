//! What a pod asks of its node beyond resources, and what a node refuses.

use std::fmt;

use crate::model::Labels;

/// The hard rules of a pod about the node it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placement {
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

/// One key, an operator, and the values it is held against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// Label or field key.
    pub key: String,
    /// How the value at the key relates to `values`.
    pub operator: Operator,
    /// Empty for `Exists` and `DoesNotExist`, one integer for `Gt` and `Lt`.
    pub values: Vec<String>,
}

/// Node selector operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The value is one of the values.
    In,
    /// The value is none of the values, or the key is absent.
    NotIn,
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above the one given.
    Gt,
    /// The value is an integer below the one given.
    Lt,
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

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        match operator {
            Operator::In if values.len() == 1 => write!(out, "{key}={:?}", values[0]),
            Operator::In => write!(out, "{key} in [{}]", values.join(", ")),
            Operator::NotIn => write!(out, "{key} not in [{}]", values.join(", ")),
            Operator::Exists => write!(out, "{key} present"),
            Operator::DoesNotExist => write!(out, "{key} absent"),
            Operator::Gt => write!(out, "{key} > {}", values.join(", ")),
            Operator::Lt => write!(out, "{key} < {}", values.join(", ")),
        }
    }
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
