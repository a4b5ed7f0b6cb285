//! Files of Kubernetes objects: JSON or YAML, any number of documents, lists or single objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node as RawNode, Pod as RawPod};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::defaults::fill_in;
use super::documents::{Document, documents, json_item, list_items, quote_quantities};
use super::extras;
use super::workload::{self, ClaimTemplate, Replicas, Workload, WorkloadName};
use super::{LowerError, lower_claim, lower_node, lower_pod};
use crate::model::{Node, Pod, SchedulingState};
use crate::snapshot::{Extras, Skipped, Snapshot};

/// What stands in a message for a name that is missing.
pub(super) const NO_NAME: &str = "(no name)";

/// What was read from one file, or from several.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Nodes, in the file's order.
    pub nodes: Vec<Arc<Node>>,
    /// Pods, in the file's order. Those that workloads ask for beyond these come with [`Manifest::into_snapshot`].
    pub pods: Vec<Arc<Pod>>,
    /// Controllers: nothing for one that asks for no pods, or whose pods cannot be planned with. Of two with one name
    /// the last counts.
    workloads: BTreeMap<WorkloadName, Option<Workload>>,
    /// What else decides where a pod may run, of each kind of which an object could be read.
    pub extras: Extras,
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

/// Reads every document of a file. An array of objects is read as a list of them.
///
/// # Errors
/// Where the text is neither JSON nor YAML, a document is no Kubernetes object, or a field has the wrong type. An
/// object with a bad quantity is no error: it is in [`Manifest::skipped`].
pub fn parse_manifest(text: &str) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    for (index, read) in documents(text)?.into_iter().enumerate() {
        let document = index + 1;
        match read {
            Document::Value(Value::Null) => {}
            Document::Value(Value::Array(items)) => {
                items.into_iter().try_for_each(|item| manifest.read(item, document, None))?;
            }
            Document::Value(object) => manifest.read(object, document, None)?,
            Document::Items(item_kind, items) => {
                extras::mark_read(&mut manifest.extras, item_kind.as_deref().unwrap_or_default());
                items
                    .into_iter()
                    .try_for_each(|item| manifest.read(json_item(item)?, document, item_kind.as_deref()))?;
            }
        }
    }
    Ok(manifest)
}

impl Manifest {
    /// Adds what was read from another file, as if it stood at the end of this one.
    pub fn append(&mut self, next: Self) {
        let Self { nodes, pods, workloads, extras, skipped, unread_kinds } = next;
        self.nodes.extend(nodes);
        self.pods.extend(pods);
        self.workloads.extend(workloads);
        extras::append(&mut self.extras, extras);
        self.skipped.extend(skipped);
        for (kind, count) in unread_kinds {
            *self.unread_kinds.entry(kind).or_default() += count;
        }
    }

    /// Everything that was read, and the pods that its workloads ask for but do not have yet.
    #[must_use]
    pub fn into_snapshot(self) -> Snapshot {
        let missing = workload::missing(&self.workloads, &self.pods);
        let mut extras = self.extras;
        // Where no file says anything of claims, those of these pods are as unknown as all others.
        if let Some(claims) = &mut extras.claims {
            for claim in missing.claims {
                claims.entry(claim.name.clone()).or_insert_with(|| Arc::new(claim));
            }
        }
        let pods: Vec<Arc<Pod>> = self.pods.into_iter().chain(missing.pods).collect();
        if let Some(namespaces) = &mut extras.namespaces {
            for pod in &pods {
                extras::name_namespace(namespaces, &pod.name.namespace);
            }
        }
        Snapshot::new(self.nodes, pods, self.skipped).with_extras(extras)
    }

    /// Reads one document; `item_kind` is the kind of an item of a typed list, which need not repeat it.
    fn read(&mut self, mut value: Value, document: usize, item_kind: Option<&str>) -> Result<(), ManifestError> {
        let not_an_object = |problem| ManifestError::NotAnObject { document, problem };
        let object = value.as_object_mut().ok_or(not_an_object("not a map"))?;
        let kind = object.get("kind").and_then(Value::as_str).or(item_kind).ok_or(not_an_object("no kind"))?.to_owned();
        if let Some((item_kind, items)) = list_items(&kind, object) {
            // Of a kind that an empty list is of there are none, which is not the same as that nobody could read them.
            extras::mark_read(&mut self.extras, item_kind.unwrap_or_default());
            return items.into_iter().try_for_each(|item| self.read(item, document, item_kind));
        }
        if kind != "CSINode" {
            // Of which `allocatable` is no map of quantities.
            quote_quantities(&mut value);
        }
        let source = Source { document, kind: &kind };
        match kind.as_str() {
            "Node" => self.add_node(&source.typed::<RawNode>(value)?),
            "Pod" => self.add_pod(source.typed::<RawPod>(value)?),
            workload if workload::KINDS.contains(&workload) => self.add_replicas(&source, &value)?,
            extra if extras::KINDS.contains(&extra) => {
                self.skipped.extend(extras::read(&mut self.extras, &source, value)?);
            }
            _ => *self.unread_kinds.entry(kind).or_default() += 1,
        }
        Ok(())
    }

    fn add_node(&mut self, raw: &RawNode) {
        match lower_node(raw) {
            Ok(node) => self.nodes.push(Arc::new(node)),
            Err(error) => {
                let name = raw.metadata.name.as_deref().unwrap_or(NO_NAME);
                self.skipped.push(Skipped::new("Node", name, error.to_string()));
            }
        }
    }

    fn add_replicas(&mut self, source: &Source<'_>, controller: &Value) -> Result<(), ManifestError> {
        let replicas = Replicas::of(source.kind, controller)
            .map_err(|wrong| source.error(controller, wrong.field, &wrong.problem))?;
        let workload = match replicas.count {
            0 => None,
            count => {
                let model = self.model(&replicas.name, source.typed(replicas.pod())?);
                let claims = self.claims(source, &replicas)?;
                model.map(|model| Workload { count, model, claims })
            }
        };
        self.workloads.insert(replicas.name, workload);
        Ok(())
    }

    /// What each pod of a workload claims, where it can be planned with.
    fn claims(&mut self, source: &Source<'_>, replicas: &Replicas) -> Result<Vec<ClaimTemplate>, ManifestError> {
        let mut claims = Vec::new();
        for (mut template, ephemeral) in replicas.claims() {
            quote_quantities(&mut template);
            match lower_claim(&source.typed(template)?) {
                Ok(claim) => claims.push(ClaimTemplate { claim, ephemeral }),
                Err(error) => {
                    let WorkloadName { kind, namespace, name } = &replicas.name;
                    let reason = format!("claim template: {error}");
                    self.skipped.push(Skipped::new(kind, format!("{namespace}/{name}"), reason));
                }
            }
        }
        Ok(claims)
    }

    /// What each pod of a workload is, where it can be planned with.
    fn model(&mut self, workload: &WorkloadName, mut pod: RawPod) -> Option<Arc<Pod>> {
        let WorkloadName { kind, namespace, name } = workload;
        match lower(&mut pod) {
            Ok(pod) => Some(Arc::new(pod)),
            Err(error) => {
                let reason = format!("spec.template.{error}");
                self.skipped.push(Skipped::new(kind, format!("{namespace}/{name}"), reason));
                None
            }
        }
    }

    fn add_pod(&mut self, mut raw: RawPod) {
        match lower(&mut raw) {
            Ok(pod) => self.pods.push(Arc::new(pod)),
            Err(error) => {
                let namespace = raw.metadata.namespace.as_deref().unwrap_or("default");
                let name = raw.metadata.name.as_deref().unwrap_or(NO_NAME);
                let node = raw.spec.and_then(|spec| spec.node_name).filter(|node| !node.is_empty());
                let skipped = Skipped::new("Pod", format!("{namespace}/{name}"), error.to_string());
                self.skipped.push(Skipped { node, ..skipped });
            }
        }
    }
}

/// Fills a pod in as the API server does, and lowers it.
fn lower(raw: &mut RawPod) -> Result<Pod, LowerError> {
    fill_in(raw);
    let mut pod = lower_pod(raw)?;
    let judged = raw.status.as_ref().is_some_and(|status| status.conditions.is_some());
    if pod.scheduling == SchedulingState::Unjudged && !judged {
        // A file has no scheduler; whoever asks about a pod without a node asks where it could run.
        pod.scheduling = SchedulingState::Unschedulable;
    }
    Ok(pod)
}

/// Where an object stands, for messages.
pub(super) struct Source<'a> {
    document: usize,
    pub(super) kind: &'a str,
}

impl Source<'_> {
    pub(super) fn typed<T: DeserializeOwned>(&self, value: Value) -> Result<T, ManifestError> {
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
            name: name.as_str().unwrap_or(NO_NAME).to_owned(),
            field: field.to_owned(),
            problem: problem.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::written::{names, pod, workload};

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
        let snapshot = manifest.into_snapshot();
        let pods: Vec<String> = snapshot
            .pods()
            .iter()
            .map(|pod| format!("{} {} {}", pod.name, pod.requests.cpu, pod.requests.memory))
            .collect();
        assert_eq!(
            pods,
            [
                "default/a 2 0",
                "shop/web-deployment-0 0 1Gi",
                "shop/web-deployment-1 0 1Gi",
                "shop/web-deployment-2 0 1Gi"
            ]
        );
        assert!(snapshot.pods().iter().all(|pod| pod.scheduling == SchedulingState::Unschedulable));
        assert_eq!(snapshot.nodes()[0].allocatable.cpu.get(), 4000);
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

    #[test]
    fn kinds_that_are_not_read_are_counted() {
        let unread = |text: &str| parse_manifest(text).unwrap().unread_kinds.into_iter().collect::<Vec<_>>();
        assert_eq!(unread("kind: Service\n---\nkind: ServiceList\nitems: [{}, {}]\n"), [("Service".to_owned(), 3)]);
        assert_eq!(unread("kind: AllowList\nspec: {}\n"), [("AllowList".to_owned(), 1)]);
        assert_eq!(unread("kind: AllowList\nitems: {a: 1}\n"), [("AllowList".to_owned(), 1)]);
        assert_eq!(unread(r#"{"kind":"PodList","items":null}"#), []);
    }

    #[test]
    fn an_array_of_objects_is_a_list() {
        let names = |text: &str| {
            let nodes = parse_manifest(text).unwrap().nodes;
            nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>()
        };
        let json = r#"[{"kind":"Node","metadata":{"name":"a"}},{"kind":"Node","metadata":{"name":"b"}}]"#;
        assert_eq!(names(json), ["a", "b"]);
        assert_eq!(names("- kind: Node\n  metadata: {name: a}\n- {kind: Node, metadata: {name: b}}\n"), ["a", "b"]);
        assert!(names("[]").is_empty());
        assert!(parse_manifest("[[]]").unwrap_err().to_string().contains("not a map"));
    }

    #[test]
    fn yaml_in_flow_style_is_read_and_what_is_neither_is_called_bad_json() {
        let manifest = parse_manifest("{kind: Node, metadata: {name: a}}\n---\n[{kind: Node, metadata: {name: b}}]\n");
        assert_eq!(manifest.unwrap().nodes.len(), 2);
        let error = |text: &str| parse_manifest(text).unwrap_err().to_string();
        let json = r#"{"kind":"Node","metadata":{"name":"a"}} {"kind": "#;
        assert!(error(json).starts_with("not JSON: EOF"), "{}", error(json));
        assert!(error("{kind: Node").starts_with("not JSON: "));
    }

    #[test]
    fn a_skipped_pod_keeps_its_namespace_and_its_node() {
        let manifest = parse_manifest(
            "kind: Pod\nmetadata: {name: a}\nspec: {nodeName: n, containers: [{name: c, resources: {requests: {cpu: \
             x}}}]}\n---\nkind: Pod\nmetadata: {}\nspec: {nodeName: '', containers: []}\n",
        )
        .unwrap();
        let skipped: Vec<(&str, Option<&str>)> =
            manifest.skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.node.as_deref())).collect();
        assert_eq!(skipped, [("default/a", Some("n")), ("default/(no name)", None)]);
        assert!(manifest.into_snapshot().unreadable_nodes().into_iter().eq(["n"]));
    }

    #[test]
    fn files_are_read_as_one() {
        let mut all = parse_manifest(&workload("Deployment", "web", "replicas: 3")).unwrap();
        all.append(parse_manifest(&(workload("Deployment", "web", "replicas: 2") + "---\nkind: Service\n")).unwrap());
        all.append(parse_manifest(&(pod("web-1-x", "ReplicaSet", "web-1") + "---\nkind: Service\n")).unwrap());
        assert_eq!(all.unread_kinds, BTreeMap::from([("Service".to_owned(), 2)]));
        assert_eq!(names(all), ["web-1-x", "web-deployment-0"]);
    }
}
