//! Nodes as the judge sees them: those of the snapshot and those of a plan, side by side.

use crate::feasibility::Target;
use crate::model::{Labels, Node, Resources, Taint, key};

/// Position of a node in a [`Cluster`](super::cluster::Cluster).
pub(super) type SiteId = usize;

/// A place for pods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a Labels,
    pub(super) taints: &'a [Taint],
    pub(super) unschedulable: bool,
    pub(super) allocatable: &'a Resources,
    /// It does not exist yet: nobody can ask for it by name.
    pub(super) planned: bool,
}

impl<'a> Site<'a> {
    pub(super) fn existing(node: &'a Node) -> Self {
        Self {
            name: &node.name,
            labels: &node.labels,
            taints: &node.taints,
            unschedulable: node.unschedulable,
            allocatable: &node.allocatable,
            planned: false,
        }
    }

    pub(super) fn target(&self) -> Target<'a> {
        Target {
            name: (!self.planned).then_some(self.name),
            labels: self.labels,
            taints: self.taints,
            unschedulable: self.unschedulable,
        }
    }

    /// The domain of a topology key that it lies in. A planned node will have a host name that no other node has; its
    /// own name stands for that.
    pub(super) fn domain(&self, topology_key: &str) -> Option<&'a str> {
        let value = self.labels.get(topology_key)?;
        Some(if self.planned && topology_key == key::HOSTNAME { self.name } else { value })
    }
}
