//! Files of Kubernetes objects: JSON or YAML, any number of documents, lists or single objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node as RawNode, Pod as RawPod};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::defaults::fill_in;
use super::documents::{Document, ItemType, documents, item_type, json_item, list_items, quote_quantities};
use super::extras;
use super::kinds::{Recognized, recognize};
use super::object::{FullName, NO_NAME, Object, Objects, Place};
use super::priority::{PriorityClass, PriorityClasses, deciding_class};
use super::workload::{self, ClaimTemplate, Replicas, Workload, WorkloadName};
use super::{LowerError, NodeMetrics, lower_claim, lower_node, lower_pod, lower_usage};
use crate::model::{Node, Pod, PodName, SchedulingState, Usage};
use crate::snapshot::{Extras, MeasuredUsage, NoUsage, Skipped, Snapshot};

/// What was read from one file, or from several. An object that is there twice counts once.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Nodes, in the file's order.
    pub nodes: Vec<Arc<Node>>,
    /// Pods, in the file's order. Those that workloads ask for beyond these come with [`Manifest::into_snapshot`].
    pub pods: Vec<Arc<Pod>>,
    /// Controllers: nothing for one that asks for no pods, or whose pods cannot be planned with.
    workloads: BTreeMap<WorkloadName, Option<Workload>>,
    /// Classes that decide about the priority of pods that are not yet given one.
    classes: PriorityClasses,
    /// The class of each of these pods, empty where it names none.
    class_of: BTreeMap<PodName, String>,
    /// What else decides where a pod may run, of each kind of which an object could be read.
    pub extras: Extras,
    /// What nodes were measured to use, by node.
    pub usage: BTreeMap<String, Arc<Usage>>,
    /// Objects with a value that cannot be planned with.
    pub skipped: Vec<Skipped>,
    /// Objects of kinds that the planner does not read, by kind.
    pub unread_kinds: BTreeMap<String, usize>,
    /// All objects of the kinds that it reads.
    objects: Objects,
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
    #[error("document {document}: not a Kubernetes object ({problem}); expected apiVersion, kind, metadata, spec")]
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
    /// Two objects of one kind and name that say different things.
    #[error("document {document}: {kind} {name}: {first} has another object of this name that differs; leave one out")]
    Twice {
        /// Position of the second in its file, from 1.
        document: usize,
        /// Their kind.
        kind: &'static str,
        /// Their name, with the namespace before a slash where they have one.
        name: String,
        /// Where the first stands: a document of the same file, or a file and a document.
        first: String,
    },
    /// Every object had to be skipped.
    #[error("document {document}: {first}; there is no other object to plan with (skipped: {objects})")]
    AllSkipped {
        /// Position of the first in the file, from 1.
        document: usize,
        /// Kind and name of the first, and why it was skipped.
        first: String,
        /// How many objects were skipped.
        objects: usize,
    },
}

/// Reads every document of a text. An array of objects is read as a list of them.
///
/// # Errors
/// Where the text is neither JSON nor YAML, a document is no Kubernetes object, a field has the wrong type, two objects of
/// one name differ, or no object can be planned with. One object with a bad quantity among others is no error: it is in
/// [`Manifest::skipped`].
pub fn parse_manifest(text: &str) -> Result<Manifest, ManifestError> {
    parse_file("", text)
}

/// The same for the text of a file, whose name later messages may give as the place of an object.
///
/// # Errors
/// As [`parse_manifest`].
pub fn parse_file(file: &str, text: &str) -> Result<Manifest, ManifestError> {
    let file: Arc<str> = file.into();
    let mut manifest = Manifest::default();
    for (index, read) in documents(text)?.into_iter().enumerate() {
        let place = Place { file: Arc::clone(&file), document: index + 1 };
        match read {
            Document::Value(Value::Null) => {}
            Document::Value(Value::Array(items)) => {
                items.into_iter().try_for_each(|item| manifest.read(item, &place, &None))?;
            }
            Document::Value(object) => manifest.read(object, &place, &None)?,
            Document::Items(item_type, items) => {
                manifest.mark_read(&item_type);
                items.into_iter().try_for_each(|item| manifest.read(json_item(item)?, &place, &item_type))?;
            }
        }
    }
    manifest.objects.check_use()?;
    Ok(manifest)
}

impl Manifest {
    /// Adds what was read from another file.
    ///
    /// # Errors
    /// Where an object of the other file differs from one of the same name that is here.
    pub fn append(&mut self, next: Self) -> Result<(), ManifestError> {
        for (name, place, object) in next.objects.into_all() {
            self.add(name, place, object)?;
        }
        extras::mark_read_as(&mut self.extras, &next.extras);
        for (kind, count) in next.unread_kinds {
            *self.unread_kinds.entry(kind).or_default() += count;
        }
        Ok(())
    }

    /// Priority classes that pods and controllers name and that no file has, with how many name each.
    #[must_use]
    pub fn unknown_priority_classes(&self) -> BTreeMap<&str, usize> {
        let of_workloads = self.workloads.values().flatten().filter_map(|workload| workload.priority_class.as_ref());
        let named = self.class_of.values().chain(of_workloads);
        named.filter(|class| self.classes.priority(class).is_none()).fold(BTreeMap::new(), |mut unknown, class| {
            *unknown.entry(class.as_str()).or_default() += 1;
            unknown
        })
    }

    /// Gives pods and what controllers make of them the priority that their class has, or 0.
    fn prioritize(&mut self) {
        for pod in &mut self.pods {
            self.classes.prioritize(pod, self.class_of.get(&pod.name));
        }
        for Workload { model, priority_class, .. } in self.workloads.values_mut().flatten() {
            self.classes.prioritize(model, priority_class.as_ref());
        }
    }

    /// Everything that was read, and the pods that its workloads ask for but do not have yet.
    #[must_use]
    pub fn into_snapshot(mut self) -> Snapshot {
        self.prioritize();
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
        let usage = if self.usage.is_empty() {
            MeasuredUsage::Unread(NoUsage::NotInFiles)
        } else {
            MeasuredUsage::Read(Arc::new(self.usage))
        };
        Snapshot::new(self.nodes, pods, self.skipped).with_extras(extras).with_usage(usage)
    }

    /// Of a kind that even an empty list is of there are none, which is not the same as that nobody could read them.
    fn mark_read(&mut self, item_type: &ItemType) {
        if let Some((kind, api_version)) = item_type
            && let Recognized::Read(kind) = recognize(kind, api_version)
        {
            extras::mark_read(&mut self.extras, kind.name);
        }
    }

    /// Reads one document; `of_list` is what the list says that it stands in.
    fn read(&mut self, mut value: Value, place: &Place, of_list: &ItemType) -> Result<(), ManifestError> {
        let document = place.document;
        let not_an_object = |problem| ManifestError::NotAnObject { document, problem };
        let object = value.as_object_mut().ok_or(not_an_object("not a map"))?;
        let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (kind_of_list, version_of_list) = of_list.as_ref().map(|(kind, version)| (&**kind, &**version)).unzip();
        let kind = text("kind").or(kind_of_list).ok_or(not_an_object("no kind"))?.to_owned();
        let api_version = text("apiVersion").or(version_of_list).ok_or(not_an_object("no apiVersion"))?.to_owned();
        if let Some(items) = list_items(&kind, object) {
            let item_type = item_type(&kind, &api_version);
            self.mark_read(&item_type);
            return items.into_iter().try_for_each(|item| self.read(item, place, &item_type));
        }
        let kind = match recognize(&kind, &api_version) {
            Recognized::Read(kind) => kind,
            Recognized::Unread(name) => {
                *self.unread_kinds.entry(name).or_default() += 1;
                return Ok(());
            }
            Recognized::Misplaced(known) => {
                let problem = format!("there is no {kind} in {api_version}, but in {known}");
                return Err(Source { document, kind: &kind }.error(&value, "apiVersion", &problem));
            }
        };
        if kind.name != "CSINode" {
            // Of which `allocatable` is no map of quantities.
            quote_quantities(&mut value);
        }
        let name = FullName::of(kind, &value);
        let object = Source { document, kind: kind.name }.object(&name, value)?;
        self.add(name, place.clone(), object)
    }

    /// Adds an object, unless it is there already.
    fn add(&mut self, name: FullName, place: Place, object: Object) -> Result<(), ManifestError> {
        if !self.objects.add(name, place, &object)? {
            return Ok(());
        }
        self.skipped.extend_from_slice(object.skipped());
        match object {
            Object::Node(node) => self.nodes.push(node),
            Object::Pod(pod, class) => {
                self.class_of.extend(class.map(|class| (pod.name.clone(), class)));
                self.pods.push(pod);
            }
            Object::PriorityClass(name, class) => self.classes.insert(name, class),
            Object::Workload(name, workload, _) => drop(self.workloads.insert(name, workload)),
            Object::Extra(extra) => extra.put(&mut self.extras),
            Object::Usage(node, usage) => drop(self.usage.insert(node, Arc::new(usage))),
            Object::Skipped(_) => {}
        }
        Ok(())
    }
}

/// A pod, where it can be planned with.
fn pod(mut raw: RawPod, name: &FullName) -> Object {
    match lower(&mut raw) {
        Ok(pod) => Object::Pod(Arc::new(pod), deciding_class(raw.spec.as_ref())),
        Err(error) => {
            let node = raw.spec.and_then(|spec| spec.node_name).filter(|node| !node.is_empty());
            Object::Skipped(Skipped { node, ..Skipped::new(name.kind, name.shown(), error.to_string()) })
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

/// Where an object stands, for messages, and of which kind it is.
pub(super) struct Source<'a> {
    document: usize,
    pub(super) kind: &'a str,
}

impl Source<'_> {
    /// The object, or why it is skipped.
    fn object(&self, name: &FullName, value: Value) -> Result<Object, ManifestError> {
        let skipped = |error: LowerError| Object::Skipped(Skipped::new(name.kind, name.shown(), error.to_string()));
        Ok(match name.kind {
            "Node" => {
                lower_node(&self.typed::<RawNode>(value)?).map_or_else(skipped, |node| Object::Node(Arc::new(node)))
            }
            "NodeMetrics" => lower_usage(&self.typed::<NodeMetrics>(value)?)
                .map_or_else(skipped, |usage| Object::Usage(name.shown(), usage)),
            "Pod" => pod(self.typed(value)?, name),
            "PriorityClass" => PriorityClass::of(&self.typed(value)?)
                .map_or_else(skipped, |class| Object::PriorityClass(name.shown(), class)),
            workload if workload::KINDS.contains(&workload) => self.workload(name, &value)?,
            _ => extras::read(self, value)?.map_or_else(skipped, Object::Extra),
        })
    }

    fn workload(&self, name: &FullName, controller: &Value) -> Result<Object, ManifestError> {
        let replicas =
            Replicas::of(self.kind, controller).map_err(|wrong| self.error(controller, wrong.field, &wrong.problem))?;
        if replicas.count == 0 {
            return Ok(Object::Workload(replicas.name, None, Vec::new()));
        }
        let mut problems = Vec::new();
        let mut raw: RawPod = self.typed(replicas.pod())?;
        let model = lower(&mut raw);
        let model = model.map_err(|error| problems.push(format!("spec.template.{error}"))).ok();
        let mut claims = Vec::new();
        for (mut template, ephemeral) in replicas.claims() {
            quote_quantities(&mut template);
            match lower_claim(&self.typed(template)?) {
                Ok(claim) => claims.push(ClaimTemplate { claim, ephemeral }),
                Err(error) => problems.push(format!("claim template: {error}")),
            }
        }
        let workload = model.map(|model| Workload {
            count: replicas.count,
            first_ordinal: replicas.first_ordinal,
            model: Arc::new(model),
            priority_class: deciding_class(raw.spec.as_ref()),
            claims,
        });
        let skipped = problems.into_iter().map(|problem| Skipped::new(name.kind, name.shown(), problem)).collect();
        Ok(Object::Workload(replicas.name, workload, skipped))
    }

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
            "---\n# nothing\n---\napiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n  spec: {containers: [{name: c, \
             resources: {requests: {cpu: 2}}}]}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: \
             {replicas: 3, selector: {}, template: {spec: {containers: [{name: c, resources: {limits: {memory: \
             1Gi}}}]}}}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\nstatus: {allocatable: {cpu: 4, pods: 110}}\n---\napiVersion: v1\nkind: \
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
            r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}} {"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}]}"#,
        )
        .unwrap();
        assert_eq!(manifest.nodes.len(), 2);
    }

    #[test]
    fn a_pod_with_a_bad_quantity_is_skipped_by_name_and_the_rest_is_read() {
        let manifest = parse_manifest(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: bad, namespace: x}\nspec: {containers: [{name: c, resources: {requests: \
             {memory: 1Gb}}}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: []}\n",
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
            error(
                "apiVersion: v1\nkind: Node\nmetadata: {name: n}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: 5}\n"
            ),
            "document 2: Pod p: spec.containers: invalid type: integer `5`, expected a sequence"
        );
        assert!(error("hello").starts_with("document 1: not a Kubernetes object (not a map)"));
        assert!(error("a: [1").starts_with("not YAML: "));
        assert!(error("{\"kind\": ").starts_with("not JSON: "));
        assert!(error("apiVersion: v1\nmetadata: {}").contains("no kind"));
    }

    #[test]
    fn kinds_that_are_not_read_are_counted() {
        let unread = |text: &str| parse_manifest(text).unwrap().unread_kinds.into_iter().collect::<Vec<_>>();
        assert_eq!(
            unread("apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: ServiceList\nitems: [{}, {}]\n"),
            [("Service".to_owned(), 3)]
        );
        assert_eq!(unread("apiVersion: example.com/v1\nkind: AllowList\nspec: {}\n"), [("AllowList".to_owned(), 1)]);
        assert_eq!(
            unread("apiVersion: example.com/v1\nkind: AllowList\nitems: {a: 1}\n"),
            [("AllowList".to_owned(), 1)]
        );
        assert_eq!(unread(r#"{"apiVersion":"v1","kind":"PodList","items":null}"#), []);
    }

    #[test]
    fn an_array_of_objects_is_a_list() {
        let names = |text: &str| {
            let nodes = parse_manifest(text).unwrap().nodes;
            nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>()
        };
        let json = r#"[{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Node","metadata":{"name":"b"}}]"#;
        assert_eq!(names(json), ["a", "b"]);
        assert_eq!(
            names(
                "- apiVersion: v1\n  kind: Node\n  metadata: {name: a}\n- {apiVersion: v1, kind: Node, metadata: {name: b}}\n"
            ),
            ["a", "b"]
        );
        assert!(names("[]").is_empty());
        assert!(parse_manifest("[[]]").unwrap_err().to_string().contains("not a map"));
    }

    #[test]
    fn yaml_in_flow_style_is_read_and_what_is_neither_is_called_bad_json() {
        let manifest = parse_manifest(
            "{apiVersion: v1, kind: Node, metadata: {name: a}}\n---\n[{apiVersion: v1, kind: Node, metadata: {name: b}}]\n",
        );
        assert_eq!(manifest.unwrap().nodes.len(), 2);
        let error = |text: &str| parse_manifest(text).unwrap_err().to_string();
        let json = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"a"}} {"kind": "#;
        assert!(error(json).starts_with("not JSON: EOF"), "{}", error(json));
        assert!(error("{kind: Node").starts_with("not JSON: "));
    }

    #[test]
    fn a_skipped_pod_keeps_its_namespace_and_its_node() {
        let manifest = parse_manifest(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {nodeName: n, containers: [{name: c, resources: {requests: {cpu: \
             x}}}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {nodeName: '', containers: []}\n---\napiVersion: v1\n\
             kind: Node\nmetadata: {name: n}\n",
        )
        .unwrap();
        let skipped: Vec<(&str, Option<&str>)> =
            manifest.skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.node.as_deref())).collect();
        assert_eq!(skipped, [("default/a", Some("n")), ("default/(no name)", None)]);
        assert!(manifest.into_snapshot().unreadable_nodes().into_iter().eq(["n"]));
    }

    #[test]
    fn files_are_read_as_one() {
        let mut all = parse_manifest(&workload("Deployment", "web", "replicas: 2")).unwrap();
        for text in [workload("Deployment", "web", "replicas: 2"), pod("web-1-x", "ReplicaSet", "web-1")] {
            let text = text + "---\napiVersion: v1\nkind: Service\n";
            all.append(parse_manifest(&text).unwrap()).unwrap();
        }
        assert_eq!(all.unread_kinds, BTreeMap::from([("Service".to_owned(), 2)]));
        assert_eq!(names(all), ["web-1-x", "web-deployment-0"]);
    }

    /// A node of this name with this much memory.
    fn node(name: &str, memory: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nstatus: {{allocatable: {{memory: {memory}}}}}\n"
        )
    }

    #[test]
    fn an_object_that_is_there_twice_counts_once_and_one_that_differs_is_an_error() {
        let in_pieces = |second: &str| format!("{}---\n{}---\n{second}", node("a", "1Gi"), node("b", "1Gi"));
        // What the planner does not look at makes no difference, and neither does how an amount is written.
        let later = node("a", "1024Mi").replace("{name: a}", "{name: a, resourceVersion: '7'}");
        assert_eq!(parse_manifest(&in_pieces(&later)).unwrap().nodes.len(), 2);
        assert_eq!(
            parse_manifest(&in_pieces(&node("a", "2Gi"))).unwrap_err().to_string(),
            "document 3: Node a: document 1 has another object of this name that differs; leave one out"
        );
        let mut all = parse_file("nodes.yaml", &in_pieces("")).unwrap();
        all.append(parse_file("more.yaml", &later).unwrap()).unwrap();
        let error = all.append(parse_file("other.yaml", &node("b", "2Gi")).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("document 1: Node b: nodes.yaml, document 2 has another object"), "{error}");
        // One that cannot be read differs from one that can.
        assert!(parse_manifest(&in_pieces(&node("a", "1Gb"))).is_err());
    }

    #[test]
    fn names_tell_objects_apart_within_a_kind_and_a_namespace() {
        let owned = |name| pod(name, "ReplicaSet", "r");
        let elsewhere = owned("a").replace("name: a,", "name: a, namespace: x,");
        let text = [owned("a"), elsewhere, node("a", "1Gi"), workload("Job", "a", "suspend: true")];
        let manifest = parse_manifest(&text.join("---\n")).unwrap();
        assert_eq!((manifest.pods.len(), manifest.nodes.len()), (2, 1));
        let default = owned("a").replace("name: a,", "name: a, namespace: default,");
        assert_eq!(parse_manifest(&(owned("a") + "---\n" + &default)).unwrap().pods.len(), 1);
    }

    #[test]
    fn nothing_to_plan_with_is_an_error_where_something_was_meant_to_be() {
        let bad = |count: usize| (0..count).map(|at| node(&format!("n{at}"), "1Gb") + "---\n").collect::<String>();
        assert_eq!(
            parse_manifest(&bad(2)).unwrap_err().to_string(),
            "document 1: Node n0: status.allocatable.memory: \"1Gb\" is not a quantity (examples: 250m, 1.5, 512Mi); \
             there is no other object to plan with (skipped: 2)"
        );
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n";
        assert!(matches!(parse_manifest(&(bad(1) + service)), Err(ManifestError::AllSkipped { .. })));
        assert!(parse_manifest(service).is_ok());
        assert_eq!(parse_manifest(&(bad(1) + &node("fine", "1Gi"))).unwrap().skipped.len(), 1);
    }

    #[test]
    fn an_object_is_what_its_api_version_says() {
        let deployment = |api_version: &str| {
            let text = workload("Deployment", "web", "").replace("apps/v1", api_version);
            parse_manifest(&text).map(|manifest| (manifest.unread_kinds.clone(), names(manifest)))
        };
        assert_eq!(deployment("apps/v1").unwrap().1, ["web-deployment-0"]);
        let (unread, none) = deployment("example.com/v1").unwrap();
        assert_eq!(unread, BTreeMap::from([("Deployment (example.com/v1)".to_owned(), 1)]));
        assert!(none.is_empty());
        assert_eq!(
            deployment("extensions/v1beta1").unwrap_err().to_string(),
            "document 1: Deployment web: apiVersion: there is no Deployment in extensions/v1beta1, but in apps/v1"
        );
    }

    #[test]
    fn every_object_says_its_api_version_but_the_items_of_a_typed_list() {
        let nodes =
            |text: &str| parse_manifest(text).map(|manifest| manifest.nodes.len()).map_err(|error| error.to_string());
        let item = r#"{"metadata": {"name": "a"}}"#;
        assert_eq!(nodes(&format!(r#"{{"kind": "NodeList", "items": [{item}], "apiVersion": "v1"}}"#)), Ok(1));
        assert_eq!(nodes(&format!("{{apiVersion: v1, kind: NodeList, items: [{item}]}}")), Ok(1));
        assert_eq!(nodes(&format!("{{apiVersion: example.com/v1, kind: NodeList, items: [{item}]}}")), Ok(0));
        let kind_only = r#"{"kind": "Node", "metadata": {"name": "a"}}"#;
        for text in [
            kind_only.to_owned(),
            format!("[{kind_only}]"),
            format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{kind_only}]}}"#),
            format!(r#"{{"kind": "NodeList", "items": [{item}]}}"#),
            format!("- {kind_only}\n"),
            "{apiVersion: '', kind: Node, metadata: {name: a}}".to_owned(),
        ] {
            let error = nodes(&text).unwrap_err();
            assert!(error.starts_with("document 1: not a Kubernetes object (no apiVersion)"), "{text}: {error}");
        }
    }
}
