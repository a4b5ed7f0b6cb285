//! How many volumes new nodes can attach: as many as live nodes of their type say. Planner and judge hold it, and what nobody
//! knows is told.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/program.rs"]
mod program;
#[path = "common/random.rs"]
#[expect(dead_code, reason = "other tests draw otherwise")]
mod random;

use std::fmt::Write;

use mini_karpenter::check::{check_consolidation, check_plan, check_replacement};
use mini_karpenter::consolidate::{self, Replacement, consolidate, replace};
use mini_karpenter::loops::CatalogChoice;
use mini_karpenter::model::Catalog;
use mini_karpenter::provision::{Options, Plan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::{catalog, lower};
use random::Random;

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: large, arch: amd64, allocatable: {cpu: 16, memory: 32Gi, pods: 110}, zones: [a], pricePerHour: {on-demand: 0.6}}
";

/// Claims get their volumes with their pods, from a driver.
const STORAGE: &str = "---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: disk.csi.example.com
volumeBindingMode: WaitForFirstConsumer
---
{apiVersion: v1, kind: PersistentVolumeList, items: []}
---
{apiVersion: v1, kind: PersistentVolumeClaimList, items: []}
---
{apiVersion: storage.k8s.io/v1, kind: CSINodeList, items: []}
";

/// A node on which no other pod has room, and what it says of drivers.
fn live(name: &str, instance_type: &str, drivers: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, kubernetes.io/arch: amd64, \
         kubernetes.io/os: linux, topology.kubernetes.io/zone: a, node.kubernetes.io/instance-type: {instance_type}}}}}\n\
         status: {{allocatable: {{cpu: 16, memory: 32Gi, pods: 110}}, conditions: [{{type: Ready, status: 'True'}}]}}\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata: {{name: all-of-{name}}}\nspec: {{nodeName: {name}, containers: [{{name: c, resources: \
         {{requests: {{cpu: 16}}}}}}]}}\nstatus: {{phase: Running}}\n\
         ---\napiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {{name: {name}}}\nspec: {{drivers: [{drivers}]}}\n"
    )
}

fn counted(count: u32) -> String {
    format!("{{name: disk.csi.example.com, nodeID: i, allocatable: {{count: {count}}}}}")
}

fn claim(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}{more}}}\nspec: {{accessModes: [ReadWriteOnce], \
         storageClassName: fast, resources: {{requests: {{storage: 1Gi}}}}}}\nstatus: {{phase: Pending}}\n"
    )
}

const UNSCHEDULABLE: &str =
    "{phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}";

/// A pod of 200m that waits, with these volumes.
fn waits(name: &str, volumes: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{volumes: [{volumes}], containers: [{{name: c, resources: \
         {{requests: {{cpu: 200m, memory: 200Mi}}}}}}]}}\nstatus: {UNSCHEDULABLE}\n"
    )
}

fn uses(claim: &str) -> String {
    format!("{{name: {claim}, persistentVolumeClaim: {{claimName: {claim}}}}}")
}

/// Pods with a claim each.
fn with_claims(pods: usize) -> String {
    (0..pods).map(|pod| claim(&format!("c{pod}"), "") + &waits(&format!("p{pod}"), &uses(&format!("c{pod}")))).collect()
}

fn snapshot(parts: &[&str]) -> Snapshot {
    let manifest = lower::parse_manifest(&[&[STORAGE], parts].concat().concat()).unwrap();
    assert!(manifest.skipped.is_empty(), "{:?}", manifest.skipped);
    manifest.into_snapshot()
}

fn types(text: &str, snapshot: &Snapshot) -> Catalog {
    CatalogChoice::File(catalog::parse("types", text).unwrap()).resolve(snapshot).catalog.into_owned()
}

/// A plan that passes its check.
#[track_caller]
fn planned(snapshot: &Snapshot, catalog: &Catalog) -> Plan {
    let plan = plan(snapshot, catalog, &Options::default());
    let found = check_plan(snapshot, catalog, &Options::default(), &plan);
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_))), 0);
    plan
}

/// How many pods are planned on each node, and whether it is said that nobody knows how many volumes they can attach.
#[track_caller]
fn pods_on_nodes(parts: &[&str]) -> (Vec<usize>, bool) {
    let snapshot = snapshot(parts);
    let plan = planned(&snapshot, &types(TYPES, &snapshot));
    let mut pods: Vec<usize> = plan.nodes.iter().map(|node| node.pods.len()).collect();
    pods.sort_unstable();
    (pods, !plan.unknown_attach_limits.is_empty())
}

#[test]
fn new_nodes_attach_as_many_volumes_as_the_least_of_their_type() {
    let one = live("n1", "large", &counted(26));
    assert_eq!(pods_on_nodes(&[&one, &with_claims(60)]), (vec![8, 26, 26], false));
    let another = live("n2", "large", &counted(39));
    assert_eq!(pods_on_nodes(&[&one, &another, &with_claims(60)]), (vec![8, 26, 26], false));
    assert_eq!(pods_on_nodes(&[&another, &with_claims(60)]), (vec![21, 39], false));
}

#[test]
fn nodes_of_other_types_and_drivers_without_a_count_limit_nothing() {
    let (of_another_type, unlimited) = (live("n1", "other", &counted(26)), "{name: disk.csi.example.com, nodeID: i}");
    assert_eq!(pods_on_nodes(&[&of_another_type, &with_claims(60)]), (vec![60], true));
    assert_eq!(pods_on_nodes(&[&live("n1", "large", unlimited), &with_claims(60)]), (vec![60], false));
    let not_ready = live("n1", "large", &counted(26)).replace("'True'", "'False'");
    assert_eq!(pods_on_nodes(&[&not_ready, &with_claims(60)]), (vec![60], true));
    // A limit that is seen holds, though another node has none.
    let both = [live("n1", "large", unlimited), live("n2", "large", &counted(26))].concat();
    assert_eq!(pods_on_nodes(&[&both, &with_claims(60)]), (vec![8, 26, 26], false));
    assert_eq!(pods_on_nodes(&[&waits("p", "")]), (vec![1], false), "nothing is to be known without volumes");
}

#[test]
fn the_judge_refuses_more_volumes_than_the_type_can_attach() {
    let snapshot = snapshot(&[&live("n1", "large", &counted(26)), &with_claims(60)]);
    let as_if_unlimited = plan(&snapshot, &catalog::parse("types", TYPES).unwrap(), &Options::default());
    assert_eq!(as_if_unlimited.nodes.len(), 1);
    let found = check_plan(&snapshot, &types(TYPES, &snapshot), &Options::default(), &as_if_unlimited);
    let refused = found.iter().filter(|violation| violation.problem.contains("NodeVolumeLimits")).count();
    assert_eq!((refused, found.len()), (34, 34), "{found:#?}");
}

#[test]
fn a_volume_that_pods_share_is_attached_once() {
    let sharing: String = (0..40).map(|pod| waits(&format!("p{pod}"), &uses("shared"))).collect();
    let shared = claim("shared", "") + &sharing;
    assert_eq!(pods_on_nodes(&[&live("n1", "large", &counted(1)), &shared]), (vec![40], false));
    // Beside volumes of their own, of which there is no room for all.
    let one_more = claim("own", "") + &waits("q", &uses("own"));
    assert_eq!(pods_on_nodes(&[&live("n1", "large", &counted(1)), &shared, &one_more]), (vec![1, 40], false));
}

#[test]
fn a_pod_with_more_volumes_than_one_type_can_attach_gets_another() {
    let two = TYPES.to_owned()
        + "- {name: wide, arch: amd64, allocatable: {cpu: 16, memory: 32Gi, pods: 110}, zones: [a], pricePerHour: {on-demand: 1}}\n";
    for shared in [false, true] {
        let names: Vec<String> = (0..3).map(|number| format!("c{number}")).collect();
        let all: Vec<String> = names.iter().map(|name| uses(name)).collect();
        let mut text = names.iter().map(|name| claim(name, "")).collect::<String>() + &waits("p", &all.join(", "));
        if shared {
            text += &waits("q", &all.join(", "));
        }
        let both = [live("n1", "large", &counted(2)), live("n2", "wide", &counted(3))].concat();
        let snapshot = snapshot(&[&both, &text]);
        let plan = planned(&snapshot, &types(&two, &snapshot));
        let found: Vec<&str> = plan.nodes.iter().map(|node| node.instance_type.as_str()).collect();
        assert_eq!(found, ["wide"], "shared: {shared}");
    }
}

#[test]
fn why_no_type_can_attach_a_pods_volumes_is_told() {
    let all: Vec<String> = (0..3).map(|number| uses(&format!("c{number}"))).collect();
    let claims: String = (0..3).map(|number| claim(&format!("c{number}"), "")).collect();
    let snapshot = snapshot(&[&live("n1", "large", &counted(2)), &claims, &waits("p", &all.join(", "))]);
    let catalog = types(TYPES, &snapshot);
    let plan = plan(&snapshot, &catalog, &Options::default());
    assert_eq!(check_plan(&snapshot, &catalog, &Options::default(), &plan), []);
    let Verdict::Unplaceable(why) = &plan.pods[0].verdict else { panic!("{:?}", plan.pods[0].verdict) };
    let why = format!("{why:?}");
    assert!(why.contains("TooManyVolumes") && why.contains("needed: 3, free: 2"), "{why}");
}

#[test]
fn ephemeral_volumes_and_those_of_daemon_pods_count() {
    let template = "volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}";
    let ephemeral = format!("{{name: v, ephemeral: {{{template}}}}}");
    let owner = |pod: &str| {
        format!(", ownerReferences: [{{apiVersion: v1, kind: Pod, name: {pod}, uid: u, controller: true}}]")
    };
    let mut pods = String::new();
    for number in 0..10 {
        let pod = format!("p{number}");
        pods += &(claim(&format!("{pod}-v"), &owner(&pod)) + &waits(&pod, &ephemeral));
    }
    let one = live("n1", "large", &counted(6));
    assert_eq!(pods_on_nodes(&[&one, &pods]), (vec![4, 6], false));
    let daemon = format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: d-1, ownerReferences: [{{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, \
         controller: true}}]}}\nspec: {{nodeName: n1, volumes: [{ephemeral}], containers: [{{name: c}}]}}\nstatus: {{phase: Running}}\n"
    ) + &claim("d-1-v", &owner("d-1"));
    assert_eq!(pods_on_nodes(&[&one, &pods, &daemon]), (vec![5, 5], false));
    let two = live("n1", "large", &counted(4));
    assert_eq!(pods_on_nodes(&[&two, &pods, &daemon]).0.len(), 4);
}

/// Ten dear nodes with four pods each, and a full cheap one.
fn dear_nodes(limit: &str) -> String {
    let mut text = live("full", "large", limit);
    for number in 0..10 {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{number}, labels: {{kubernetes.io/hostname: n{number}, kubernetes.io/arch: \
             amd64, kubernetes.io/os: linux, topology.kubernetes.io/zone: a, node.kubernetes.io/instance-type: dear}}}}\nstatus: \
             {{allocatable: {{cpu: 1, memory: 32Gi, pods: 110}}, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        );
        for other in 0..4 {
            let name = format!("p{number}-{other}");
            let _ = write!(
                text,
                "{}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: p, \
                 uid: u, controller: true}}]}}\nspec: {{nodeName: n{number}, volumes: [{}], containers: [{{name: c, resources: {{requests: \
                 {{cpu: 200m}}}}}}]}}\nstatus: {{phase: Running}}\n",
                claim(&name, ""),
                uses(&name)
            );
        }
    }
    text
}

#[test]
fn nodes_that_replace_others_hold_to_it() {
    let two = TYPES.to_owned()
        + "- {name: dear, arch: amd64, allocatable: {cpu: 1, memory: 32Gi, pods: 110}, zones: [a], pricePerHour: {on-demand: 2}}\n";
    let replaced = |limit: &str| -> Replacement {
        let snapshot = snapshot(&[&dear_nodes(limit)]);
        let (catalog, options) = (types(&two, &snapshot), consolidate::Options::default());
        let mut decided = consolidate(&snapshot, &catalog, &options);
        decided.replacement = replace(&snapshot, &catalog, &decided, &Options::default(), &options);
        let mut found = check_consolidation(&snapshot, &catalog, &decided);
        found.extend(check_replacement(&snapshot, &catalog, (&Options::default(), &options), &decided));
        assert!(found.is_empty(), "{found:#?}");
        decided.replacement.unwrap()
    };
    let pods = |replacement: &Replacement| replacement.nodes.iter().map(|node| node.pods.len()).collect::<Vec<_>>();
    let limited = replaced(&counted(15));
    assert!(pods(&limited).iter().all(|pods| *pods <= 15) && pods(&limited).len() >= 3, "{:?}", pods(&limited));
    assert_eq!(limited.unknown_attach_limits, []);
    let unknown = replaced("");
    assert_eq!(pods(&unknown), [40]);
    assert_eq!(unknown.unknown_attach_limits[0].most_planned["disk.csi.example.com"], 40);
}

#[test]
fn what_nobody_knows_is_told_once_for_each_type() {
    let text = [STORAGE, &live("n1", "other", &counted(26)), &with_claims(3)].concat();
    let run = |output: &str| {
        let arguments = ["plan", "-f", "-", "--catalog", "generic", "-o", output];
        let outcome = program::run(&arguments, &[("MINI_KARPENTER_BUDGET", "1h")], &text);
        assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
        outcome.stdout
    };
    let table = run("table");
    let lines: Vec<&str> = table.lines().filter(|line| line.contains("attach")).collect();
    let [line] = lines[..] else { panic!("{table}") };
    assert!(
        line.starts_with("How many volumes a ")
            && line.ends_with("can attach is not known: up to 3 of disk.csi.example.com are planned on one"),
        "{line}"
    );
    let document: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    let unknown = &document["attachLimitsUnknown"];
    assert_eq!(unknown[0]["mostPlanned"]["disk.csi.example.com"], 3);
    assert_eq!(unknown[0]["instanceType"], document["nodes"][0]["instanceType"]);
    let summary = run("configmaps");
    assert!(summary.contains("\"attachLimitsUnknown\"") && summary.contains(line), "{summary}");
}

/// Pods with up to three claims each, some of which several pods name, and two types that can attach few volumes.
fn any_cluster(random: &mut Random) -> String {
    let mut text: String = (0..4).map(|shared| claim(&format!("s{shared}"), "")).collect();
    for (node, instance_type) in [("n1", "large"), ("n2", "small")] {
        let drivers =
            if random.chance(80) { counted(u32::try_from(random.between(1, 5)).unwrap()) } else { String::new() };
        text += &live(node, instance_type, &drivers);
    }
    for pod in 0..random.between(1, 20) {
        let own = random.below(3);
        let claims: Vec<String> = (0..own).map(|number| format!("c{pod}-{number}")).collect();
        text.extend(claims.iter().map(|name| claim(name, "")));
        let shared = random.chance(30).then(|| format!("s{}", random.below(4)));
        let all: Vec<String> = claims.iter().chain(&shared).map(|name| uses(name)).collect();
        text += &waits(&format!("p{pod}"), &all.join(", "));
    }
    text
}

#[test]
fn the_judge_objects_to_no_plan_with_few_volumes_on_a_node() {
    let two = TYPES.to_owned()
        + "- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 8Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.1}}\n";
    let (mut more, mut left_out) = (0, 0);
    for seed in 0..50 {
        let snapshot = snapshot(&[&any_cluster(&mut Random::new(seed))]);
        let (catalog, options) = (types(&two, &snapshot), Options::default());
        let limited = plan(&snapshot, &catalog, &options);
        let found = check_plan(&snapshot, &catalog, &options, &limited);
        assert!(found.is_empty(), "seed {seed}: {found:#?}");
        let unlimited = plan(&snapshot, &catalog::parse("types", &two).unwrap(), &options);
        more += usize::from(limited.nodes.len() > unlimited.nodes.len());
        left_out += limited.count(|verdict| matches!(verdict, Verdict::Unplaceable(_)));
    }
    assert!(more > 20, "{more} plans with more nodes, {left_out} pods left out");
}
