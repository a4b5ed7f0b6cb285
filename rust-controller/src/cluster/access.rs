//! Connecting, and saying what is wrong with the connection in terms of what to do about it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap as RawConfigMap, Node as RawNode, Pod as RawPod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::Status;
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use serde_json::json;

use super::publisher::FIELD_MANAGER;

/// What connecting may take, and what the preflight may.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where the address is not known.
const SERVER: &str = "the API server";

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
        "{server} does not accept these credentials: {problem}\n  log in again, or check the user of the kubeconfig"
    )]
    Unauthorized {
        /// `the API server`, with its address where that is known.
        server: String,
        /// The server's message.
        problem: String,
    },
    /// No answer.
    #[error("cannot reach {server}: {problem}\n  check that it runs and that the kubeconfig is current")]
    Unreachable {
        /// `the API server`, with its address where that is known.
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
    /// The namespace for the ConfigMaps takes nothing new any more.
    #[error(
        "namespace {0:?} is being deleted\n  wait until it is gone and create it again, or name another one with --namespace"
    )]
    NamespaceEnds(String),
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
/// Where there is neither, or the server does not answer within 15 s.
pub async fn connect() -> Result<Client, AccessError> {
    let config = Config::infer().await.map_err(|error| AccessError::NoConfig(chain(&error)))?;
    let server = format!("{SERVER} at {}", config.cluster_url);
    let client = Client::try_from(config).map_err(|error| AccessError::NoConfig(chain(&error)))?;
    let version = within_patience(&server, client.apiserver_version()).await?;
    match version {
        Ok(_) => Ok(client),
        Err(error) => match status(&error) {
            Some(Status { code: 401, .. }) => Err(AccessError::Unauthorized { server, problem: chain(&error) }),
            // Who may not ask for the version may still do all that is needed, and is told otherwise by what follows.
            Some(Status { code: 403, .. }) => Ok(client),
            _ => Err(AccessError::Unreachable { server, problem: chain(&error) }),
        },
    }
}

/// Lists one pod, one node and one of the namespace's ConfigMaps, and applies a ConfigMap as a dry run. Watching and
/// deleting are not tried.
///
/// # Errors
/// What is missing, or that the server has not answered all of it within 15 s.
pub async fn preflight(client: &Client, namespace: &str) -> Result<(), AccessError> {
    within_patience(SERVER, try_everything(client, namespace)).await?
}

async fn try_everything(client: &Client, namespace: &str) -> Result<(), AccessError> {
    let one = ListParams::default().limit(1);
    let pods = Api::<RawPod>::all(client.clone()).list(&one).await;
    pods.map_err(|error| explain_read("pods", &error))?;
    let nodes = Api::<RawNode>::all(client.clone()).list(&one).await;
    nodes.map_err(|error| explain_read("nodes", &error))?;
    let config_maps = Api::<RawConfigMap>::namespaced(client.clone(), namespace);
    let listed = config_maps.list(&one).await;
    listed.map_err(|error| explain_config_maps("list ConfigMaps", namespace, &error))?;
    let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mini-karpenter-preflight"}});
    let dry_run = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER) };
    let written = config_maps.patch("mini-karpenter-preflight", &dry_run, &Patch::Apply(&probe)).await;
    written.map_err(|error| explain_write(namespace, &error))?;
    Ok(())
}

async fn within_patience<T>(server: &str, attempt: impl Future<Output = T>) -> Result<T, AccessError> {
    tokio::time::timeout(PATIENCE, attempt).await.map_err(|_| AccessError::Unreachable {
        server: server.to_owned(),
        problem: format!("no answer within {PATIENCE:?}"),
    })
}

pub(super) fn explain_read(resource: &str, error: &kube::Error) -> AccessError {
    let attempt = || format!("list {resource}");
    status(error).map_or_else(|| explain_failure(attempt(), error), |status| explain_read_status(resource, status))
}

fn explain_read_status(resource: &str, status: &Status) -> AccessError {
    let problem = message(status);
    match status.code {
        403 => AccessError::Forbidden {
            verbs: "get, list, watch",
            resource: resource.to_owned(),
            problem,
            manifest: "k8s/02-clusterrole.yaml",
        },
        _ => explain_status(format!("list {resource}"), status),
    }
}

pub(super) fn explain_write(namespace: &str, error: &kube::Error) -> AccessError {
    explain_config_maps("write a ConfigMap", namespace, error)
}

fn explain_config_maps(attempt: &str, namespace: &str, error: &kube::Error) -> AccessError {
    let attempt = format!("{attempt} in {namespace}");
    let Some(status) = status(error) else { return explain_failure(attempt, error) };
    let about_namespace = || status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
    match status.code {
        403 if status.message.contains("being terminated") => AccessError::NamespaceEnds(namespace.to_owned()),
        403 => AccessError::Forbidden {
            verbs: "get, list, watch, create, patch, delete",
            resource: format!("configmaps in namespace {namespace}"),
            problem: message(status),
            manifest: "k8s/02-clusterrole.yaml",
        },
        404 if about_namespace() => AccessError::NoNamespace(namespace.to_owned()),
        _ => explain_status(attempt, status),
    }
}

pub(super) fn explain_watch(resource: &str, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain_read(resource, error).to_string(),
        watcher::Error::WatchError(status) => explain_read_status(resource, status).to_string(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Whether the server does not allow what a watch needs.
pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => status(error),
        watcher::Error::WatchError(status) => Some(&**status),
        watcher::Error::NoResourceVersion => None,
    };
    status.is_some_and(|status| status.code == 403)
}

/// An answer that means the same whatever was tried.
fn explain_status(attempt: String, status: &Status) -> AccessError {
    let problem = message(status);
    match status.code {
        401 => AccessError::Unauthorized { server: SERVER.to_owned(), problem },
        _ => AccessError::Refused { attempt, problem },
    }
}

/// What is wrong where the server gave no answer, or none that makes sense.
fn explain_failure(attempt: String, error: &kube::Error) -> AccessError {
    let problem = chain(error);
    match error {
        kube::Error::Service(_) | kube::Error::HyperError(_) => {
            AccessError::Unreachable { server: SERVER.to_owned(), problem }
        }
        _ => AccessError::Refused { attempt, problem },
    }
}

/// The answer that the server gave, if it gave one.
pub(super) fn status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

/// The server's words, without the rest of the answer.
fn message(status: &Status) -> String {
    let words = [&status.message, &status.reason].into_iter().find(|words| !words.is_empty());
    words.map_or_else(|| format!("HTTP status {}", status.code), Clone::clone)
}

/// An error with its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(kube::Error::Api(status)) = error.downcast_ref() {
        return message(status);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, message: &str, about: &str) -> kube::Error {
        let status = json!({"status": "Failure", "code": code, "message": message, "details": {"kind": about}});
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn credentials_that_are_not_accepted_say_so_wherever_they_are_used() {
        let error = answer(401, "Unauthorized", "");
        let expected = "the API server does not accept these credentials: Unauthorized\n  log in again, or check the user \
                        of the kubeconfig";
        assert_eq!(explain_read("pods", &error).to_string(), expected);
        assert_eq!(explain_write("aula07", &error).to_string(), expected);
        assert_eq!(explain_watch("pods", &watcher::Error::WatchStartFailed(error)), expected);
        let kube::Error::Api(status) = answer(401, "Unauthorized", "") else { unreachable!() };
        assert_eq!(explain_watch("pods", &watcher::Error::WatchError(status)), expected);
    }

    #[test]
    fn a_namespace_that_ends_is_no_missing_permission() {
        let terminated = answer(403, "unable to create new content in namespace a because it is being terminated", "");
        assert!(matches!(explain_write("a", &terminated), AccessError::NamespaceEnds(_)));
        assert!(matches!(explain_write("a", &answer(403, "no", "")), AccessError::Forbidden { .. }));
    }

    #[test]
    fn only_a_missing_namespace_is_called_one() {
        assert!(matches!(explain_write("a", &answer(404, "no", "namespaces")), AccessError::NoNamespace(_)));
        assert!(matches!(explain_write("a", &answer(404, "no", "configmaps")), AccessError::Refused { .. }));
    }

    #[test]
    fn the_answer_is_told_in_its_own_words() {
        let text = explain_read("pods", &answer(500, "etcd is away", "")).to_string();
        assert_eq!(text, "the API server refused to list pods: etcd is away");
    }
}
