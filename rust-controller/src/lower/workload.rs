//! Controllers in files: the replicas that are missing become pods that wait for a node ("what would this manifest
//! need?").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::model::{Phase, Pod, PodName};

/// Kinds of controllers that are read.
pub(super) const KINDS: [&str; 5] = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"];

/// The most pods that one controller may ask for: more is a slip of the finger, and would fill the memory.
const MOST_REPLICAS: u32 = 1_000_000;

/// What tells one controller from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkloadName {
    /// One of [`KINDS`].
    pub(super) kind: String,
    /// Namespace.
    pub(super) namespace: String,
    /// Name within the kind and namespace.
    pub(super) name: String,
}

/// The pods that a controller asks for.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// How many.
    pub(super) count: usize,
    /// What each of them is, but for the name.
    pub(super) model: Arc<Pod>,
}

/// What is wrong with a controller.
pub(super) struct FieldProblem {
    /// Path of the field.
    pub(super) field: &'static str,
    /// What is wrong with it.
    pub(super) problem: String,
}

/// A controller as it stands in the file.
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) name: WorkloadName,
    metadata: Value,
    spec: Value,
}

impl Replicas {
    /// Reads a controller of one of [`KINDS`].
    ///
    /// # Errors
    /// A field that is missing, has the wrong type or asks for too many pods.
    pub(super) fn of(kind: &str, controller: &Value) -> Result<Self, FieldProblem> {
        let name = controller.pointer("/metadata/name").and_then(Value::as_str).ok_or(wrong("metadata.name"))?;
        let namespace = match controller.pointer("/metadata/namespace") {
            None | Some(Value::Null) => "default",
            Some(namespace) => namespace.as_str().ok_or(wrong("metadata.namespace"))?,
        };
        let spec = controller.pointer("/spec/template/spec").ok_or(wrong("spec.template.spec"))?;
        let count = count(kind, controller)?;
        Ok(Self {
            count: if is_controlled(controller) { 0 } else { count },
            name: WorkloadName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() },
            metadata: controller.pointer("/spec/template/metadata").cloned().unwrap_or_default(),
            spec: spec.clone(),
        })
    }

    /// What each of its pods is. Its name is the controller's.
    pub(super) fn pod(&self) -> Value {
        // The pods of a Deployment belong to a ReplicaSet whose name is not known before it exists.
        let owner_kind = if self.name.kind == "Deployment" { "ReplicaSet" } else { &self.name.kind };
        let owner = json!({
            "apiVersion": "apps/v1", "kind": owner_kind, "name": self.name.name, "uid": "", "controller": true,
        });
        let of_template = |key: &str| self.metadata.get(key).cloned().unwrap_or_default();
        json!({
            "metadata": {
                "name": self.name.name,
                "namespace": self.name.namespace,
                "labels": of_template("labels"),
                "annotations": of_template("annotations"),
                "ownerReferences": [owner],
            },
            "spec": self.spec,
        })
    }
}

/// The pods that the controllers would still make: as many as each asks for, less those that it has. Their names,
/// `web-deployment-0`, are those of no pod that there is.
pub(super) fn missing_pods(workloads: &BTreeMap<WorkloadName, Option<Workload>>, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    // Of two pods with one name the last counts, as in the snapshot.
    let pods: BTreeMap<&PodName, &Pod> = pods.iter().map(|pod| (&pod.name, pod.as_ref())).collect();
    let live = live_pods(pods.values().copied());
    let taken: BTreeSet<&PodName> = pods.into_keys().collect();
    let mut missing = Vec::new();
    for (name, workload) in workloads.iter().filter_map(|(name, workload)| Some((name, workload.as_ref()?))) {
        let count = workload.count.saturating_sub(live.get(name).copied().unwrap_or(0));
        let free_names = (0_usize..).map(|ordinal| name.pod(ordinal)).filter(|name| !taken.contains(name));
        missing.extend(free_names.take(count).map(|name| Arc::new(Pod { name, ..Pod::clone(&workload.model) })));
    }
    missing
}

/// How many pods each controller has that are not over.
fn live_pods<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<WorkloadName, usize> {
    let mut live = BTreeMap::new();
    for pod in pods.filter(|pod| pod.phase != Phase::Finished) {
        let Some(owner) = &pod.owner else { continue };
        let mut add = |kind: &str, name: &str| {
            let namespace = pod.name.namespace.clone();
            *live.entry(WorkloadName { kind: kind.to_owned(), namespace, name: name.to_owned() }).or_default() += 1;
        };
        add(&owner.kind, &owner.name);
        // A Deployment calls its ReplicaSets by its own name and a hash of the template.
        if let Some((deployment, _hash)) = owner.name.rsplit_once('-').filter(|_| owner.kind == "ReplicaSet") {
            add("Deployment", deployment);
        }
    }
    live
}

impl WorkloadName {
    /// The name of a pod that is missing, counted from 0.
    fn pod(&self, ordinal: usize) -> PodName {
        let name = format!("{}-{}-{ordinal}", self.name, self.kind.to_lowercase());
        PodName { namespace: self.namespace.clone(), name }
    }
}

/// Whether another controller made it (a Deployment its `ReplicaSet`, a `CronJob` its Job): that one's pods count.
fn is_controlled(controller: &Value) -> bool {
    let owners = controller.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

fn count(kind: &str, controller: &Value) -> Result<usize, FieldProblem> {
    let number = |path: &'static str, field: &'static str| match controller.pointer(path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(wrong(field)),
    };
    let replicas = |path: &'static str, field: &'static str| {
        let asked = controller.pointer(path).and_then(Value::as_f64);
        if asked.is_some_and(|asked| asked > f64::from(MOST_REPLICAS)) {
            return Err(FieldProblem { field, problem: format!("more than {MOST_REPLICAS}, the most that is read") });
        }
        number(path, field)
    };
    let count = match kind {
        // One pod stands for the set: how many there will be depends on the nodes.
        "DaemonSet" => 1,
        "Job" => {
            let parallelism = replicas("/spec/parallelism", "spec.parallelism")?.unwrap_or(1);
            let completions = number("/spec/completions", "spec.completions")?.unwrap_or(parallelism);
            let suspended = controller.pointer("/spec/suspend") == Some(&Value::Bool(true));
            if suspended { 0 } else { parallelism.min(completions) }
        }
        _ => replicas("/spec/replicas", "spec.replicas")?.unwrap_or(1),
    };
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn wrong(field: &'static str) -> FieldProblem {
    FieldProblem { field, problem: "missing or of the wrong type".to_owned() }
}
