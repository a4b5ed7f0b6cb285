//! What the API server does to a pod on its way in, for pods that have not passed it.
//!
//! Source of the rules: `pkg/apis/core/v1/defaults.go` and `pkg/registry/core/pod/strategy.go`, Kubernetes 1.36.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod as RawPod, PodAffinityTerm, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::model::Labels;

/// Fills in what a scheduler relies on. A pod that has passed the API server stays as it is.
pub(super) fn fill_in(pod: &mut RawPod) {
    let Some(spec) = pod.spec.as_mut() else { return };
    default_requests(spec);
    default_host_ports(spec);
    if let Some(labels) = &pod.metadata.labels {
        merge_label_keys(spec, labels);
    }
}

/// A limit without a request is a request too.
fn default_requests(spec: &mut PodSpec) {
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    containers.for_each(default_container_requests);
    let asked_by_containers: Vec<&String> = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .filter_map(|container| container.resources.as_ref()?.requests.as_ref())
        .flat_map(BTreeMap::keys)
        .collect();
    if let Some(resources) = spec.resources.as_mut() {
        for (name, limit) in resources.limits.iter().flatten() {
            if !asked_by_containers.contains(&name) {
                let requests = resources.requests.get_or_insert_default();
                requests.entry(name.clone()).or_insert_with(|| limit.clone());
            }
        }
    }
}

fn default_container_requests(container: &mut Container) {
    if let Some(resources) = container.resources.as_mut() {
        for (name, limit) in resources.limits.iter().flatten() {
            let requests = resources.requests.get_or_insert_default();
            requests.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
}

/// On the node's own network, a container's port is the node's.
fn default_host_ports(spec: &mut PodSpec) {
    if spec.host_network != Some(true) {
        return;
    }
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    for port in containers.flat_map(|container| container.ports.iter_mut().flatten()) {
        if port.host_port.unwrap_or(0) == 0 {
            port.host_port = Some(port.container_port);
        }
    }
}

/// The label keys of required pod affinity and anti-affinity become a part of their selectors. Those of topology spread
/// need not: the scheduler looks at them itself.
fn merge_label_keys(spec: &mut PodSpec, labels: &Labels) {
    let Some(affinity) = spec.affinity.as_mut() else { return };
    let near = affinity.pod_affinity.iter_mut();
    let near = near.filter_map(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_mut());
    let apart = affinity.pod_anti_affinity.iter_mut();
    let apart = apart.filter_map(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_mut());
    for term in near.chain(apart).flatten() {
        let PodAffinityTerm { label_selector, match_label_keys, mismatch_label_keys, .. } = term;
        if let Some(selector) = label_selector {
            require(selector, match_label_keys.as_deref(), "In", labels);
            require(selector, mismatch_label_keys.as_deref(), "NotIn", labels);
        }
    }
}

/// A key that the selector names in this way already has been merged before: nobody may write it there by hand.
fn require(selector: &mut LabelSelector, keys: Option<&[String]>, operator: &str, labels: &Labels) {
    for (key, value) in keys.into_iter().flatten().filter_map(|key| Some((key, labels.get(key)?))) {
        let expressions = selector.match_expressions.get_or_insert_default();
        if !expressions.iter().any(|known| known.key == *key && known.operator == operator) {
            expressions.push(LabelSelectorRequirement {
                key: key.clone(),
                operator: operator.to_owned(),
                values: Some(vec![value.clone()]),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn filled_in(pod: Value) -> Value {
        let mut pod: RawPod = serde_json::from_value(pod).unwrap();
        fill_in(&mut pod);
        let once = serde_json::to_value(&pod).unwrap();
        fill_in(&mut pod);
        assert_eq!(serde_json::to_value(&pod).unwrap(), once, "a second time changes nothing");
        once
    }

    #[test]
    fn a_limit_is_a_request_unless_there_is_one() {
        let resources = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}});
        let pod = filled_in(json!({"spec": {"containers": [{"name": "c", "resources": resources}]}}));
        let requests = pod.pointer("/spec/containers/0/resources/requests").unwrap();
        assert_eq!(requests, &json!({"cpu": "1", "memory": "1Gi"}));
    }

    #[test]
    fn ports_on_the_nodes_network_are_the_nodes() {
        let ports =
            json!([{"containerPort": 80}, {"containerPort": 81, "hostPort": 9}, {"containerPort": 82, "hostPort": 0}]);
        let host_ports = |host_network: bool| {
            let container = json!({"name": "c", "ports": ports});
            let pod = filled_in(json!({"spec": {"hostNetwork": host_network, "containers": [container]}}));
            let ports = pod.pointer("/spec/containers/0/ports").and_then(Value::as_array).unwrap();
            ports.iter().map(|port| port["hostPort"].as_i64()).collect::<Vec<_>>()
        };
        assert_eq!(host_ports(true), [Some(80), Some(9), Some(82)]);
        assert_eq!(host_ports(false), [None, Some(9), Some(0)]);
    }

    #[test]
    fn label_keys_that_the_pod_has_join_the_selector_of_their_term() {
        let expressions = |label_selector: Value| {
            let term = json!({
                "topologyKey": "host", "labelSelector": label_selector,
                "matchLabelKeys": ["hash", "missing"], "mismatchLabelKeys": ["tenant"],
            });
            let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
            let pod = filled_in(json!({
                "metadata": {"labels": {"hash": "1", "tenant": "t"}},
                "spec": {"containers": [], "affinity": {"podAffinity": required, "podAntiAffinity": required}},
            }));
            let at = |kind: &str| {
                let term = format!("/spec/affinity/{kind}/requiredDuringSchedulingIgnoredDuringExecution/0");
                pod.pointer(&format!("{term}/labelSelector/matchExpressions")).cloned()
            };
            assert_eq!(at("podAffinity"), at("podAntiAffinity"));
            at("podAffinity")
        };
        let merged = json!([
            {"key": "hash", "operator": "In", "values": ["1"]},
            {"key": "tenant", "operator": "NotIn", "values": ["t"]},
        ]);
        assert_eq!(expressions(json!({"matchLabels": {"app": "web"}})), Some(merged));
        assert_eq!(expressions(Value::Null), None);
    }
}
