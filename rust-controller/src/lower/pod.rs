//! Pods.

use k8s_openapi::api::core::v1::{Pod as RawPod, PodSpec, PodStatus};

use super::{LowerError, placement::placement, requests::effective_requests};
use crate::model::{Owner, Phase, Pod, PodName, SchedulingState};

/// The planner's view of a pod.
///
/// # Errors
/// Where the name or spec is missing, or a quantity, an operator or a taint effect is not one of Kubernetes'.
pub fn lower_pod(raw: &RawPod) -> Result<Pod, LowerError> {
    let metadata = &raw.metadata;
    let spec = raw.spec.as_ref().ok_or(LowerError::Missing("spec"))?;
    let owner = metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let annotations = metadata.annotations.as_ref();
    Ok(Pod {
        name: PodName {
            namespace: metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            name: metadata.name.clone().ok_or(LowerError::Missing("metadata.name"))?,
        },
        owner: owner.map(|owner| Owner { kind: owner.kind.clone(), name: owner.name.clone() }),
        requests: effective_requests(raw, spec)?,
        priority: spec.priority.unwrap_or(0),
        placement: placement(spec)?,
        phase: phase(raw.status.as_ref()),
        scheduling: scheduling_state(spec, raw.status.as_ref()),
        deleting: metadata.deletion_timestamp.is_some(),
        mirror: annotations.is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror")),
        unchecked_rules: unchecked_rules(spec),
    })
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

/// The scheduler plugins that would look at this pod and whose rules this program does not check yet.
fn unchecked_rules(spec: &PodSpec) -> Vec<&'static str> {
    let affinity = spec.affinity.as_ref();
    let pod_affinity = affinity
        .and_then(|affinity| affinity.pod_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let pod_anti_affinity = affinity
        .and_then(|affinity| affinity.pod_anti_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let has_terms = |terms: Option<&Vec<_>>| terms.is_some_and(|terms| !terms.is_empty());
    let hard_spread =
        spec.topology_spread_constraints.iter().flatten().any(|spread| spread.when_unsatisfiable == "DoNotSchedule");
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let host_ports = containers
        .flat_map(|container| container.ports.iter().flatten())
        .any(|port| port.host_port.is_some_and(|port| port > 0));
    let claims = spec
        .volumes
        .iter()
        .flatten()
        .any(|volume| volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some());
    let devices = spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty());
    let rules = [
        ("DynamicResources", devices),
        ("InterPodAffinity", has_terms(pod_affinity) || has_terms(pod_anti_affinity)),
        ("NodePorts", host_ports),
        ("PodTopologySpread", hard_spread),
        ("VolumeBinding", claims),
    ];
    rules.into_iter().filter(|(_, present)| *present).map(|(rule, _)| rule).collect()
}
