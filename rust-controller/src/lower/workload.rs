//! Controllers in files: the replicas that are missing become pods that wait for a node ("what would this manifest
//! need?").

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::volumes::ephemeral_claim;
use crate::model::{Claim, ObjectName, Phase, Pod, PodName, PodVolume, SchedulingState};

/// Kinds of controllers that are read.
pub(super) const KINDS: [&str; 5] = ["Deployment", "ReplicaSet", STATEFUL_SET, "DaemonSet", "Job"];

const STATEFUL_SET: &str = "StatefulSet";

/// The most pods that one controller may ask for: more is a slip of the finger, and would fill the memory.
const MOST_REPLICAS: u32 = 1_000_000;

/// What tells one controller from every other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WorkloadName {
    /// One of [`KINDS`].
    pub(super) kind: String,
    /// Namespace.
    pub(super) namespace: String,
    /// Name within the kind and namespace.
    pub(super) name: String,
}

/// The pods that a controller asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Workload {
    /// How many.
    pub(super) count: usize,
    /// The first number in their names.
    pub(super) first_ordinal: usize,
    /// What each of them is, but for the name.
    pub(super) model: Arc<Pod>,
    /// The class that decides about their priority, empty where they name none; `None` where they have a number.
    pub(super) priority_class: Option<String>,
    /// What each of them claims.
    pub(super) claims: Vec<ClaimTemplate>,
}

/// A claim that is made with each pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClaimTemplate {
    /// The claim, under the name of its template.
    pub(super) claim: Claim,
    /// It goes with the pod, whose spec has the volume already; otherwise it stays, as a `StatefulSet`'s do.
    pub(super) ephemeral: bool,
}

/// What the controllers would still make.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) claims: Vec<Claim>,
}

/// What is wrong with a controller.
pub(super) struct FieldProblem {
    /// Path of the field.
    pub(super) field: &'static str,
    /// What is wrong with it.
    pub(super) problem: String,
}

/// A controller as it stands in the file.
pub(super) struct Replicas {
    pub(super) count: usize,
    /// The first number in their names, which a `StatefulSet` may choose.
    pub(super) first_ordinal: usize,
    pub(super) name: WorkloadName,
    metadata: Value,
    spec: Value,
    claim_templates: Value,
}

impl Replicas {
    /// Reads a controller of one of [`KINDS`].
    ///
    /// # Errors
    /// A field that is missing, has the wrong type or asks for too many pods.
    pub(super) fn of(kind: &str, controller: &Value) -> Result<Self, FieldProblem> {
        let name = controller.pointer("/metadata/name").and_then(Value::as_str).ok_or(wrong("metadata.name"))?;
        let namespace = match controller.pointer("/metadata/namespace") {
            None | Some(Value::Null) => "default",
            Some(namespace) => namespace.as_str().ok_or(wrong("metadata.namespace"))?,
        };
        let spec = controller.pointer("/spec/template/spec").ok_or(wrong("spec.template.spec"))?;
        let count = count(kind, controller)?;
        let start = number(controller, "/spec/ordinals/start", "spec.ordinals.start")?.filter(|_| kind == STATEFUL_SET);
        Ok(Self {
            // The API server takes no larger one than 31 bits hold.
            first_ordinal: usize::try_from(start.unwrap_or(0).min(1 << 31)).unwrap_or(0),
            count: if is_controlled(controller) { 0 } else { count },
            name: WorkloadName { kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() },
            metadata: controller.pointer("/spec/template/metadata").cloned().unwrap_or_default(),
            spec: spec.clone(),
            claim_templates: controller.pointer("/spec/volumeClaimTemplates").cloned().unwrap_or_default(),
        })
    }

    /// The claims that are made with each pod, and whether each goes with it.
    pub(super) fn claims(&self) -> Vec<(Value, bool)> {
        let named = |name: Option<&Value>, template: &Value| {
            let metadata = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            let mut metadata = Value::Object(metadata);
            metadata["namespace"] = json!(self.name.namespace);
            if let Some(name) = name {
                metadata["name"] = name.clone();
            }
            json!({"metadata": metadata, "spec": template.get("spec")})
        };
        let of_set =
            self.claim_templates.as_array().into_iter().flatten().map(|template| (named(None, template), false));
        let volumes = self.spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
        let of_pod = volumes.filter_map(|volume| {
            let template = volume.pointer("/ephemeral/volumeClaimTemplate")?;
            Some((named(volume.get("name"), template), true))
        });
        of_set.chain(of_pod).collect()
    }

    /// What each of its pods is. Its name is the controller's.
    pub(super) fn pod(&self) -> Value {
        // The pods of a Deployment belong to a ReplicaSet whose name is not known before it exists.
        let owner_kind = if self.name.kind == "Deployment" { "ReplicaSet" } else { &self.name.kind };
        let owner = json!({
            "apiVersion": "apps/v1", "kind": owner_kind, "name": self.name.name, "uid": "", "controller": true,
        });
        let of_template = |key: &str| self.metadata.get(key).cloned().unwrap_or_default();
        json!({
            "metadata": {
                "name": self.name.name,
                "namespace": self.name.namespace,
                "labels": of_template("labels"),
                "annotations": of_template("annotations"),
                "ownerReferences": [owner],
            },
            "spec": self.spec,
        })
    }
}

/// The pods that the controllers would still make: as many as each asks for, less those that it has. And the claims that
/// come with these pods. Those of a `StatefulSet` have the names that it gives them, by which their claims are found; the
/// names of others are made up, `web-deployment-0`. None is that of another pod.
pub(super) fn missing(workloads: &BTreeMap<WorkloadName, Option<Workload>>, pods: &[Arc<Pod>]) -> Missing {
    let pods: BTreeMap<&PodName, &Pod> = pods.iter().map(|pod| (&pod.name, pod.as_ref())).collect();
    let live = live_pods(pods.values().copied());
    let mut taken: BTreeSet<PodName> = pods.into_keys().cloned().collect();
    let mut missing = Missing::default();
    let (sets, others): (Vec<_>, Vec<_>) = workloads.iter().partition(|(of, _)| of.kind == STATEFUL_SET);
    for (of, workload) in sets.into_iter().chain(others).filter_map(|(of, workload)| Some((of, workload.as_ref()?))) {
        let count = workload.count.saturating_sub(live.get(of).copied().unwrap_or(0));
        let names = (workload.first_ordinal..).map(|ordinal| of.pod(ordinal));
        let free_names: Vec<PodName> = names.filter(|name| !taken.contains(name)).take(count).collect();
        taken.extend(free_names.iter().cloned());
        for name in free_names {
            let mut pod = renamed(&workload.model, name);
            if of.kind == "DaemonSet" {
                // It stands for those that come with nodes: it waits for none, and runs on none.
                pod.phase = Phase::Running;
                pod.scheduling = SchedulingState::Unjudged;
            }
            missing.claims.extend(workload.claims.iter().map(|template| template.claim_of(&mut pod)));
            missing.pods.push(Arc::new(pod));
        }
    }
    missing
}

impl ClaimTemplate {
    /// The claim of one pod, which uses it from now on.
    fn claim_of(&self, pod: &mut Pod) -> Claim {
        let Self { claim, ephemeral } = self;
        let name = if *ephemeral {
            ephemeral_claim(&pod.name.name, &claim.name.name)
        } else {
            format!("{}-{}", claim.name.name, pod.name.name)
        };
        if !ephemeral {
            pod.volumes.push(PodVolume::Claim { name: name.clone(), ephemeral: false });
        }
        let owner_pod = ephemeral.then(|| pod.name.name.clone());
        Claim { name: ObjectName { name, ..claim.name.clone() }, owner_pod, ..claim.clone() }
    }
}

/// The same pod with another name, after which the claims of its ephemeral volumes are called.
fn renamed(model: &Pod, name: PodName) -> Pod {
    let mut pod = model.clone();
    for volume in &mut pod.volumes {
        if let PodVolume::Claim { name: claim, ephemeral: true } = volume {
            let of_model = ephemeral_claim(&model.name.name, "");
            if let Some(volume) = claim.strip_prefix(&of_model) {
                *claim = ephemeral_claim(&name.name, volume);
            }
        }
    }
    Pod { name, ..pod }
}

/// How many pods each controller has that are not over.
fn live_pods<'a>(pods: impl Iterator<Item = &'a Pod>) -> BTreeMap<WorkloadName, usize> {
    let mut live = BTreeMap::new();
    for pod in pods.filter(|pod| pod.phase != Phase::Finished) {
        let Some(owner) = &pod.owner else { continue };
        let mut add = |kind: &str, name: &str| {
            let namespace = pod.name.namespace.clone();
            *live.entry(WorkloadName { kind: kind.to_owned(), namespace, name: name.to_owned() }).or_default() += 1;
        };
        add(&owner.kind, &owner.name);
        // A Deployment calls its ReplicaSets by its own name and a hash of the template.
        if let Some((deployment, _hash)) = owner.name.rsplit_once('-').filter(|_| owner.kind == "ReplicaSet") {
            add("Deployment", deployment);
        }
    }
    live
}

impl WorkloadName {
    /// The name of a pod that is missing.
    fn pod(&self, ordinal: usize) -> PodName {
        let name = match &*self.kind {
            STATEFUL_SET => format!("{}-{ordinal}", self.name),
            kind => format!("{}-{}-{ordinal}", self.name, kind.to_lowercase()),
        };
        PodName { namespace: self.namespace.clone(), name }
    }
}

/// Whether another controller made it (a Deployment its `ReplicaSet`, a `CronJob` its Job): that one's pods count.
fn is_controlled(controller: &Value) -> bool {
    let owners = controller.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

fn count(kind: &str, controller: &Value) -> Result<usize, FieldProblem> {
    let replicas = |path: &'static str, field: &'static str| {
        let asked = controller.pointer(path).and_then(Value::as_f64);
        if asked.is_some_and(|asked| asked > f64::from(MOST_REPLICAS)) {
            return Err(FieldProblem { field, problem: format!("more than {MOST_REPLICAS}, the most that is read") });
        }
        number(controller, path, field)
    };
    let count = match kind {
        // One pod stands for the set: how many there will be depends on the nodes.
        "DaemonSet" => 1,
        "Job" => {
            let parallelism = replicas("/spec/parallelism", "spec.parallelism")?.unwrap_or(1);
            let completions = number(controller, "/spec/completions", "spec.completions")?.unwrap_or(parallelism);
            let suspended = controller.pointer("/spec/suspend") == Some(&Value::Bool(true));
            if suspended { 0 } else { parallelism.min(completions) }
        }
        _ => replicas("/spec/replicas", "spec.replicas")?.unwrap_or(1),
    };
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A whole number that is not below 0, where there is one.
fn number(controller: &Value, path: &str, field: &'static str) -> Result<Option<u64>, FieldProblem> {
    match controller.pointer(path) {
        None | Some(Value::Null) => Ok(None),
        Some(value) if value.as_f64().is_some_and(|number| number < 0.0) => {
            Err(FieldProblem { field, problem: format!("{value} is below 0") })
        }
        Some(value) => value.as_u64().map(Some).ok_or(wrong(field)),
    }
}

fn wrong(field: &'static str) -> FieldProblem {
    FieldProblem { field, problem: "missing or of the wrong type".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::parse_manifest;
    use crate::lower::written::{NODE, names, pod, workload};
    use crate::snapshot::Skipped;

    #[test]
    fn a_workload_that_cannot_be_planned_with_is_skipped_once() {
        let bad = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3, template: {spec: {containers: \
                   [{name: c, resources: {requests: {memory: 1Gb}}}]}}}\n";
        let mut manifest = parse_manifest(&format!("{NODE}---\n{bad}---\n{bad}")).unwrap();
        manifest.append(parse_manifest(&format!("{NODE}---\n{bad}")).unwrap()).unwrap();
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
    fn claims_come_with_the_pods_where_files_say_anything_of_claims() {
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {replicas: 2, template: {spec: {containers: [], volumes: [{name: \
                   scratch, ephemeral: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 1}}}}}}]}}, \
                   volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: s, resources: {requests: {storage: \
                   5}}}}]}\n";
        let unread = parse_manifest(set).unwrap().into_snapshot();
        assert!(unread.extras().claims.is_none());
        let claim = |name: &str, ephemeral| PodVolume::Claim { name: name.to_owned(), ephemeral };
        let volumes = [claim("db-1-scratch", true), claim("data-db-1", false)];
        assert_eq!(unread.pods()[1].volumes, volumes);
        let read =
            parse_manifest(&format!("{set}---\napiVersion: v1\nkind: PersistentVolumeClaimList\nitems: []\n")).unwrap();
        let claims = read.into_snapshot().extras().claims.clone().unwrap();
        let named: Vec<(&str, Option<&str>, Option<&str>)> = claims
            .values()
            .map(|claim| (claim.name.name.as_str(), claim.storage_class.as_deref(), claim.owner_pod.as_deref()))
            .collect();
        let expected = [
            ("data-db-0", Some("s"), None),
            ("data-db-1", Some("s"), None),
            ("db-0-scratch", None, Some("db-0")),
            ("db-1-scratch", None, Some("db-1")),
        ];
        assert_eq!(named, expected);
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
            let made_up = |ordinal: usize| match kind {
                "StatefulSet" => format!("web-{ordinal}"),
                kind => format!("web-{}-{ordinal}", kind.to_lowercase()),
            };
            let text = [
                pod("live", owner_kind, owner),
                pod("over", owner_kind, owner) + "status: {phase: Succeeded}\n",
                pod("other-0", owner_kind, others[0]),
                pod("other-1", owner_kind, others[1]),
                pod("elsewhere", owner_kind, owner).replace("name: elsewhere", "name: elsewhere, namespace: x"),
                pod("of-another-kind", "Other", owner),
                // The same once more.
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
    fn one_pod_stands_for_a_daemon_set_that_has_none_and_waits_for_no_node() {
        let set = workload("DaemonSet", "agent", "");
        let snapshot = parse_manifest(&set).unwrap().into_snapshot();
        let [agent] = snapshot.pods() else { panic!("{:?}", snapshot.pods()) };
        assert_eq!(agent.name.name, "agent-daemonset-0");
        assert!(agent.is_daemon() && agent.occupied_node().is_none());
        assert_eq!((agent.phase, &agent.scheduling), (Phase::Running, &SchedulingState::Unjudged));
        let text = pod("agent-x", "DaemonSet", "agent") + "---\n" + &set;
        assert_eq!(names(parse_manifest(&text).unwrap()), ["agent-x"]);
    }

    #[test]
    fn made_up_names_are_nobody_elses() {
        let text = [
            pod("web-deployment-0", "StatefulSet", "web-deployment"),
            workload("StatefulSet", "web-deployment", "replicas: 2"),
            workload("Deployment", "web", "replicas: 2"),
            workload("Job", "web", ""),
        ];
        let made_up = ["web-deployment-2", "web-deployment-3", "web-job-0"];
        let expected = [["web-deployment-0", "web-deployment-1"].as_slice(), &made_up].concat();
        assert_eq!(names(parse_manifest(&text.join("---\n")).unwrap()), expected);
    }

    #[test]
    fn pods_of_a_stateful_set_are_called_as_it_calls_them() {
        let text =
            [pod("web-6", "StatefulSet", "web"), workload("StatefulSet", "web", "replicas: 3, ordinals: {start: 5}")];
        assert_eq!(names(parse_manifest(&text.join("---\n")).unwrap()), ["web-5", "web-6", "web-7"]);
        let wrong = parse_manifest(&workload("StatefulSet", "web", "ordinals: {start: -1}")).unwrap_err();
        assert!(wrong.to_string().ends_with("StatefulSet web: spec.ordinals.start: -1 is below 0"), "{wrong}");
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
        assert_eq!(error("Deployment", "replicas: -1"), "document 1: Deployment web: spec.replicas: -1 is below 0");
        assert!(error("Deployment", "replicas: many").ends_with("spec.replicas: missing or of the wrong type"));
        assert!(parse_manifest(&workload("Deployment", "web", "replicas: 1000000")).is_ok());
        assert!(parse_manifest(&workload("Job", "web", "completions: 5000000")).is_ok());
    }

    #[test]
    fn a_workload_without_replicas_makes_no_pods() {
        assert!(names(parse_manifest(&workload("Deployment", "web", "replicas: 0")).unwrap()).is_empty());
        assert!(names(parse_manifest(&workload("Job", "web", "suspend: true")).unwrap()).is_empty());
    }

    #[test]
    fn claims_of_ephemeral_volumes_are_called_after_their_pod() {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2, template: {spec: {containers: [], \
                    volumes: [{name: scratch, ephemeral: {}}, {name: data, persistentVolumeClaim: {claimName: web-data}}]}}}\n";
        let snapshot = parse_manifest(text).unwrap().into_snapshot();
        let claims = |pod: &Pod| {
            let name = |volume: &PodVolume| match volume {
                PodVolume::Claim { name, .. } => name.clone(),
                PodVolume::Disk(disk) => disk.id.clone(),
            };
            pod.volumes.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(claims(&snapshot.pods()[0]), ["web-deployment-0-scratch", "web-data"]);
        assert_eq!(claims(&snapshot.pods()[1]), ["web-deployment-1-scratch", "web-data"]);
    }
}
