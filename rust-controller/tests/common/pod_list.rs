//! Pods of [`workloads`](crate::workloads) as an API server lists them.

use std::sync::Arc;

use mini_karpenter::lower::parse_manifest;
use mini_karpenter::model::{AffinityTerm, LabelSelector, Pod, SpreadConstraint};
use serde_json::{Value, json};

/// A `PodList` from which exactly these pods are read again.
pub(crate) fn pod_list(pods: &[Arc<Pod>]) -> String {
    let items: Vec<Value> = pods.iter().map(|pod| object(pod)).collect();
    let list = json!({"apiVersion": "v1", "kind": "PodList", "items": items}).to_string();
    // What is not written here, such as ports, workloads do not draw.
    assert_eq!(parse_manifest(&list).unwrap().pods, pods);
    list
}

fn object(pod: &Pod) -> Value {
    let neighbours = &pod.neighbours;
    let requests = json!({"cpu": pod.requests.cpu.to_string(), "memory": pod.requests.memory.to_string()});
    let required = |terms: &[AffinityTerm]| {
        let terms: Vec<Value> = terms.iter().map(affinity_term).collect();
        json!({"requiredDuringSchedulingIgnoredDuringExecution": terms})
    };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": pod.name.namespace, "name": pod.name.name, "labels": pod.labels},
        "spec": {
            "containers": [{"name": "main", "image": "example.com/main", "resources": {"requests": requests}}],
            "topologySpreadConstraints": neighbours.spread.iter().map(spread_constraint).collect::<Vec<_>>(),
            "affinity": {
                "podAffinity": required(&neighbours.affinity),
                "podAntiAffinity": required(&neighbours.anti_affinity),
            },
        },
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
        },
    })
}

fn spread_constraint(constraint: &SpreadConstraint) -> Value {
    json!({
        "maxSkew": constraint.max_skew,
        "topologyKey": constraint.topology_key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": selector(&constraint.selector),
    })
}

fn affinity_term(term: &AffinityTerm) -> Value {
    json!({"topologyKey": term.topology_key, "labelSelector": selector(&term.selector)})
}

fn selector(selector: &LabelSelector) -> Value {
    let LabelSelector::Matching(requirements) = selector else { return Value::Null };
    let expressions: Vec<Value> = requirements
        .iter()
        .map(|each| json!({"key": each.key, "operator": format!("{:?}", each.operator), "values": each.values}))
        .collect();
    json!({"matchExpressions": expressions})
}
