//! Pods.

use std::fmt;
use std::sync::Arc;

use crate::model::{Eviction, HostPort, Labels, Neighbours, ObjectName, Placement, PodVolume, Preferences, Resources};

/// Namespace and name: what tells one pod from every other.
pub type PodName = ObjectName;

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub name: PodName,
    /// Labels, by which the rules of other pods find it.
    pub labels: Labels,
    /// The controller that would make it again.
    pub owner: Option<Owner>,
    /// Effective requests as the scheduler counts them, with one pod slot.
    pub requests: Resources,
    /// Scheduling priority; higher goes first.
    pub priority: i32,
    /// Rules about its node.
    pub placement: Placement,
    /// Rules about the pods around it.
    pub neighbours: Neighbours,
    /// Rules that never keep it from a node; none for most pods.
    pub preferences: Option<Arc<Preferences>>,
    /// Ports of the node that it takes, sorted, without repetition.
    pub host_ports: Vec<HostPort>,
    /// Volumes that decide where it may run, in the order of its spec.
    pub volumes: Vec<PodVolume>,
    /// Claims devices through Dynamic Resource Allocation, which nothing here can judge.
    pub claims_devices: bool,
    /// Where it is in its life.
    pub phase: Phase,
    /// What the scheduler has said of it.
    pub scheduling: SchedulingState,
    /// Being deleted: its room is still taken, and it needs no other.
    pub deleting: bool,
    /// A static pod, made by the kubelet of its node from a file: it lives and dies with that node.
    pub mirror: bool,
    /// What its eviction would mean.
    pub eviction: Eviction,
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

    /// Whether it lives and dies with its node, and needs no other.
    #[must_use]
    pub fn ends_with_its_node(&self) -> bool {
        self.mirror || self.is_daemon()
    }

    /// Whether a `DaemonSet` made it: there is one for each node that suits it.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.kind == "DaemonSet")
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind, self.name)
    }
}
