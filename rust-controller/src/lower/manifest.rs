//! Files of Kubernetes objects: JSON or YAML, any number of documents, lists or single objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node as RawNode, Pod as RawPod};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::workload::{self, Replicas};
use super::{LowerError, lower_node, lower_pod};
use crate::model::{Node, Pod, SchedulingState};
use crate::snapshot::Skipped;

/// What was read from one file.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Nodes, in the file's order.
    pub nodes: Vec<Arc<Node>>,
    /// Pods, those of workloads included, in the file's order.
    pub pods: Vec<Arc<Pod>>,
    /// Objects with a value that cannot be planned with.
    pub skipped: Vec<Skipped>,
    /// Objects of kinds that the planner does not read, by kind.
    pub unread_kinds: BTreeMap<String, usize>,
}

/// Why a file is not a set of Kubernetes objects. Each message names the document, counted from 1, and the field.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Neither JSON nor YAML.
    #[error("not {format}: {problem}")]
    Syntax {
        /// `JSON` or `YAML`, by the first character.
        format: &'static str,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// A document that is no Kubernetes object.
    #[error("document {document}: not a Kubernetes object ({problem}); expected kind, metadata, spec")]
    NotAnObject {
        /// Position in the file, from 1.
        document: usize,
        /// What is missing.
        problem: &'static str,
    },
    /// A field of the wrong type.
    #[error("document {document}: {kind} {name}: {field}: {problem}")]
    Field {
        /// Position in the file, from 1.
        document: usize,
        /// The object's kind.
        kind: String,
        /// The object's name, or `(no name)`.
        name: String,
        /// Path of the field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads every document of a file.
///
/// # Errors
/// Where the text is neither JSON nor YAML, a document is no Kubernetes object, or a field has the wrong type. An
/// object with a bad quantity is no error: it is in [`Manifest::skipped`].
pub fn parse_manifest(text: &str) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    for (index, document) in documents(text)?.into_iter().enumerate() {
        if !document.is_null() {
            manifest.read(document, index + 1, None)?;
        }
    }
    Ok(manifest)
}

fn documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    if text.trim_start().starts_with(['{', '[']) {
        let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
        return documents.map_err(|error| ManifestError::Syntax { format: "JSON", problem: error.to_string() });
    }
    // The file is the user's own and may be as large as their cluster: no limits beyond memory.
    // Only `true` and `false` are booleans, so that a node may be called `n`.
    let options = serde_yaml::options! { budget: None, strict_booleans: true };
    serde_yaml::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::Syntax { format: "YAML", problem: error.to_string() })
}

impl Manifest {
    /// Reads one document; `item_kind` is the kind of an item of a typed list, which need not repeat it.
    fn read(&mut self, mut value: Value, document: usize, item_kind: Option<&str>) -> Result<(), ManifestError> {
        let not_an_object = |problem| ManifestError::NotAnObject { document, problem };
        let object = value.as_object_mut().ok_or(not_an_object("not a map"))?;
        let kind = object.get("kind").and_then(Value::as_str).or(item_kind).ok_or(not_an_object("no kind"))?.to_owned();
        if let Some(item_kind) = kind.strip_suffix("List") {
            let Some(Value::Array(items)) = object.remove("items") else {
                return Err(not_an_object("a list without items"));
            };
            let item_kind = Some(item_kind).filter(|kind| !kind.is_empty());
            return items.into_iter().try_for_each(|item| self.read(item, document, item_kind));
        }
        quote_quantities(&mut value);
        let source = Source { document, kind: &kind };
        match kind.as_str() {
            "Node" => self.add_node(&source.typed::<RawNode>(value)?),
            "Pod" => self.add_pod(source.typed::<RawPod>(value)?),
            workload if workload::KINDS.contains(&workload) => self.add_replicas(&source, &value)?,
            _ => *self.unread_kinds.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    fn add_node(&mut self, raw: &RawNode) {
        match lower_node(raw) {
            Ok(node) => self.nodes.push(Arc::new(node)),
            Err(error) => self.skip("Node", raw.metadata.name.as_deref(), None, &error),
        }
    }

    fn add_replicas(&mut self, source: &Source<'_>, controller: &Value) -> Result<(), ManifestError> {
        let replicas = Replicas::of(source.kind, controller)
            .map_err(|field| source.error(controller, field, "missing or of the wrong type"))?;
        if replicas.count == 0 {
            return Ok(());
        }
        let pod: RawPod = source.typed(replicas.pod())?;
        for ordinal in 0..replicas.count {
            let mut pod = pod.clone();
            pod.metadata.name = Some(replicas.name(ordinal));
            self.add_pod(pod);
        }
        Ok(())
    }

    fn add_pod(&mut self, mut raw: RawPod) {
        default_requests(&mut raw);
        match lower_pod(&raw) {
            Ok(mut pod) => {
                let judged = raw.status.as_ref().is_some_and(|status| status.conditions.is_some());
                if pod.scheduling == SchedulingState::Unjudged && !judged {
                    // A file has no scheduler; whoever asks about a pod without a node asks where it could run.
                    pod.scheduling = SchedulingState::Unschedulable("no scheduler has looked at it".to_owned());
                }
                self.pods.push(Arc::new(pod));
            }
            Err(error) => {
                self.skip("Pod", raw.metadata.name.as_deref(), raw.metadata.namespace.as_deref(), &error);
            }
        }
    }

    fn skip(&mut self, kind: &str, name: Option<&str>, namespace: Option<&str>, error: &LowerError) {
        let name = name.unwrap_or("(no name)");
        let name = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        self.skipped.push(Skipped { kind: kind.to_owned(), name, reason: error.to_string() });
    }
}

/// Where an object stands, for messages.
struct Source<'a> {
    document: usize,
    kind: &'a str,
}

impl Source<'_> {
    fn typed<T: DeserializeOwned>(&self, value: Value) -> Result<T, ManifestError> {
        let name = value.pointer("/metadata/name").cloned().unwrap_or_default();
        serde_path_to_error::deserialize(value)
            .map_err(|error| self.error_at(&name, &error.path().to_string(), &error.inner().to_string()))
    }

    fn error(&self, object: &Value, field: &str, problem: &str) -> ManifestError {
        self.error_at(object.pointer("/metadata/name").unwrap_or(&Value::Null), field, problem)
    }

    fn error_at(&self, name: &Value, field: &str, problem: &str) -> ManifestError {
        ManifestError::Field {
            document: self.document,
            kind: self.kind.to_owned(),
            name: name.as_str().unwrap_or("(no name)").to_owned(),
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

/// `cpu: 2` is as good as `cpu: "2"` in a manifest; the typed objects take only the second.
fn quote_quantities(value: &mut Value) {
    const QUANTITY_MAPS: [&str; 6] =
        ["requests", "limits", "allocatable", "capacity", "overhead", "allocatedResources"];
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::Object(map) if QUANTITY_MAPS.contains(&key.as_str()) => {
                        map.values_mut().filter(|amount| amount.is_number()).for_each(|amount| {
                            *amount = Value::String(amount.to_string());
                        });
                    }
                    other => quote_quantities(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quote_quantities),
        _ => {}
    }
}

/// What the API server does to a pod on its way in: a limit without a request is a request too.
fn default_requests(pod: &mut RawPod) {
    let Some(spec) = pod.spec.as_mut() else { return };
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    containers.for_each(default_container_requests);
    let asked_by_containers: Vec<&String> = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .filter_map(|container| container.resources.as_ref()?.requests.as_ref())
        .flat_map(BTreeMap::keys)
        .collect();
    if let Some(resources) = spec.resources.as_mut() {
        for (name, limit) in resources.limits.iter().flatten() {
            if !asked_by_containers.contains(&name) {
                let requests = resources.requests.get_or_insert_default();
                requests.entry(name.clone()).or_insert_with(|| limit.clone());
            }
        }
    }
}

fn default_container_requests(container: &mut Container) {
    if let Some(resources) = container.resources.as_mut() {
        for (name, limit) in resources.limits.iter().flatten() {
            let requests = resources.requests.get_or_insert_default();
            requests.entry(name.clone()).or_insert_with(|| limit.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_documents_lists_and_workloads_become_pods_and_nodes() {
        let manifest = parse_manifest(
            "---\n# nothing\n---\nkind: PodList\nitems:\n- metadata: {name: a}\n  spec: {containers: [{name: c, \
             resources: {requests: {cpu: 2}}}]}\n---\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: \
             {replicas: 3, selector: {}, template: {spec: {containers: [{name: c, resources: {limits: {memory: \
             1Gi}}}]}}}\n---\nkind: Node\nmetadata: {name: n}\nstatus: {allocatable: {cpu: 4, pods: 110}}\n---\nkind: \
             Service\nmetadata: {name: s}\n",
        )
        .unwrap();
        let pods: Vec<String> = manifest
            .pods
            .iter()
            .map(|pod| format!("{} {} {}", pod.name, pod.requests.cpu, pod.requests.memory))
            .collect();
        assert_eq!(pods, ["default/a 2 0", "shop/web-0 0 1Gi", "shop/web-1 0 1Gi", "shop/web-2 0 1Gi"]);
        assert!(manifest.pods.iter().all(|pod| matches!(pod.scheduling, SchedulingState::Unschedulable(_))));
        assert_eq!(manifest.nodes[0].allocatable.cpu.get(), 4000);
        assert_eq!(manifest.unread_kinds.into_iter().collect::<Vec<_>>(), [("Service".to_owned(), 1)]);
    }

    #[test]
    fn json_may_hold_several_documents_too() {
        let manifest = parse_manifest(
            r#"{"kind":"Node","metadata":{"name":"a"}} {"kind":"List","items":[{"kind":"Node","metadata":{"name":"b"}}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.nodes.len(), 2);
    }

    #[test]
    fn a_pod_with_a_bad_quantity_is_skipped_by_name_and_the_rest_is_read() {
        let manifest = parse_manifest(
            "kind: Pod\nmetadata: {name: bad, namespace: x}\nspec: {containers: [{name: c, resources: {requests: \
             {memory: 1Gb}}}]}\n---\nkind: Pod\nmetadata: {name: good}\nspec: {containers: []}\n",
        )
        .unwrap();
        assert_eq!(manifest.pods.len(), 1);
        assert_eq!(
            manifest.skipped[0].to_string(),
            "Pod x/bad: spec.containers[0].resources.requests.memory: \"1Gb\" is not a quantity (examples: 250m, 1.5, \
             512Mi)"
        );
    }

    #[test]
    fn errors_name_the_document_and_the_field() {
        let error = |text: &str| parse_manifest(text).unwrap_err().to_string();
        assert_eq!(
            error("kind: Node\nmetadata: {name: n}\n---\nkind: Pod\nmetadata: {name: p}\nspec: {containers: 5}\n"),
            "document 2: Pod p: spec.containers: invalid type: integer `5`, expected a sequence"
        );
        assert!(error("hello").starts_with("document 1: not a Kubernetes object (not a map)"));
        assert!(error("a: [1").starts_with("not YAML: "));
        assert!(error("{\"kind\": ").starts_with("not JSON: "));
        assert!(error("metadata: {}").contains("no kind"));
    }
}
