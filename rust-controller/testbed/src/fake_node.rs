//! Fake nodes, which KWOK keeps Ready.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::error::{Error, Result};

/// How long fake nodes may take to be Ready.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

/// A node that no machine stands behind.
///
/// ```
/// let node = testbed::FakeNode::new("node-1")
///     .cpu("2")
///     .memory("8Gi")
///     .label("topology.kubernetes.io/zone", "zone-a")
///     .taint("dedicated", "batch", "NoSchedule");
/// assert_eq!(node.name(), "node-1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeNode {
    name: String,
    cpu: String,
    memory: String,
    pods: u32,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Taint {
    key: String,
    value: String,
    effect: String,
}

impl FakeNode {
    /// A node with 4 CPUs, 16 GiB of memory, room for 110 pods, and the labels
    /// a kubelet sets by itself.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let labels = [("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")];
        Self {
            name: name.to_owned(),
            cpu: "4".to_owned(),
            memory: "16Gi".to_owned(),
            pods: 110,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            taints: Vec::new(),
        }
    }

    /// Sets its CPUs, as a quantity (`"4"`, `"3920m"`).
    #[must_use]
    pub fn cpu(self, quantity: &str) -> Self {
        let cpu = quantity.to_owned();
        Self { cpu, ..self }
    }

    /// Sets its memory, as a quantity (`"16Gi"`).
    #[must_use]
    pub fn memory(self, quantity: &str) -> Self {
        let memory = quantity.to_owned();
        Self { memory, ..self }
    }

    /// Sets how many pods it has room for.
    #[must_use]
    pub fn pods(self, count: u32) -> Self {
        Self { pods: count, ..self }
    }

    /// Adds a label, or changes one.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a taint; `effect` is `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    #[must_use]
    pub fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        self.taints.push(Taint { key: key.to_owned(), value: value.to_owned(), effect: effect.to_owned() });
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Node object. Capacity and allocatable are the same.
    fn manifest(&self) -> Value {
        let resources = json!({
            "cpu": self.cpu,
            "memory": self.memory,
            "pods": self.pods.to_string(),
        });
        let taints =
            self.taints.iter().map(|taint| json!({ "key": taint.key, "value": taint.value, "effect": taint.effect }));
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": self.labels,
                "annotations": {
                    // By this KWOK knows its nodes.
                    "kwok.x-k8s.io/node": "fake",
                    // All kubelets are one server, so each has a path of its own.
                    "metrics.k8s.io/resource-metrics-path": format!("/metrics/nodes/{}/metrics/resource", self.name),
                },
            },
            "spec": { "taints": taints.collect::<Vec<_>>() },
            "status": { "allocatable": resources, "capacity": resources },
        })
    }
}

impl ControlPlane {
    /// Creates fake nodes and waits until pods can be scheduled to them.
    ///
    /// # Errors
    ///
    /// [`Error::NoKwok`] if KWOK does not run here; else as
    /// [`ControlPlane::kubectl`] and [`ControlPlane::wait_until`].
    pub fn create_fake_nodes(&self, nodes: &[FakeNode]) -> Result<()> {
        if !self.kwok {
            return Err(Error::NoKwok);
        }
        if nodes.is_empty() {
            return Ok(());
        }
        let list = json!({
            "apiVersion": "v1",
            "kind": "List",
            "items": nodes.iter().map(FakeNode::manifest).collect::<Vec<_>>(),
        });
        // Not `apply`, which leaves out the status.
        self.kubectl_as(&self.admin_kubeconfig(), &["create", "-f", "-"], &list.to_string())?;
        self.wait_until("fake nodes to be Ready", READY_TIMEOUT, || {
            let known = self.kubectl_json(&["get", "nodes"])?;
            Ok::<_, Error>(nodes.iter().all(|node| is_ready(&known, &node.name)).then_some(()))
        })
    }
}

/// Ready, and rid of the taint every node is born with.
fn is_ready(known: &Value, name: &str) -> bool {
    let items = known["items"].as_array().into_iter().flatten();
    let mut named = items.filter(|node| node["metadata"]["name"] == name);
    named.any(|node| {
        let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
        let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
        conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            && !taints.any(|taint| taint["key"] == "node.kubernetes.io/not-ready")
    })
}
