//! Lower bounds of plans and of fleets, and their judge: a good certificate passes, and each way to spoil one is noticed.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

#[path = "common/manifests.rs"]
mod manifests;

use manifests::{node_with, pod_with};
use mini_karpenter::catalog;
use mini_karpenter::check::{check_consolidation, check_lower_bound, check_plan, check_replacement};
use mini_karpenter::consolidate::{self, Consolidation, FleetBound, Objective, consolidate, lower_bound, replace};
use mini_karpenter::model::{Catalog, PodName};
use mini_karpenter::provision::{Certificate, LowerBound, Options, Plan, TypeFilter, UNSUITED_TYPES, plan};
use mini_karpenter::snapshot::Snapshot;

const CATALOG: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 10}, zones: [a], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 17Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.41}}
- {name: other, arch: arm64, allocatable: {cpu: 8, memory: 16Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.01}}
";

/// Four replicas that keep off each other's host, one of them too large for a small node; a port; and plain ones.
const PODS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: apart}
spec:
  replicas: 4
  selector: {matchLabels: {app: apart}}
  template:
    metadata: {labels: {app: apart}}
    spec:
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}
      containers: [{name: c, resources: {requests: {cpu: 1200m, memory: 1Gi}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  replicas: 5
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: c, resources: {requests: {cpu: 500m, memory: 3Gi}}}]}
";

fn snapshot() -> Snapshot {
    manifests::snapshot(PODS)
}

fn priced() -> Catalog {
    catalog::parse("test", CATALOG).unwrap()
}

fn planned() -> Plan {
    plan(&snapshot(), &priced(), &Options::default())
}

/// What the judge says once the bound is spoilt.
fn complaints(spoil: impl FnOnce(&mut LowerBound)) -> Vec<String> {
    let mut plan = planned();
    spoil(plan.bound.as_mut().unwrap());
    let found = check_plan(&snapshot(), &priced(), &Options::default(), &plan);
    found.iter().map(ToString::to_string).collect()
}

fn is_noticed(what: &str, spoil: impl FnOnce(&mut Certificate)) {
    let found = complaints(|bound| spoil(&mut bound.certificate));
    assert!(found.iter().any(|complaint| complaint.contains(what)), "{what}: {found:?}");
}

#[test]
fn a_good_certificate_passes_and_says_how_many_nodes_are_needed() {
    assert_eq!(complaints(|_| {}), Vec::<String>::new());
    let Certificate { fewest_nodes, apart_like, node_types, .. } = planned().bound.unwrap().certificate;
    assert_eq!(
        (fewest_nodes, node_types.into_iter().collect::<Vec<_>>()),
        (4, vec!["large".to_owned(), "small".to_owned()])
    );
    assert!(apart_like.unwrap().name.starts_with("apart-"));
}

#[test]
fn a_bound_that_its_prices_do_not_make_is_noticed() {
    let found = complaints(|bound| bound.per_hour *= 1.01);
    assert!(found.iter().any(|complaint| complaint.contains("its prices make")), "{found:?}");
    let found = complaints(|bound| bound.per_hour = 100.0);
    assert!(found.iter().any(|complaint| complaint.contains("the plan itself costs")), "{found:?}");
}

#[test]
fn prices_at_which_a_node_offers_more_than_it_costs_are_noticed() {
    is_noticed("offers", |certificate| certificate.per_node += 0.1);
    is_noticed("offers", |certificate| certificate.per_resource = [("memory".to_owned(), 1.0)].into());
    is_noticed("has the price -0.1", |certificate| certificate.per_node = -0.1);
    is_noticed("has the price NaN", |certificate| certificate.per_node = f64::NAN);
}

#[test]
fn counts_that_are_not_so_are_noticed() {
    is_noticed("5 nodes are needed; 4 are", |certificate| certificate.fewest_nodes = 5);
    is_noticed("nodes are needed; 1 are", |certificate| certificate.apart_like = None);
    let plain = PodName { namespace: "default".to_owned(), name: "plain-deployment-0".to_owned() };
    is_noticed("4 nodes are needed; 0 are", |certificate| certificate.apart_like = Some(plain));
    let surcharges = planned().bound.unwrap().certificate.surcharges;
    assert!(!surcharges.is_empty(), "the case says nothing of large pods");
    is_noticed("counts", |certificate| certificate.surcharges[0].pods += 9);
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.clear());
    let nothing = |least: &mut u64| *least = 0;
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.values_mut().for_each(nothing));
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.values_mut().for_each(|least| *least *= 100));
}

#[test]
fn a_type_that_may_hold_a_pod_and_is_left_out_is_noticed() {
    is_noticed("leaves out small", |certificate| certificate.node_types = ["large".to_owned()].into());
}

#[test]
fn each_value_that_pods_ask_for_of_a_label_needs_a_node() {
    let workload = |name: &str, spec: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{replicas: 2, selector: {{matchLabels: \
             {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{{spec}, containers: [{{name: c, \
             resources: {{requests: {{cpu: 100m, memory: 1Gi}}}}}}]}}}}}}\n"
        )
    };
    let required = |expression: &str| {
        format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: \
             [{{{expression}}}]}}]}}}}}}"
        )
    };
    let text = workload("x", "nodeSelector: {team: x}")
        + &workload("y", "nodeSelector: {team: y, kubernetes.io/arch: amd64}")
        + &workload("z", &required("key: team, operator: In, values: [z]"))
        + &workload("any", &required("key: team, operator: In, values: [v, w]"));
    let snapshot = manifests::snapshot(&text);
    let (catalog, options) = (priced(), Options::default());
    let plan = plan(&snapshot, &catalog, &options);
    let bound = plan.bound.clone().unwrap();
    let Certificate { fewest_nodes, apart_by, apart_like, .. } = bound.certificate;
    assert_eq!((fewest_nodes, apart_by.as_deref(), apart_like), (3, Some("team"), None));
    assert!(is_near(bound.per_hour, 0.3), "three small nodes: {}", bound.per_hour);
    let said = |spoil: &dyn Fn(&mut Certificate)| {
        let mut spoilt = plan.clone();
        spoil(&mut spoilt.bound.as_mut().unwrap().certificate);
        check_plan(&snapshot, &catalog, &options, &spoilt).iter().map(ToString::to_string).collect::<String>()
    };
    assert_eq!(said(&|_| {}), "");
    assert!(said(&|certificate| certificate.fewest_nodes = 4).contains("says that 4 nodes are needed; 3 are"));
    let by_arch = |certificate: &mut Certificate| certificate.apart_by = Some("kubernetes.io/arch".to_owned());
    assert!(said(&by_arch).contains("says that 3 nodes are needed; 1 are"));
    assert!(said(&|certificate| certificate.apart_by = None).contains("says that 3 nodes are needed; 1 are"));
}

/// A node of 8 cores and 17 GiB.
fn node(name: &str, labels: &str, spec: &str) -> String {
    let labels = format!("kubernetes.io/arch: amd64, kubernetes.io/os: linux, {labels}");
    node_with(name, "cpu: 8, memory: 17Gi, pods: 20", &labels, "", spec)
}

/// A `large` one.
fn large(name: &str) -> String {
    node(name, "node.kubernetes.io/instance-type: large", "")
}

fn pod(name: &str, node: &str, requests: &str, spec: &str) -> String {
    pod_with(name, node, requests, ", labels: {app: web}", spec)
}

const APART: &str = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [\
                     {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}]}}, ";

/// Decided with new nodes and the bound, and judged.
fn fleet(text: &str, catalog: &Catalog, options: &Options) -> Consolidation {
    let snapshot = manifests::snapshot(text);
    let own = consolidate::Options { min_savings: 0, ..consolidate::Options::default() };
    let mut decided = consolidate(&snapshot, catalog, &own);
    decided.replacement = replace(&snapshot, catalog, &decided, options, &own);
    decided.bound = lower_bound(&snapshot, (catalog, options), &decided);
    let mut wrong = check_consolidation(&snapshot, catalog, &decided);
    wrong.extend(check_replacement(&snapshot, catalog, (options, &own), &decided));
    wrong.extend(check_lower_bound(&snapshot, (catalog, options), &decided));
    assert!(wrong.is_empty(), "{wrong:#?}");
    decided
}

/// The bound of a fleet, 0 where there is none, and how many nodes it says are needed.
fn bound_of(text: &str) -> (f64, u64) {
    let bound = fleet(text, &priced(), &Options::default()).bound;
    bound.map_or((0.0, 0), |bound| (bound.least, bound.certificate.fewest_nodes))
}

fn is_near(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= expected * 1e-6
}

#[test]
fn pods_that_are_where_their_labels_forbid_it_need_no_node_of_their_own() {
    let tiny = "cpu: 100m, memory: 64Mi";
    let fleet = |label: &str| {
        let pod = |name: &str, node: &str| pod(name, node, tiny, &format!("nodeSelector: {{team: {name}}}, "));
        node("a", "node.kubernetes.io/instance-type: large, team: x", "")
            + &node("b", &format!("node.kubernetes.io/instance-type: large, team: {label}"), "")
            + &pod("x", "a")
            + &pod("y", "b")
    };
    let (two, nodes) = bound_of(&fleet("y"));
    assert!(is_near(two, 0.2) && nodes == 2, "{two} for {nodes} nodes");
    // The label has changed since the pod came.
    let (one, nodes) = bound_of(&fleet("z"));
    assert!(is_near(one, 0.1) && nodes == 1, "{one} for {nodes} nodes");
}

#[test]
fn a_fleet_with_one_pod_needs_the_cheapest_node_that_provisioning_would_launch() {
    let catalog = catalog::builtin("aws").unwrap();
    let options = Options { exclude_types: TypeFilter::new(UNSUITED_TYPES).unwrap(), ..Options::default() };
    let text = node("n", "node.kubernetes.io/instance-type: c6a.2xlarge, topology.kubernetes.io/zone: us-east-1a", "")
        + &pod("web", "n", "cpu: 100m, memory: 64Mi", "");
    let decided = fleet(&text, &catalog, &options);
    let replacement = decided.replacement.as_ref().unwrap();
    let least = decided.bound.as_ref().unwrap().least;
    assert!(is_near(least, replacement.added_per_hour().unwrap().units()), "{least}");
    assert!(replacement.gap(&decided).unwrap() < 1e-6);
    let certificate = &decided.bound.unwrap().certificate;
    assert_eq!(certificate.fewest_nodes, 1);
    assert!(!certificate.node_types.contains("t3a.nano") && !certificate.node_types.contains("c6g.large"));
}

/// A new node has a zone, so pods that keep each other out of theirs need a node each.
#[test]
fn pods_that_keep_out_of_each_others_zone_need_a_node_each() {
    let catalog = catalog::parse("test", &CATALOG.replace("zones: [a]", "zones: [a, b, c]")).unwrap();
    let pods =
        PODS.replace("kubernetes.io/hostname", "topology.kubernetes.io/zone").replace("replicas: 4", "replicas: 3");
    let (snapshot, options) = (manifests::snapshot(&pods), Options::default());
    let mut plan = plan(&snapshot, &catalog, &options);
    let said = |plan: &Plan| check_plan(&snapshot, &catalog, &options, plan);
    assert!(said(&plan).is_empty(), "{}", said(&plan)[0]);
    let certificate = &mut plan.bound.as_mut().unwrap().certificate;
    assert_eq!(certificate.fewest_nodes, 3);
    assert!(certificate.apart_like.as_ref().unwrap().name.starts_with("apart-"));
    certificate.fewest_nodes = 4;
    assert!(said(&plan)[0].to_string().contains("says that 4 nodes are needed; 3 are"), "{}", said(&plan)[0]);
}

#[test]
fn pods_that_keep_apart_need_as_many_nodes_and_large_ones_as_many_as_they_pair_on() {
    let on_each = |requests: &str, spec: &str| -> String {
        let pods = (0..4).map(|number| pod(&format!("web-{number}"), &format!("n{number}"), requests, spec));
        (0..4).map(|number| large(&format!("n{number}"))).chain(pods).collect()
    };
    let (least, nodes) = bound_of(&on_each("cpu: 100m", APART));
    assert!(nodes == 4 && is_near(least, 0.4), "{least} for {nodes}");
    // On a small node one finds room, on a large one six: 0.038 for a node and 0.062 for each pod.
    let (least, nodes) = bound_of(&on_each("cpu: 1200m", ""));
    assert!(nodes == 1 && is_near(least, 0.038 + 4.0 * 0.062), "{least} for {nodes}");
    // None on a small node, one on a large one.
    let (least, _) = bound_of(&on_each("cpu: 4100m", ""));
    assert!(is_near(least, 4.0 * 0.41), "{least}");
}

#[test]
fn what_runs_against_the_rules_may_stay_as_it_is() {
    // Two on one host that keep apart, and a node that is too full.
    let together: String = (0..2).map(|number| pod(&format!("web-{number}"), "n", "cpu: 100m", APART)).collect();
    let (least, nodes) = bound_of(&(large("n") + &together));
    assert!(nodes == 1 && is_near(least, 0.1), "{least} for {nodes}");
    let full: String = (0..3).map(|number| pod(&format!("web-{number}"), "n", "cpu: 6", "")).collect();
    let (least, _) = bound_of(&(large("n") + &full));
    assert!(least <= 0.41, "{least}");
}

#[test]
fn free_room_that_costs_nothing_counts_where_some_pod_may_take_it() {
    let control_plane =
        node("cp", "node.kubernetes.io/instance-type: large, node-role.kubernetes.io/control-plane: ''", "");
    // It stays whatever becomes of the others, and nobody knows what it costs.
    let undisturbed = |more: &str| {
        let node = node("own", "node.kubernetes.io/instance-type: own", more);
        node.replacen("labels: {", "annotations: {karpenter.sh/do-not-disrupt: 'true'}, labels: {", 1)
    };
    let pods: String =
        (0..2).map(|number| pod(&format!("web-{number}"), &format!("n{number}"), "cpu: 2", APART)).collect();
    let nodes = large("n0") + &large("n1") + &pods;
    let tainted = "taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]";
    let (least, _) = bound_of(&(nodes.clone() + &undisturbed(tainted)));
    assert!(is_near(least, 0.2), "{least}");
    let (least, _) = bound_of(&(nodes.clone() + &undisturbed("")));
    assert!(is_near(least, 0.1), "{least}");
    // No removal sends a pod to the control plane.
    let (least, _) = bound_of(&(nodes.clone() + &control_plane));
    assert!(is_near(least, 0.2), "{least}");
    // All of it has room there.
    let one = large("n0") + &pod("web", "n0", "cpu: 2", "");
    assert_eq!(bound_of(&(one + &undisturbed(""))), (0.0, 0));
}

/// Three keep apart, and one of two nodes that cost nothing has room for one: two more are needed for them, and none for what they
/// request.
#[test]
fn what_keeps_pods_apart_is_counted_where_it_has_its_price() {
    let free = |name: &str, memory: &str| {
        let labels = "node.kubernetes.io/instance-type: own";
        let undisturbed = ", annotations: {karpenter.sh/do-not-disrupt: 'true'}";
        node_with(name, &format!("cpu: 8, memory: {memory}, pods: 20"), labels, undisturbed, "")
    };
    let on_each = |number: u32| {
        let (name, node) = (format!("web-{number}"), format!("n{number}"));
        large(&node) + &pod(&name, &node, "memory: 6Gi", APART)
    };
    let (least, nodes) =
        bound_of(&((0..3).map(on_each).collect::<String>() + &free("u0", "17Gi") + &free("u1", "1Gi")));
    assert!(is_near(least, 0.82) && nodes == 0, "{least} for {nodes} nodes");
}

/// Nobody knows the namespaces that the terms speak of, so that the pods may keep nobody apart.
#[test]
fn pods_that_may_keep_apart_count_only_where_their_namespaces_are_known() {
    let text = PODS.replace("{topologyKey:", "{namespaceSelector: {matchLabels: {env: p}}, topologyKey:");
    let namespace = |labels: &str| {
        format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: default, labels: {{{labels}}}}}\n")
    };
    for (more, fewest) in [(String::new(), 1), (namespace("env: p"), 4), (namespace("env: q"), 1)] {
        let (snapshot, options) = (manifests::snapshot(&(text.clone() + &more)), Options::default());
        let plan = plan(&snapshot, &priced(), &options);
        let wrong = check_plan(&snapshot, &priced(), &options, &plan);
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(plan.bound.as_ref().unwrap().certificate.fewest_nodes, fewest, "{more}");
    }
}

#[test]
fn a_node_without_a_price_that_awaits_pods_may_go_only_by_size() {
    let sized = |name: &str, kind: &str, cpu: u32| {
        let labels =
            format!("kubernetes.io/arch: amd64, kubernetes.io/os: linux, node.kubernetes.io/instance-type: {kind}");
        node_with(name, &format!("cpu: {cpu}, memory: 8Gi, pods: 20"), &labels, "", "")
    };
    let pending = |(number, cpu): (usize, &str)| {
        let pod = pod(&format!("web-{number}"), "", &format!("cpu: {cpu}"), "");
        pod.replace("nodeName: , ", "").replace("Running", "Pending")
    };
    let pods: String = ["1100m", "300m", "1100m", "1100m"].into_iter().enumerate().map(pending).collect();
    let text = sized("k", "small", 2) + &sized("u0", "own", 2) + &sized("u1", "own", 4) + &pods;
    let decided = fleet(&text, &priced(), &Options::default());
    assert_eq!(
        (decided.objective, decided.removals.as_slice()),
        (Objective::Size, ["k", "u0"].map(str::to_owned).as_slice())
    );
}

#[test]
fn where_a_price_is_unknown_nodes_count_by_their_size() {
    let unknown = |name: &str| node(name, "node.kubernetes.io/instance-type: own", "");
    let pods: String =
        (0..3).map(|number| pod(&format!("web-{number}"), &format!("n{number}"), "cpu: 5", "")).collect();
    let text = unknown("n0") + &large("n1") + &large("n2") + &unknown("n3") + &pods;
    let decided = fleet(&text, &priced(), &Options::default());
    // 8 cores and 17 GiB.
    assert_eq!((decided.objective, decided.sizes()), (Objective::Size, (49.0, 36.75)));
    assert_eq!((decided.fewest_nodes(), decided.removals.len()), (Some(3), 1));
    assert!(decided.gap().unwrap() < 1e-6 && is_near(decided.bound.unwrap().least, 36.75));
    // A node that stays for another reason and has no price is left out, and its room with it.
    let text = text.replacen(
        "labels: {kubernetes.io/hostname: n0",
        "annotations: {karpenter.sh/do-not-disrupt: 'true'}, labels: {x: y",
        1,
    );
    let text = text.replacen(
        "labels: {kubernetes.io/hostname: n3",
        "annotations: {karpenter.sh/do-not-disrupt: 'true'}, labels: {x: y",
        1,
    );
    let decided = fleet(&text, &priced(), &Options::default());
    assert_eq!((decided.objective, decided.fewest_nodes()), (Objective::Price, None));
    assert!(is_near(decided.bound.unwrap().least, 0.41));
}

#[test]
fn the_labels_of_a_pool_count_where_daemon_sets_select_by_them() {
    let daemon = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec: {selector: {matchLabels: {app: d}}, template: \
                  {metadata: {labels: {app: d}}, spec: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
                  {nodeSelectorTerms: [{matchExpressions: [{key: team, operator: DoesNotExist}]}]}}}, \
                  containers: [{name: c, resources: {requests: {cpu: 1500m}}}]}}}\n";
    let of_team = node("n", "node.kubernetes.io/instance-type: large, team: a, tier: x", "");
    let (least, _) =
        bound_of(&(of_team + &pod("web", "n", "cpu: 600m", "nodeSelector: {team: a, tier: x}, ") + daemon));
    assert!(is_near(least, 0.1), "{least}");
    // Beside the daemon pod a small node has no room for the pod. The large one that is there has none, and room for 13.
    let (least, _) = bound_of(&(large("n") + &pod("web", "n", "cpu: 600m", "") + daemon));
    assert!(is_near(least, 0.1 + 0.31 / 13.0), "{least}");
}

#[test]
fn a_cheap_node_that_is_there_once_counts_once() {
    // Ten cores: eight on the spot node for 0.1, and two for what they cost at least elsewhere.
    let catalog = CATALOG.replace("{on-demand: 0.41}", "{on-demand: 0.41, spot: 0.1}");
    let catalog = catalog::parse("test", &catalog).unwrap();
    let spot = node("n0", "node.kubernetes.io/instance-type: large, karpenter.sh/capacity-type: spot", "");
    let pods = (0..20).map(|number| pod(&format!("web-{number}"), &format!("n{}", number % 2), "cpu: 500m", ""));
    let text = spot + &large("n1") + &pods.collect::<String>();
    let mut decided = fleet(&text, &catalog, &Options::default());
    let bound = decided.bound.as_mut().unwrap();
    assert!(is_near(bound.least, 0.1 + 0.1), "{}", bound.least);
    // What the spot node offers beyond its price is taken from what the pods are worth.
    bound.least += 0.001;
    let snapshot = manifests::snapshot(&text);
    let found = check_lower_bound(&snapshot, (&catalog, &Options::default()), &decided);
    assert!(found.iter().any(|complaint| complaint.problem.contains("its prices make 0.1")), "{found:?}");
}

/// What the judge says once the bound of a fleet is spoilt.
fn is_noticed_of_fleet(what: &str, spoil: impl FnOnce(&mut FleetBound)) {
    let daemon = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: d}\nspec: {selector: {matchLabels: {app: d}}, template: \
                  {metadata: {labels: {app: d}}, spec: {containers: [{name: c, resources: {requests: {cpu: 100m}}}]}}}\n";
    let pods =
        (0..4).map(|number| pod(&format!("web-{number}"), &format!("n{number}"), "cpu: 1500m, memory: 1Gi", APART));
    let text: String = (0..4).map(|number| large(&format!("n{number}"))).chain(pods).collect();
    let text = text + daemon;
    let mut decided = fleet(&text, &priced(), &Options::default());
    spoil(decided.bound.as_mut().unwrap());
    let snapshot = manifests::snapshot(&text);
    let found = check_lower_bound(&snapshot, (&priced(), &Options::default()), &decided);
    assert!(found.iter().any(|complaint| complaint.to_string().contains(what)), "{what}: {found:?}");
}

#[test]
fn a_spoilt_bound_of_a_fleet_is_noticed() {
    is_noticed_of_fleet("its prices make", |bound| bound.least *= 1.01);
    is_noticed_of_fleet("new nodes make it", |bound| bound.least = 0.5);
    is_noticed_of_fleet("the removals make it", |bound| bound.least = 2.0);
    is_noticed_of_fleet("small offers", |bound| bound.certificate.per_node += 0.01);
    is_noticed_of_fleet("small offers", |bound| bound.certificate.per_resource = [("cpu".to_owned(), 0.053)].into());
    is_noticed_of_fleet("leaves out small", |bound| bound.certificate.node_types = ["large".to_owned()].into());
    is_noticed_of_fleet("5 nodes are needed; 4 are", |bound| bound.certificate.fewest_nodes = 5);
    is_noticed_of_fleet("nodes are needed; 1 are", |bound| bound.certificate.apart_like = None);
    is_noticed_of_fleet("has the price -1", |bound| bound.certificate.per_node = -1.0);
}
