//! Files of Kubernetes objects: JSON or YAML, any number of documents, lists or single objects.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, Node as RawNode, Pod as RawPod};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::workload::{self, Replicas, Workload, WorkloadName};
use super::{LowerError, lower_node, lower_pod};
use crate::model::{Node, Pod, SchedulingState};
use crate::snapshot::{Skipped, Snapshot};

/// What stands in a message for a name that is missing.
const NO_NAME: &str = "(no name)";

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
    for (index, value) in documents(text)?.into_iter().enumerate() {
        let document = index + 1;
        match value {
            Value::Null => {}
            Value::Array(items) => items.into_iter().try_for_each(|item| manifest.read(item, document, None))?,
            object => manifest.read(object, document, None)?,
        }
    }
    Ok(manifest)
}

/// JSON where it looks like it and is; YAML otherwise, whose flow style looks like JSON.
fn documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    if !text.trim_start().starts_with(['{', '[']) {
        return yaml_documents(text);
    }
    let documents: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    documents.or_else(|error| {
        yaml_documents(text).map_err(|_| ManifestError::Syntax { format: "JSON", problem: error.to_string() })
    })
}

fn yaml_documents(text: &str) -> Result<Vec<Value>, ManifestError> {
    // The file is the user's own and may be as large as their cluster: no limits beyond memory.
    // Only `true` and `false` are booleans, so that a node may be called `n`.
    let options = serde_yaml::options! { budget: None, strict_booleans: true };
    serde_yaml::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::Syntax { format: "YAML", problem: error.to_string() })
}

impl Manifest {
    /// Adds what was read from another file, as if it stood at the end of this one.
    pub fn append(&mut self, next: Self) {
        let Self { nodes, pods, workloads, skipped, unread_kinds } = next;
        self.nodes.extend(nodes);
        self.pods.extend(pods);
        self.workloads.extend(workloads);
        self.skipped.extend(skipped);
        for (kind, count) in unread_kinds {
            *self.unread_kinds.entry(kind).or_default() += count;
        }
    }

    /// Everything that was read, and the pods that its workloads ask for but do not have yet.
    #[must_use]
    pub fn into_snapshot(self) -> Snapshot {
        let missing = workload::missing_pods(&self.workloads, &self.pods);
        Snapshot::new(self.nodes, self.pods.into_iter().chain(missing), self.skipped)
    }

    /// Reads one document; `item_kind` is the kind of an item of a typed list, which need not repeat it.
    fn read(&mut self, mut value: Value, document: usize, item_kind: Option<&str>) -> Result<(), ManifestError> {
        let not_an_object = |problem| ManifestError::NotAnObject { document, problem };
        let object = value.as_object_mut().ok_or(not_an_object("not a map"))?;
        let kind = object.get("kind").and_then(Value::as_str).or(item_kind).ok_or(not_an_object("no kind"))?.to_owned();
        if let Some((item_kind, items)) = list_items(&kind, object) {
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
            count => self.model(&replicas.name, source.typed(replicas.pod())?).map(|model| Workload { count, model }),
        };
        self.workloads.insert(replicas.name, workload);
        Ok(())
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

/// The items of a list, and their kind where the list is a typed one; nothing for any other object, such as a custom
/// resource of kind `AllowList`.
fn list_items<'k>(kind: &'k str, object: &mut Map<String, Value>) -> Option<(Option<&'k str>, Vec<Value>)> {
    let item_kind = kind.strip_suffix("List")?;
    let items = match object.get_mut("items")? {
        Value::Array(items) => mem::take(items),
        Value::Null => Vec::new(),
        _ => return None,
    };
    Some((Some(item_kind).filter(|kind| !kind.is_empty()), items))
}

/// Fills a pod in as the API server does, and lowers it.
fn lower(raw: &mut RawPod) -> Result<Pod, LowerError> {
    default_requests(raw);
    let mut pod = lower_pod(raw)?;
    let judged = raw.status.as_ref().is_some_and(|status| status.conditions.is_some());
    if pod.scheduling == SchedulingState::Unjudged && !judged {
        // A file has no scheduler; whoever asks about a pod without a node asks where it could run.
        pod.scheduling = SchedulingState::Unschedulable;
    }
    Ok(pod)
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
            name: name.as_str().unwrap_or(NO_NAME).to_owned(),
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
    fn a_workload_that_cannot_be_planned_with_is_skipped_once() {
        let manifest = parse_manifest(
            "kind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3, template: {spec: {containers: [{name: c, \
             resources: {requests: {memory: 1Gb}}}]}}}\n",
        )
        .unwrap();
        let snapshot = manifest.into_snapshot();
        assert!(snapshot.pods().is_empty());
        let skipped: Vec<String> = snapshot.skipped().iter().map(Skipped::to_string).collect();
        assert_eq!(
            skipped,
            ["Deployment default/web: spec.template.spec.containers[0].resources.requests.memory: \"1Gb\" is not a \
              quantity (examples: 250m, 1.5, 512Mi)"]
        );
    }

    #[test]
    fn files_are_read_as_one() {
        let mut all = parse_manifest(&workload("Deployment", "web", "replicas: 3")).unwrap();
        all.append(parse_manifest(&(workload("Deployment", "web", "replicas: 2") + "---\nkind: Service\n")).unwrap());
        all.append(parse_manifest(&(pod("web-1-x", "ReplicaSet", "web-1") + "---\nkind: Service\n")).unwrap());
        assert_eq!(all.unread_kinds, BTreeMap::from([("Service".to_owned(), 2)]));
        assert_eq!(names(all), ["web-1-x", "web-deployment-0"]);
    }

    #[test]
    fn a_workload_is_expanded_only_by_the_pods_it_lacks() {
        for (kind, owner_kind, owner, others) in [
            ("Deployment", "ReplicaSet", "web-1", ["web", "web-a-1"]),
            ("ReplicaSet", "ReplicaSet", "web", ["web-1", "we"]),
            ("StatefulSet", "StatefulSet", "web", ["web-1", "we"]),
            ("Job", "Job", "web", ["web-1", "we"]),
        ] {
            let fields = if kind == "Job" { "parallelism: 2, completions: 5" } else { "replicas: 2" };
            let made_up = |ordinal| format!("web-{}-{ordinal}", kind.to_lowercase());
            let text = [
                pod("live", owner_kind, owner),
                pod("over", owner_kind, owner) + "status: {phase: Succeeded}\n",
                pod("other-0", owner_kind, others[0]),
                pod("other-1", owner_kind, others[1]),
                pod("elsewhere", owner_kind, owner).replace("name: elsewhere", "name: elsewhere, namespace: x"),
                pod("of-another-kind", "Other", owner),
                // The second replaces the first.
                pod("live", owner_kind, owner),
                workload(kind, "web", fields),
            ];
            let real = ["live", "of-another-kind", "other-0", "other-1", "over"].map(str::to_owned);
            let mut expected = [real.as_slice(), &[made_up(0)]].concat();
            expected.push("elsewhere".to_owned());
            assert_eq!(names(parse_manifest(&text.join("---\n")).unwrap()), expected, "{kind}");
        }
    }

    #[test]
    fn a_workload_with_pods_enough_is_not_expanded() {
        let text = [pod("a", "StatefulSet", "web"), pod("b", "StatefulSet", "web")];
        let text = text.join("---\n") + "---\n" + &workload("StatefulSet", "web", "replicas: 1");
        assert_eq!(names(parse_manifest(&text).unwrap()), ["a", "b"]);
    }

    #[test]
    fn one_pod_stands_for_a_daemon_set_that_has_none() {
        let set = workload("DaemonSet", "agent", "");
        assert_eq!(names(parse_manifest(&set).unwrap()), ["agent-daemonset-0"]);
        let text = pod("agent-x", "DaemonSet", "agent") + "---\n" + &set;
        assert_eq!(names(parse_manifest(&text).unwrap()), ["agent-x"]);
    }

    #[test]
    fn made_up_names_are_nobody_elses() {
        let text = [
            pod("web-deployment-0", "StatefulSet", "web-deployment"),
            workload("StatefulSet", "web-deployment", "replicas: 1"),
            workload("Deployment", "web", "replicas: 2"),
            workload("Job", "web", ""),
        ];
        let expected = ["web-deployment-0", "web-deployment-1", "web-deployment-2", "web-job-0"];
        assert_eq!(names(parse_manifest(&text.join("---\n")).unwrap()), expected);
    }

    #[test]
    fn a_controller_of_a_controller_is_not_expanded() {
        let owned = |text: String, owner: &str| {
            let owner = format!("ownerReferences: [{{kind: {owner}, name: web, controller: true}}], name:");
            text.replacen("name:", &owner, 1)
        };
        let text = [
            owned(workload("ReplicaSet", "web-1", "replicas: 2"), "Deployment"),
            owned(workload("Job", "web-2", ""), "CronJob"),
            workload("Deployment", "web", "replicas: 1"),
        ];
        assert_eq!(names(parse_manifest(&text.join("---\n")).unwrap()), ["web-deployment-0"]);
    }

    #[test]
    fn too_many_replicas_are_an_error() {
        let error = |kind, fields| parse_manifest(&workload(kind, "web", fields)).unwrap_err().to_string();
        let most = "more than 1000000, the most that is read";
        assert_eq!(
            error("Deployment", "replicas: 1000001"),
            format!("document 1: Deployment web: spec.replicas: {most}")
        );
        assert_eq!(
            error("ReplicaSet", "replicas: 99999999999999999999999"),
            format!("document 1: ReplicaSet web: spec.replicas: {most}")
        );
        assert_eq!(error("Job", "parallelism: 1000001"), format!("document 1: Job web: spec.parallelism: {most}"));
        assert!(error("Deployment", "replicas: -1").ends_with("spec.replicas: missing or of the wrong type"));
        assert!(parse_manifest(&workload("Deployment", "web", "replicas: 1000000")).is_ok());
        assert!(parse_manifest(&workload("Job", "web", "completions: 5000000")).is_ok());
    }

    #[test]
    fn of_two_workloads_with_one_name_the_last_counts() {
        let text = [workload("Deployment", "web", "replicas: 3"), workload("Deployment", "web", "replicas: 0")];
        assert!(names(parse_manifest(&text.join("---\n")).unwrap()).is_empty());
        assert!(names(parse_manifest(&workload("Job", "web", "suspend: true")).unwrap()).is_empty());
    }

    fn names(manifest: Manifest) -> Vec<String> {
        manifest.into_snapshot().pods().iter().map(|pod| pod.name.name.clone()).collect()
    }

    fn workload(kind: &str, name: &str, fields: &str) -> String {
        let comma = if fields.is_empty() { "" } else { ", " };
        format!(
            "kind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{fields}{comma}template: {{spec: {{containers: []}}}}}}\n"
        )
    }

    fn pod(name: &str, owner_kind: &str, owner: &str) -> String {
        let owner = format!("{{apiVersion: v1, kind: {owner_kind}, name: {owner}, uid: u, controller: true}}");
        format!("kind: Pod\nmetadata: {{name: {name}, ownerReferences: [{owner}]}}\nspec: {{containers: []}}\n")
    }
}
