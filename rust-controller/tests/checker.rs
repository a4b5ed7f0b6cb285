//! The judge of plans, judged: good plans pass, and each way to spoil one is noticed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/sums.rs"]
mod sums;

use std::collections::BTreeSet;
use std::sync::Arc;

use mini_karpenter::check::{check_consolidation, check_plan};
use mini_karpenter::consolidate::{self, Consolidation, Move, NodePlan, consolidate};
use mini_karpenter::model::{Catalog, Labels, Operator, PodName, Requirement, Resources, TaintEffect, key};
use mini_karpenter::provision::{Ignored, Options, Plan, PlannedNode, PodPlan, Unplaceable, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Money};
use mini_karpenter::{catalog, lower};
use sums::with_sums;

const CATALOG: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- name: small
  arch: amd64
  allocatable: {cpu: 2, memory: 4Gi, pods: 10}
  zones: [a]
  pricePerHour: {on-demand: 0.1, spot: 0.04}
- name: large
  arch: amd64
  allocatable: {cpu: 8, memory: 16Gi, pods: 10}
  zones: [a]
  pricePerHour: {on-demand: 0.4}
";

/// `one` and `two` fill a small node each, beside its daemon pod, and want no team there; `labelled` needs a node of its own kind; `existing`
/// fits `free`, `nowhere` nothing.
const PENDING: &str = "
apiVersion: v1
kind: Node
metadata: {name: free, labels: {tier: old}}
status: {allocatable: {cpu: 1, memory: 1Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: going, deletionTimestamp: '2026-01-01T00:00:00Z', labels: {tier: old}}
status: {allocatable: {cpu: 1, memory: 1Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: tainted}
spec: {taints: [{key: dedicated, effect: NoSchedule}]}
status: {allocatable: {cpu: 1, memory: 1Gi, pods: 10}}
---
apiVersion: v1
kind: Pod
metadata: {name: daemon, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, controller: true}]}
spec: {nodeName: free, containers: [{name: c, resources: {requests: {cpu: 200m}}}]}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [
    {key: team, operator: DoesNotExist}]}]}}}
  containers: [{name: c, resources: {requests: {cpu: 1500m, memory: 3Gi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [
    {key: team, operator: DoesNotExist}]}]}}}
  containers: [{name: c, resources: {requests: {cpu: 1600m, memory: 3Gi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: labelled}
spec: {nodeSelector: {team: x}, containers: [{name: c, resources: {requests: {cpu: 100m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: existing}
spec: {nodeSelector: {tier: old}, containers: [{name: c, resources: {requests: {cpu: 500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: nowhere}
spec: {containers: [{name: c, resources: {requests: {cpu: 100}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: running}
spec: {nodeName: tainted, containers: [{name: c, resources: {requests: {cpu: 100m}}}]}
status: {phase: Running}
";

fn snapshot(text: &str) -> Snapshot {
    let manifest = lower::parse_manifest(text).unwrap();
    Snapshot::new(manifest.nodes, manifest.pods, [])
}

fn priced() -> Catalog {
    catalog::parse("test", CATALOG).unwrap()
}

fn complaints_about(plan: &Plan) -> Vec<String> {
    let found = check_plan(&snapshot(PENDING), &priced(), &Options::default(), plan);
    found.iter().map(ToString::to_string).collect()
}

fn good_plan() -> Plan {
    plan(&snapshot(PENDING), &priced(), &Options::default())
}

fn name(pod: &str) -> PodName {
    PodName { namespace: "default".to_owned(), name: pod.to_owned() }
}

fn pod<'a>(plan: &'a mut Plan, pod: &str) -> &'a mut PodPlan {
    plan.pods.iter_mut().find(|planned| planned.pod.name == name(pod)).unwrap()
}

fn node_of<'a>(plan: &'a mut Plan, pod: &str) -> &'a mut PlannedNode {
    plan.nodes.iter_mut().find(|node| node.pods.contains(&name(pod))).unwrap()
}

/// Moves a pod to the planned node of another, everywhere that the plan speaks of it.
fn join(plan: &mut Plan, moved: &str, other: &str) {
    node_of(plan, moved).pods.retain(|listed| *listed != name(moved));
    let target = node_of(plan, other);
    target.pods.push(name(moved));
    let (target, target_pool) = (target.name.clone(), target.pool.clone());
    let Verdict::Planned { node, pool, .. } = &mut pod(plan, moved).verdict else { panic!("{moved} is planned") };
    (*node, *pool) = (target, target_pool);
    plan.nodes.retain(|node| !node.pods.is_empty());
}

#[test]
fn a_good_plan_passes() {
    let mut plan = good_plan();
    assert_eq!(complaints_about(&plan), Vec::<String>::new());
    let verdicts: Vec<&str> = ["existing", "labelled", "nowhere", "one", "two"]
        .into_iter()
        .map(|each| match pod(&mut plan, each).verdict {
            Verdict::Planned { .. } => "planned",
            Verdict::FitsExisting { .. } => "fitsExisting",
            Verdict::Unplaceable(_) => "unplaceable",
            Verdict::Ignored(_) => "ignored",
        })
        .collect();
    assert_eq!(verdicts, ["fitsExisting", "planned", "unplaceable", "planned", "planned"]);
    assert_eq!(plan.nodes.len(), 3);
}

type Spoil<T> = fn(&mut T);

fn unnoticed<T: Clone>(
    good: &T,
    spoilers: &[(&'static str, Spoil<T>)],
    judge: fn(&T) -> Vec<String>,
) -> Vec<&'static str> {
    let passes = |spoil: &Spoil<T>| {
        let mut spoiled = good.clone();
        spoil(&mut spoiled);
        judge(&spoiled).is_empty()
    };
    spoilers.iter().filter(|(_, spoil)| passes(spoil)).map(|(what, _)| *what).collect()
}

#[test]
fn a_plan_with_a_pod_in_the_wrong_place_does_not_pass() {
    let spoilers: [(&str, Spoil<Plan>); 12] = [
        ("overfilled", |plan| join(plan, "two", "one")),
        ("without its label", |plan| join(plan, "labelled", "one")),
        ("listed on a node, and said to be on another", |plan| {
            node_of(plan, "two").pods.clear();
            node_of(plan, "one").pods.push(name("two"));
        }),
        ("on two nodes", |plan| node_of(plan, "one").pods.push(name("labelled"))),
        ("twice on one node", |plan| node_of(plan, "labelled").pods.push(name("labelled"))),
        ("on no node", |plan| node_of(plan, "one").pods.clear()),
        ("without a verdict", |plan| plan.pods.retain(|planned| planned.pod.name != name("one"))),
        ("with two verdicts", |plan| plan.pods.push(plan.pods[0].clone())),
        ("ignored", |plan| pod(plan, "nowhere").verdict = Verdict::Ignored(Ignored::Unjudged)),
        ("on a full node", |plan| {
            node_of(plan, "one").pods.clear();
            pod(plan, "one").verdict = Verdict::FitsExisting { node: "free".to_owned() };
        }),
        ("on a node with a taint", |plan| {
            pod(plan, "existing").verdict = Verdict::FitsExisting { node: "tainted".to_owned() };
        }),
        ("on a node that does not exist", |plan| {
            pod(plan, "existing").verdict = Verdict::FitsExisting { node: "nothing".to_owned() };
        }),
    ];
    assert_eq!(unnoticed(&good_plan(), &spoilers, complaints_about), Vec::<&str>::new());
}

/// The plan without a pod, of which it says that there is no node for it.
fn leave_out(plan: &mut Plan, left_out: &str) {
    let at = plan.pods.iter().position(|planned| planned.pod.name == name(left_out)).unwrap();
    plan.pods[at].verdict = Verdict::Unplaceable(Arc::new(Unplaceable::NoTypes));
    plan.placements.retain(|position| *position != at);
    plan.nodes.iter_mut().for_each(|node| node.pods.retain(|listed| *listed != name(left_out)));
    plan.nodes.retain(|node| !node.pods.is_empty());
    plan.bound = None;
}

#[test]
fn a_plan_that_leaves_out_a_pod_for_which_there_is_a_node_does_not_pass() {
    for (left_out, node) in [
        ("one", "a new large in a"),
        ("labelled", "a new large in a"),
        ("existing", "free"),
        ("two", "a new large in a"),
    ] {
        let mut plan = good_plan();
        leave_out(&mut plan, left_out);
        let complaints = complaints_about(&plan);
        assert_eq!(complaints, [format!("default/{left_out}: gets no node, and {node} would take it")]);
    }
    let mut plan = good_plan();
    for each in ["one", "two", "labelled", "existing"] {
        leave_out(&mut plan, each);
    }
    assert_eq!(complaints_about(&plan).len(), 4, "{:#?}", complaints_about(&plan));
}

#[test]
fn a_plan_with_a_node_that_is_not_for_sale_does_not_pass() {
    let spoilers: [(&str, Spoil<Plan>); 9] = [
        ("wrong price", |plan| plan.nodes[0].price_per_hour = Some(Money::nanos(1))),
        ("no price", |plan| plan.nodes[0].price_per_hour = None),
        ("unknown type", |plan| plan.nodes[0].instance_type = "huge".to_owned()),
        ("another type", |plan| plan.nodes[0].instance_type = "large".to_owned()),
        ("unknown zone", |plan| plan.nodes[0].zone = "b".to_owned()),
        ("capacity type that the options do not allow", |plan| {
            plan.nodes[0].capacity_type = "spot".to_owned();
            plan.nodes[0].price_per_hour = Some(Money::nanos(40_000_000));
        }),
        ("larger than its type", |plan| plan.nodes[0].allocatable.cpu = Cpu::millicores(64_000)),
        ("of no pool", |plan| plan.pools.clear()),
        ("of a pool without the label", |plan| {
            plan.pools.values_mut().for_each(|pool| pool.labels = Labels::new());
        }),
    ];
    assert_eq!(unnoticed(&good_plan(), &spoilers, complaints_about), Vec::<&str>::new());
}

/// The judge takes nothing from the plan that it can find out for itself.
#[test]
fn a_plan_that_lies_about_what_it_was_made_from_does_not_pass() {
    let spoilers: [(&str, Spoil<Plan>); 5] = [
        ("daemon pods forgotten", |plan| plan.nodes[0].daemon_requests = Resources::default()),
        ("a pod of other requests than the cluster's", |plan| {
            let planned = &mut pod(plan, "two").pod;
            let mut smaller = (**planned).clone();
            smaller.requests = Resources { pods: 1, ..Resources::default() };
            *planned = Arc::new(smaller);
            join(plan, "two", "one");
        }),
        ("a pod that runs is planned for", |plan| {
            let running = snapshot(PENDING).pods().iter().find(|pod| pod.name == name("running")).cloned().unwrap();
            plan.pods.push(PodPlan {
                pod: running,
                verdict: Verdict::FitsExisting { node: "free".to_owned() },
                existing: None,
                unchecked_rules: Vec::new(),
            });
        }),
        ("a pod fits a node that is being deleted", |plan| {
            pod(plan, "existing").verdict = Verdict::FitsExisting { node: "going".to_owned() };
        }),
        ("a pool that makes other nodes", |plan| {
            let other = |value: &str| Requirement {
                key: key::INSTANCE_TYPE.to_owned(),
                operator: Operator::In,
                values: vec![value.to_owned()],
            };
            plan.pools.values_mut().for_each(|pool| pool.requirements = vec![other("large")]);
        }),
    ];
    assert_eq!(unnoticed(&good_plan(), &spoilers, complaints_about), Vec::<&str>::new());
}

/// `first` and `second` go, to `target`; `pinned` keeps its node, and nobody would make `bare` again.
const IDLE: &str = "
apiVersion: v1
kind: Node
metadata: {name: first}
status: {allocatable: {cpu: 10, memory: 10Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: second}
status: {allocatable: {cpu: 10, memory: 10Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: third, labels: {here: only}}
status: {allocatable: {cpu: 10, memory: 10Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: fourth}
status: {allocatable: {cpu: 10, memory: 10Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: target, labels: {big: only}}
status: {allocatable: {cpu: 2, memory: 2Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: tainted}
spec: {taints: [{key: dedicated, effect: NoSchedule}]}
status: {allocatable: {cpu: 2, memory: 2Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: silent}
status: {allocatable: {cpu: 2, memory: 2Gi, pods: 10}, conditions: [{type: Ready, status: Unknown}]}
---
apiVersion: v1
kind: Node
metadata: {name: going, deletionTimestamp: '2026-01-01T00:00:00Z'}
status: {allocatable: {cpu: 2, memory: 2Gi, pods: 10}}
---
apiVersion: v1
kind: Node
metadata: {name: control, labels: {node-role.kubernetes.io/control-plane: ''}}
status: {allocatable: {cpu: 2, memory: 2Gi, pods: 10}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a, ownerReferences: [&owner {apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]}
  spec: {nodeName: first, containers: [{name: c, resources: {requests: {cpu: 100m}}}]}
  status: &running {phase: Running}
- apiVersion: v1
  kind: Pod
  metadata: {name: b, ownerReferences: [*owner]}
  spec: {nodeName: second, containers: [{name: c, resources: {requests: {cpu: 150m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: pinned, ownerReferences: [*owner]}
  spec: {nodeName: third, nodeSelector: {here: only}, containers: [{name: c, resources: {requests: {cpu: 200m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: bare}
  spec: {nodeName: fourth, containers: [{name: c, resources: {requests: {cpu: 200m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: full, ownerReferences: [*owner]}
  spec: {nodeName: target, nodeSelector: {big: only}, containers: [{name: c, resources: {requests: {cpu: 1700m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: daemon, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, controller: true}]}
  spec: {nodeName: first, containers: [{name: c}]}
  status: *running
";

/// About anything but the sums, which are what the moves make of them.
fn complaints_about_removals(consolidation: &Consolidation) -> Vec<String> {
    let snapshot = snapshot(IDLE);
    check_consolidation(&snapshot, &priced(), &with_sums(&snapshot, consolidation))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn good_consolidation() -> Consolidation {
    consolidate(&snapshot(IDLE), &priced(), &consolidate::Options::default())
}

fn node_plan<'a>(consolidation: &'a mut Consolidation, node: &str) -> &'a mut NodePlan {
    consolidation.nodes.iter_mut().find(|plan| plan.node.name == node).unwrap()
}

fn removed(node: &'static str, consolidation: &mut Consolidation) {
    node_plan(consolidation, node).verdict = consolidate::Verdict::Remove;
    consolidation.removals.push(node.to_owned());
}

fn to(destination: &str, pod: &str) -> Move {
    let found = snapshot(IDLE).pods().iter().find(|each| each.name == name(pod)).cloned();
    Move { pod: found.unwrap(), destination: destination.to_owned(), unchecked_rules: Vec::new(), warnings: Vec::new() }
}

#[test]
fn a_good_consolidation_passes() {
    let mut good = good_consolidation();
    assert_eq!(complaints_about_removals(&good), Vec::<String>::new());
    assert!(
        good.removals.starts_with(&["tainted".to_owned(), "first".to_owned(), "second".to_owned()]),
        "{:?}",
        good.removals
    );
    for (node, pod) in [("first", "a"), ("second", "b")] {
        assert_eq!(node_plan(&mut good, node).moves, [to("target", pod)]);
    }
}

#[test]
fn a_consolidation_that_cannot_be_done_does_not_pass() {
    let spoilers: [(&str, Spoil<Consolidation>); 12] = [
        ("a pod is left behind", |good| node_plan(good, "first").moves.clear()),
        ("a destination is overfilled", |good| {
            node_plan(good, "third").moves = vec![to("target", "pinned")];
            removed("third", good);
        }),
        ("a destination has a taint", |good| {
            good.removals.retain(|node| node != "tainted");
            node_plan(good, "tainted").verdict = consolidate::Verdict::Keep(consolidate::Keep::Blocked);
            node_plan(good, "first").moves = vec![to("tainted", "a")];
        }),
        ("a destination lacks a label", |good| {
            node_plan(good, "third").moves = vec![to("fourth", "pinned")];
            removed("third", good);
        }),
        ("a destination is gone already", |good| node_plan(good, "second").moves = vec![to("first", "b")]),
        ("a destination goes later", |good| node_plan(good, "first").moves = vec![to("second", "a")]),
        ("a destination is the node itself", |good| node_plan(good, "first").moves = vec![to("first", "a")]),
        ("a destination does not exist", |good| node_plan(good, "first").moves = vec![to("nothing", "a")]),
        ("a pod without a controller is evicted", |good| {
            node_plan(good, "fourth").moves = vec![to("third", "bare")];
            removed("fourth", good);
        }),
        ("a node goes twice", |good| good.removals.push("first".to_owned())),
        ("a node goes without a verdict", |good| good.removals.push("third".to_owned())),
        ("a verdict says go, and the node stays", |good| good.removals.retain(|node| node != "second")),
    ];
    assert_eq!(unnoticed(&good_consolidation(), &spoilers, complaints_about_removals), Vec::<&str>::new());
}

#[test]
fn no_pod_moves_on_from_where_it_came() {
    let mut handed_on = good_consolidation();
    handed_on.removals = vec!["first".to_owned(), "second".to_owned()];
    node_plan(&mut handed_on, "tainted").verdict = consolidate::Verdict::Keep(consolidate::Keep::Blocked);
    for node in ["silent", "going", "control"] {
        assert_ne!(node_plan(&mut handed_on, node).verdict, consolidate::Verdict::Remove);
    }
    node_plan(&mut handed_on, "first").moves = vec![to("second", "a")];
    node_plan(&mut handed_on, "second").moves = vec![to("target", "a"), to("target", "b")];
    assert_eq!(complaints_about_removals(&handed_on), ["default/a: moves from where it was to come"]);
}

/// What may not go, or not receive pods, whatever the rooms are.
#[test]
fn a_consolidation_against_the_rules_does_not_pass() {
    let spoilers: [(&str, Spoil<Consolidation>); 5] = [
        ("a destination is not ready", |good| node_plan(good, "first").moves = vec![to("silent", "a")]),
        ("a destination is being deleted", |good| node_plan(good, "first").moves = vec![to("going", "a")]),
        ("the control plane goes", |good| removed("control", good)),
        ("a pod moves that is elsewhere", |good| node_plan(good, "first").moves.push(to("target", "pinned"))),
        ("a daemon pod moves", |good| node_plan(good, "first").moves.push(to("target", "daemon"))),
    ];
    assert_eq!(unnoticed(&good_consolidation(), &spoilers, complaints_about_removals), Vec::<&str>::new());
}

/// The texts above are what the tests say they are.
#[test]
fn the_cluster_of_the_tests_is_as_described() {
    let nodes = snapshot(IDLE);
    let find = |name: &str| nodes.nodes().iter().find(|node| node.name == name).cloned().unwrap();
    assert!(!find("silent").ready && find("going").deleting);
    assert_eq!(find("tainted").taints[0].effect, TaintEffect::NoSchedule);
    let types: BTreeSet<String> = priced().types.into_iter().map(|kind| kind.name).collect();
    assert_eq!(types.len(), 2);
}

/// A plan made without the option, judged as if it had been asked for: what is wrong with it, and whether a plan that was made
/// with it passes.
fn short_of_nodes(pods: &str) -> Vec<String> {
    let (snapshot, catalog) = (snapshot(pods), catalog::parse("test", &CATALOG.replace("[a]", "[a, b]")).unwrap());
    let options = Options { min_nodes_per_zone: 1, ..Options::default() };
    let judged = |plan: &Plan| -> Vec<String> {
        check_plan(&snapshot, &catalog, &options, plan).iter().map(ToString::to_string).collect()
    };
    assert_eq!(judged(&plan(&snapshot, &catalog, &options)), Vec::<String>::new());
    let without = plan(&snapshot, &catalog, &Options::default());
    assert_eq!(without.nodes.len(), 1);
    judged(&without)
}

#[test]
fn a_zone_is_short_of_nodes_only_where_a_pod_could_have_one_there() {
    let pod = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{{spec} containers: [{{name: c, \
             resources: {{requests: {{cpu: 100m}}}}}}]}}\n"
        )
    };
    let in_a = "nodeSelector: {topology.kubernetes.io/zone: a},";
    let (one, two) = (pod("one", in_a), pod("two", ""));
    let found = short_of_nodes(&[one.as_str(), &two].concat());
    assert!(found.len() == 1 && found[0].starts_with("b: has 0 new nodes of 1, and default/two "), "{found:?}");
    let near = |app: &str| {
        let term = format!("{{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
        format!("affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{term}]}}}},")
    };
    let spread = "topologySpreadConstraints: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 9, whenUnsatisfiable: \
                  DoNotSchedule, labelSelector: {matchLabels: {app: three}}}],";
    for others in [
        vec![pod("two", in_a)],
        vec![],
        vec![pod("two", &near("one"))],
        vec![two.clone(), pod("three", &(in_a.to_owned() + &near("two")))],
        vec![two.clone(), pod("three", &(in_a.to_owned() + spread))],
    ] {
        assert_eq!(short_of_nodes(&[one.clone(), others.concat()].concat()), Vec::<String>::new(), "{others:?}");
    }
}
