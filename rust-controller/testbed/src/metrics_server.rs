//! metrics-server: what nodes and pods use, as `metrics.k8s.io`.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::go::{self, Recipe};
use crate::pins;

const MODULE: &str = "sigs.k8s.io/metrics-server";
const PACKAGE: &str = "sigs.k8s.io/metrics-server/cmd/metrics-server";

/// The pinned version, and the checksums of everything it needs.
const GO_MOD: &str = include_str!("../metrics-server/go.mod");
const GO_SUM: &str = include_str!("../metrics-server/go.sum");

/// Removes the symbol tables.
const LINKER_FLAGS: &str = "-s -w";

/// Where its objects are, and their name.
pub(crate) const NAMESPACE: &str = "kube-system";

/// The real metrics-server.
#[derive(Debug, Clone)]
pub struct MetricsServer {
    path: PathBuf,
}

impl MetricsServer {
    /// The file name of the program.
    pub const NAME: &str = "metrics-server";

    /// Finds the program in the cache, or builds it into the cache.
    ///
    /// # Errors
    ///
    /// [`Error::NoGo`] if it is not built and there is no Go;
    /// [`Error::Command`] if the build fails.
    pub fn locate() -> Result<Self> {
        let path = go::find_or_build(recipe(), pins::key_of(&[GO_MOD, GO_SUM, LINKER_FLAGS]), || pinned("go"))?;
        Ok(Self { path })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its version, such as `v0.9.0`.
    ///
    /// # Errors
    ///
    /// If `go.mod` does not name it.
    pub fn version(&self) -> Result<String> {
        pinned(MODULE)
    }
}

fn recipe() -> Recipe {
    Recipe {
        name: MetricsServer::NAME,
        module_folder: module_folder(),
        package: PACKAGE,
        linker_flags: LINKER_FLAGS.to_owned(),
    }
}

fn module_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("metrics-server")
}

fn pinned(first: &str) -> Result<String> {
    let word = pins::second_word(GO_MOD, first).map(str::to_owned);
    word.ok_or_else(|| Error::GoMod { go_mod: module_folder().join("go.mod"), wanted: first.to_owned() })
}

/// What the cluster has to know of it: who it is, what it may do, and that this
/// API is at `port` on 127.0.0.1. An address of this machine may be in no
/// `EndpointSlice`, but the API server calls the name of a Service that is a
/// mere name.
pub(crate) fn objects(port: u16, authority: &str) -> Value {
    let name = MetricsServer::NAME;
    let items = [
        object("v1", "ServiceAccount", name, Some(NAMESPACE), json!({})),
        rbac(
            "ClusterRole",
            name,
            None,
            json!({ "rules": [
            { "apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"] },
        ] }),
        ),
        binding("ClusterRoleBinding", name, None, ("ClusterRole", name)),
        // To ask the API server who somebody is, and what he may do.
        binding("ClusterRoleBinding", "metrics-server-delegates", None, ("ClusterRole", "system:auth-delegator")),
        binding("RoleBinding", name, Some(NAMESPACE), ("Role", "extension-apiserver-authentication-reader")),
        object(
            "v1",
            "Service",
            name,
            Some(NAMESPACE),
            json!({
                "spec": { "type": "ExternalName", "externalName": "127.0.0.1" },
            }),
        ),
        object(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1beta1.metrics.k8s.io",
            None,
            json!({ "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": { "namespace": NAMESPACE, "name": name, "port": port },
            "caBundle": STANDARD.encode(authority),
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        } }),
        ),
    ];
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn binding(kind: &str, name: &str, namespace: Option<&str>, (role_kind, role): (&str, &str)) -> Value {
    rbac(
        kind,
        name,
        namespace,
        json!({
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role },
            "subjects": [{ "kind": "ServiceAccount", "namespace": NAMESPACE, "name": MetricsServer::NAME }],
        }),
    )
}

fn rbac(kind: &str, name: &str, namespace: Option<&str>, rest: Value) -> Value {
    object("rbac.authorization.k8s.io/v1", kind, name, namespace, rest)
}

fn object(version: &str, kind: &str, name: &str, namespace: Option<&str>, mut rest: Value) -> Value {
    rest["apiVersion"] = version.into();
    rest["kind"] = kind.into();
    rest["metadata"] = json!({ "name": name });
    if let Some(namespace) = namespace {
        rest["metadata"]["namespace"] = namespace.into();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_pins() {
        assert!(pinned(MODULE).unwrap().starts_with("v0."));
        assert!(pinned("go").unwrap().starts_with("1."));
        assert!(pinned("example.com/absent").is_err());
    }
}
