//! Pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod as RawPod, PodSpec, PodStatus};

use super::annotations::forbidding_pod;
use super::neighbours::neighbours;
use super::placement::placement;
use super::ports::host_ports;
use super::preferences::preferences;
use super::requests::effective_requests;
use super::volumes::volumes;
use super::{LowerError, object_name};
use crate::model::{Eviction, Owner, Phase, Pod, SchedulingState};

/// The planner's view of a pod.
///
/// # Errors
/// Where the name or spec is missing, or a quantity, an operator, a policy, a port or a taint effect is not one of
/// Kubernetes'.
pub fn lower_pod(raw: &RawPod) -> Result<Pod, LowerError> {
    let metadata = &raw.metadata;
    let spec = raw.spec.as_ref().ok_or(LowerError::Missing("spec"))?;
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let annotations = metadata.annotations.as_ref();
    let name = object_name(metadata)?;
    let labels = metadata.labels.clone().unwrap_or_default();
    let mut pod = Pod {
        owner: owner.map(|owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() }),
        requests: effective_requests(raw, spec)?,
        priority: spec.priority.unwrap_or(0),
        placement: placement(spec)?,
        neighbours: neighbours(spec, &name.namespace, &labels)?,
        preferences: preferences(spec, &name.namespace, &labels)?.map(Arc::new),
        host_ports: host_ports(spec)?,
        volumes: volumes(spec, &name.name),
        claims_devices: spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()),
        phase: phase(raw.status.as_ref()),
        scheduling: scheduling_state(spec, raw.status.as_ref()),
        deleting: metadata.deletion_timestamp.is_some(),
        mirror: annotations.is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror")),
        eviction: eviction(spec, raw.status.as_ref()),
        name,
        labels,
    };
    pod.eviction.forbidden_by = forbidding_pod(annotations, pod.ends_with_its_node());
    Ok(pod)
}

fn eviction(spec: &PodSpec, status: Option<&PodStatus>) -> Eviction {
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    Eviction {
        leaves_host_path: spec.volumes.iter().flatten().any(|volume| volume.host_path.is_some()),
        loses_scratch: spec.volumes.iter().flatten().any(|volume| volume.empty_dir.is_some()),
        unready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status != "True"),
        ..Eviction::default()
    }
}

fn phase(status: Option<&PodStatus>) -> Phase {
    match status.and_then(|status| status.phase.as_deref()) {
        None | Some("Pending" | "") => Phase::Pending,
        Some("Succeeded" | "Failed") => Phase::Finished,
        Some(_) => Phase::Running,
    }
}

fn scheduling_state(spec: &PodSpec, status: Option<&PodStatus>) -> SchedulingState {
    if let Some(node) = spec.node_name.as_ref().filter(|node| !node.is_empty()) {
        return SchedulingState::Bound(node.clone());
    }
    let gates = spec.scheduling_gates.as_deref().unwrap_or_default();
    if !gates.is_empty() {
        return SchedulingState::Gated(gates.iter().map(|gate| gate.name.clone()).collect());
    }
    let nominated = status.and_then(|status| status.nominated_node_name.as_ref());
    if let Some(node) = nominated.filter(|node| !node.is_empty()) {
        return SchedulingState::Nominated(node.clone());
    }
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let refused = conditions.iter().any(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if refused { SchedulingState::Unschedulable } else { SchedulingState::Unjudged }
}
