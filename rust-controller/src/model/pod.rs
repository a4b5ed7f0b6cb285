//! Pods.

use std::fmt;

use crate::model::{Placement, Resources};

/// Namespace and name: what tells one pod from every other. Ordered by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// Namespace.
    pub namespace: String,
    /// Name within the namespace.
    pub name: String,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub name: PodName,
    /// The controller that would make it again.
    pub owner: Option<Owner>,
    /// Effective requests as the scheduler counts them, with one pod slot.
    pub requests: Resources,
    /// Scheduling priority; higher goes first.
    pub priority: i32,
    /// Rules about its node.
    pub placement: Placement,
    /// Where it is in its life.
    pub phase: Phase,
    /// What the scheduler has said of it.
    pub scheduling: SchedulingState,
    /// Being deleted: its room is still taken, and it needs no other.
    pub deleting: bool,
    /// A static pod, made by the kubelet of its node from a file: it lives and dies with that node.
    pub mirror: bool,
    /// Rules of its spec that this program does not check yet, by the scheduler plugin that does, sorted.
    pub unchecked_rules: Vec<&'static str>,
}

/// The controller in a pod's owner references.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `ReplicaSet`, `DaemonSet`, …
    pub kind: String,
    /// Name of the owner, in the pod's namespace.
    pub name: String,
}

/// Pod phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not yet running.
    Pending,
    /// Running, or of unknown state on a node that is out of reach: its room is taken.
    Running,
    /// Succeeded or failed: it takes no room any more.
    Finished,
}

/// How far scheduling has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchedulingState {
    /// The scheduler has not looked at it yet.
    Unjudged,
    /// Scheduling gates hold it back, by name.
    Gated(Vec<String>),
    /// The scheduler found no node.
    Unschedulable,
    /// Lower-priority pods are being evicted from this node to make room for it.
    Nominated(String),
    /// Runs, or is about to run, on this node.
    Bound(String),
}

impl Pod {
    /// The node whose room it takes: where it is bound, or the node nominated for it.
    #[must_use]
    pub fn occupied_node(&self) -> Option<&str> {
        match &self.scheduling {
            _ if self.phase == Phase::Finished => None,
            SchedulingState::Bound(node) | SchedulingState::Nominated(node) => Some(node),
            SchedulingState::Unjudged | SchedulingState::Gated(_) | SchedulingState::Unschedulable => None,
        }
    }

    /// Whether a `DaemonSet` made it: there is one for each node that suits it.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind, self.name)
    }
}
