//! Connecting, and saying what is wrong with the connection in terms of what to do about it.

use k8s_openapi::api::core::v1::{ConfigMap as RawConfigMap, Node as RawNode, Pod as RawPod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use serde_json::json;

use super::publisher::FIELD_MANAGER;

/// Why the cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Neither a kubeconfig nor a ServiceAccount.
    #[error(
        "no cluster to talk to: {0}\n  set KUBECONFIG or write ~/.kube/config; inside a cluster, mount a ServiceAccount"
    )]
    NoConfig(String),
    /// The server does not know who asks.
    #[error(
        "the API server at {0} does not accept these credentials\n  log in again, or check the user of the kubeconfig"
    )]
    Unauthorized(String),
    /// No answer.
    #[error(
        "cannot reach the API server at {server}: {problem}\n  check that it runs and that the kubeconfig is current"
    )]
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        problem: String,
    },
    /// The namespace for the ConfigMaps is missing.
    #[error(
        "namespace {0:?} does not exist\n  create it (kubectl apply -f k8s/00-namespace.yaml) or name another one with \
         --namespace"
    )]
    NoNamespace(String),
    /// Something is not allowed.
    #[error("missing permission: {verbs} on {resource}: {problem}\n  grant it as {manifest} does")]
    Forbidden {
        /// What must be allowed.
        verbs: &'static str,
        /// On what.
        resource: String,
        /// The server's message.
        problem: String,
        /// The manifest that grants it.
        manifest: &'static str,
    },
    /// Anything else.
    #[error("the API server refused to {attempt}: {problem}")]
    Refused {
        /// What was tried.
        attempt: String,
        /// The server's message.
        problem: String,
    },
}

/// A client from the kubeconfig or, inside a cluster, from the ServiceAccount, once the server has answered it.
///
/// # Errors
/// Where there is neither, or the server does not answer.
pub async fn connect() -> Result<Client, AccessError> {
    let config = Config::infer().await.map_err(|error| AccessError::NoConfig(chain(&error)))?;
    let server = config.cluster_url.to_string();
    let no_config = |error: kube::Error| AccessError::NoConfig(chain(&error));
    let client = Client::try_from(config).map_err(no_config)?;
    match client.apiserver_version().await {
        Ok(_) => Ok(client),
        Err(error) if status_code(&error).is_some_and(|(code, _)| code == 401) => {
            Err(AccessError::Unauthorized(server))
        }
        // Who may not ask for the version may still do all that is needed, and is told otherwise by what follows.
        Err(error) if status_code(&error).is_some_and(|(code, _)| code == 403) => Ok(client),
        Err(error) => Err(AccessError::Unreachable { server, problem: chain(&error) }),
    }
}

/// Tries everything that the controller will do: listing pods and nodes, and writing ConfigMaps (as a dry run).
///
/// # Errors
/// What is missing.
pub async fn preflight(client: &Client, namespace: &str) -> Result<(), AccessError> {
    let one = ListParams::default().limit(1);
    let pods = Api::<RawPod>::all(client.clone()).list(&one).await;
    pods.map_err(|error| explain_read("pods", &error))?;
    let nodes = Api::<RawNode>::all(client.clone()).list(&one).await;
    nodes.map_err(|error| explain_read("nodes", &error))?;
    let config_maps = Api::<RawConfigMap>::namespaced(client.clone(), namespace);
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mini-karpenter-preflight"}});
    let dry_run = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER) };
    let written = config_maps.patch("mini-karpenter-preflight", &dry_run, &Patch::Apply(&probe)).await;
    written.map_err(|error| explain_write(namespace, &error))?;
    Ok(())
}

pub(super) fn explain_read(resource: &str, error: &kube::Error) -> AccessError {
    match status_code(error) {
        Some((403, problem)) => AccessError::Forbidden {
            verbs: "get, list, watch",
            resource: resource.to_owned(),
            problem,
            manifest: "k8s/02-clusterrole.yaml",
        },
        _ => AccessError::Refused { attempt: format!("list {resource}"), problem: chain(error) },
    }
}

pub(super) fn explain_write(namespace: &str, error: &kube::Error) -> AccessError {
    match status_code(error) {
        Some((403, problem)) => AccessError::Forbidden {
            verbs: "get, list, watch, create, patch, delete",
            resource: format!("configmaps in namespace {namespace}"),
            problem,
            manifest: "k8s/02-clusterrole.yaml",
        },
        Some((404, _)) => AccessError::NoNamespace(namespace.to_owned()),
        _ => AccessError::Refused { attempt: format!("write a ConfigMap in {namespace}"), problem: chain(error) },
    }
}

pub(super) fn explain_watch(resource: &str, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain_read(resource, error).to_string(),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// The HTTP status and message of an answer that the server gave.
pub(super) fn status_code(error: &kube::Error) -> Option<(u16, String)> {
    match error {
        kube::Error::Api(status) => Some((status.code, status.message.clone())),
        _ => None,
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
