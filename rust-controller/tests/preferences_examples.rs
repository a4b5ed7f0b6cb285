//! Soft rules in small clusters, through the program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/program.rs"]
mod program;

use mini_karpenter::model::key;
use program::run;
use serde_json::Value;

fn node(name: &str, zone: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, \
         topology.kubernetes.io/zone: {zone}}}}}\nspec: {{{more}}}\nstatus: {{allocatable: {{cpu: 4, memory: 32Gi, pods: \
         50}}}}\n"
    )
}

/// A Deployment in a file; `spec` are more fields of its pods.
fn deployment(app: &str, replicas: usize, cpu: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {app}}}\nspec: {{replicas: {replicas}, template: {{metadata: {{labels: \
         {{app: {app}}}}}, spec: {{{spec} containers: [{{name: c, resources: {{requests: {{cpu: {cpu}, memory: \
         100Mi}}}}}}]}}}}}}\n"
    )
}

fn wish(kind: &str, app: &str, key: &str) -> String {
    let term = format!("{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
    format!(
        "affinity: {{{kind}: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 100, podAffinityTerm: \
         {term}}}]}}}},"
    )
}

fn spread_anyway(app: &str, key: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {key}, whenUnsatisfiable: ScheduleAnyway, labelSelector: \
         {{matchLabels: {{app: {app}}}}}}}],"
    )
}

fn output(objects: &[String], form: &[&str]) -> String {
    let arguments = [&["plan", "-f", "-", "--catalog", "generic"][..], form].concat();
    let outcome = run(&arguments, &[], &objects.concat());
    assert!(matches!(outcome.status, Some(0 | 3)) && !outcome.stderr.contains("bug"), "{outcome:?}");
    outcome.stdout
}

fn document(objects: &[String]) -> Value {
    serde_json::from_str(&output(objects, &["-o", "json"])).unwrap()
}

/// The nodes that pods are said to fit, in the order of their names.
fn nodes_of(document: &Value) -> Vec<&str> {
    document["pods"].as_array().unwrap().iter().map(|pod| pod["node"].as_str().unwrap_or("none")).collect()
}

#[test]
fn of_two_equal_nodes_the_preferred_one_takes_the_pod() {
    let nodes = [node("n1", "a", ""), node("n2", "b", "")];
    let fits = |spec: &str| {
        let plan = document(&[&nodes[..], &[deployment("web", 1, "1", spec)]].concat());
        assert_eq!(plan["totals"]["softRulesViolated"], Value::Null, "{plan:#}");
        nodes_of(&plan).join(" ")
    };
    assert_eq!(fits(""), "n1");
    let in_b = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: \
                {matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [b]}]}}]}},";
    assert_eq!(fits(in_b), "n2");
    let tainted = node("n1", "a", "taints: [{key: old, effect: PreferNoSchedule}]");
    let plan = document(&[tainted, node("n2", "b", ""), deployment("web", 1, "1", "")]);
    assert_eq!(nodes_of(&plan), ["n2"]);
}

#[test]
fn replicas_spread_over_the_nodes_that_there_are() {
    let nodes = [node("n1", "a", ""), node("n2", "b", "")];
    for spec in [wish("podAntiAffinity", "web", key::HOSTNAME), spread_anyway("web", key::ZONE)] {
        let plan = document(&[&nodes[..], &[deployment("web", 2, "1", &spec)]].concat());
        let mut on = nodes_of(&plan);
        on.sort_unstable();
        assert_eq!(on, ["n1", "n2"], "{spec}");
    }
    let near = wish("podAffinity", "db", key::HOSTNAME);
    let db = deployment("db", 1, "3", "nodeSelector: {kubernetes.io/hostname: n2},");
    let plan = document(&[&nodes[..], &[db, deployment("web", 1, "1", &near)]].concat());
    assert_eq!(nodes_of(&plan), ["n2", "n2"]);
}

#[test]
fn what_cannot_be_met_is_counted_by_kind() {
    let apart = wish("podAntiAffinity", "web", key::HOSTNAME);
    let spec = apart + &spread_anyway("web", key::ZONE) + "nodeSelector: {topology.kubernetes.io/zone: a},";
    let tainted = node("n1", "a", "taints: [{key: old, effect: PreferNoSchedule}]");
    let objects = [tainted, node("n2", "b", ""), deployment("web", 3, "1", &spec)];
    // Zone b is none of those that the pods may be in, so that they are spread as evenly as can be.
    let expected = serde_json::json!({"preferredPodAntiAffinity": 3, "preferNoSchedule": 3});
    assert_eq!(document(&objects)["totals"]["softRulesViolated"], expected);
    let everywhere = spec_in_a_over_all_zones();
    let plan = document(&[node("n1", "a", ""), node("n2", "b", ""), deployment("web", 3, "1", &everywhere)]);
    assert_eq!(plan["totals"]["softRulesViolated"], serde_json::json!({"scheduleAnyway": 3}));
    let table = output(&objects, &[]);
    assert!(table.contains("\nPreferences not met: 3 preferredPodAntiAffinity, 3 preferNoSchedule\n"), "{table}");
    let maps = output(&objects, &["-o", "configmaps"]);
    assert!(maps.contains("\"softRulesViolated\": {"), "{maps}");
}

fn spec_in_a_over_all_zones() -> String {
    spread_anyway("web", key::ZONE).replace("maxSkew: 1,", "maxSkew: 1, nodeAffinityPolicy: Ignore,")
        + "nodeSelector: {topology.kubernetes.io/zone: a},"
}

#[test]
fn equal_pods_on_new_nodes_exchange_them() {
    // Nodes are bought for four pods each; which of them come together is open.
    let apart = |app: &str| wish("podAntiAffinity", app, key::HOSTNAME);
    let objects: Vec<String> =
        ["a", "b", "c", "d", "e"].map(|app| deployment(app, 4, "3", &apart(app))).into_iter().collect();
    let plain: Vec<String> = ["a", "b", "c", "d", "e"].map(|app| deployment(app, 4, "3", "")).into_iter().collect();
    let (soft, hard) = (document(&objects), document(&plain));
    assert_eq!(soft["totals"]["costPerHour"], hard["totals"]["costPerHour"]);
    assert!(soft["nodes"].as_array().unwrap().len() > 1, "{soft:#}");
    let unmet = soft["totals"]["softRulesViolated"]["preferredPodAntiAffinity"].as_u64().unwrap_or(0);
    assert!(unmet < 20, "{soft:#}");
}

// Which nodes come

/// A preferred node affinity.
fn prefers(key: &str, value: &str) -> String {
    format!(
        "affinity: {{nodeAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 1, preference: \
         {{matchExpressions: [{{key: {key}, operator: In, values: [{value}]}}]}}}}]}}}},"
    )
}

/// The zones of the planned nodes, in the order of the nodes.
fn zones(document: &Value) -> Vec<&str> {
    document["nodes"].as_array().unwrap().iter().map(|node| node["zone"].as_str().unwrap()).collect()
}

#[test]
fn of_zones_at_one_price_the_preferred_one_gets_the_nodes() {
    let in_b = prefers(key::ZONE, "test-zone-b");
    for replicas in [1, 40] {
        let plan = document(&[deployment("web", replicas, "3", &in_b)]);
        let indifferent = document(&[deployment("web", replicas, "3", "")]);
        assert!(zones(&plan).iter().all(|zone| *zone == "test-zone-b"), "{plan:#}");
        assert_eq!(plan["totals"]["softRulesViolated"], Value::Null, "{plan:#}");
        assert_eq!(plan["totals"]["costPerHour"], indifferent["totals"]["costPerHour"]);
        assert_eq!(zones(&plan).len(), zones(&indifferent).len());
    }
}

#[test]
fn a_new_node_comes_near_those_whom_its_pods_would_be_near() {
    let db = deployment("db", 1, "3", "nodeSelector: {topology.kubernetes.io/zone: test-zone-c},");
    let near = wish("podAffinity", "db", key::ZONE) + "nodeSelector: {kubernetes.io/arch: arm64},";
    let plan = document(&[db, deployment("web", 1, "3", &near)]);
    assert_eq!(zones(&plan), ["test-zone-c", "test-zone-c"], "{plan:#}");
}

#[test]
fn a_hard_rule_keeps_nodes_where_they_are() {
    let spread = spread_anyway("web", key::ZONE).replace("ScheduleAnyway", "DoNotSchedule");
    let spec = prefers(key::ZONE, "test-zone-b") + &spread;
    let plan = document(&[deployment("web", 4, "3", &spec)]);
    let mut found = zones(&plan);
    found.sort_unstable();
    assert_eq!(found, ["test-zone-a", "test-zone-b", "test-zone-c", "test-zone-d"], "{plan:#}");
    // Others that no rule counts go where they like.
    let arm = prefers(key::ZONE, "test-zone-b") + "nodeSelector: {kubernetes.io/arch: arm64},";
    let others = deployment("db", 40, "3", &arm);
    let plan = document(&[deployment("web", 4, "3", &spec), others]);
    assert_eq!(plan["totals"]["softRulesViolated"], serde_json::json!({"preferredNodeAffinity": 3}), "{plan:#}");
}

#[test]
fn every_zone_keeps_as_many_nodes_as_it_shall_have() {
    let objects = [deployment("web", 40, "3", &prefers(key::ZONE, "test-zone-b"))];
    let plan: Value = serde_json::from_str(&output(&objects, &["--min-nodes-per-zone", "1", "-o", "json"])).unwrap();
    for zone in ["test-zone-a", "test-zone-c", "test-zone-d"] {
        assert_eq!(zones(&plan).iter().filter(|other| **other == zone).count(), 1, "{plan:#}");
    }
    assert!(zones(&plan).iter().filter(|zone| **zone == "test-zone-b").count() > 1, "{plan:#}");
}

#[test]
fn daemon_pods_of_new_nodes_are_seen() {
    let agent = |node: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: agent-{node}, labels: {{app: agent}}, ownerReferences: [{{apiVersion: \
             apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}}]}}\nspec: {{nodeName: {node}, containers: \
             [{{name: c, resources: {{requests: {{cpu: 100m}}}}}}]}}\nstatus: {{phase: Running}}\n"
        )
    };
    let there = [node("n1", "a", ""), agent("n1")];
    let near = deployment("web", 1, "8", &wish("podAffinity", "agent", key::HOSTNAME));
    let plan = document(&[&there[..], &[near]].concat());
    assert_eq!(plan["totals"]["softRulesViolated"], Value::Null, "{plan:#}");
    let apart = deployment("web", 1, "8", &wish("podAntiAffinity", "agent", key::HOSTNAME));
    let plan = document(&[&there[..], &[apart]].concat());
    let expected = serde_json::json!({"preferredPodAntiAffinity": 1});
    assert_eq!(plan["totals"]["softRulesViolated"], expected, "{plan:#}");
}
