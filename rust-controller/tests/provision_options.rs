//! What the options of a plan promise, and what joint plans are for: pods that must be together, zones, and tiny cases in
//! which every plan can be tried.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mini_karpenter::check::check_plan;
use mini_karpenter::model::{Catalog, Resources, key};
use mini_karpenter::provision::{Options, Plan, Pool, TypeFilter, UNSUITED_TYPES, Verdict, plan, plan_within_budget};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::Cpu;
use mini_karpenter::{catalog, lower};

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 20}, zones: [a, b, c], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 16Gi, pods: 40}, zones: [a, b, c], pricePerHour: {on-demand: 0.38}}
- {name: huge, arch: amd64, allocatable: {cpu: 32, memory: 64Gi, pods: 110}, zones: [a, b, c], pricePerHour: {on-demand: 1.5}}
";

fn deployment(name: &str, replicas: usize, requests: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  selector: \
         {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{{spec} containers: \
         [{{name: c, resources: {{requests: {{{requests}}}}}}}]}}\n"
    )
}

/// Near their own kind, on the very host.
fn together(name: &str) -> String {
    format!(
        "affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, \
         labelSelector: {{matchLabels: {{app: {name}}}}}}}]}}}},"
    )
}

fn types() -> Catalog {
    catalog::parse("test", TYPES).unwrap()
}

/// A plan that the judge has nothing against.
fn planned(pods: &str, catalog: &Catalog, options: &Options) -> (Snapshot, Plan) {
    let snapshot = lower::parse_manifest(pods).unwrap().into_snapshot();
    let plan = plan(&snapshot, catalog, options);
    let wrong: Vec<String> = check_plan(&snapshot, catalog, options, &plan).iter().map(ToString::to_string).collect();
    assert_eq!(wrong, Vec::<String>::new());
    (snapshot, plan)
}

fn all_are_planned(plan: &Plan) -> bool {
    plan.pods.iter().all(|planned| matches!(planned.verdict, Verdict::Planned { .. }))
}

fn by_type(plan: &Plan) -> BTreeMap<&str, usize> {
    let mut by_type = BTreeMap::new();
    plan.nodes.iter().for_each(|node| *by_type.entry(node.instance_type.as_str()).or_default() += 1);
    by_type
}

fn by_zone(plan: &Plan) -> BTreeMap<&str, usize> {
    let mut by_zone = BTreeMap::new();
    plan.nodes.iter().for_each(|node| *by_zone.entry(node.zone.as_str()).or_default() += 1);
    by_zone
}

#[test]
fn pods_that_must_be_together_get_a_node_that_holds_all_of_them() {
    let pods = deployment("team", 6, "cpu: 900m, memory: 1Gi", &together("team"))
        + &deployment("web", 9, "cpu: 700m, memory: 1Gi", "");
    let (_, plan) = planned(&pods, &types(), &Options::default());
    assert!(all_are_planned(&plan), "{:?}", plan.pods);
    let nodes_of_team = plan.nodes.iter().filter(|node| node.pods.iter().any(|pod| pod.name.starts_with("team-")));
    assert_eq!(nodes_of_team.count(), 1);
}

#[test]
fn a_pod_that_must_be_with_another_gets_room_on_its_node() {
    let pods = deployment("main", 1, "cpu: 1500m, memory: 1Gi", "")
        + &deployment("side", 2, "cpu: 1, memory: 1Gi", &together("main"));
    let (_, plan) = planned(&pods, &types(), &Options::default());
    assert!(all_are_planned(&plan), "{:?}", plan.pods);
    assert_eq!(by_type(&plan), BTreeMap::from([("large", 1)]));
}

#[test]
fn of_pods_that_must_be_together_as_many_are_planned_as_one_node_holds() {
    let pods = deployment("team", 40, "cpu: 900m, memory: 1Gi", &together("team"));
    let (_, plan) = planned(&pods, &types(), &Options::default());
    assert_eq!(by_type(&plan), BTreeMap::from([("huge", 1)]));
    assert_eq!(plan.nodes[0].pods.len(), 35);
}

/// Its pods are counted where the workload's are spread, and come to every new node.
#[test]
fn daemon_pods_that_a_spread_counts_are_counted_when_they_come() {
    let daemon = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: agent-x, labels: {app: web}, ownerReferences: [{apiVersion: apps/v1, kind: \
                  DaemonSet, name: agent, uid: u, controller: true}]}\nspec: {nodeName: gone, containers: [{name: c, resources: \
                  {requests: {cpu: 100m}}}]}\nstatus: {phase: Running}\n";
    let spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: \
                  DoNotSchedule, labelSelector: {matchLabels: {app: web}}}],";
    for replicas in 1..12 {
        let pods = daemon.to_owned()
            + &deployment("web", replicas, "cpu: 700m, memory: 1Gi", spread)
            + &deployment("apart", 4, "cpu: 1200m, memory: 1Gi", "nodeSelector: {topology.kubernetes.io/zone: b},");
        planned(&pods, &types(), &Options::default());
    }
}

#[test]
fn nodes_are_evenly_spread_over_zones_even_where_one_pod_must_be_in_one() {
    let pods = deployment("web", 40, "cpu: 1500m, memory: 3Gi", "")
        + &deployment("pinned", 1, "cpu: 100m", "nodeSelector: {topology.kubernetes.io/zone: c},");
    let options = Options { max_node_cpu: Some(Cpu::millicores(2_000)), ..Options::default() };
    let (_, plan) = planned(&pods, &types(), &options);
    let zones = by_zone(&plan);
    assert!(zones.len() == 3 && zones.values().all(|nodes| (13..=15).contains(nodes)), "{zones:?}");
}

#[test]
fn each_zone_gets_as_many_nodes_as_asked_for() {
    let pods = deployment("web", 30, "cpu: 900m, memory: 1Gi", "");
    let (_, few) = planned(&pods, &types(), &Options::default());
    assert!(few.nodes.len() < 9, "{:?}", by_type(&few));
    let options = Options { min_nodes_per_zone: 3, ..Options::default() };
    let (_, plan) = planned(&pods, &types(), &options);
    assert!(by_zone(&plan).len() == 3 && by_zone(&plan).values().all(|nodes| *nodes >= 3), "{:?}", by_zone(&plan));
    // Pods that must be in one zone do not keep the others from theirs.
    let pinned = pods + &deployment("pinned", 9, "cpu: 900m", "nodeSelector: {topology.kubernetes.io/zone: c},");
    let (_, plan) = planned(&pinned, &types(), &options);
    assert!(by_zone(&plan).len() == 3 && by_zone(&plan).values().all(|nodes| *nodes >= 3), "{:?}", by_zone(&plan));
    // Nor where there are few others.
    let few_are_free = deployment("web", 9, "cpu: 100m", "")
        + &deployment("pinned", 60, "cpu: 900m", "nodeSelector: {topology.kubernetes.io/zone: c},");
    let (_, plan) = planned(&few_are_free, &types(), &options);
    assert!(by_zone(&plan).len() == 3 && by_zone(&plan).values().all(|nodes| *nodes >= 3), "{:?}", by_zone(&plan));
    let one_pod = deployment("web", 1, "cpu: 900m", "");
    assert_eq!(planned(&one_pod, &types(), &options).1.nodes.len(), 1);
}

#[test]
fn headroom_stays_free_on_every_node() {
    let pods = deployment("web", 50, "cpu: 500m, memory: 1Gi", "");
    let options = Options { headroom: 250_000, ..Options::default() };
    let (snapshot, plan) = planned(&pods, &types(), &options);
    assert!(all_are_planned(&plan));
    for node in &plan.nodes {
        let on_it = snapshot.pods().iter().filter(|pod| node.pods.contains(&pod.name));
        let used = Resources::sum(on_it.map(|pod| &pod.requests));
        assert!(used.cpu.get() * 4 <= node.allocatable.cpu.get() * 3, "{}: {used:?}", node.name);
        assert!(used.memory.get() * 4 <= node.allocatable.memory.get() * 3, "{}: {used:?}", node.name);
    }
    let without = Options::default();
    let wrong = check_plan(&snapshot, &types(), &options, &planned(&pods, &types(), &without).1);
    assert!(!wrong.is_empty(), "the judge does not look at headroom");
}

#[test]
fn types_with_more_cpu_than_allowed_are_not_planned() {
    let pods = deployment("web", 70, "cpu: 500m, memory: 1Gi", "");
    let options = Options { max_node_cpu: Some(Cpu::millicores(8_000)), ..Options::default() };
    assert!(!by_type(&planned(&pods, &types(), &options).1).contains_key("huge"));
    assert!(by_type(&planned(&pods, &types(), &Options::default()).1).contains_key("huge"));
}

#[test]
fn a_plan_is_whole_when_there_is_no_time_to_improve_it() {
    let pods = deployment("web", 50, "cpu: 500m, memory: 1Gi", "");
    let snapshot = lower::parse_manifest(&pods).unwrap().into_snapshot();
    let (catalog, options) = (types(), Options::default());
    let in_no_time = Options { budget: Duration::ZERO, ..Options::default() };
    let hasty = plan_within_budget(&snapshot, &catalog, &in_no_time);
    assert!(all_are_planned(&hasty) && check_plan(&snapshot, &catalog, &options, &hasty).is_empty());
    let whole = plan(&snapshot, &catalog, &options);
    assert!(hasty.cost_per_hour() >= whole.cost_per_hour());
    assert!(hasty.cut_short && !whole.cut_short);
}

#[test]
fn what_few_existing_nodes_have_is_left_to_those_that_ask_for_it() {
    let node = |name: &str, more: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\nstatus: {{allocatable: {{cpu: 4, memory: 16Gi, pods: 10{more}}}, \
             conditions: [{{type: Ready, status: 'True'}}]}}\n"
        )
    };
    let pods = deployment("batch", 1, "cpu: 3500m, memory: 4Gi", "")
        + &deployment("train", 1, "cpu: 1, example.com/gpu: 1", "");
    let cluster = node("a-gpu", ", example.com/gpu: 1") + &node("b", "") + &pods;
    let plan = planned(&cluster, &types(), &Options::default()).1;
    let on: Vec<&Verdict> = plan.pods.iter().map(|planned| &planned.verdict).collect();
    let fits = |node: &str| Verdict::FitsExisting { node: node.to_owned() };
    assert_eq!(on, [&fits("b"), &fits("a-gpu")]);
    // With one node, the one that needs its GPU comes first.
    let plan = planned(&(node("a-gpu", ", example.com/gpu: 1") + &pods), &types(), &Options::default()).1;
    assert_eq!(plan.pods[1].verdict, fits("a-gpu"));
    assert!(matches!(plan.pods[0].verdict, Verdict::Planned { .. }));
}

#[test]
fn a_daemon_set_that_requests_devices_makes_nobody_else_pay_for_them() {
    let types = TYPES.to_owned()
        + "- {name: gpu, arch: amd64, allocatable: {cpu: 8, memory: 16Gi, nvidia.com/gpu: 2}, zones: [a], pricePerHour: {on-demand: 3}}\n";
    let types = catalog::parse("test", &types).unwrap();
    let daemon = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: probe}\nspec:\n  template:\n    spec: {containers: [{name: c, \
                  resources: {requests: {cpu: 500m, nvidia.com/gpu: 1}}}]}\n";
    let plan_of = |pods: &str| planned(&(daemon.to_owned() + pods), &types, &Options::default()).1;
    let web = deployment("web", 1, "cpu: 2, memory: 1Gi", "");
    assert_eq!(by_type(&plan_of(&web)), BTreeMap::from([("small", 1)]));
    // On a node that has them it takes its part: two of these share no node.
    let train = deployment("train", 2, "cpu: 1, nvidia.com/gpu: 1", "");
    let plan = plan_of(&train);
    assert_eq!(by_type(&plan), BTreeMap::from([("gpu", 2)]));
    assert!(plan.nodes.iter().all(|node| node.daemon_requests.amount("nvidia.com/gpu") == 1), "{:?}", plan.nodes);
}

#[test]
fn types_that_share_or_throttle_their_cpu_are_left_out_and_no_others() {
    let options = Options { exclude_types: TypeFilter::new(UNSUITED_TYPES).unwrap(), ..Options::default() };
    for (provider, left_out, kept) in [
        ("aws", ["t3.large", "t4g.micro", "t2.nano"].as_slice(), ["m5.large", "c6a.large"].as_slice()),
        ("azure", &["Standard_B2ms"], &["Standard_D2s_v5"]),
        ("gcp", &["e2-micro", "e2-medium"], &["t2d-standard-1", "t2a-standard-1", "e2-standard-2"]),
    ] {
        let catalog = catalog::builtin(provider).unwrap();
        let allowed = |name: &str| options.allowed(&catalog).any(|(kind, _)| kind.name == name);
        for name in [left_out, kept].concat() {
            assert!(catalog.types.iter().any(|kind| kind.name == name), "{provider} has no {name}");
            assert_eq!(allowed(name), kept.contains(&name), "{name}");
        }
    }
}

/// A small type for few pods and a large one for many, of different architectures.
const TWO_ARCHITECTURES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 3}, zones: [a, b], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: arm64, allocatable: {cpu: 10, memory: 20Gi, pods: 30}, zones: [a, b], pricePerHour: {on-demand: 0.4}}
";

/// The same, of different capacity types.
const TWO_CAPACITY_TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 3}, zones: [a, b], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 10, memory: 20Gi, pods: 30}, zones: [a, b], pricePerHour: {spot: 0.4}}
";

fn all_of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What each pool of a plan may have under a label, sorted.
fn all_choices(plan: &Plan, key: &str) -> Vec<String> {
    let values = |pool: &Pool| {
        let on_key = pool.requirements.iter().filter(|requirement| requirement.key == key);
        on_key.flat_map(|requirement| requirement.values.clone()).collect::<Vec<String>>().join(" or ")
    };
    let mut all: Vec<String> = plan.pools.values().map(values).collect();
    all.sort();
    all
}

const WEB: &str = "cpu: 700m, memory: 1500Mi";

#[test]
fn one_pool_makes_all_architectures_where_no_pod_asks_for_one() {
    let catalog = catalog::parse("test", TWO_ARCHITECTURES).unwrap();
    let both = Options { arch: all_of(&["amd64", "arm64"]), ..Options::default() };
    let web = deployment("web", 15, WEB, "");
    let (_, plan) = planned(&web, &catalog, &both);
    assert_eq!(by_type(&plan), BTreeMap::from([("large", 1), ("small", 1)]));
    assert_eq!(all_choices(&plan, key::ARCH), ["amd64 or arm64"]);
    let name = plan.pools.keys().next().unwrap();

    // It is called so whatever is planned.
    let (_, few) = planned(&deployment("web", 2, WEB, ""), &catalog, &both);
    assert_eq!(by_type(&few), BTreeMap::from([("small", 1)]));
    assert_eq!(few.pools.keys().collect::<Vec<_>>(), [name]);
    let asks = deployment("asks", 2, WEB, "nodeSelector: {beta.kubernetes.io/arch: amd64},");
    let (_, mixed) = planned(&(web.clone() + &asks), &catalog, &both);
    assert_eq!(all_choices(&mixed, key::ARCH), ["amd64", "arm64"]);

    // Who asks for none runs on amd64 alone.
    let asks = deployment("asks", 13, WEB, "nodeSelector: {kubernetes.io/arch: arm64},");
    let (_, apart) = planned(&(web + &asks), &catalog, &Options::default());
    assert_eq!(all_choices(&apart, key::ARCH), ["amd64", "arm64"]);
}

#[test]
fn one_pool_makes_all_capacity_types_where_no_pod_takes_one_alone() {
    let catalog = catalog::parse("test", TWO_CAPACITY_TYPES).unwrap();
    let both = Options { capacity_types: all_of(&["on-demand", "spot"]), ..Options::default() };
    let web = deployment("web", 15, WEB, "");
    let (_, plan) = planned(&web, &catalog, &both);
    assert_eq!(by_type(&plan), BTreeMap::from([("large", 1), ("small", 1)]));
    assert_eq!(all_choices(&plan, key::CAPACITY_TYPE), ["on-demand or spot"]);
    let (_, few) = planned(&deployment("web", 2, WEB, ""), &catalog, &both);
    assert_eq!(few.pools.keys().collect::<Vec<_>>(), plan.pools.keys().collect::<Vec<_>>());

    let selects = "nodeSelector: {karpenter.sh/capacity-type: on-demand},";
    let term = "matchExpressions: [{key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}]";
    let prefers = format!(
        "affinity: {{nodeAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 1, preference: {{{term}}}}}]}}}},"
    );
    let takes_both = prefers.replace("[on-demand]", "[on-demand, spot]");
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {kubernetes.io/arch: amd64, kubernetes.io/os: linux}}\n\
                status: {allocatable: {cpu: 10m, memory: 1Mi, pods: 20}}\n";
    let runs = |owner: &str| {
        format!(
            "{node}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: runs, ownerReferences: [{{apiVersion: apps/v1, kind: {owner}, \
             name: o, uid: u, controller: true}}]}}\nspec: {{nodeName: n, {selects} containers: [{{name: c}}]}}\nstatus: {{phase: Running}}\n"
        )
    };
    let asks = |spec: &str| deployment("asks", 1, "cpu: 1m, memory: 1Mi", spec);
    for (more, together) in [
        (asks(selects), false),
        (asks(&prefers), false),
        (runs("ReplicaSet"), false),
        (asks(&takes_both), true),
        (runs("DaemonSet"), true),
    ] {
        let (_, plan) = planned(&(more.clone() + &web), &catalog, &both);
        let expected: &[&str] = if together { &["on-demand or spot"] } else { &["on-demand", "spot"] };
        assert_eq!(all_choices(&plan, key::CAPACITY_TYPE), expected, "{more}");
    }
}

#[test]
fn the_judge_notices_pools_that_leave_too_much_to_choose() {
    let asks = deployment("asks", 1, WEB, "nodeSelector: {karpenter.sh/capacity-type: on-demand},");
    let catalog = catalog::parse("test", TWO_CAPACITY_TYPES).unwrap();
    let text = deployment("web", 13, WEB, "") + &asks;
    let complaints = |capacity_types: &[&str], spoiled: &str, value: &str| {
        let options = Options { capacity_types: all_of(capacity_types), ..Options::default() };
        let (snapshot, mut plan) = planned(&text, &catalog, &options);
        for requirement in plan.pools.values_mut().flat_map(|pool| &mut pool.requirements) {
            if requirement.key == spoiled && !requirement.values.iter().any(|known| known == value) {
                requirement.values.push(value.to_owned());
            }
        }
        check_plan(&snapshot, &catalog, &options, &plan).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let both = ["on-demand", "spot"];
    let wrong = complaints(&both, key::CAPACITY_TYPE, "spot");
    assert!(wrong.contains("does not take them alike"), "{wrong}");
    let wrong = complaints(&both[..1], key::CAPACITY_TYPE, "spot");
    assert!(wrong.contains("makes nodes of any of [\"on-demand\", \"spot\"]"), "{wrong}");
    let wrong = complaints(&both, key::ARCH, "arm64");
    assert!(wrong.contains("would give pods that ask for no architecture any of"), "{wrong}");
}

#[test]
fn a_pool_allows_for_pods_that_may_come_from_another() {
    let catalog = catalog::parse("test", TWO_CAPACITY_TYPES).unwrap();
    let both = Options { capacity_types: all_of(&["on-demand", "spot"]), ..Options::default() };
    let asks = deployment("asks", 2, WEB, "nodeSelector: {karpenter.sh/capacity-type: on-demand},");
    let (_, plan) = planned(&(deployment("web", 13, WEB, "") + &asks), &catalog, &both);
    assert_eq!(by_type(&plan), BTreeMap::from([("large", 1), ("small", 1)]));
    // Half as much again as is planned, in each: anybody may come to the node of those that ask.
    assert_eq!(plan.pools.values().map(|pool| pool.most_cores).collect::<Vec<_>>(), [18, 18]);

    // Those that ask for different labels never come to each other's.
    let red = deployment("red", 2, WEB, "nodeSelector: {team: red},");
    let blue = deployment("blue", 2, WEB, "nodeSelector: {team: blue},");
    let (_, plan) = planned(&(red + &blue), &catalog, &both);
    assert_eq!(plan.pools.values().map(|pool| pool.most_cores).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_pool_allows_for_pods_that_take_its_architecture_as_well_as_that_of_their_nodes() {
    let catalog = catalog::parse("test", TWO_ARCHITECTURES).unwrap();
    let takes_both = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                      [{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}]}]}}},";
    let web = deployment("web", 13, WEB, takes_both) + &deployment("others", 2, WEB, "");
    let (_, plan) = planned(&web, &catalog, &Options::default());
    assert_eq!(by_type(&plan), BTreeMap::from([("large", 1), ("small", 1)]));
    let mut limits: Vec<u64> = plan.pools.values().map(|pool| pool.most_cores).collect();
    limits.sort_unstable();
    // Half as much again as 10 cores of arm64, where the others do not run, and as these with 2 of amd64.
    assert_eq!(limits, [15, 18]);
}

/// Karpenter counts a new node as the largest that it may become, until it is there.
#[test]
fn a_pool_allows_for_each_of_the_nodes_that_pods_need_which_keep_apart() {
    let apart = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: \
                 kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}]}},";
    let spread = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
                  DoNotSchedule, labelSelector: {matchLabels: {app: web}}}],";
    let bulk = deployment("bulk", 1, "cpu: 7500m, memory: 1Gi", "");
    let most_cores = |pods: &str| {
        let (_, plan) = planned(pods, &types(), &Options::default());
        let of_type = |name: &str| plan.nodes.iter().filter(|node| node.instance_type == name).count();
        (of_type("small"), of_type("large"), plan.pools.values().map(|pool| pool.most_cores).collect::<Vec<_>>())
    };
    for keeps_apart in [apart, spread, "hostNetwork: true,"] {
        let ports = if keeps_apart.starts_with("host") { ", ports: [{containerPort: 80}]" } else { "" };
        let web = deployment("web", 10, "cpu: 600m, memory: 1Gi", keeps_apart);
        let web = web.replace("name: c,", &format!("name: c{ports},"));
        // Half as much again as ten nodes that may each become a large one, though 28 cores are planned.
        let expected = (10, 1, vec![120]);
        assert_eq!(most_cores(&(web + &bulk)), expected, "{keeps_apart}");
    }
    // One in each zone.
    let in_zones = spread.replace("kubernetes.io/hostname", key::ZONE);
    let web = deployment("web", 3, "cpu: 600m, memory: 1Gi", &in_zones);
    assert_eq!(most_cores(&(web + &bulk)), (3, 1, vec![36]));
    // Those of one zone keep apart by themselves, and no host of theirs is one for those of another.
    let pinned = |zone: &str| format!("nodeSelector: {{topology.kubernetes.io/zone: {zone}}}, {apart}");
    let of_zone = |zone: &str| deployment("web", 5, "cpu: 600m, memory: 1Gi", &pinned(zone)).replace("web", zone);
    assert_eq!(most_cores(&(of_zone("a") + &of_zone("b") + &bulk)), (10, 1, vec![120]));
}
