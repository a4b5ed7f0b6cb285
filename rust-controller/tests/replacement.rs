//! Nodes that are replaced by cheaper ones, on clusters made by hand; and the judge of that, which notices each way to spoil it.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use std::collections::BTreeSet;
use std::fmt::Write;

use mini_karpenter::check::{check_consolidation, check_lower_bound, check_replacement};
use mini_karpenter::consolidate::{Consolidation, Options, Replacement, consolidate, lower_bound, replace};
use mini_karpenter::model::Catalog;
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::Money;
use mini_karpenter::{catalog, lower, provision};

/// `dear` and `cheap` are alike but for the price; `arm` would be cheaper still.
const CATALOG: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: arm, arch: arm64, allocatable: {cpu: 8, memory: 32Gi, pods: 50}, zones: [a, b], pricePerHour: {on-demand: 0.2}}
- {name: cheap, arch: amd64, allocatable: {cpu: 8, memory: 32Gi, pods: 50}, zones: [a, b], pricePerHour: {on-demand: 0.4, spot: 0.1}}
- {name: dear, arch: amd64, allocatable: {cpu: 8, memory: 32Gi, pods: 50}, zones: [a, b], pricePerHour: {on-demand: 1}}
";

fn priced() -> Catalog {
    catalog::parse("test", CATALOG).unwrap()
}

/// A node of 8 cores in zone a.
fn node(name: &str, kind: &str) -> String {
    let arch = if kind == "arm" { "arm64" } else { "amd64" };
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, kubernetes.io/arch: {arch}, \
         kubernetes.io/os: linux, topology.kubernetes.io/zone: a, node.kubernetes.io/instance-type: {kind}}}}}\n\
         status: {{allocatable: {{cpu: 8, memory: 32Gi, pods: 50}}}}\n"
    )
}

/// A pod of one core and 1 GiB of a workload, with more in its metadata and spec.
fn pod(name: &str, node: &str, metadata: &str, spec: &str) -> String {
    let app = name.split('-').next().unwrap();
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, {metadata}labels: {{app: {app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: \
         ReplicaSet, name: {app}, uid: u, controller: true}}]}}\nspec: {{nodeName: {node}, {spec}containers: [{{name: c, resources: \
         {{requests: {{cpu: 1, memory: 1Gi}}}}}}]}}\nstatus: {{phase: Running}}\n"
    )
}

/// Ten nodes, half full.
fn half_full(kind: &str) -> String {
    let mut text = String::new();
    for number in 0..10 {
        let name = format!("n{number}");
        text += &node(&name, kind);
        for other in 0..4 {
            text += &pod(&format!("web-{number}-{other}"), &name, "", "");
        }
    }
    text
}

fn snapshot(text: &str) -> Snapshot {
    lower::parse_manifest(text).unwrap().into_snapshot()
}

fn decided_with(text: &str, catalog: &Catalog, provisioning: &provision::Options, options: &Options) -> Consolidation {
    let snapshot = snapshot(text);
    let mut decided = consolidate(&snapshot, catalog, options);
    decided.replacement = replace(&snapshot, catalog, &decided, provisioning, options);
    decided.bound = lower_bound(&snapshot, (catalog, provisioning), &decided);
    let mut wrong = check_consolidation(&snapshot, catalog, &decided);
    wrong.extend(check_replacement(&snapshot, catalog, (provisioning, options), &decided));
    wrong.extend(check_lower_bound(&snapshot, (catalog, provisioning), &decided));
    assert!(wrong.is_empty(), "{wrong:#?}");
    decided
}

fn decided(text: &str) -> Consolidation {
    decided_with(text, &priced(), &provision::Options::default(), &Options::default())
}

fn replacement(text: &str) -> Replacement {
    decided(text).replacement.unwrap()
}

fn types(replacement: &Replacement) -> Vec<&str> {
    replacement.nodes.iter().map(|node| node.instance_type.as_str()).collect()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn dear_nodes_are_replaced_by_fewer_cheap_ones() {
    let decided = decided(&half_full("dear"));
    assert_eq!(decided.removals.len(), 5);
    assert_eq!(decided.costs_per_hour(), (Some(money("10")), Some(money("5"))));
    let replacement = decided.replacement.as_ref().unwrap();
    assert_eq!(types(replacement), ["cheap"; 5]);
    assert_eq!(replacement.removals.len(), 10);
    assert_eq!(replacement.cost_after(&decided), Some(money("2")));
    assert_eq!((replacement.replaced_per_hour, replacement.further_savings_per_hour), (money("5"), money("3")));
    assert_eq!((replacement.savings_share(), replacement.pods_disturbed()), (600_000, 40));
    assert!(replacement.gap(&decided).unwrap() < 1e-6);
    assert_eq!(replacement.pools.len(), 1);
    // Who applies a plan for pending pods as well has both.
    assert!(replacement.pools.keys().all(|name| name.starts_with("replacement-on-demand-")), "{:?}", replacement.pools);
}

#[test]
fn a_node_is_never_replaced_by_its_like() {
    let decided = decided_with(
        &half_full("cheap"),
        &priced(),
        &provision::Options::default(),
        &Options { min_savings: 0, ..Options::default() },
    );
    assert_eq!((decided.removals.len(), decided.replacement), (5, None));
    // Where there are cheap ones already, only as many are bought as there are not.
    let mixed = half_full("dear").replace("n0, kubernetes.io/arch", "n0, x: y, kubernetes.io/arch");
    let mixed = mixed.replacen("node.kubernetes.io/instance-type: dear", "node.kubernetes.io/instance-type: cheap", 1);
    let replacement = replacement(&mixed);
    assert!(!replacement.removes("n0"));
    assert_eq!(types(&replacement), ["cheap"; 4]);
}

/// All nodes that have the taint go, and their place is taken by nodes that have it, too.
#[test]
fn nodes_that_are_set_apart_are_replaced_by_nodes_that_are() {
    let taint = "spec: {taints: [{key: team, value: red, effect: NoSchedule}]}\nstatus: {allocatable";
    let apart = |text: String, taint: &str| {
        text.replace("kubernetes.io/os: linux,", "kubernetes.io/os: linux, team: red,")
            .replace("status: {allocatable", taint)
    };
    let tolerant = half_full("dear").replace(
        "spec: {nodeName",
        "spec: {nodeSelector: {team: red}, tolerations: [{key: team, operator: Exists}], nodeName",
    );
    let daemon = pod("agent-0", "n0", "", "").replace("ReplicaSet", "DaemonSet");
    let text = apart(format!("{tolerant}{daemon}"), taint);
    let replacement = replacement(&text);
    assert_eq!((replacement.removals.len(), types(&replacement)), (10, vec!["cheap"; 5]));
    let taints = |replacement: &Replacement| -> Vec<String> {
        replacement.pools.values().flat_map(|pool| &pool.taints).map(ToString::to_string).collect()
    };
    assert_eq!(taints(&replacement), ["team=red:NoSchedule"]);
    assert!(replacement.nodes.iter().all(|node| node.daemon_requests.amount("cpu") == 0), "no agent comes there");
    let open = decided(&apart(tolerant, "status: {allocatable")).replacement.unwrap();
    assert_eq!(taints(&open), Vec::<String>::new());
    // Without its taint, the agent comes there.
    let snapshot = snapshot(&text);
    let mut spoiled = decided(&text);
    let pools = &mut spoiled.replacement.as_mut().unwrap().pools;
    for pool in pools.values_mut() {
        pool.taints.clear();
    }
    let options = (&provision::Options::default(), &Options::default());
    assert!(!check_replacement(&snapshot, &priced(), options, &spoiled).is_empty());
}

#[test]
fn what_must_stay_stays() {
    let cluster = half_full("dear");
    let spoiled = |pod: &str, metadata: &str, spec: &str| {
        let with_owner = format!("metadata: {{name: {pod}, {metadata}");
        let text = cluster.replace(&format!("metadata: {{name: {pod}, "), &with_owner);
        let node = format!("n{}", pod.split('-').nth(1).unwrap());
        let (before, after) = text.split_at(text.find(&with_owner).unwrap());
        let after = after.replacen(&format!("nodeName: {node}, "), &format!("nodeName: {node}, {spec}"), 1);
        format!("{before}{after}")
    };
    let pinned = spoiled("web-3-1", "", "nodeSelector: {kubernetes.io/hostname: n3}, ");
    let do_not_disrupt = spoiled("web-3-1", "annotations: {karpenter.sh/do-not-disrupt: 'true'}, ", "");
    let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {selector: {matchLabels: {app: lone}}}\n\
                  status: {disruptionsAllowed: 0}\n";
    let lone = cluster.replacen("labels: {app: web}", "labels: {app: lone}", 1);
    for (text, node) in [(pinned, "n3"), (do_not_disrupt, "n3"), (format!("{lone}{budget}"), "n0")] {
        let replacement = replacement(&text);
        assert!(!replacement.removes(node), "{node}");
        assert_eq!((replacement.removals.len(), types(&replacement).len()), (9, 4));
        // What is free on the node that stays is used.
        let there = replacement.removals.iter().flat_map(|plan| &plan.moves).filter(|each| each.destination == node);
        assert_eq!(there.count(), 4);
    }
}

#[test]
fn a_volume_in_a_zone_keeps_its_pod_there() {
    let volume = "
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: v}
spec:
  capacity: {storage: 1Gi}
  claimRef: {namespace: default, name: data}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [b]}]}]}}
status: {phase: Bound}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, annotations: {pv.kubernetes.io/bind-completed: 'yes'}}
spec: {volumeName: v, storageClassName: '', resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, provisioner: d.example.com}
";
    let mount = "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}], ";
    let text = half_full("dear").replacen("nodeName: n0, ", &format!("nodeName: n0, {mount}"), 1);
    let text = text.replacen("topology.kubernetes.io/zone: a", "topology.kubernetes.io/zone: b", 1);
    let replacement = replacement(&format!("{text}{volume}"));
    let moved =
        replacement.removals.iter().flat_map(|plan| &plan.moves).find(|each| !each.pod.volumes.is_empty()).unwrap();
    let to = replacement.nodes.iter().find(|node| node.name == moved.destination).unwrap();
    assert_eq!(to.zone, "b");
}

#[test]
fn evictions_come_in_waves() {
    let budget = "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {selector: {matchLabels: {app: web}}}\n\
                  status: {disruptionsAllowed: 8}\n";
    let replacement = replacement(&format!("{}{budget}", half_full("dear")));
    let waves: Vec<u32> = replacement.removals.iter().map(|plan| plan.wave).collect();
    assert_eq!(waves, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
}

#[test]
fn too_little_to_save_is_not_worth_it() {
    let priced_at = |price: &str| {
        catalog::parse("test", &CATALOG.replace("{on-demand: 0.4, spot: 0.1}", &format!("{{{price}}}"))).unwrap()
    };
    let found = |price: &str, min_savings: u64, capacity_types: &[&str]| {
        let capacity_types = capacity_types.iter().map(|each| (*each).to_owned()).collect();
        let provisioning = provision::Options { capacity_types, ..provision::Options::default() };
        let options = Options { min_savings, ..Options::default() };
        decided_with(&half_full("dear"), &priced_at(price), &provisioning, &options).replacement
    };
    assert_eq!(found("on-demand: 0.9", 150_000, &["on-demand"]), None);
    assert_eq!(found("on-demand: 0.9", 100_000, &["on-demand"]), None, "just as much is not more");
    assert_eq!(found("on-demand: 0.9", 99_999, &["on-demand"]).unwrap().savings_share(), 100_000);
    assert_eq!(found("on-demand: 1.1", 0, &["on-demand"]), None);
    // Spot capacity only where it is asked for; prices that nobody knows are not counted on.
    assert_eq!(found("spot: 0.1", 0, &["on-demand"]), None);
    assert_eq!(found("spot: 0.1", 0, &["on-demand", "spot"]).unwrap().savings_share(), 900_000);
    assert_eq!(found("spot: null", 0, &["on-demand", "spot"]), None);
}

#[test]
fn pods_that_name_no_architecture_keep_theirs() {
    let catalog = catalog::parse("test", &CATALOG.replace("{on-demand: 0.4, spot: 0.1}", "{on-demand: 0.9}")).unwrap();
    let options = Options::default();
    let decide = |text: &str| decided_with(text, &catalog, &provision::Options::default(), &options).replacement;
    assert_eq!(decide(&half_full("dear")), None);
    let dear_arm = CATALOG.replace("arch: amd64", "arch: arm64");
    let catalog = catalog::parse("test", &dear_arm).unwrap();
    let arm = half_full("dear").replace("kubernetes.io/arch: amd64", "kubernetes.io/arch: arm64");
    let replacement = decided_with(&arm, &catalog, &provision::Options::default(), &options).replacement.unwrap();
    assert_eq!(types(&replacement), ["arm"; 5]);
}

#[test]
fn new_nodes_have_room_for_their_daemon_pods_though_all_that_run_go() {
    let mut text = half_full("dear");
    for number in 0..10 {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: agent-{number}, ownerReferences: [{{apiVersion: apps/v1, kind: DaemonSet, name: agent, \
             uid: d, controller: true}}]}}\nspec: {{nodeName: n{number}, containers: [{{name: c, resources: {{requests: {{cpu: \
             500m}}}}}}]}}\nstatus: {{phase: Running}}\n"
        );
    }
    let replacement = replacement(&text);
    assert_eq!(types(&replacement), ["cheap"; 6], "seven pods of a core each");
    assert!(replacement.nodes.iter().all(|node| node.daemon_requests.cpu.get() == 500 && node.pods.len() <= 7));
}

#[test]
fn room_that_is_kept_for_a_pod_that_waits_is_not_given_away() {
    let waits = pod("waits-0", "", "", "nodeSelector: {kubernetes.io/hostname: n9}, ")
        .replace("nodeName: , ", "")
        .replace("status: {phase: Running}", "");
    let decided = decided(&format!("{}{waits}", half_full("dear")));
    let replacement = decided.replacement.as_ref().unwrap();
    assert_eq!(decided.reserved.len(), 1);
    assert!(!replacement.removes("n9"));
    let to_n9 = replacement.removals.iter().flat_map(|plan| &plan.moves).filter(|each| each.destination == "n9");
    assert_eq!(to_n9.count(), 3);
}

#[test]
fn the_order_of_objects_does_not_matter() {
    let text = half_full("dear");
    let mut documents: Vec<&str> = text.split("---\n").filter(|document| !document.is_empty()).collect();
    documents.reverse();
    assert_eq!(decided(&text), decided(&format!("---\n{}", documents.join("---\n"))));
}

/// Complaints about what is left of a good replacement of half full dear nodes.
fn complaints(text: &str, spoil: impl FnOnce(&mut Consolidation)) -> Vec<String> {
    let mut spoiled = decided(&half_full("dear"));
    spoil(&mut spoiled);
    let options = (&provision::Options::default(), &Options::default());
    let found = check_replacement(&snapshot(text), &priced(), options, &spoiled);
    found.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn complains(spoil: impl FnOnce(&mut Replacement), expected: &str) {
    let found = complaints(&half_full("dear"), |decided| spoil(decided.replacement.as_mut().unwrap()));
    assert!(found.iter().any(|found| found.contains(expected)), "{found:#?} does not say {expected:?}");
}

#[test]
fn the_judge_does_the_steps() {
    complains(|plan| plan.removals[0].moves[0].destination = "n99".to_owned(), "which is gone");
    complains(|plan| drop(plan.removals[0].moves.pop()), "is left behind on");
    complains(|plan| plan.removals.push(plan.removals[0].clone()), "is replaced twice");
    complains(|plan| plan.removals[1].wave = 7, "out of order");
    complains(|plan| plan.removals[0].unread_budgets = false, "could read the budgets");
    let all_on_one = |plan: &mut Replacement| {
        let first = plan.nodes[0].name.clone();
        plan.removals.iter_mut().flat_map(|plan| &mut plan.moves).for_each(|each| each.destination.clone_from(&first));
    };
    complains(all_on_one, "NodeResourcesFit");
    complains(all_on_one, "does not list just the pods that move there");
    let twice = |plan: &mut Replacement| {
        let last = plan.removals[9].node.name.clone();
        plan.removals[0].moves[0].destination = last;
    };
    complains(twice, "goes, and pods move there");
}

#[test]
fn the_judge_holds_the_pods_against_the_cluster() {
    let changed = |from: &str, to: &str| {
        let text = half_full("dear");
        assert!(text.contains(from));
        complaints(&text.replacen(from, to, 1), |_| {})
    };
    let says = |found: &[String], expected: &str| {
        assert!(found.iter().any(|found| found.contains(expected)), "{found:#?} does not say {expected:?}");
    };
    says(
        &changed(
            "metadata: {name: web-0-0, ",
            "metadata: {name: web-0-0, annotations: {karpenter.sh/do-not-disrupt: 'true'}, ",
        ),
        "asks not to be",
    );
    says(
        &changed("ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]", ""),
        "has no controller",
    );
    says(&changed("nodeName: n0, ", "nodeName: n0, nodeSelector: {x: y}, "), "NodeAffinity");
    says(
        &changed("metadata: {name: n0, ", "metadata: {name: n0, annotations: {karpenter.sh/do-not-disrupt: 'true'}, "),
        "asks not to be disturbed",
    );
    says(&changed("instance-type: dear", "instance-type: stranger"), "whose price nobody knows");
    says(&changed("instance-type: dear", "instance-type: cheap"), "a node of its type comes in its zone at its price");
}

#[test]
fn the_judge_adds_up() {
    complains(|plan| plan.further_savings_per_hour = money("3.1"), "says to save");
    complains(|plan| plan.replaced_per_hour = money("4"), "says to save");
    complains(|plan| plan.staying.push("n1".to_owned()), "does not name the nodes that stay");
    complains(|plan| plan.nodes[0].price_per_hour = Some(money("0.1")), "has not the price of cheap");
    complains(|plan| plan.nodes[0].instance_type = "arm".to_owned(), "has not the");
    complains(|plan| plan.nodes[0].name = "n3".to_owned(), "is the name of another node");
    complains(|plan| plan.pools.clear(), "is of a pool that the plan does not have");
    complains(|plan| plan.nodes[0].pods.clear(), "does not list just the pods");
    let dear = |plan: &mut Replacement| {
        for node in &mut plan.nodes {
            node.price_per_hour = Some(money("0.9"));
        }
        plan.further_savings_per_hour = money("0.5");
    };
    complains(dear, "which is not enough");
    let names: BTreeSet<String> =
        decided(&half_full("dear")).replacement.unwrap().nodes.into_iter().map(|node| node.name).collect();
    assert_eq!(names.len(), 5);
}
