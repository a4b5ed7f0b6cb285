//! Everything the planner may look at, at one instant.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::{Node, Pod, PodName};

/// The state of a cluster, or of a set of files: the planner's only input besides its options and a catalog.
///
/// Nodes and pods are sorted by name and no name occurs twice, so the same objects in any order are the same
/// snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By name.
    nodes: Vec<Arc<Node>>,
    /// By namespace and name.
    pods: Vec<Arc<Pod>>,
    /// Objects that were left out, sorted.
    skipped: Vec<Skipped>,
}

/// Pods by the name of their node, each list by namespace and name.
pub type PodsByNode<'a> = BTreeMap<&'a str, Vec<&'a Arc<Pod>>>;

/// An object that could not be read, and why. The rest is planned without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// `Pod`, `Node`, …
    pub kind: String,
    /// Name, with the namespace before a slash where it has one.
    pub name: String,
    /// Field and problem.
    pub reason: String,
}

impl Snapshot {
    /// Sorts what was read. Of two objects with one name the last counts, as with `kubectl apply`.
    #[must_use]
    pub fn new(
        nodes: impl IntoIterator<Item = Arc<Node>>,
        pods: impl IntoIterator<Item = Arc<Pod>>,
        skipped: impl IntoIterator<Item = Skipped>,
    ) -> Self {
        let nodes: BTreeMap<String, Arc<Node>> = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
        let pods: BTreeMap<PodName, Arc<Pod>> = pods.into_iter().map(|pod| (pod.name.clone(), pod)).collect();
        let mut skipped: Vec<Skipped> = skipped.into_iter().collect();
        skipped.sort();
        Self { nodes: nodes.into_values().collect(), pods: pods.into_values().collect(), skipped }
    }

    /// The nodes, by name.
    #[must_use]
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The pods, by namespace and name.
    #[must_use]
    pub fn pods(&self) -> &[Arc<Pod>] {
        &self.pods
    }

    /// The pods on each node, by node name: those that run there, and those whose room is being made there.
    #[must_use]
    pub fn pods_by_node(&self) -> PodsByNode<'_> {
        let mut by_node = PodsByNode::new();
        for pod in &self.pods {
            if let Some(node) = pod.occupied_node() {
                by_node.entry(node).or_default().push(pod);
            }
        }
        by_node
    }

    /// What was left out.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}: {}", self.kind, self.name, self.reason)
    }
}
