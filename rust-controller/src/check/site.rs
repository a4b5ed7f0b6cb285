//! Nodes as the judge sees them: those of the snapshot and those of a plan, side by side.

use super::planned_node::LaunchId;
use crate::feasibility::Target;
use crate::model::{AttachCounts, Labels, Node, Resources, Taint, key};
use crate::units::FastMap;

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
    /// How many volumes it can attach, as far as its type tells; of a node that exists its own `CSINode` does.
    pub(super) attach_limits: Option<&'a AttachCounts>,
    /// The launch that makes it; none for a node that exists.
    pub(super) launch: Option<LaunchId>,
}

impl<'a> Site<'a> {
    pub(super) fn existing(node: &'a Node) -> Self {
        Self {
            name: &node.name,
            labels: &node.labels,
            taints: &node.taints,
            unschedulable: node.unschedulable,
            allocatable: &node.allocatable,
            attach_limits: None,
            launch: None,
        }
    }

    /// It does not exist yet: nobody can ask for it by name.
    pub(super) fn is_planned(&self) -> bool {
        self.launch.is_some()
    }

    pub(super) fn target(&self) -> Target<'a> {
        Target {
            name: (!self.is_planned()).then_some(self.name),
            taints: self.taints,
            unschedulable: self.unschedulable,
            ..Target::new(self.labels)
        }
    }

    /// The domain of a topology key that it lies in. A planned node will have a host name that no other node has; its
    /// own name stands for that.
    pub(super) fn domain(&self, topology_key: &str) -> Option<&'a str> {
        let value = self.labels.get(topology_key)?;
        Some(if self.is_planned() && topology_key == key::HOSTNAME { self.name } else { value })
    }
}

/// What holds for each node, by position. Planned nodes of one launch have all but the name in common, and only one of
/// them is asked.
pub(super) fn ask_each(sites: &[Site<'_>], ask: impl Fn(&Site<'_>) -> bool) -> Vec<bool> {
    let mut of_launch: FastMap<LaunchId, bool> = FastMap::default();
    let answer = |site: &Site<'_>| match site.launch {
        Some(launch) => *of_launch.entry(launch).or_insert_with(|| ask(site)),
        None => ask(site),
    };
    sites.iter().map(answer).collect()
}
