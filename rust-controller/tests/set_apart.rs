//! Nodes that are set apart: a label by which pods find them, and a taint that keeps others off. New nodes with the label
//! have the taint, too.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/random.rs"]
#[expect(dead_code, reason = "other tests draw otherwise")]
mod random;

use std::fmt::Write;

use mini_karpenter::check::check_plan;
use mini_karpenter::document::NodePool;
use mini_karpenter::model::{Catalog, Taint, TaintEffect};
use mini_karpenter::provision::{Options, Plan, PlannedNode, Pool, Verdict, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::{catalog, lower};
use random::{Random, Shrink, for_each_case};

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 8Gi, pods: 20}, zones: [a, b], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 32Gi, pods: 40}, zones: [a, b], pricePerHour: {on-demand: 0.5}}
";

const GPU: &str = "{key: nvidia.com/gpu, value: present, effect: NoSchedule}";
const TOLERATES: &str = "tolerations: [{key: nvidia.com/gpu, operator: Exists}],";

/// A node without room.
fn node(name: &str, labels: &str, taints: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/arch: amd64, kubernetes.io/os: linux, {labels}}}}}\n\
         spec: {{taints: [{taints}]}}\nstatus: {{allocatable: {{cpu: 10m, memory: 1Mi, pods: 20}}}}\n"
    )
}

/// A pod that waits.
fn pod(name: &str, cpu: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{{spec} containers: [{{name: c, resources: \
         {{requests: {{cpu: {cpu}, memory: 1Gi}}}}}}]}}\n"
    )
}

/// A pod that asks for a node with a GPU.
fn train(name: &str, more: &str) -> String {
    pod(name, "1", &format!("nodeSelector: {{accelerator: gpu}}, {more}"))
}

fn daemon(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, ownerReferences: [{{apiVersion: apps/v1, kind: DaemonSet, name: {name}, \
         uid: u, controller: true}}]}}\nspec: {{nodeName: n, {spec} containers: [{{name: c, resources: {{requests: {{cpu: 500m}}}}}}]}}\n\
         status: {{phase: Running}}\n"
    )
}

fn types() -> Catalog {
    catalog::parse("test", TYPES).unwrap()
}

fn snapshot(text: &str) -> Snapshot {
    let manifest = lower::parse_manifest(text).unwrap();
    assert!(manifest.skipped.is_empty(), "{:?}", manifest.skipped);
    manifest.into_snapshot()
}

/// The plan, against which the judge has nothing and in which every pod gets a node.
fn planned(text: &str) -> Plan {
    let (snapshot, options) = (snapshot(text), Options::default());
    let plan = plan(&snapshot, &types(), &options);
    assert_eq!(check_plan(&snapshot, &types(), &options, &plan), []);
    assert_eq!(plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_))), 0);
    plan
}

fn node_of<'p>(plan: &'p Plan, pod: &str) -> &'p PlannedNode {
    plan.nodes.iter().find(|node| node.pods.iter().any(|name| name.name == pod)).unwrap()
}

fn pool_of<'p>(plan: &'p Plan, pod: &str) -> &'p Pool {
    &plan.pools[&node_of(plan, pod).pool]
}

/// The taints of the node that a pod gets, as `kubectl taint` writes them.
fn taints_of(plan: &Plan, pod: &str) -> Vec<String> {
    pool_of(plan, pod).taints.iter().map(Taint::to_string).collect()
}

#[test]
fn a_new_node_has_the_taint_of_those_with_its_label_and_only_pods_that_tolerate_it() {
    let pods = train("train", TOLERATES) + &pod("web", "1", "");
    let open = planned(&(node("n", "accelerator: gpu", "") + &pods));
    assert_eq!(open.nodes.len(), 1, "without a taint both share a node");
    assert!(pool_of(&open, "train").taints.is_empty());

    let tainted = planned(&(node("n", "accelerator: gpu", GPU) + &node("m", "accelerator: gpu", GPU) + &pods));
    assert_eq!(tainted.nodes.len(), 2);
    assert_eq!(taints_of(&tainted, "train"), ["nvidia.com/gpu=present:NoSchedule"]);
    assert!(pool_of(&tainted, "web").taints.is_empty());
    assert_ne!(pool_of(&tainted, "train").name, pool_of(&open, "train").name, "they are not of one kind");
    let document = NodePool::new(pool_of(&tainted, "train")).yaml();
    let taints = "      taints:\n      - key: nvidia.com/gpu\n        value: present\n        effect: NoSchedule\n";
    assert!(document.contains(taints), "{document}");
    assert!(!NodePool::new(pool_of(&tainted, "web")).yaml().contains("taints"));
}

#[test]
fn a_taint_comes_with_a_label_only_where_every_node_with_it_has_the_taint() {
    let same_key = "{key: nvidia.com/gpu, value: absent, effect: NoSchedule}";
    let passing = "{key: node.kubernetes.io/unreachable, effect: NoExecute}, {key: karpenter.sh/disrupted, effect: NoSchedule}, \
                   {key: ToBeDeletedByClusterAutoscaler, value: '1764460000', effect: NoSchedule}, {key: soft, effect: \
                   PreferNoSchedule}, {key: node.cilium.io/agent-not-ready, effect: NoSchedule}, {key: hard, effect: NoExecute}";
    let gpu = |name: &str, taints: &str| node(name, "accelerator: gpu", taints);
    let going = gpu("m", "").replace("name: m,", "name: m, deletionTimestamp: '2026-01-01T00:00:00Z',");
    let control_plane = "accelerator: gpu, node-role.kubernetes.io/control-plane: ''";
    let cases = [
        (node("n", "accelerator: none", GPU), false),
        (gpu("n", GPU) + &gpu("m", ""), false),
        (gpu("n", GPU) + &gpu("m", same_key), false),
        (gpu("n", passing), false),
        (node("n", control_plane, GPU), false),
        (gpu("n", GPU) + &going, true),
        (gpu("n", GPU) + &node("m", control_plane, ""), true),
        (gpu("n", GPU) + &gpu("m", &format!("{GPU}, {same_key}")), true),
        (gpu("n", &format!("{GPU}, {passing}")) + &node("m", "", ""), true),
    ];
    for (nodes, tainted) in cases {
        let plan = planned(&(nodes.clone() + &train("train", "tolerations: [{operator: Exists}],")));
        let expected: &[&str] = if tainted { &["nvidia.com/gpu=present:NoSchedule"] } else { &[] };
        assert_eq!(taints_of(&plan, "train"), expected, "{nodes}");
    }
}

#[test]
fn no_taint_keeps_a_pod_off_that_asks_for_the_label() {
    let nodes = node("n", "accelerator: gpu", GPU);
    let plan = planned(&(nodes + &train("train", TOLERATES) + &train("forgetful", "")));
    assert_eq!(taints_of(&plan, "train"), Vec::<String>::new());
}

#[test]
fn no_taint_keeps_a_pod_off_that_must_be_on_the_same_host() {
    let near = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, \
                labelSelector: {matchLabels: {app: train}}}]}},";
    let nodes = node("n", "accelerator: gpu", GPU);
    let plan = planned(&(nodes.clone() + &train("train", TOLERATES) + &pod("beside", "500m", near)));
    assert_eq!(node_of(&plan, "train"), node_of(&plan, "beside"));
    assert_eq!(taints_of(&plan, "train"), Vec::<String>::new());

    let tolerant = pod("beside", "500m", &format!("{near} {TOLERATES}"));
    let plan = planned(&(nodes.clone() + &train("train", TOLERATES) + &tolerant));
    assert_eq!(node_of(&plan, "train"), node_of(&plan, "beside"));
    assert_eq!(taints_of(&plan, "train"), ["nvidia.com/gpu=present:NoSchedule"]);
}

#[test]
fn a_pod_that_must_be_on_the_same_host_opens_no_other_pool() {
    let team = "{key: team, value: red, effect: NoSchedule}";
    let nodes = node("n", "accelerator: gpu", GPU) + &node("m", "team: red", team);
    let red = pod("red", "1", "nodeSelector: {team: red}, tolerations: [{key: team, operator: Exists}],");
    let near = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, \
                labelSelector: {matchLabels: {app: red}}}]}},";
    let plan = planned(&(nodes + &train("train", TOLERATES) + &red + &pod("beside", "500m", near)));
    assert_eq!(node_of(&plan, "red"), node_of(&plan, "beside"));
    assert_eq!(taints_of(&plan, "red"), Vec::<String>::new());
    assert_eq!(taints_of(&plan, "train"), ["nvidia.com/gpu=present:NoSchedule"]);
}

#[test]
fn a_pod_that_is_too_large_anyway_takes_no_taint_away() {
    let text = node("n", "accelerator: gpu", GPU) + &train("train", TOLERATES) + &pod("huge", "100", "");
    let snapshot = snapshot(&text);
    let plan = plan(&snapshot, &types(), &Options::default());
    assert_eq!(check_plan(&snapshot, &types(), &Options::default(), &plan), []);
    assert_eq!(taints_of(&plan, "train"), ["nvidia.com/gpu=present:NoSchedule"]);
}

#[test]
fn a_node_with_several_labels_has_the_taints_of_all() {
    let team = "{key: team, value: red, effect: NoSchedule}";
    let nodes = node("n", "accelerator: gpu", GPU) + &node("m", "team: red", team);
    let both = "tolerations: [{key: nvidia.com/gpu, operator: Exists}, {key: team, operator: Exists}],";
    let red = pod("red", "1", &format!("nodeSelector: {{team: red}}, {both}"));
    let plan = planned(&(nodes.clone() + &train("train", both) + &red));
    assert_eq!(plan.nodes.len(), 1, "a node with both labels holds both");
    assert_eq!(taints_of(&plan, "red"), ["nvidia.com/gpu=present:NoSchedule", "team=red:NoSchedule"]);

    let plan = planned(&(nodes + &train("train", TOLERATES) + &red));
    assert_eq!(plan.nodes.len(), 2, "who does not tolerate the other taint has a node of its own");
    assert_eq!(taints_of(&plan, "train"), ["nvidia.com/gpu=present:NoSchedule"]);
    assert_eq!(taints_of(&plan, "red"), ["team=red:NoSchedule"]);
}

#[test]
fn daemon_pods_that_do_not_tolerate_the_taint_take_no_room() {
    let nodes = node("n", "accelerator: gpu", GPU);
    let daemons = daemon("agent", "") + &daemon("driver", TOLERATES);
    let large = pod("large", "1500m", &format!("nodeSelector: {{accelerator: gpu}}, {TOLERATES}"));
    let plan = planned(&(nodes + &daemons + &large + &pod("web", "1", "")));
    let milli_cores = |pod: &str| node_of(&plan, pod).daemon_requests.amount("cpu");
    assert_eq!((milli_cores("large"), milli_cores("web")), (500, 1000));
    assert_eq!(node_of(&plan, "large").instance_type, "small");
}

#[test]
fn pods_that_spread_over_hosts_they_tolerate_or_over_all_find_a_place() {
    for policy in ["Honor", "Ignore"] {
        for topology in ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] {
            let spread = |selector: &str| {
                format!(
                    "topologySpreadConstraints: [{{topologyKey: {topology}, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, nodeTaintsPolicy: \
                     {policy}, labelSelector: {{matchExpressions: [{{key: app, operator: In, values: [{selector}]}}]}}}}],"
                )
            };
            let mut text = node("n", "accelerator: gpu", GPU);
            for number in 0..3 {
                let _ = write!(text, "{}", train(&format!("t{number}"), TOLERATES));
                let _ = write!(text, "{}", pod(&format!("w{number}"), "1", &spread("w0, w1, w2, t0, t1, t2")));
            }
            let plan = planned(&text);
            assert_eq!(taints_of(&plan, "t0"), ["nvidia.com/gpu=present:NoSchedule"], "{policy} {topology}");
        }
    }
}

#[test]
fn the_judge_notices_taints_that_keep_pods_off_or_have_no_reason() {
    let text = node("n", "accelerator: gpu", GPU)
        + &daemon("agent", "")
        + &train("train", "tolerations: [{operator: Exists}],")
        + &pod("web", "1", "");
    let (snapshot, options) = (snapshot(&text), Options::default());
    let good = planned(&text);
    let complaints = |pod: &str, spoil: &dyn Fn(&mut Vec<Taint>)| {
        let mut plan = good.clone();
        spoil(&mut plan.pools.get_mut(&node_of(&good, pod).pool).unwrap().taints);
        check_plan(&snapshot, &types(), &options, &plan).iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    assert_eq!(complaints("web", &|_| ()), Vec::<String>::new());
    let gpu = pool_of(&good, "train").taints[0].clone();
    let noticed = |complaints: &[String], what: &str| {
        assert!(complaints.iter().any(|complaint| complaint.contains(what)), "{what}: {complaints:#?}");
    };
    noticed(
        &complaints("web", &|taints| taints.push(gpu.clone())),
        "does not tolerate the taint nvidia.com/gpu=present",
    );
    noticed(
        &complaints("web", &|taints| taints.push(gpu.clone())),
        "has the taint nvidia.com/gpu=present:NoSchedule for no reason",
    );
    noticed(
        &complaints("train", &|taints| taints[0].value.clear()),
        "has the taint nvidia.com/gpu:NoSchedule for no reason",
    );
    noticed(&complaints("train", &|taints| taints[0].effect = TaintEffect::NoExecute), "for no reason");
    noticed(&complaints("train", &Vec::clear), "does not set aside what its daemon pods request");
}

/// Nodes and pods, a document each.
#[derive(Clone, Debug)]
struct Cluster(Vec<String>);

impl Shrink for Cluster {
    fn smaller(&self) -> impl Iterator<Item = Self> {
        (0..self.0.len()).map(|at| {
            let mut documents = self.0.clone();
            documents.remove(at);
            Self(documents)
        })
    }
}

const CASES: u64 = 300;

const TAINTS: [&str; 2] = ["{key: t1, effect: NoSchedule}", "{key: t2, value: v, effect: NoSchedule}"];

/// Some of these, with commas between.
fn some(random: &mut Random, all: &[&str]) -> String {
    let chosen: Vec<&str> = all.iter().copied().filter(|_| random.chance(50)).collect();
    chosen.join(", ")
}

fn any_labels(random: &mut Random) -> String {
    let x = *random.pick(&["x: a", "x: b"]);
    some(random, &[x, "y: a"])
}

fn any_tolerations(random: &mut Random) -> String {
    let tolerations = ["{key: t1, operator: Exists}", "{key: t2, value: v, effect: NoSchedule}"];
    let all = if random.chance(60) { tolerations.join(", ") } else { some(random, &tolerations) };
    format!("tolerations: [{all}],")
}

/// A rule about other pods, or none.
fn any_rule(random: &mut Random) -> String {
    let topology = *random.pick(&["kubernetes.io/hostname", "topology.kubernetes.io/zone", "x"]);
    let selector = format!("labelSelector: {{matchLabels: {{app: p{}}}}}", random.below(4));
    let kind = *random.pick(&["podAffinity", "podAntiAffinity", "spread", "spread", "", "", "", ""]);
    match kind {
        "" => String::new(),
        "spread" => format!(
            "topologySpreadConstraints: [{{topologyKey: {topology}, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, nodeTaintsPolicy: {}, {selector}}}],",
            random.pick(&["Honor", "Ignore"])
        ),
        _ => format!(
            "affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: {topology}, {selector}}}]}}}},"
        ),
    }
}

fn any_cluster(random: &mut Random) -> Cluster {
    let mut documents = Vec::new();
    for number in 0..random.between(1, 3) {
        let labels = format!("topology.kubernetes.io/zone: {}, {}", random.pick(&["a", "b"]), any_labels(random));
        let taints = if random.chance(50) { TAINTS.join(", ") } else { some(random, &TAINTS) };
        documents.push(node(&format!("n{number}"), &labels, &taints));
    }
    for number in 0..random.below(3) {
        let selector =
            if random.chance(30) { format!("nodeSelector: {{{}}},", any_labels(random)) } else { String::new() };
        let tolerations = if random.chance(50) { any_tolerations(random) } else { String::new() };
        documents.push(daemon(&format!("d{number}"), &format!("{selector} {tolerations}")));
    }
    for number in 0..random.between(1, 6) {
        let selector =
            if random.chance(70) { format!("nodeSelector: {{{}}},", any_labels(random)) } else { String::new() };
        let spec = format!("{selector} {} {}", any_tolerations(random), any_rule(random));
        let cpu = *random.pick(&["100m", "900m", "1500m"]);
        documents.push(pod(&format!("p{number}"), cpu, &spec));
    }
    Cluster(documents)
}

fn left_out(plan: &Plan) -> usize {
    plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_)))
}

/// The judge has nothing against any plan, and no pod is left out that would get a node if no taint came with a label: where
/// taints of nodes are of the moment, none does.
#[test]
fn no_pod_is_left_out_for_the_sake_of_a_taint() {
    let (options, types) = (Options::default(), types());
    let mut tainted = 0;
    for_each_case(CASES, any_cluster, |Cluster(documents), _| {
        let text = documents.concat();
        let snapshot = snapshot(&text);
        let plan_here = plan(&snapshot, &types, &options);
        let mut complaints: Vec<String> =
            check_plan(&snapshot, &types, &options, &plan_here).iter().map(ToString::to_string).collect();
        tainted += usize::from(plan_here.pools.values().any(|pool| !pool.taints.is_empty()));
        let passing = text.replace("key: t1", "key: karpenter.sh/t1").replace("key: t2", "key: karpenter.sh/t2");
        let open = plan(&self::snapshot(&passing), &types, &options);
        if left_out(&plan_here) > left_out(&open) {
            complaints.push(format!("{} are left out, and {} without taints", left_out(&plan_here), left_out(&open)));
        }
        complaints
    });
    assert!(tainted > 60, "the cases say little: {tainted} plans with tainted nodes");
}
