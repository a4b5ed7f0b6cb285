//! The same answers as kube-scheduler: the verdicts of its real filter plugins, and ours.
//!
//! `SCHEDULER_VERDICTS` names another file of the same form.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that reads its own data; what fails, fails the test"
)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufRead, BufReader, Read, Write, stdout};
use std::mem::discriminant;
use std::sync::Arc;
use std::{env, fs};

use flate2::read::GzDecoder;
use mini_karpenter::catalog;
use mini_karpenter::check::{check_consolidation, check_plan};
use mini_karpenter::consolidate::{self, consolidate};
use mini_karpenter::feasibility::Simulation;
use mini_karpenter::lower::parse_manifest;
use mini_karpenter::model::{Catalog, Phase, Placement, Pod, PodName, SchedulingState};
use mini_karpenter::provision::{Options, Plan, PodPlan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use serde::Deserialize;
use serde_json::Value;

const SCENES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/scheduler-verdicts/scenes.jsonl.gz");

/// A cluster, and pods that come to it one at a time.
#[derive(Deserialize)]
struct Scene {
    seed: u64,
    cases: Vec<Case>,
    /// Lists of objects, by the plural of their kind.
    #[serde(flatten)]
    objects: BTreeMap<String, Value>,
}

/// One of the pods, and what the real plugins say of it.
#[derive(Deserialize)]
struct Case {
    pod: Value,
    feasible: BTreeSet<String>,
    #[serde(default)]
    refused: BTreeMap<String, BTreeSet<String>>,
}

/// Kinds by the plural that a scene uses.
const KINDS: [(&str, &str); 6] = [
    ("namespaces", "Namespace"),
    ("nodes", "Node"),
    ("pods", "Pod"),
    ("persistentVolumeClaims", "PersistentVolumeClaim"),
    ("persistentVolumes", "PersistentVolume"),
    ("storageClasses", "StorageClass"),
];

impl Scene {
    /// The cluster with all the pods that come to it. None of them is on a node, so none makes a difference to another.
    fn snapshot(&self) -> (Snapshot, Vec<PodName>) {
        let objects = KINDS.into_iter().flat_map(|(plural, kind)| {
            let list = self.objects.get(plural).and_then(Value::as_array);
            list.into_iter().flatten().map(move |object| of_kind(kind, object.clone()))
        });
        let incoming = self.cases.iter().map(|case| of_kind("Pod", case.pod.clone()));
        let all: Vec<Value> = objects.chain(incoming).collect();
        let mut manifest = parse_manifest(&Value::Array(all).to_string()).unwrap();
        assert!(manifest.skipped.is_empty() && manifest.unread_kinds.is_empty(), "{:?}", manifest.skipped);
        let bound = manifest.pods.len() - self.cases.len();
        let incoming = manifest.pods[bound..].iter_mut().map(|pod| {
            // A pod that names its node in its spec has not come there yet.
            if let SchedulingState::Bound(node) = &pod.scheduling {
                let placement = Placement { node_name: Some(node.clone()), ..pod.placement.clone() };
                let scheduling = SchedulingState::Unjudged;
                *pod = Pod { placement, scheduling, ..Pod::clone(pod) }.into();
            }
            pod.name.clone()
        });
        let incoming = incoming.collect();
        // The scheduler could read every kind; of those that are missing there are none.
        let extras = &mut manifest.extras;
        extras.namespaces.get_or_insert_default();
        extras.claims.get_or_insert_default();
        extras.volumes.get_or_insert_default();
        extras.storage_classes.get_or_insert_default();
        extras.attach_limits.get_or_insert_default();
        (manifest.into_snapshot(), incoming)
    }
}

/// The first bytes of everything that gzip writes.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The scenes of a file, one line each, compressed or not.
fn scenes(path: &str) -> impl Iterator<Item = Scene> {
    let file = fs::File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut file = BufReader::new(file);
    let compressed = file.fill_buf().unwrap().starts_with(&GZIP);
    let text: Box<dyn Read> = if compressed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    BufReader::new(text).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The file that is to be read.
fn path() -> String {
    env::var("SCHEDULER_VERDICTS").unwrap_or_else(|_| SCENES.to_owned())
}

fn of_kind(kind: &str, mut object: Value) -> Value {
    let api_version = if ["StorageClass", "CSINode"].contains(&kind) { "storage.k8s.io/v1" } else { "v1" };
    object["apiVersion"] = Value::from(api_version);
    object["kind"] = Value::from(kind);
    object
}

/// What is said of one pod: the nodes where it may run, and for each other node the plugins that refuse.
type Verdicts = (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>);

fn our_verdicts(simulation: &Simulation, name: &PodName) -> Verdicts {
    let class = simulation.class_of(name).unwrap();
    assert!(simulation.unchecked_rules(class).is_empty(), "{name}: {:?}", simulation.unchecked_rules(class));
    let mut feasible = BTreeSet::new();
    let mut refused: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in simulation.existing_nodes() {
        let rules: BTreeSet<String> =
            simulation.refusals(class, node).iter().map(|refusal| refusal.rule().name().to_owned()).collect();
        assert_eq!(simulation.may_run(class, node), rules.is_empty(), "{name} on {}", simulation.name(node));
        assert_eq!(simulation.miss(class, node).is_none(), rules.is_empty());
        if rules.is_empty() {
            feasible.insert(simulation.name(node).to_owned());
        } else {
            refused.insert(simulation.name(node).to_owned(), rules);
        }
    }
    (feasible, refused)
}

#[test]
fn every_feasible_set_and_every_refusing_plugin_is_that_of_the_real_scheduler() {
    let path = path();
    let (mut agreed, mut all) = (0, 0);
    let mut disagreements = Vec::new();
    for scene in scenes(&path) {
        let (snapshot, incoming) = scene.snapshot();
        let simulation = Simulation::of(&snapshot);
        for (number, (case, name)) in scene.cases.iter().zip(&incoming).enumerate() {
            let (feasible, refused) = our_verdicts(&simulation, name);
            all += 1;
            let same_rules = case.refused.is_empty() || refused == case.refused;
            if feasible == case.feasible && same_rules {
                agreed += 1;
            } else {
                let theirs = (&case.feasible, &case.refused);
                disagreements.push(format!(
                    "scene {} case {number}:\n  ours {:?}\n  real {theirs:?}",
                    scene.seed,
                    (feasible, refused)
                ));
            }
        }
    }
    // Not with `println!`, which nobody sees of a test that passes.
    writeln!(stdout(), "agreed {agreed} of {all}").unwrap();
    assert!(all > 0, "{path} has no cases");
    assert!(
        disagreements.is_empty(),
        "agreed {agreed} of {all}\n{}",
        disagreements[..disagreements.len().min(5)].join("\n")
    );
}

/// The rules that the judge of plans has against a pod on a node, of a plan that says that it fits there.
fn judged(snapshot: &Snapshot, catalog: &Catalog, pod: &Arc<Pod>, node: &str) -> BTreeSet<String> {
    let pods = vec![PodPlan {
        pod: Arc::clone(pod),
        verdict: Verdict::FitsExisting { node: node.to_owned() },
        existing: None,
        unchecked_rules: Vec::new(),
    }];
    let plan = Plan { pods, placements: vec![0], ..Plan::default() };
    let prefix = format!("on {node}: ");
    let violations = check_plan(snapshot, catalog, &Options::default(), &plan);
    let rules = violations.iter().map(|violation| {
        let rule = violation.problem.strip_prefix(&prefix).and_then(|problem| problem.split_once(": "));
        rule.unwrap_or_else(|| panic!("{violation}")).0.to_owned()
    });
    rules.collect()
}

/// Those that look beyond the node. Of the others the judge names the first only.
fn beyond_the_node(rules: &BTreeSet<String>) -> BTreeSet<&str> {
    let of_node = ["NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity"];
    rules.iter().map(String::as_str).filter(|rule| !of_node.contains(rule)).collect()
}

/// The same cluster, with these pods waiting for nodes.
fn waiting(snapshot: &Snapshot, names: &[PodName]) -> Snapshot {
    let waits = |pod: &Arc<Pod>| Pod {
        scheduling: SchedulingState::Unschedulable,
        phase: Phase::Pending,
        owner: None,
        ..Pod::clone(pod)
    };
    let there = snapshot.pods().iter().filter(|pod| pod.occupied_node().is_some()).cloned();
    let come = snapshot.pods().iter().filter(|pod| names.contains(&pod.name)).map(|pod| Arc::new(waits(pod)));
    Snapshot::new(snapshot.nodes().to_vec(), there.chain(come), []).with_extras(snapshot.extras().clone())
}

#[test]
fn the_judge_of_plans_says_the_same_apart_from_that() {
    let catalog = Catalog { types: Vec::new(), ..catalog::builtin("generic").unwrap() };
    let mut disagreements = Vec::new();
    for scene in scenes(&path()) {
        let (snapshot, incoming) = scene.snapshot();
        for (number, (case, name)) in scene.cases.iter().zip(&incoming).enumerate() {
            let snapshot = waiting(&snapshot, std::slice::from_ref(name));
            let pod = snapshot.pods().iter().find(|pod| pod.name == *name).unwrap();
            for node in snapshot.nodes() {
                let ours = judged(&snapshot, &catalog, pod, &node.name);
                let theirs = case.refused.get(&node.name).cloned().unwrap_or_default();
                let same_rules = case.refused.is_empty() || beyond_the_node(&ours) == beyond_the_node(&theirs);
                if ours.is_empty() != case.feasible.contains(&node.name) || !same_rules {
                    let at = format!("scene {} case {number} on {}", scene.seed, node.name);
                    disagreements.push(format!("{at}:\n  ours {ours:?}\n  real {theirs:?}"));
                }
            }
        }
    }
    let some = &disagreements[..disagreements.len().min(5)];
    assert!(disagreements.is_empty(), "{} times\n{}", disagreements.len(), some.join("\n"));
}

#[test]
fn the_judge_of_plans_objects_to_no_plan_and_no_consolidation_of_the_scenes() {
    let catalog = catalog::builtin("generic").unwrap();
    let mut fates = HashSet::new();
    for scene in scenes(SCENES) {
        let (snapshot, incoming) = scene.snapshot();
        let snapshot = waiting(&snapshot, &incoming);
        let plan = plan(&snapshot, &catalog, &Options::default());
        let violations = check_plan(&snapshot, &catalog, &Options::default(), &plan);
        assert!(violations.is_empty(), "scene {}: {}", scene.seed, violations[0]);
        fates.extend(plan.pods.iter().map(|pod| discriminant(&pod.verdict)));
        let options = consolidate::Options { threshold: 1_000_000, ..consolidate::Options::default() };
        let consolidation = consolidate(&snapshot, &catalog, &options);
        let violations = check_consolidation(&snapshot, &catalog, &consolidation);
        assert!(violations.is_empty(), "scene {}: {}", scene.seed, violations[0]);
    }
    assert_eq!(fates.len(), 3, "planned, on an existing node, and unplaceable");
}
