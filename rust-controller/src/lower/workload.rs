//! Controllers in files: their replicas become pods that wait for a node ("what would this manifest need?").

use serde_json::{Value, json};

/// Kinds of controllers that are read.
pub(super) const KINDS: [&str; 5] = ["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"];

/// Pods that a controller would make: how many, and what each is made of.
pub(super) struct Replicas {
    pub(super) count: u64,
    owner_kind: String,
    owner_name: String,
    namespace: Value,
    metadata: Value,
    spec: Value,
}

impl Replicas {
    /// Reads a controller of one of [`KINDS`].
    ///
    /// # Errors
    /// The path of the field that is missing or has the wrong type.
    pub(super) fn of(kind: &str, controller: &Value) -> Result<Self, &'static str> {
        let name = controller.pointer("/metadata/name").and_then(Value::as_str).ok_or("metadata.name")?;
        let spec = controller.pointer("/spec/template/spec").ok_or("spec.template.spec")?;
        let at = |path| controller.pointer(path).cloned().unwrap_or_default();
        Ok(Self {
            count: count(kind, controller)?,
            // The pods of a Deployment belong to a ReplicaSet whose name is not known before it exists.
            owner_kind: if kind == "Deployment" { "ReplicaSet" } else { kind }.to_owned(),
            owner_name: name.to_owned(),
            namespace: at("/metadata/namespace"),
            metadata: at("/spec/template/metadata"),
            spec: spec.clone(),
        })
    }

    /// The name of one of them, counted from 0: such as the controller would give it.
    pub(super) fn name(&self, ordinal: u64) -> String {
        format!("{}-{ordinal}", self.owner_name)
    }

    /// What they all are.
    pub(super) fn pod(&self) -> Value {
        let owner = json!({
            "apiVersion": "apps/v1", "kind": self.owner_kind, "name": self.owner_name, "uid": "", "controller": true,
        });
        let of_template = |key: &str| self.metadata.get(key).cloned().unwrap_or_default();
        json!({
            "metadata": {
                "name": self.owner_name,
                "namespace": self.namespace,
                "labels": of_template("labels"),
                "annotations": of_template("annotations"),
                "ownerReferences": [owner],
            },
            "spec": self.spec,
        })
    }
}

fn count(kind: &str, controller: &Value) -> Result<u64, &'static str> {
    let number = |path: &'static str, name: &'static str| match controller.pointer(path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(name),
    };
    match kind {
        // One pod stands for the set: how many there will be depends on the nodes.
        "DaemonSet" => Ok(1),
        "Job" => {
            let parallelism = number("/spec/parallelism", "spec.parallelism")?.unwrap_or(1);
            let completions = number("/spec/completions", "spec.completions")?.unwrap_or(parallelism);
            let suspended = controller.pointer("/spec/suspend") == Some(&Value::Bool(true));
            Ok(if suspended { 0 } else { parallelism.min(completions) })
        }
        _ => Ok(number("/spec/replicas", "spec.replicas")?.unwrap_or(1)),
    }
}
