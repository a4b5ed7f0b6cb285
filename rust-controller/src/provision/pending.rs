//! Which pods need a node, and why the other pending ones do not.

use std::fmt;

use crate::model::{Phase, Pod, SchedulingState};

/// Why a pending pod is left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// Held back by scheduling gates.
    Gated(Vec<String>),
    /// Its room is being made on this node.
    Nominated(String),
    /// Made by a `DaemonSet`: it waits for its own node, and another node would not help it.
    DaemonPod,
    /// Has its node, and waits for images and volumes there.
    Starting(String),
    /// The scheduler has not looked at it yet, or has not found it unschedulable.
    Unjudged,
    /// Being deleted.
    Deleting,
}

/// What to do with a pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Plan a node for it.
    Node,
    /// Leave it alone and say why.
    None(Ignored),
    /// Not pending: nothing to say.
    NotPending,
}

/// Unschedulable is: phase Pending, no node, `PodScheduled` is false with reason `Unschedulable`, not being deleted.
pub(super) fn need(pod: &Pod) -> Need {
    if pod.phase != Phase::Pending {
        return Need::NotPending;
    }
    let ignored = match &pod.scheduling {
        _ if pod.deleting => Ignored::Deleting,
        SchedulingState::Bound(node) => Ignored::Starting(node.clone()),
        _ if pod.is_daemon() => Ignored::DaemonPod,
        SchedulingState::Gated(gates) => Ignored::Gated(gates.clone()),
        SchedulingState::Nominated(node) => Ignored::Nominated(node.clone()),
        SchedulingState::Unjudged => Ignored::Unjudged,
        SchedulingState::Unschedulable => return Need::Node,
    };
    Need::None(ignored)
}

impl fmt::Display for Ignored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gated(gates) => write!(out, "held back by scheduling gates: {}", gates.join(", ")),
            Self::Nominated(node) => write!(out, "room is being made for it on {node}"),
            Self::DaemonPod => out.write_str("belongs to a DaemonSet and waits for its own node"),
            Self::Starting(node) => write!(out, "has its node, {node}, and waits for images or volumes there"),
            Self::Unjudged => out.write_str("the scheduler has not found it unschedulable"),
            Self::Deleting => out.write_str("is being deleted"),
        }
    }
}
