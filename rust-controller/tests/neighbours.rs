//! Plans and consolidations of small clusters in which pods ask for something of what is around them, one scene for each
//! thing that is easily got wrong.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::PathBuf;

use program::{Outcome, run};
use serde_json::Value;

/// Two sizes in each of these zones.
fn catalog(zones: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("neighbours");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("catalog-{zones}.yaml"));
    let of = |name: &str, cpu: u32, price: &str| {
        format!(
            "- {{name: {name}, arch: amd64, allocatable: {{cpu: {cpu}, memory: {cpu}Gi, pods: 50}}, zones: [{zones}], \
             pricePerHour: {{on-demand: {price}}}}}\n"
        )
    };
    let class = "version: 1\nnodeClassRef: {group: g.example.com, kind: Class, name: default}\ntypes:\n";
    // Tests run side by side: whoever comes last writes the same again.
    let unfinished = path.with_extension(std::thread::current().name().unwrap_or("main"));
    fs::write(&unfinished, class.to_owned() + &of("small", 2, "0.1") + &of("big", 8, "0.4")).unwrap();
    fs::rename(unfinished, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn node(name: &str, zone: &str, cpu: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, \
         topology.kubernetes.io/zone: {zone}}}}}\nstatus: {{allocatable: {{cpu: {cpu}, memory: 32Gi, pods: 50}}}}\n"
    )
}

/// A pod of a workload of its own; `spec` are more fields of its spec.
fn pod(name: &str, cpu: &str, spec: &str) -> String {
    owned(name, "ReplicaSet", cpu, spec, "Pending")
}

fn running(name: &str, node: &str, cpu: &str, spec: &str) -> String {
    owned(name, "ReplicaSet", cpu, &format!("nodeName: {node}, {spec}"), "Running")
}

fn owned(name: &str, kind: &str, cpu: &str, spec: &str, phase: &str) -> String {
    let app = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: \
         {kind}, name: {app}, uid: u, controller: true}}]}}\nspec: {{{spec} containers: [{{name: c, resources: {{requests: \
         {{cpu: {cpu}}}}}}}]}}\nstatus: {{phase: {phase}}}\n"
    )
}

fn spread(app: &str, key: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {key}, whenUnsatisfiable: DoNotSchedule, \
         nodeAffinityPolicy: Ignore, labelSelector: {{matchLabels: {{app: {app}}}}}}}],"
    )
}

fn terms(kind: &str, app: &str, key: &str) -> String {
    let term = format!("{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
    format!("affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{term}]}}}},")
}

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

fn in_zone(zone: &str) -> String {
    format!("nodeSelector: {{{ZONE}: {zone}}},")
}

fn plan(zones: &str, objects: &[String]) -> Value {
    document(&run(&["plan", "-o", "json", "-f", "-", "--catalog", &catalog(zones)], &[], &objects.concat()))
}

fn consolidate(objects: &[String]) -> Value {
    document(&run(&["consolidate", "-o", "json", "-f", "-"], &[], &objects.concat()))
}

fn explain(name: &str, objects: &[String]) -> String {
    run(&["explain", name, "-f", "-", "--catalog", &catalog("a")], &[], &objects.concat()).stdout
}

fn document(outcome: &Outcome) -> Value {
    assert!(matches!(outcome.status, Some(0 | 3)) && !outcome.stderr.contains("bug"), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

/// How many pods have each verdict, and the zones of the new nodes.
fn summary(plan: &Value) -> (Vec<(&str, u64)>, Vec<&str>) {
    let totals = ["planned", "fitsExisting", "unplaceable"].map(|verdict| (verdict, &plan["totals"][verdict]));
    let totals = totals.into_iter().filter_map(|(verdict, count)| Some((verdict, count.as_u64()?)));
    let zones = plan["nodes"].as_array().unwrap().iter().map(|node| node["zone"].as_str().unwrap());
    (totals.filter(|(_, count)| *count > 0).collect(), zones.collect())
}

fn removals(consolidation: &Value) -> Vec<&str> {
    let removals = consolidation["removals"].as_array().unwrap();
    removals.iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn pods_that_spread_wait_for_those_that_may_not_be_outnumbered() {
    let spread = spread("web", ZONE);
    let large = (1..4).map(|number| pod(&format!("web{number}"), "1", &(in_zone("a") + &spread)));
    let small = (4..7).map(|number| pod(&format!("web{number}"), "500m", &(in_zone("b") + &spread)));
    let pods: Vec<String> = large.chain(small).collect();
    let on_new = plan("a, b", &pods);
    let (totals, mut zones) = summary(&on_new);
    zones.sort_unstable();
    assert_eq!((totals, zones), (vec![("planned", 6)], vec!["a", "a", "b"]));
    let nodes = [node("n1", "a", "16"), node("n2", "b", "16")];
    let on_existing = plan("a, b", &[&nodes[..], &pods].concat());
    assert_eq!(summary(&on_existing), (vec![("fitsExisting", 6)], vec![]));
}

#[test]
fn zones_that_no_node_comes_to_do_not_count() {
    let mut objects = vec![node("n1", "a", "1"), node("n2", "b", "1")];
    objects.extend([running("web1", "n1", "1", ""), running("web2", "n2", "1", "")]);
    objects.push(pod("web9", "1", &(in_zone("a") + &spread("web", ZONE))));
    assert_eq!(summary(&plan("a, b, c", &objects)), (vec![("planned", 1)], vec!["a"]));
}

#[test]
fn a_pod_that_must_run_near_another_joins_it_on_a_node_of_any_kind() {
    let db = pod("db", "1500m", "priority: 10,");
    let near = pod("near", "100m", &terms("podAffinity", "db", HOST));
    let plan = plan("a", &[db, near]);
    assert_eq!(plan["nodes"][0]["pods"].as_array().map(Vec::len), Some(2), "{plan:#}");
    assert_eq!(summary(&plan).0, [("planned", 2)]);
}

#[test]
fn a_daemon_set_is_all_of_its_pods_whatever_became_of_them() {
    let nodes = [node("n1", "a", "1"), node("n2", "a", "1")];
    let daemons = [("agent1", "n1", "1", "Failed"), ("agent2", "n2", "1", "Running")]
        .map(|(name, node, cpu, phase)| owned(name, "DaemonSet", cpu, &format!("nodeName: {node},"), phase));
    let plan = plan("a", &[&nodes[..], &daemons, &[pod("p", "1800m", "")]].concat());
    assert_eq!(plan["nodes"][0]["instanceType"], "big", "{plan:#}");
}

#[test]
fn a_node_that_its_daemon_pods_close_is_counted_under_their_rule() {
    let keeper = terms("podAntiAffinity", "web", HOST);
    let daemon = owned("agent1", "DaemonSet", "100m", &format!("nodeName: n1, {keeper}"), "Running");
    let text = explain("web1", &[node("n1", "a", "4"), daemon, pod("web1", "3", "")]);
    assert!(text.contains("Of all node types, none fits, NodeResourcesFit refuses 1, InterPodAffinity refuses 1\n"));
    assert!(text.contains("The nearest is big in a: a pod near must not run near"), "{text}");
}

#[test]
fn the_nearest_type_is_nearest_when_the_pod_is_refused() {
    let apart = terms("podAntiAffinity", "web", ZONE);
    let pods: Vec<String> = (1..3).map(|number| pod(&format!("web{number}"), "3", &apart)).collect();
    let text = explain("web2", &pods);
    assert!(text.contains("The nearest is big in a: must not run near"), "{text}");
    assert!(text.contains("none fits, NodeResourcesFit refuses 1, InterPodAffinity refuses 1\n"), "{text}");
}

const CLAIM: &str = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, annotations: \
                     {pv.kubernetes.io/bind-completed: \"yes\"}}\nspec: {volumeName: v, storageClassName: wait, \
                     accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n";
const VOLUME: &str = "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {storageClassName: wait, capacity: {storage: \
                      1Gi}, accessModes: [ReadWriteOnce], claimRef: {name: data, namespace: default}, csi: {driver: d, \
                      volumeHandle: v}, nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: \
                      topology.kubernetes.io/zone, operator: In, values: [a]}]}]}}}\n";
const LIMIT: &str = "---\napiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: n1}\nspec: {drivers: [{name: d, nodeID: n1, allocatable: {count: \
                     1}}]}\n";
const USES: &str = "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}],";

#[test]
fn attach_limits_are_unchecked_where_nobody_knows_whose_the_volumes_are() {
    let unverified = |objects: &[&str]| {
        let mut all: Vec<String> = objects.iter().map(ToString::to_string).collect();
        all.extend([node("n1", "a", "2"), pod("p", "1", USES)]);
        let plan = plan("a", &all);
        let rules = plan["pods"][0]["uncheckedRules"].as_array().cloned().unwrap_or_default();
        rules.iter().any(|rule| rule == "NodeVolumeLimits")
    };
    let class = "---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: wait}\nprovisioner: d\n";
    assert!(!unverified(&[CLAIM, VOLUME, LIMIT, class]), "all is read");
    assert!(unverified(&[CLAIM, LIMIT, class]));
    assert!(unverified(&[CLAIM, VOLUME, LIMIT]));
    assert!(unverified(&[CLAIM, VOLUME, class]));
}

#[test]
fn what_a_pod_waits_for_to_leave_goes_first() {
    // n1 has web and its db, the larger web first; n2 has room for both.
    let near = terms("podAffinity", "db", HOST);
    let objects = [
        node("n1", "a", "8"),
        node("n2", "a", "8"),
        running("web1", "n1", "200m", &near),
        running("db1", "n1", "100m", ""),
        running("busy1", "n2", "4", ""),
        running("busy2", "n2", "1", ""),
        running("busy3", "n2", "1", ""),
    ];
    assert_eq!(removals(&consolidate(&objects)), ["n1"]);
}

#[test]
fn a_budget_that_does_not_say_what_it_allows_keeps_its_pods() {
    let objects =
        [node("n1", "a", "8"), node("n2", "a", "8"), running("web1", "n1", "100m", ""), running("x1", "n2", "4", "")];
    assert_eq!(removals(&consolidate(&objects)), ["n1"]);
    let budget =
        "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {selector: {}}\n".to_owned();
    assert!(removals(&consolidate(&[&objects[..], &[budget]].concat())).is_empty());
}

#[test]
fn pods_that_need_no_other_node_are_told_so() {
    let objects = [
        node("n1", "a", "8"),
        owned("agent1", "DaemonSet", "100m", "nodeName: n1,", "Running"),
        owned("done1", "Job", "100m", "nodeName: n1,", "Succeeded"),
    ];
    assert!(explain("agent1", &objects).starts_with("Pod default/agent1: runs on n1, and goes with it\n"));
    assert_eq!(explain("done1", &objects), "Pod default/done1: is over, and needs no node\n");
}

#[test]
fn a_node_to_which_nobody_is_sent_is_told_from_one_that_takes_pods() {
    let leaving = node("n1", "a", "8")
        .replace("name: n1, labels", "name: n1, deletionTimestamp: \"2026-01-01T00:00:00Z\", labels");
    let text = explain("p1", &[leaving, node("n2", "a", "8"), pod("p1", "1", "")]);
    assert!(text.contains("\nn1 may run it, but is being deleted"), "{text}");
    assert!(text.contains("\nn2 may run it\n"), "{text}");
}

/// What charts that are patched together come to.
#[test]
fn a_rule_that_a_pod_has_twice_counts_once() {
    let once = terms("podAntiAffinity", "web", HOST);
    let (start, end) = once.split_once('[').unwrap();
    let term = end.strip_suffix("]}},").unwrap();
    let twice = format!("{start}[{term}, {term}]}}}},");
    let planned = |rule: &str| {
        let pods: Vec<String> = (1..4).map(|number| pod(&format!("web{number}"), "100m", rule)).collect();
        let plan = plan("a", &pods);
        (plan["nodes"].as_array().unwrap().len(), plan["totals"]["costPerHour"].clone())
    };
    assert_eq!(planned(&twice), planned(&once));
    assert_eq!(planned(&once).0, 3);
}
