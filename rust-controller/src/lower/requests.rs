//! A pod's effective requests, as the scheduler sums them.
//!
//! Source of the rules: `k8s.io/component-helpers/resource` (`PodRequests`), Kubernetes 1.36:
//!
//! - containers and sidecars (init containers with `restartPolicy: Always`) run at once: their sum;
//! - an init container runs alone with the sidecars started before it: the largest such sum is a floor;
//! - requests of the pod as a whole replace the sum, for CPU, memory and huge pages;
//! - overhead of the runtime class comes on top;
//! - during a resize in place, the largest of what is asked for, allocated and in use counts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus};

use super::{Amounts, LowerError, amounts, resources};
use crate::model::Resources;

/// What the scheduler takes from a node's allocatable for this pod: its requests, and one pod slot.
pub(super) fn effective_requests(pod: &Pod, spec: &PodSpec) -> Result<Resources, LowerError> {
    let running = RunningAmounts::of(pod.status.as_ref());
    let mut total = Amounts::new();
    for (index, container) in spec.containers.iter().enumerate() {
        add(&mut total, &running.effective(container, &format!("spec.containers[{index}]"))?);
    }
    let mut sidecars = Amounts::new();
    let mut floor = Amounts::new();
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let field = format!("spec.initContainers[{index}]");
        if container.restart_policy.as_deref() == Some("Always") {
            let requests = running.effective(container, &field)?;
            add(&mut total, &requests);
            add(&mut sidecars, &requests);
            raise(&mut floor, &sidecars);
        } else {
            let mut alone = container_requests(container, &field)?;
            add(&mut alone, &sidecars);
            raise(&mut floor, &alone);
        }
    }
    raise(&mut total, &floor);
    replace_by_pod_level(&mut total, spec, &running)?;
    add(&mut total, &amounts(spec.overhead.as_ref(), "spec.overhead")?);
    Ok(Resources { pods: 1, ..resources(&total) })
}

fn container_requests(container: &Container, field: &str) -> Result<Amounts, LowerError> {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    amounts(requests, &format!("{field}.resources.requests"))
}

/// Requests for the pod as a whole take the place of the containers' sum, for the resources that may be set so.
fn replace_by_pod_level(total: &mut Amounts, spec: &PodSpec, running: &RunningAmounts<'_>) -> Result<(), LowerError> {
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let asked = amounts(requests, "spec.resources.requests")?;
    let in_force = running.pod_level(&asked)?;
    for name in asked.into_keys().filter(|name| is_pod_level(name)) {
        if let Some(quantity) = in_force.get(&name) {
            total.insert(name, *quantity);
        }
    }
    Ok(())
}

fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// What a pod's status says is allocated and in use, which differs from its spec during a resize.
struct RunningAmounts<'a> {
    pod: Option<&'a PodStatus>,
    containers: BTreeMap<&'a str, &'a ContainerStatus>,
    resize_infeasible: bool,
}

impl<'a> RunningAmounts<'a> {
    fn of(status: Option<&'a PodStatus>) -> Self {
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let pending_resize = conditions.iter().find(|condition| condition.type_ == "PodResizePending");
        let statuses = status.into_iter().flat_map(|status| {
            let init = status.init_container_statuses.as_deref().unwrap_or_default();
            status.container_statuses.as_deref().unwrap_or_default().iter().chain(init)
        });
        Self {
            pod: status,
            containers: statuses.map(|status| (status.name.as_str(), status)).collect(),
            resize_infeasible: pending_resize
                .is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible")),
        }
    }

    fn effective(&self, container: &Container, field: &str) -> Result<Amounts, LowerError> {
        let asked = container_requests(container, field)?;
        let status = self.containers.get(container.name.as_str());
        let Some((status, in_use)) = status.and_then(|status| Some((status, status.resources.as_ref()?))) else {
            return Ok(asked);
        };
        let in_use = amounts(in_use.requests.as_ref(), &format!("{field} in status: resources.requests"))?;
        let allocated =
            amounts(status.allocated_resources.as_ref(), &format!("{field} in status: allocatedResources"))?;
        Ok(self.largest(&asked, in_use, &allocated))
    }

    fn pod_level(&self, asked: &Amounts) -> Result<Amounts, LowerError> {
        let Some((pod, in_use)) = self.pod.and_then(|pod| Some((pod, pod.resources.as_ref()?))) else {
            return Ok(asked.clone());
        };
        let in_use = amounts(in_use.requests.as_ref(), "status.resources.requests")?;
        let allocated = amounts(pod.allocated_resources.as_ref(), "status.allocatedResources")?;
        Ok(self.largest(asked, in_use, &allocated))
    }

    /// A resize that the node has refused will not happen, so what it asks for does not count.
    fn largest(&self, asked: &Amounts, in_use: Amounts, allocated: &Amounts) -> Amounts {
        let mut largest = in_use;
        raise(&mut largest, allocated);
        if !self.resize_infeasible {
            raise(&mut largest, asked);
        }
        largest
    }
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        let sum = total.entry(name.clone()).or_default();
        *sum = sum.plus(*quantity);
    }
}

fn raise(total: &mut Amounts, floor: &Amounts) {
    for (name, quantity) in floor {
        let largest = total.entry(name.clone()).or_default();
        *largest = (*largest).max(*quantity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn requests(pod: Value) -> Result<String, LowerError> {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let spec = pod.spec.clone().unwrap();
        let requests = effective_requests(&pod, &spec)?;
        let printed = |(name, amount)| format!("{name}={}", crate::model::printed_amount(name, amount));
        Ok(requests.amounts().filter(|(_, amount)| *amount > 0).map(printed).collect::<Vec<_>>().join(" "))
    }

    fn container(name: &str, requests: &Value) -> Value {
        json!({"name": name, "resources": {"requests": requests}})
    }

    #[test]
    fn sums_are_exact_and_only_the_total_is_rounded_up() {
        let spec = json!({"containers": [
            container("a", &json!({"cpu": "100u", "memory": "0.4"})),
            container("b", &json!({"cpu": "300u", "memory": "0.4"})),
        ]});
        assert_eq!(requests(json!({"spec": spec})).unwrap(), "cpu=1m memory=1 pods=1");
    }

    #[test]
    fn an_init_container_counts_with_the_sidecars_started_before_it() {
        let sidecar = json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "200m"}}});
        let spec = json!({
            "initContainers": [container("first", &json!({"cpu": "1"})), sidecar, container("last", &json!({"cpu": "900m"}))],
            "containers": [container("main", &json!({"cpu": "500m", "nvidia.com/gpu": "1"}))],
        });
        assert_eq!(requests(json!({"spec": spec})).unwrap(), "cpu=1100m pods=1 nvidia.com/gpu=1");
    }

    #[test]
    fn pod_level_requests_replace_the_sum_and_overhead_comes_on_top() {
        let spec = json!({
            "resources": {"requests": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "9Gi"}},
            "overhead": {"cpu": "250m", "memory": "64Mi"},
            "containers": [container("main", &json!({"cpu": "500m", "ephemeral-storage": "1Gi"}))],
        });
        assert_eq!(requests(json!({"spec": spec})).unwrap(), "cpu=2250m memory=1088Mi ephemeral-storage=1Gi pods=1");
    }

    #[test]
    fn during_a_resize_the_largest_amount_counts_unless_the_node_refused_it() {
        let status = |reason: &str| {
            json!({
                "conditions": [{"type": "PodResizePending", "status": "True", "reason": reason}],
                "containerStatuses": [{
                    "name": "main", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "allocatedResources": {"cpu": "600m"}, "resources": {"requests": {"cpu": "500m"}},
                }],
            })
        };
        let spec = json!({"containers": [container("main", &json!({"cpu": "2"}))]});
        assert_eq!(requests(json!({"spec": spec, "status": status("Deferred")})).unwrap(), "cpu=2 pods=1");
        assert_eq!(requests(json!({"spec": spec, "status": status("Infeasible")})).unwrap(), "cpu=600m pods=1");
    }

    #[test]
    fn a_bad_quantity_is_an_error_with_its_field() {
        let spec = json!({"containers": [container("main", &json!({"cpu": "2x"}))]});
        let error = requests(json!({"spec": spec})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.containers[0].resources.requests.cpu: \"2x\" is not a quantity (examples: 250m, 1.5, 512Mi)"
        );
        let devices = |gpus: &str| {
            requests(json!({"spec": {"containers": [container("main", &json!({"nvidia.com/gpu": gpus}))]}}))
        };
        assert_eq!(devices("2000m").unwrap(), "pods=1 nvidia.com/gpu=2");
        assert_eq!(
            devices("500m").unwrap_err().to_string(),
            "spec.containers[0].resources.requests.nvidia.com/gpu: 500m is not a whole number"
        );
    }
}
