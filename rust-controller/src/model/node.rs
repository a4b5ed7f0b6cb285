//! Nodes of the cluster.

use crate::model::{Labels, Resources, Taint};

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name, unique in the cluster.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Taints, those of the node lifecycle (`node.kubernetes.io/not-ready`) included.
    pub taints: Vec<Taint>,
    /// Cordoned.
    pub unschedulable: bool,
    /// Whether its Ready condition is true.
    pub ready: bool,
    /// Being deleted.
    pub deleting: bool,
    /// What pods may request of it in all.
    pub allocatable: Resources,
    /// The provider's id of the machine, such as `aws:///us-east-1a/i-0abc`.
    pub provider_id: Option<String>,
    /// The annotation that forbids to disturb it, with its value.
    pub do_not_disrupt: Option<&'static str>,
}
