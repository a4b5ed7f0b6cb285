//! Nodes.

use k8s_openapi::api::core::v1::Node as RawNode;

use super::annotations::forbidding_node;
use super::{LowerError, amounts, name_of, placement::taints, resources};
use crate::model::Node;

/// The planner's view of a node.
///
/// # Errors
/// Where the name is missing, or a quantity or a taint effect is not one of Kubernetes'.
pub fn lower_node(raw: &RawNode) -> Result<Node, LowerError> {
    let name = name_of(&raw.metadata)?;
    let spec = raw.spec.as_ref();
    let status = raw.status.as_ref();
    // Allocatable defaults to capacity, as it does in the API server.
    let (offered, field) = match status.map(|status| (status.allocatable.as_ref(), status.capacity.as_ref())) {
        Some((Some(allocatable), _)) => (Some(allocatable), "status.allocatable"),
        Some((None, capacity)) => (capacity, "status.capacity"),
        None => (None, ""),
    };
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    Ok(Node {
        name,
        labels: raw.metadata.labels.clone().unwrap_or_default(),
        taints: taints(spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default())?,
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        // A node without the condition is new, and tainted until it is ready, or written by hand.
        ready: conditions.iter().all(|condition| condition.type_ != "Ready" || condition.status == "True"),
        deleting: raw.metadata.deletion_timestamp.is_some(),
        allocatable: resources(&amounts(offered, field)?),
        do_not_disrupt: forbidding_node(raw.metadata.annotations.as_ref()),
        provider_id: spec.and_then(|spec| spec.provider_id.clone()),
    })
}
