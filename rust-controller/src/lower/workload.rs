//! Controllers in files: their replicas become pods that wait for a node ("what would this manifest need?").

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod as RawPod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The pods that a controller would make, unscheduled.
pub(super) trait Workload {
    /// Pods with the names that the controller would give them, as far as they can be known.
    fn replicas(&self) -> Vec<RawPod>;
}

impl Workload for Deployment {
    fn replicas(&self) -> Vec<RawPod> {
        let Some(spec) = &self.spec else { return Vec::new() };
        // Its pods belong to a ReplicaSet whose name is not known before it exists.
        pods("ReplicaSet", &self.metadata, &spec.template, spec.replicas.unwrap_or(1))
    }
}

impl Workload for ReplicaSet {
    fn replicas(&self) -> Vec<RawPod> {
        let template = self.spec.as_ref().and_then(|spec| Some((spec, spec.template.as_ref()?)));
        let Some((spec, template)) = template else { return Vec::new() };
        pods("ReplicaSet", &self.metadata, template, spec.replicas.unwrap_or(1))
    }
}

impl Workload for StatefulSet {
    fn replicas(&self) -> Vec<RawPod> {
        let Some(spec) = &self.spec else { return Vec::new() };
        pods("StatefulSet", &self.metadata, &spec.template, spec.replicas.unwrap_or(1))
    }
}

impl Workload for Job {
    fn replicas(&self) -> Vec<RawPod> {
        let Some(spec) = self.spec.as_ref().filter(|spec| spec.suspend != Some(true)) else { return Vec::new() };
        // At most `parallelism` run at once, and no more than are left to complete.
        let parallelism = spec.parallelism.unwrap_or(1);
        let at_once = spec.completions.map_or(parallelism, |completions| completions.min(parallelism));
        pods("Job", &self.metadata, &spec.template, at_once)
    }
}

impl Workload for DaemonSet {
    /// One pod stands for the set: how many there will be depends on the nodes.
    fn replicas(&self) -> Vec<RawPod> {
        let Some(spec) = &self.spec else { return Vec::new() };
        pods("DaemonSet", &self.metadata, &spec.template, 1)
    }
}

fn pods(kind: &str, owner: &ObjectMeta, template: &PodTemplateSpec, replicas: i32) -> Vec<RawPod> {
    let name = owner.name.clone().unwrap_or_default();
    let reference = OwnerReference {
        api_version: String::new(),
        kind: kind.to_owned(),
        name: name.clone(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    let metadata = template.metadata.clone().unwrap_or_default();
    let pod = |ordinal| RawPod {
        metadata: ObjectMeta {
            name: Some(format!("{name}-{ordinal}")),
            namespace: owner.namespace.clone(),
            owner_references: Some(vec![reference.clone()]),
            ..metadata.clone()
        },
        spec: template.spec.clone(),
        status: None,
    };
    (0..replicas).map(pod).collect()
}
