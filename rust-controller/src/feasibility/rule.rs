//! The scheduler's filter plugins.

use std::fmt;

use serde::{Serialize, Serializer};

/// A filter plugin of kube-scheduler, in the order of its default configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Cordons.
    NodeUnschedulable,
    /// The node that a pod names.
    NodeName,
    /// Taints and tolerations.
    TaintToleration,
    /// Node selector and required node affinity.
    NodeAffinity,
    /// Ports of the node.
    NodePorts,
    /// Room for the pod's requests.
    NodeResourcesFit,
    /// Disks and claims that only one pod may use.
    VolumeRestrictions,
    /// How many volumes the node can attach.
    NodeVolumeLimits,
    /// Claims: where their volumes are, or could be made.
    VolumeBinding,
    /// Zones of the volumes.
    VolumeZone,
    /// Topology spread constraints.
    PodTopologySpread,
    /// Pod affinity and anti-affinity.
    InterPodAffinity,
    /// Devices claimed through Dynamic Resource Allocation.
    DynamicResources,
}

impl Rule {
    /// Name of the plugin.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::NodeName => "NodeName",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeRestrictions => "VolumeRestrictions",
            Self::NodeVolumeLimits => "NodeVolumeLimits",
            Self::VolumeBinding => "VolumeBinding",
            Self::VolumeZone => "VolumeZone",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::DynamicResources => "DynamicResources",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
