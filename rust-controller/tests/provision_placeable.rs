//! Pods that can be placed are placed, whatever other pods that wait would rather have.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use std::time::Duration;

use mini_karpenter::check::check_plan;
use mini_karpenter::model::Catalog;
use mini_karpenter::provision::{Options, Plan, TypeFilter, Unplaceable, Verdict, plan, plan_within_budget};
use mini_karpenter::{catalog, lower};

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 20}, zones: [a, b, c], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 16Gi, pods: 40}, zones: [a, b, c], pricePerHour: {on-demand: 0.38}}
";

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

fn pod(name: &str, app: &str, cpu: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\nspec: {{{spec} containers: [{{name: c, resources: \
         {{requests: {{cpu: {cpu}, memory: 1Gi}}}}}}]}}\n"
    )
}

fn rule(kind: &str, topology: &str, selector: &str) -> String {
    format!(
        "affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: {topology}, labelSelector: \
         {{{selector}}}}}]}}}},"
    )
}

fn near(topology: &str, app: &str) -> String {
    rule("podAffinity", topology, &format!("matchLabels: {{app: {app}}}"))
}

fn apart(topology: &str, app: &str) -> String {
    rule("podAntiAffinity", topology, &format!("matchLabels: {{app: {app}}}"))
}

fn in_zone(zone: &str) -> String {
    format!("nodeSelector: {{{ZONE}: {zone}}},")
}

/// A pod of half a core with a volume that is in one zone.
fn with_volume(name: &str, app: &str, zone: &str, spec: &str) -> String {
    let volume = format!(
        "---
kind: PersistentVolume
apiVersion: v1
metadata: {{name: pv-{name}}}
spec:
  claimRef: {{name: data-{name}, namespace: default}}
  capacity: {{storage: 1Gi}}
  csi: {{driver: d, volumeHandle: {name}}}
  nodeAffinity: {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: {ZONE}, operator: In, values: [{zone}]}}]}}]}}}}
---
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {{name: data-{name}, namespace: default, annotations: {{pv.kubernetes.io/bind-completed: 'yes'}}}}
spec: {{volumeName: pv-{name}, resources: {{requests: {{storage: 1Gi}}}}}}
status: {{phase: Bound}}
"
    );
    let mounted = format!("{spec} volumes: [{{name: d, persistentVolumeClaim: {{claimName: data-{name}}}}}],");
    volume + &pod(name, app, "500m", &mounted)
}

/// Spread with a skew of 1.
fn spread(topology: &str, app: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{topologyKey: {topology}, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, labelSelector: \
         {{matchLabels: {{app: {app}}}}}}}],"
    )
}

fn types() -> Catalog {
    catalog::parse("test", TYPES).unwrap()
}

/// Plans that the judge has nothing against, with and without time to look for better ones, whatever the order of the pods.
fn plans(manifest: &str) -> Vec<Plan> {
    plans_from(&types(), &Options::default(), manifest)
}

/// The same, from other types.
fn plans_from(types: &Catalog, options: &Options, manifest: &str) -> Vec<Plan> {
    let mut backwards: Vec<&str> = manifest.split("---\n").collect();
    backwards.reverse();
    let hasty = Options { budget: Duration::ZERO, ..options.clone() };
    let mut plans = Vec::new();
    for text in [manifest, &backwards.join("---\n")] {
        let snapshot = lower::parse_manifest(text).unwrap().into_snapshot();
        for plan in [plan(&snapshot, types, options), plan_within_budget(&snapshot, types, &hasty)] {
            let wrong = check_plan(&snapshot, types, options, &plan);
            assert_eq!(wrong.iter().map(ToString::to_string).collect::<Vec<String>>(), Vec::<String>::new());
            plans.push(plan);
        }
    }
    assert_eq!(plans[0], plans[2], "the order of the pods matters");
    plans
}

/// The plan with the types of another catalog.
fn plan_with(types: &str, manifest: &str) -> Plan {
    let snapshot = lower::parse_manifest(manifest).unwrap().into_snapshot();
    let (types, options) = (catalog::parse("test", types).unwrap(), Options::default());
    let plan = plan(&snapshot, &types, &options);
    assert_eq!(check_plan(&snapshot, &types, &options, &plan), []);
    plan
}

/// Names of the pods that get no node.
fn left_out(plan: &Plan) -> Vec<&str> {
    let left_out = plan.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Unplaceable(_)));
    left_out.map(|planned| planned.pod.name.name.as_str()).collect()
}

fn all_get_nodes(manifest: &str) {
    for plan in plans(manifest) {
        assert_eq!(left_out(&plan), Vec::<&str>::new(), "{:#?}", plan.nodes);
    }
}

#[test]
fn a_free_pod_goes_to_the_zone_of_the_pod_that_must_be_near_it() {
    for priority in [0, 1000] {
        let spec = format!("{} {} priority: {priority},", near(ZONE, "l"), in_zone("b"));
        all_get_nodes(&(pod("l", "l", "1", "") + &pod("f", "f", "1", &spec)));
    }
}

#[test]
fn pods_that_must_be_together_go_to_the_zone_where_all_of_them_may_be() {
    let together = near(ZONE, "g");
    let members: String = (0..3).map(|number| pod(&format!("g{number}"), "g", "1", &together)).collect();
    all_get_nodes(&(members + &with_volume("pinned", "g", "c", &together)));
}

#[test]
fn a_free_pod_leaves_the_zone_to_a_pinned_one_that_keeps_off_it() {
    for zone in ["a", "b", "c"] {
        for priority in [0, 1000] {
            let free = pod("a", "a", "2", &format!("priority: {priority},"));
            all_get_nodes(&(free + &pod("b", "b", "1", &(apart(ZONE, "a") + &in_zone(zone)))));
        }
    }
}

#[test]
fn replicas_apart_by_zone_leave_the_zone_of_a_pinned_one() {
    let free = pod("x0", "x", "2", &apart(ZONE, "x")) + &pod("x1", "x", "2", &apart(ZONE, "x"));
    for zone in ["a", "b", "c"] {
        all_get_nodes(&(free.clone() + &pod("pinned", "x", "1", &(apart(ZONE, "x") + &in_zone(zone)))));
    }
}

#[test]
fn a_pod_shares_a_host_that_has_the_labels_of_the_pod_that_must_be_beside_it() {
    let spec = format!("{} nodeSelector: {{team: x}},", near(HOST, "l"));
    all_get_nodes(&(pod("l", "l", "1", "") + &pod("f", "f", "1", &spec)));
    let spec = near(HOST, "l") + &in_zone("c");
    all_get_nodes(&(pod("l", "l", "1", "") + &pod("f", "f", "1", &spec)));
}

#[test]
fn a_daemon_pod_that_a_pod_must_be_beside_comes_with_its_node() {
    let daemon = "kind: Pod
apiVersion: v1
metadata: {name: agent-x, labels: {app: agent}, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}]}
spec: {nodeName: gone, containers: [{name: c, resources: {requests: {cpu: 50m}}}]}
status: {phase: Running}
";
    let affinity = |apart: &str| {
        format!(
            "affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: {HOST}, labelSelector: \
             {{matchLabels: {{app: agent}}}}}}]}}{apart}}},"
        )
    };
    // By a rule that areas decide as well, no batch of nodes has a place for it.
    let apart = ", podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: team, labelSelector: \
                 {matchLabels: {app: q}}}]}";
    for spec in [affinity(""), affinity(apart)] {
        all_get_nodes(&(daemon.to_owned() + &pod("p", "p", "500m", &spec) + &pod("q", "q", "500m", "")));
    }
}

#[test]
fn hosts_that_are_never_empty_are_no_better_than_the_one_that_is_there() {
    // A daemon pod is among those that are counted, on every new node.
    let daemon = "apiVersion: v1
kind: Pod
metadata: {name: agent-x, labels: {app: a}, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}]}
spec: {nodeName: gone, containers: [{name: c, resources: {requests: {cpu: 50m}}}]}
status: {phase: Running}
";
    all_get_nodes(&(daemon.to_owned() + &pod("p", "a", "500m", &spread(HOST, "a"))));
    all_get_nodes(&(daemon.to_owned() + &pod("p", "a", "500m", &spread(HOST, "a")) + &pod("q", "q", "500m", "")));
    // All must be on one host, and would be spread over another if there were one.
    let together = near(HOST, "t") + &spread(HOST, "t");
    all_get_nodes(&(0..3).map(|number| pod(&format!("t{number}"), "t", "500m", &together)).collect::<String>());
}

#[test]
fn a_pod_that_keeps_all_others_off_its_host_leads_nobody() {
    let alone = rule("podAntiAffinity", HOST, "") + " priority: 100,";
    let pods = pod("alone", "l", "500m", &alone) + &pod("leader", "l", "1", "") + &pod("f", "f", "1", &near(HOST, "l"));
    all_get_nodes(&pods);
}

#[test]
fn an_existing_node_is_left_empty_where_a_pod_on_it_would_keep_another_away() {
    let node = "apiVersion: v1
kind: Node
metadata: {name: n, labels: {kubernetes.io/hostname: n, kubernetes.io/arch: amd64, kubernetes.io/os: linux, topology.kubernetes.io/zone: a}}
status: {allocatable: {cpu: 2, memory: 4Gi, pods: 20}, conditions: [{type: Ready, status: 'True'}]}
";
    let high = format!("{} {} priority: 1000,", apart(ZONE, "l"), in_zone("a"));
    all_get_nodes(&(node.to_owned() + &pod("low", "l", "1", "") + &pod("high", "h", "4", &high)));
}

#[test]
fn of_pods_that_cannot_all_be_placed_those_of_the_highest_priority_are() {
    let replica =
        |number: usize| pod(&format!("x{number}"), "x", "1", &format!("{} priority: {number},", apart(ZONE, "x")));
    let pods: String = (0..5).map(replica).collect();
    for plan in plans(&pods) {
        assert_eq!(left_out(&plan), ["x0", "x1"]);
    }
    // A pinned one of lower priority gives way, too.
    let pinned = pod("y", "x", "1", &(apart(ZONE, "x") + &in_zone("a")));
    for plan in plans(&((1..4).map(replica).collect::<String>() + &pinned)) {
        assert_eq!(left_out(&plan), ["y"]);
    }
}

#[test]
fn pods_that_differ_in_size_and_must_share_a_host_share_one_that_is_large_enough() {
    let group = |app: &str, sizes: &[&str]| -> String {
        let member = |(at, size): (usize, &&str)| pod(&format!("{app}-{at}"), app, size, &near(HOST, app));
        sizes.iter().enumerate().map(member).collect()
    };
    all_get_nodes(&group("a", &["1", "1", "500m"]));
    all_get_nodes(&group("a", &["1", "1", "1", "1", "1"]));
    all_get_nodes(&(group("a", &["1", "500m", "1", "250m"]) + &group("b", &["1500m", "1500m", "100m"])));
}

#[test]
fn a_zone_without_any_node_keeps_no_pod_with_a_volume_waiting() {
    let in_zone = |zone: &str, pods: usize| -> String {
        let name = |at: usize| format!("db-{zone}-{at}");
        (0..pods).map(|at| with_volume(&name(at), "db", zone, &spread(ZONE, "db"))).collect()
    };
    let free: String = (0..6).map(|at| pod(&format!("free-{at}"), "free", "500m", "")).collect();
    // The others need zones as well, but may be where the volumes are, or must be in one more.
    all_get_nodes(&(in_zone("c", 3) + &free));
    all_get_nodes(&(in_zone("b", 3) + &in_zone("c", 4) + &free));
    all_get_nodes(
        &(in_zone("b", 1) + &free + &pod("pinned", "x", "500m", "nodeSelector: {topology.kubernetes.io/zone: a},")),
    );
    // Twelve in two zones need as many cores in each.
    for plan in plans(&(in_zone("a", 12) + &in_zone("b", 12))) {
        assert_eq!(
            (left_out(&plan), plan.cost_per_hour().map(|cost| cost.to_string())),
            (Vec::new(), Some("0.60".to_owned()))
        );
    }
}

#[test]
fn a_pod_for_which_those_that_it_must_be_beside_leave_no_room_is_told_so() {
    // The largest node holds three of the first and the second takes nothing from it.
    let beside_own = near(HOST, "a");
    let group: String = (0..4).map(|at| pod(&format!("a{at}"), "a", "2500m", &beside_own)).collect();
    // All that the full node could be is full already.
    let full = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {kubernetes.io/hostname: n, kubernetes.io/arch: amd64, \
                kubernetes.io/os: linux}}\nstatus: {capacity: {cpu: 2, memory: 4Gi, pods: 9}, allocatable: {cpu: 2, memory: 4Gi, \
                pods: 9}, conditions: [{type: Ready, status: 'True'}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: r, labels: \
                {app: a}}\nspec: {nodeName: n, containers: [{name: c, resources: {requests: {cpu: 2, memory: 1Gi}}}]}\nstatus: \
                {phase: Running}\n";
    for (manifest, crowded) in [
        (group, vec!["a3"]),
        (full.to_owned() + &pod("b0", "b", "1", "") + &pod("p", "a", "1", &beside_own), vec!["p"]),
    ] {
        for plan in plans(&manifest) {
            assert_eq!(left_out(&plan), crowded, "{:#?}", plan.nodes);
            let is_crowded = |verdict: &Verdict| matches!(verdict, Verdict::Unplaceable(why) if matches!(**why, Unplaceable::Crowded(_)));
            assert_eq!(plan.count(is_crowded), 1, "{:#?}", plan.pods);
        }
    }
}

#[test]
fn a_pod_takes_room_that_pods_with_more_labels_leave() {
    let in_team = |at: usize| pod(&format!("t{at:02}"), "t", "500m", &format!("nodeSelector: {{team: t{at}}},"));
    let teams: String = (0..80).map(in_team).collect();
    let plain: String = (0..80).map(|at| pod(&format!("p{at:02}"), "p", "500m", "")).collect();
    for plan in plans(&(teams + &plain)) {
        assert_eq!(left_out(&plan), Vec::<&str>::new());
        // A node for each team has room for a pod more.
        assert_eq!(plan.nodes.len(), 80);
        assert_eq!(plan.cost_per_hour().unwrap().to_string(), "8.00");
        assert!(plan.pools.values().all(|pool| pool.labels.contains_key("team")));
    }
}

#[test]
fn pods_that_share_a_host_as_one_group_get_hosts_one_by_one_where_they_would_be_left_out() {
    let types = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: medium, arch: amd64, allocatable: {cpu: 4, memory: 14Gi, pods: 30}, zones: [a, b], pricePerHour: {on-demand: 0.2}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 29Gi, pods: 30}, zones: [a, b], pricePerHour: {on-demand: 0.39}}
";
    let pod = |name: &str, app: &str, requests: &str, spec: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}, all: y}}}}\nspec: {{{spec} containers: \
             [{{name: c, resources: {{requests: {{{requests}}}}}}}]}}\n"
        )
    };
    // Any pod is company for the first six, and all ten are too many for one node.
    let beside = rule("podAffinity", HOST, "matchLabels: {all: y}");
    let group = (0..6).map(|at| pod(&format!("p{at}"), "p", "cpu: 1, memory: 4Gi", &beside));
    let ordinary = (0..3).map(|at| pod(&format!("q{at}"), "q", "cpu: 100m, memory: 4Gi", ""));
    let alone = pod("z", "z", "cpu: 300m, memory: 2Gi", &apart(ZONE, "z"));
    let manifest: String = group.chain(ordinary).chain([alone]).collect();
    assert_eq!(left_out(&plan_with(types, &manifest)), Vec::<&str>::new());
}

#[test]
fn no_zone_opens_for_a_pod_where_others_are_spread_over_fewer() {
    let types = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 20}, zones: [a, b, c], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 4, memory: 16Gi, pods: 40}, zones: [a, b], pricePerHour: {on-demand: 0.2}}
";
    // Six find places over two zones, as there are no large nodes in the third; with a node there only two would.
    let large: String = (0..6).map(|at| pod(&format!("l{at}"), "l", "3", &spread(ZONE, "l"))).collect();
    let each_a_zone: String = (0..3).map(|at| pod(&format!("z{at}"), "z", "100m", &apart(ZONE, "z"))).collect();
    assert_eq!(left_out(&plan_with(types, &(large + &each_a_zone))), ["z2"]);
}

#[test]
fn daemon_pods_that_a_spread_counts_leave_a_pod_its_first_zone_and_its_first_host() {
    let agents = "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {selector: {}, template: {metadata: {labels: \
                  {app: shop}}, spec: {containers: [{name: c, resources: {requests: {cpu: 100m}}}]}}}\n";
    for topology in [ZONE, HOST] {
        let web = pod("web", "shop", "100m", &spread(topology, "shop"));
        for plan in plans(&(agents.to_owned() + &web)) {
            assert_eq!((left_out(&plan), plan.nodes.len()), (vec![], 1), "{topology}");
        }
    }
    // Another host would be empty but for its agent, and there could not be one more on the first.
    let web = pod("web", "shop", "100m", &spread(HOST, "shop"));
    let beside = pod("beside", "b", "7950m", &near(ZONE, "shop"));
    for plan in plans(&(agents.to_owned() + &web + &beside)) {
        assert_eq!(left_out(&plan), ["beside"], "{:#?}", plan.pods);
    }
}

/// Of types one of which has the label, whether it may be bought or not: the others come without.
#[test]
fn a_label_that_a_type_has_is_given_by_no_pool() {
    let labelled = catalog::parse("test", &TYPES.replace("name: large,", "name: large, labels: {gpu: a100},")).unwrap();
    let asking = |name: &str, gpu: &str| pod(name, name, "1", &format!("nodeSelector: {{gpu: {gpu}}},"));
    let all = asking("a", "a100") + &asking("h", "h100") + &pod("plain", "plain", "1", "");
    let without_large = Options { exclude_types: TypeFilter::new("large").unwrap(), ..Options::default() };
    for (options, expected) in [(Options::default(), vec!["h"]), (without_large, vec!["a", "h"])] {
        for plan in plans_from(&labelled, &options, &all) {
            assert_eq!(left_out(&plan), expected);
        }
    }
}

/// Required node affinity with these alternatives.
fn any_of(terms: &[&str]) -> String {
    let terms: Vec<String> = terms.iter().map(|term| format!("{{matchExpressions: [{term}]}}")).collect();
    format!(
        "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{}]}}}}}},",
        terms.join(", ")
    )
}

/// A node is what one alternative asks for, with its labels and no others.
#[test]
fn the_labels_of_one_alternative_come_with_no_other() {
    let small = "{key: node.kubernetes.io/instance-type, operator: In, values: [small]}";
    let missing = "{key: node.kubernetes.io/instance-type, operator: In, values: [none]}";
    let team = "{key: team, operator: In, values: [y]}";
    let spread_over_teams = |alternatives: &[&str]| pod("e", "e", "1", &(spread("team", "e") + &any_of(alternatives)));
    for plan in plans(&spread_over_teams(&[small, &format!("{team}, {missing}")])) {
        assert_eq!(left_out(&plan), ["e"], "no node of a team would be what it asks for");
    }
    all_get_nodes(&spread_over_teams(&[small, team]));
}

/// A node that is there, without a zone.
fn node(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{{HOST}: {name}}}}}\nstatus: {{allocatable: {{cpu: 10, memory: \
         32Gi, pods: 9}}}}\n"
    )
}

/// What nobody could read may keep a pod off every node that is there: it waits for one, and the scheduler has refused them.
#[test]
fn a_pod_that_may_be_kept_away_waits_beside_a_node_that_looks_free() {
    let of_namespaces =
        apart(HOST, "x").replace("labelSelector", "namespaceSelector: {matchLabels: {env: p}}, labelSelector");
    // The other pod waits for its node, too, or has it.
    for of_other in ["", "nodeName: n2,"] {
        let other = pod("other", "other", "1", &(of_namespaces.clone() + of_other));
        let all = node("n1") + &node("n2") + &other + &pod("x", "x", "9", "");
        for plan in plans(&all) {
            assert!(left_out(&plan).contains(&"x"), "{:?}", left_out(&plan));
        }
        let namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n";
        all_get_nodes(&(all + namespace));
    }
}

#[test]
fn a_pod_whose_only_place_others_take_is_told_so() {
    let all = node("n1") + &pod("a", "a", "9", "priority: 1,") + &pod("b", "b", "9", "") + &pod("c", "c", "11", "");
    for plan in plans(&all) {
        let why = |name: &str| match &plan.pods.iter().find(|planned| planned.pod.name.name == name).unwrap().verdict {
            Verdict::Unplaceable(why) => Some((**why).clone()),
            _ => None,
        };
        assert!(why("a").is_none());
        assert!(matches!(why("b"), Some(Unplaceable::Outrun(_))), "{:?}", why("b"));
        assert!(matches!(why("c"), Some(Unplaceable::NoType(_))), "{:?}", why("c"));
    }
}

/// The daemon pod of the first new node would not keep the volume from a pod for which there is no room there.
#[test]
fn a_pod_gets_a_node_though_a_daemon_pod_shares_the_volume_that_is_made_for_it() {
    let volume = "volumes: [{name: v, persistentVolumeClaim: {claimName: s}}],";
    let all = "
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: disk.csi, volumeBindingMode: WaitForFirstConsumer}
---
{apiVersion: v1, kind: PersistentVolumeList, items: []}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: s},
 spec: {storageClassName: fast, accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d},
 spec: {selector: {matchLabels: {a: d}}, template: {metadata: {labels: {a: d}}, spec: {VOLUME containers: [{name: c}]}}}}
"
    .replace("VOLUME", volume);
    let small = TYPES.lines().filter(|line| !line.contains("large")).collect::<Vec<_>>().join("\n");
    let plan = plan_with(&small, &(all + &pod("large", "l", "1900m", "") + &pod("web", "w", "1", volume)));
    assert_eq!(left_out(&plan), Vec::<&str>::new(), "{:#?}", plan.nodes);
}
