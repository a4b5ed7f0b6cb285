//! Which type on the wire each of the planner's views is of.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::api::storage::v1 as storage;

use super::watched::View;
use crate::lower::{
    LowerError, NodeMetrics, lower_attach_limits, lower_budget, lower_claim, lower_namespace, lower_node, lower_pod,
    lower_storage_class, lower_usage, lower_volume,
};
use crate::model::{AttachLimits, Budget, Claim, Labels, Node, Pod, StorageClass, Usage, Volume};

impl View for Node {
    type Raw = core::Node;

    fn lower(raw: &core::Node) -> Result<Self, LowerError> {
        lower_node(raw)
    }
}

impl View for Pod {
    type Raw = core::Pod;

    fn lower(raw: &core::Pod) -> Result<Self, LowerError> {
        lower_pod(raw)
    }

    fn node(raw: &core::Pod) -> Option<String> {
        raw.spec.as_ref()?.node_name.clone()
    }
}

/// All that is kept of a namespace.
impl View for Labels {
    type Raw = core::Namespace;

    fn lower(raw: &core::Namespace) -> Result<Self, LowerError> {
        lower_namespace(raw).map(|(_, labels)| labels)
    }
}

impl View for Claim {
    type Raw = core::PersistentVolumeClaim;

    fn lower(raw: &core::PersistentVolumeClaim) -> Result<Self, LowerError> {
        lower_claim(raw)
    }
}

impl View for Volume {
    type Raw = core::PersistentVolume;

    fn lower(raw: &core::PersistentVolume) -> Result<Self, LowerError> {
        lower_volume(raw)
    }
}

impl View for StorageClass {
    type Raw = storage::StorageClass;

    fn lower(raw: &storage::StorageClass) -> Result<Self, LowerError> {
        lower_storage_class(raw)
    }
}

impl View for AttachLimits {
    type Raw = storage::CSINode;

    fn lower(raw: &storage::CSINode) -> Result<Self, LowerError> {
        lower_attach_limits(raw)
    }
}

impl View for Budget {
    type Raw = policy::PodDisruptionBudget;

    fn lower(raw: &policy::PodDisruptionBudget) -> Result<Self, LowerError> {
        lower_budget(raw)
    }
}

impl View for Usage {
    type Raw = NodeMetrics;

    fn lower(raw: &NodeMetrics) -> Result<Self, LowerError> {
        lower_usage(raw)
    }
}
