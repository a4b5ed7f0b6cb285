//! The judge of plans, judged step by step: what was allowed a step ago may not be now, and each way to spoil the order
//! is noticed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/sums.rs"]
mod sums;

use std::sync::Arc;

use mini_karpenter::check::{check_consolidation, check_plan};
use mini_karpenter::consolidate::{self, Consolidation, Move, NodePlan, Turns, consolidate};
use mini_karpenter::feasibility::Rule;
use mini_karpenter::model::{Catalog, ObjectName, Pod, PodName};
use mini_karpenter::provision::{Options, Plan, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
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
  pricePerHour: {on-demand: 0.1}
";

/// `near` needs the zone of `db`, `pair-2` the node of `pair-1`; `alone` and the two of `spread` have a node each;
/// `fits` goes to `free`. A daemon pod comes with each node.
const PENDING: &str = "
apiVersion: v1
kind: Node
metadata: {name: free, labels: {tier: old, topology.kubernetes.io/zone: z}}
status: {allocatable: {cpu: 1, memory: 1Gi, pods: 10}}
---
apiVersion: v1
kind: Pod
metadata: {name: daemon, labels: {app: agent}, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: d, uid: u, controller: true}]}
spec: {nodeName: free, containers: [{name: c, ports: [{containerPort: 1, hostPort: 9100}], resources: {requests: {cpu: 100m}}}]}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: second-daemon, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: e, uid: u, controller: true}]}
spec: {nodeName: free, containers: [{name: c, ports: [{containerPort: 1, hostPort: 9100}], resources: {requests: {cpu: 100m}}}]}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: fits, labels: {app: fits}}
spec: {nodeSelector: {tier: old}, containers: [{name: c, resources: {requests: {cpu: 500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {priority: 10, containers: [{name: c, ports: [{containerPort: 1, hostPort: 80}], resources: {requests: {cpu: 1500m}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near}
spec:
  affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: db}}}]}}
  containers: [{name: c, resources: {requests: {cpu: 100m}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: alone}
spec:
  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: s}}}]}}
  containers: [{name: c, resources: {requests: {cpu: 1400m}}}]
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: pair-1, labels: {app: p}}
  spec: &pair
    affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: p}}}]}}
    containers: [{name: c, resources: {requests: {cpu: 100m}}}]
- apiVersion: v1
  kind: Pod
  metadata: {name: pair-2, labels: {app: p}}
  spec: *pair
- apiVersion: v1
  kind: Pod
  metadata: {name: spread-1, labels: {app: s}}
  spec: &spread
    topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: s}}}]
    nodeSelector: {team: s}
    containers: [{name: c, resources: {requests: {cpu: 1100m}}}]
- apiVersion: v1
  kind: Pod
  metadata: {name: spread-2, labels: {app: s}}
  spec: *spread
";

fn snapshot(text: &str) -> Snapshot {
    lower::parse_manifest(text).unwrap().into_snapshot()
}

fn priced() -> Catalog {
    catalog::parse("test", CATALOG).unwrap()
}

fn name(pod: &str) -> PodName {
    PodName { namespace: "default".to_owned(), name: pod.to_owned() }
}

/// Complaints about a plan for the cluster of this text.
fn complaints(text: &str, plan: &Plan) -> Vec<String> {
    let found = check_plan(&snapshot(text), &priced(), &Options::default(), plan);
    found.iter().map(ToString::to_string).collect()
}

/// The plan is refused, and one complaint says this.
#[track_caller]
fn complains(found: &[String], expected: &str) {
    assert!(found.iter().any(|found| found.contains(expected)), "{found:#?} does not say {expected:?}");
}

fn good_plan() -> Plan {
    plan(&snapshot(PENDING), &priced(), &Options::default())
}

fn position(plan: &Plan, pod: &str) -> usize {
    plan.pods.iter().position(|planned| planned.pod.name == name(pod)).unwrap()
}

fn node_of(plan: &Plan, pod: &str) -> String {
    match &plan.pods[position(plan, pod)].verdict {
        Verdict::Planned { node, .. } | Verdict::FitsExisting { node } => node.clone(),
        other => panic!("{pod}: {other:?}"),
    }
}

/// Moves a pod to the planned node of another, everywhere that the plan speaks of it.
fn join(plan: &mut Plan, moved: &str, other: &str) {
    let (from, to) = (node_of(plan, moved), node_of(plan, other));
    for node in &mut plan.nodes {
        if node.name == from {
            node.pods.retain(|listed| *listed != name(moved));
        }
        if node.name == to {
            node.pods.push(name(moved));
        }
    }
    let at = position(plan, moved);
    let Verdict::Planned { node, .. } = &mut plan.pods[at].verdict else { panic!("{moved} is planned") };
    *node = to;
}

#[test]
fn a_good_plan_passes() {
    let plan = good_plan();
    assert_eq!(complaints(PENDING, &plan), Vec::<String>::new());
    assert_eq!(node_of(&plan, "fits"), "free");
    assert_eq!(node_of(&plan, "pair-1"), node_of(&plan, "pair-2"));
    assert_ne!(node_of(&plan, "spread-1"), node_of(&plan, "spread-2"));
    assert_eq!(plan.placements.len(), 8);
}

#[test]
fn planned_pods_mind_each_other() {
    let spoiled = |spoil: fn(&mut Plan)| {
        let mut plan = good_plan();
        spoil(&mut plan);
        complaints(PENDING, &plan)
    };
    complains(&spoiled(|plan| join(plan, "pair-2", "spread-1")), "InterPodAffinity");
    complains(&spoiled(|plan| join(plan, "alone", "spread-1")), "InterPodAffinity");
    complains(&spoiled(|plan| join(plan, "spread-2", "spread-1")), "PodTopologySpread");
    let backwards = spoiled(|plan| plan.placements[1..].reverse());
    complains(&backwards, "default/near: on planned-");
    complains(&backwards, "InterPodAffinity");
}

#[test]
fn each_pod_that_gets_a_node_is_placed_once_and_those_on_existing_nodes_first() {
    let spoiled = |spoil: fn(&mut Plan)| {
        let mut plan = good_plan();
        spoil(&mut plan);
        complaints(PENDING, &plan)
    };
    complains(&spoiled(|plan| plan.placements.truncate(7)), "gets a node and is not placed");
    complains(&spoiled(|plan| plan.placements.push(plan.placements[1])), "is placed twice");
    complains(&spoiled(|plan| plan.placements.push(99)), "which it has not");
    complains(&spoiled(|plan| plan.placements.rotate_left(1)), "after planned nodes came");
    complains(
        &spoiled(|plan| {
            let at = position(plan, "alone");
            plan.pods[at].verdict = Verdict::Ignored(mini_karpenter::provision::Ignored::Unjudged);
        }),
        "gets no node and is placed",
    );
    complains(&spoiled(|plan| plan.nodes[0].name = "free".to_owned()), "is the name of another node");
}

/// The plan that was made for one cluster, held against another.
#[test]
fn a_plan_is_held_against_the_cluster_as_it_is() {
    let plan = good_plan();
    let changed = |from: &str, to: &str| {
        assert!(PENDING.contains(from));
        complaints(&PENDING.replace(from, to), &plan)
    };
    // The daemon pods of the planned nodes are there before their pods.
    complains(&changed("hostPort: 80}", "hostPort: 9100}"), "NodePorts");
    let away_from_daemons =
        changed("labelSelector: {matchLabels: {app: s}}}]}}", "labelSelector: {matchLabels: {app: agent}}}]}}");
    complains(&away_from_daemons, "default/alone: on planned-");
    complains(
        &changed(
            "metadata: {name: near}\nspec:",
            "metadata: {name: near}\nspec:\n  resourceClaims: [{name: g, resourceClaimName: g}]",
        ),
        "DynamicResources",
    );
    // Only the first of two daemon pods that need one port counts.
    let both_daemons = PENDING.replacen("hostPort: 9100", "hostPort: 9101", 1);
    complains(&complaints(&both_daemons, &plan), "does not set aside");
}

/// Without the labels of namespaces, and with a mark that says so, a planned pod passes; without the mark it does not.
#[test]
fn a_planned_pod_says_which_rules_nobody_could_check() {
    let text = PENDING.replace(
        "labelSelector: {matchLabels: {app: db}}}",
        "labelSelector: {matchLabels: {app: db}}, namespaceSelector: {matchLabels: {a: b}}}",
    );
    let mut plan = plan(&snapshot(&text), &priced(), &Options::default());
    assert_eq!(complaints(&text, &plan), Vec::<String>::new());
    let at = position(&plan, "near");
    assert_eq!(plan.pods[at].unchecked_rules, [Rule::InterPodAffinity]);
    plan.pods[at].unchecked_rules.clear();
    complains(&complaints(&text, &plan), "the plan does not say so");
}

/// `first` and `second` go; their pods move to `target`, of which `web` is spread over zones, and `waits` has room kept
/// for it there.
const IDLE: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: first, labels: {zone: a}}, status: {allocatable: &large {cpu: 10, memory: 10Gi, pods: 10}}}
- {apiVersion: v1, kind: Node, metadata: {name: second, labels: {zone: a}}, status: {allocatable: *large}}
- {apiVersion: v1, kind: Node, metadata: {name: target, labels: {zone: a}}, status: {allocatable: &small {cpu: 2, memory: 2Gi, pods: 10}}}
- {apiVersion: v1, kind: Node, metadata: {name: zonal, labels: {zone: b}}, status: {allocatable: *small}}
- apiVersion: v1
  kind: Pod
  metadata: {name: a, labels: {app: a}, ownerReferences: [&owner {apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]}
  spec: {nodeName: first, containers: [{name: c, ports: [{containerPort: 1, hostPort: 80}], resources: {requests: {cpu: 100m}}}]}
  status: &running {phase: Running}
- apiVersion: v1
  kind: Pod
  metadata: {name: b, labels: {app: b}, ownerReferences: [*owner]}
  spec:
    nodeName: second
    affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, labelSelector: {matchLabels: {app: full}}}]}}
    containers: [{name: c, resources: {requests: {cpu: 110m}}}]
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: b2, labels: {app: b}, ownerReferences: [*owner]}
  spec: {nodeName: second, containers: [{name: c, resources: {requests: {cpu: 40m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: full, labels: {app: full}, ownerReferences: [*owner]}
  spec: {nodeName: target, containers: [{name: c, resources: {requests: {cpu: 1200m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: busy, labels: {app: busy}, ownerReferences: [*owner]}
  spec: {nodeName: zonal, containers: [{name: c, resources: {requests: {cpu: 1000m}}}]}
  status: *running
- apiVersion: v1
  kind: Pod
  metadata: {name: waits}
  spec: {nodeSelector: {zone: b}, containers: [{name: c, ports: [{containerPort: 1, hostPort: 81}], resources: {requests: {cpu: 100m}}}]}
- {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: one}, spec: {selector: {matchLabels: {app: b}}}, status: {disruptionsAllowed: 2}}
";

/// About anything but the sums, which are what the moves make of them.
fn complaints_about_removals(text: &str, consolidation: &Consolidation) -> Vec<String> {
    let snapshot = snapshot(text);
    check_consolidation(&snapshot, &priced(), &with_sums(&snapshot, consolidation))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn good_consolidation(text: &str) -> Consolidation {
    consolidate(&snapshot(text), &priced(), &consolidate::Options::default())
}

fn node_plan<'a>(consolidation: &'a mut Consolidation, node: &str) -> &'a mut NodePlan {
    consolidation.nodes.iter_mut().find(|plan| plan.node.name == node).unwrap()
}

fn pod(text: &str, pod: &str) -> Arc<Pod> {
    snapshot(text).pods().iter().find(|each| each.name == name(pod)).cloned().unwrap()
}

fn send(consolidation: &mut Consolidation, from: &str, pod: &str, destination: &str) {
    let moves = &mut node_plan(consolidation, from).moves;
    let found: &mut Move = moves.iter_mut().find(|each| each.pod.name == name(pod)).unwrap();
    destination.clone_into(&mut found.destination);
}

#[test]
fn a_good_consolidation_passes() {
    let mut good = good_consolidation(IDLE);
    assert_eq!(complaints_about_removals(IDLE, &good), Vec::<String>::new());
    assert_eq!(good.removals, ["first", "second"]);
    let to_target = |good: &mut Consolidation, node: &str| {
        node_plan(good, node).moves.iter().filter(|each| each.destination == "target").count()
    };
    assert_eq!((to_target(&mut good, "first"), to_target(&mut good, "second")), (1, 2));
    assert_eq!(good.reserved, [(pod(IDLE, "waits"), "zonal".to_owned())]);
}

#[test]
fn pods_that_move_mind_the_pods_where_they_come() {
    let good = good_consolidation(IDLE);
    let sent = |from: &str, pod: &str, to: &str| {
        let mut spoiled = good.clone();
        send(&mut spoiled, from, pod, to);
        complaints_about_removals(IDLE, &spoiled)
    };
    complains(&sent("second", "b", "zonal"), "default/b: on zonal: InterPodAffinity");
    let changed = |from: &str, to: &str| {
        assert!(IDLE.contains(from));
        complaints_about_removals(&IDLE.replace(from, to), &good)
    };
    complains(
        &changed("metadata: {name: full, labels: {app: full}", "metadata: {name: full, labels: {app: other}"),
        "InterPodAffinity",
    );
    let port = |ports: &str| {
        format!("spec: {{nodeName: target, containers: [{{name: c, {ports}resources: {{requests: {{cpu: 1200m}}}}}}]}}")
    };
    complains(
        &changed(&port(""), &port("ports: [{containerPort: 1, hostPort: 80}], ")),
        "default/a: on target: NodePorts",
    );
    let spread = "nodeName: second, topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, \
                  labelSelector: {matchLabels: {app: b}}}], ";
    complains(&changed("nodeName: second, ", spread), "default/b2: on target: PodTopologySpread");
}

#[test]
fn moves_are_done_in_their_order() {
    // `b2` brings what `b` must be near to.
    let text = IDLE
        .replace("matchLabels: {app: full}", "matchLabels: {app: b2}")
        .replace("name: b2, labels: {app: b}", "name: b2, labels: {app: b2}");
    let mut good = good_consolidation(&text);
    assert!(!good.removals.contains(&"second".to_owned()) || complaints_about_removals(&text, &good).is_empty());
    let moved = |pod_name: &str| Move {
        pod: pod(&text, pod_name),
        destination: "target".to_owned(),
        unchecked_rules: Vec::new(),
        warnings: Vec::new(),
    };
    for plan in good.nodes.iter_mut().filter(|plan| plan.node.name != "first") {
        plan.verdict = consolidate::Verdict::Keep(consolidate::Keep::Blocked);
        plan.moves.clear();
    }
    node_plan(&mut good, "first").moves = vec![moved("a")];
    let second = node_plan(&mut good, "second");
    second.moves = vec![moved("b2"), moved("b")];
    second.verdict = consolidate::Verdict::Remove;
    second.wave = 1;
    good.removals = vec!["first".to_owned(), "second".to_owned()];
    assert_eq!(complaints_about_removals(&text, &good), Vec::<String>::new());
    node_plan(&mut good, "second").moves.reverse();
    complains(&complaints_about_removals(&text, &good), "default/b: on target: InterPodAffinity");
    node_plan(&mut good, "second").moves.push(moved("b2"));
    complains(&complaints_about_removals(&text, &good), "need not or is elsewhere");
}

#[test]
fn budgets_are_kept_over_the_whole_plan() {
    let good = good_consolidation(IDLE);
    let allows_one = IDLE.replace("disruptionsAllowed: 2", "disruptionsAllowed: 1");
    // Both are on one node, whose drain waits between them, and the plan says so.
    complains(&complaints_about_removals(&allows_one, &good), "does not say rightly where its drain waits");
    let mut in_turns = good_consolidation(&allows_one);
    let budget = ObjectName { namespace: "default".to_owned(), name: "one".to_owned() };
    assert_eq!(node_plan(&mut in_turns, "second").in_turns, [Turns { budget, pods: 2, allowed: 1 }]);
    assert_eq!(complaints_about_removals(&allows_one, &in_turns), Vec::<String>::new());
    complains(&complaints_about_removals(IDLE, &in_turns), "does not say rightly where its drain waits");
    let none_now = IDLE.replace("disruptionsAllowed: 2", "disruptionsAllowed: 0");
    complains(&complaints_about_removals(&none_now, &good), "which allows 0 evictions at once, it takes 2");
    let over_two_nodes =
        allows_one.replace("metadata: {name: a, labels: {app: a}", "metadata: {name: a, labels: {app: b}");
    let over_two_nodes =
        over_two_nodes.replace("metadata: {name: b2, labels: {app: b}", "metadata: {name: b2, labels: {app: c}");
    complains(&complaints_about_removals(&over_two_nodes, &good), "which allows 1 evictions at once, it takes 2");
    // In another wave the budget allows as much again, and waves come in their order.
    let mut in_waves = good.clone();
    node_plan(&mut in_waves, "second").wave = 2;
    assert_eq!(complaints_about_removals(&over_two_nodes, &in_waves), Vec::<String>::new());
    assert_eq!(node_plan(&mut good_consolidation(&over_two_nodes), "second").wave, 2);
    node_plan(&mut in_waves, "second").wave = 3;
    complains(
        &complaints_about_removals(&over_two_nodes, &in_waves),
        "goes in wave 3, out of order: wave 2 is next, since",
    );
    node_plan(&mut in_waves, "second").wave = 2;
    complains(&complaints_about_removals(IDLE, &in_waves), "goes in wave 2, out of order: wave 1 is next, since no");
    let another = "- {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: two}, spec: {selector: {}}, status: {disruptionsAllowed: 9}}\n";
    complains(&complaints_about_removals(&format!("{IDLE}{another}"), &good), "under two budgets");
    // Whoever does not run may be evicted at any time.
    let starting = allows_one.replace(
        "requests: {cpu: 40m}}}]}\n  status: *running",
        "requests: {cpu: 40m}}}]}\n  status: {phase: Pending}",
    );
    assert_eq!(complaints_about_removals(&starting, &good), Vec::<String>::new());
}

#[test]
fn budgets_that_nobody_could_read_are_said_to_be() {
    let unread = IDLE.replace("kind: PodDisruptionBudget", "kind: SomethingElse");
    let mut good = good_consolidation(&unread);
    assert_eq!(complaints_about_removals(&unread, &good), Vec::<String>::new());
    node_plan(&mut good, "first").unread_budgets = false;
    complains(&complaints_about_removals(&unread, &good), "could read the budgets");
}

#[test]
fn room_is_kept_for_pods_that_wait_and_fit() {
    let good = good_consolidation(IDLE);
    let spoiled = |spoil: fn(&mut Consolidation)| {
        let mut consolidation = good.clone();
        spoil(&mut consolidation);
        complaints_about_removals(IDLE, &consolidation)
    };
    complains(&spoiled(|plan| plan.reserved[0].1 = "target".to_owned()), "default/waits: on target: NodeAffinity");
    complains(&spoiled(|plan| plan.reserved.push(plan.reserved[0].clone())), "has room kept for it twice");
    complains(&spoiled(|plan| plan.reserved[0].0 = pod(IDLE, "busy")), "needs no room on zonal");
    complains(&spoiled(|plan| plan.reserved[0].1 = "nothing".to_owned()), "which is gone");
    complains(&spoiled(|plan| plan.reserved.clear()), "default/waits: is left without a place, and zonal takes it");
    // It is there before the others come.
    let text = IDLE.replace("hostPort: 81", "hostPort: 80");
    let mut crowded = good.clone();
    send(&mut crowded, "first", "a", "zonal");
    complains(&complaints_about_removals(&text, &crowded), "default/a: on zonal: NodePorts");
}

/// Another pod keeps it off nodes if its namespace has labels that nobody could read.
#[test]
fn no_room_is_kept_for_a_pod_that_may_be_kept_away() {
    let node = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}}}}}\nstatus: {{allocatable: \
             {{cpu: 8, memory: 8Gi, pods: 9}}}}\n"
        )
    };
    let pods = "
---
apiVersion: v1
kind: Pod
metadata: {name: other, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]}
spec:
  nodeName: n2
  containers: [{name: c}]
  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
    {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: x}}, namespaceSelector: {matchLabels: {env: p}}}]}}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: x, labels: {app: x}}
spec: {containers: [{name: c}]}
";
    let text = [node("n1"), node("n2"), pods.to_owned()].concat();
    let unread = good_consolidation(&text);
    assert_eq!((complaints_about_removals(&text, &unread), unread.reserved.len()), (Vec::new(), 0));
    let read = text + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n";
    complains(&complaints_about_removals(&read, &unread), "default/x: is left without a place");
}

/// `p` has an ephemeral volume on `first`, which does not go with it.
const EPHEMERAL: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: first, labels: {zone: a}}, status: {allocatable: &large {cpu: 10, memory: 10Gi, pods: 10}}}
- {apiVersion: v1, kind: Node, metadata: {name: target, labels: {zone: b}}, status: {allocatable: *large}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: class}, provisioner: d.example.com, volumeBindingMode: WaitForFirstConsumer}
- apiVersion: v1
  kind: PersistentVolume
  metadata: {name: v}
  spec:
    capacity: {storage: 1Gi}
    storageClassName: class
    claimRef: {namespace: default, name: p-scratch}
    nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}
  status: {phase: Bound}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: p-scratch
    annotations: {pv.kubernetes.io/bind-completed: 'yes'}
    ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u, controller: true}]
  spec: {storageClassName: class, volumeName: v, resources: {requests: {storage: 1Gi}}}
- apiVersion: v1
  kind: Pod
  metadata: {name: p, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]}
  spec: {nodeName: first, volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}], containers: [{name: c, resources: {requests: {cpu: 100m}}}]}
  status: {phase: Running}
";

#[test]
fn an_ephemeral_volume_is_made_anew_where_its_pod_comes() {
    let complaints = |text: &str| {
        let mut plan = good_consolidation(text);
        plan.removals = vec!["first".to_owned()];
        for node in &mut plan.nodes {
            node.verdict = consolidate::Verdict::Keep(consolidate::Keep::Blocked);
            node.moves.clear();
        }
        let rules = vec![Rule::NodeVolumeLimits];
        let first = node_plan(&mut plan, "first");
        first.verdict = consolidate::Verdict::Remove;
        first.moves = vec![Move {
            pod: pod(text, "p"),
            destination: "target".to_owned(),
            unchecked_rules: rules,
            warnings: Vec::new(),
        }];
        first.unread_budgets = true;
        first.wave = 1;
        complaints_about_removals(text, &plan)
    };
    let class = "provisioner: d.example.com, ";
    let only_in = |zone: &str| {
        let topologies = format!("allowedTopologies: [{{matchLabelExpressions: [{{key: zone, values: [{zone}]}}]}}], ");
        EPHEMERAL.replace(class, &format!("{class}{topologies}"))
    };
    for mode in ["WaitForFirstConsumer", "Immediate"] {
        let with_mode = |text: &str| text.replace("WaitForFirstConsumer", mode);
        assert_eq!(complaints(&with_mode(EPHEMERAL)), Vec::<String>::new());
        assert_eq!(complaints(&with_mode(&only_in("b"))), Vec::<String>::new());
        complains(&complaints(&with_mode(&only_in("a"))), "default/p: on target: VolumeBinding");
    }
    let kept = EPHEMERAL
        .replace("ephemeral: {volumeClaimTemplate: {spec: {}}}", "persistentVolumeClaim: {claimName: p-scratch}");
    complains(&complaints(&kept), "default/p: on target: VolumeBinding");
}
