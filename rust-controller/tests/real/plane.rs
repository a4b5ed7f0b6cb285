//! A control plane with what a user has installed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use testbed::{ControlPlane, FakeNode, Options};

/// What the cluster may take to do something, on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(1);

/// Namespace and ServiceAccount of `k8s/`.
pub(crate) const NAMESPACE: &str = "aula07";
pub(crate) const SERVICE_ACCOUNT: &str = "mini-karpenter-rs";

/// A control plane of the test's own, with the namespace, the ServiceAccount and the RBAC of `k8s/` applied.
pub(crate) struct Plane {
    pub(crate) control_plane: ControlPlane,
}

impl Plane {
    /// Without nodes.
    pub(crate) fn start() -> Self {
        Self::on(ControlPlane::start(&Options { kwok: true, ..Options::default() }).unwrap())
    }

    /// On a control plane that runs.
    pub(crate) fn on(control_plane: ControlPlane) -> Self {
        let plane = Self { control_plane };
        for manifest in ["00-namespace", "01-serviceaccount", "02-clusterrole", "03-clusterrolebinding"] {
            plane.apply_manifest(&format!("{manifest}.yaml"));
        }
        plane
    }

    /// With nodes of 4 CPU and 16Gi of these names, ready.
    pub(crate) fn with_nodes(names: &[&str]) -> Self {
        let plane = Self::start();
        let nodes: Vec<FakeNode> = names.iter().map(|name| FakeNode::new(name).cpu("4").memory("16Gi")).collect();
        plane.control_plane.create_fake_nodes(&nodes).unwrap();
        plane
    }

    /// Applies a file below `k8s/`, as it is.
    pub(crate) fn apply_manifest(&self, path: &str) {
        self.kubectl(&["apply", "-f", manifest(path).to_str().unwrap()]);
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        self.control_plane.kubectl(arguments).unwrap()
    }

    /// A kubeconfig with nothing but the token of the ServiceAccount.
    pub(crate) fn service_account_kubeconfig(&self) -> PathBuf {
        self.control_plane.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT).unwrap()
    }

    /// The ConfigMap, if it is there.
    pub(crate) fn config_map(&self, name: &str) -> Option<Value> {
        let found = self.control_plane.kubectl_json(&["get", "configmap", name, "-n", NAMESPACE, "--ignore-not-found"]);
        found.ok().filter(|found| found["kind"] == "ConfigMap")
    }

    pub(crate) fn wait_for_config_map(&self, name: &str) -> Value {
        self.wait(&format!("ConfigMap {name}"), || self.config_map(name))
    }

    pub(crate) fn wait_until_gone(&self, name: &str) {
        self.wait(&format!("ConfigMap {name} to go"), || self.config_map(name).is_none().then_some(()));
    }

    /// Polls until there is something.
    pub(crate) fn wait<T>(&self, what: &str, condition: impl Fn() -> Option<T>) -> T {
        let condition = || Ok::<_, testbed::Error>(condition());
        self.control_plane.wait_until(what, TIMEOUT, condition).unwrap()
    }

    /// Polls until it succeeds; its last error says why it never did.
    pub(crate) fn wait_or_tell<T>(&self, what: &str, attempt: impl Fn() -> anyhow::Result<T>) -> T {
        self.control_plane.wait_until(what, TIMEOUT, || attempt().map(Some)).unwrap()
    }

    /// Names of the pods with these labels that the scheduler has found unschedulable, once there are `count`.
    pub(crate) fn wait_for_unschedulable(&self, namespace: &str, labels: &str, count: usize) -> Vec<String> {
        self.wait(&format!("{count} unschedulable pods"), || {
            let pods = self.control_plane.kubectl_json(&["get", "pods", "-n", namespace, "-l", labels]).ok()?;
            let unschedulable = |pod: &&Value| {
                let conditions = pod["status"]["conditions"].as_array();
                conditions.is_some_and(|all| all.iter().any(|condition| condition["reason"] == "Unschedulable"))
            };
            let pods = pods["items"].as_array()?.iter().filter(unschedulable);
            let names: Vec<String> =
                pods.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
            (names.len() == count).then_some(names)
        })
    }

    /// A pod of its own that no node can run, for its CPU.
    pub(crate) fn create_large_pod(&self, namespace: &str, name: &str) {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\nspec:\n  \
             securityContext: {{runAsNonRoot: true, runAsUser: 65535, seccompProfile: {{type: RuntimeDefault}}}}\n  \
             containers:\n  - name: pause\n    image: registry.k8s.io/pause:3.10\n    resources: {{requests: {{cpu: \"20\", \
             memory: 1Gi}}}}\n    securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}\n"
        );
        // Its namespace's default ServiceAccount may take a moment.
        self.wait(&format!("pod {name}"), || self.control_plane.apply(&pod).ok());
    }
}

/// A file below `k8s/`.
pub(crate) fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s").join(path)
}

/// One text of a ConfigMap.
pub(crate) fn data<'a>(config_map: &'a Value, key: &str) -> &'a str {
    config_map["data"][key].as_str().unwrap()
}

/// The ConfigMap's `info.json`.
pub(crate) fn info(config_map: &Value) -> Value {
    serde_json::from_str(data(config_map, "info.json")).unwrap()
}
