//! A plan is worth nothing if the scheduler disagrees.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testbed::FakeNode;

use crate::controller::Controller;
use crate::permissions::apply_extras;
use crate::plane::{NAMESPACE, Plane, data, info};

/// Workloads of which each asks something of the pods around it.
const WORKLOADS: &str = include_str!("scheduling.yaml");
/// How many pods they have together.
const PODS: usize = 31;

/// One type, in three zones.
const CATALOG: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- name: small
  arch: amd64
  allocatable: {cpu: 2, memory: 4Gi, pods: 20}
  zones: [zone-a, zone-b, zone-c]
  pricePerHour: {on-demand: 0.1}
";

#[test]
fn the_scheduler_puts_the_planned_pods_on_nodes_like_the_planned_ones() {
    let plane = Plane::start();
    // The default ServiceAccount may take a moment.
    plane.wait("the workloads", || plane.control_plane.apply(WORKLOADS).ok());
    plane.wait_for_unschedulable("default", "rules=yes", PODS);
    let plan = plan(&plane);
    assert_eq!(plan["totals"]["planned"], PODS, "{:#}", plan["pods"]);
    // A pod that must run near another is tried again when that one comes. The scheduler may miss that while it is busy
    // with the pod, and then looks at it minutes later: so the nodes for these pods come last.
    let (last, first): (Vec<&Value>, Vec<&Value>) = plan["nodes"].as_array().unwrap().iter().partition(|node| {
        node["pods"].as_array().unwrap().iter().any(|pod| pod.as_str().unwrap().starts_with("default/near-one-zone"))
    });
    for (nodes, selector) in [(first, "rules=yes,app!=near-one-zone"), (last, "rules=yes")] {
        let nodes: Vec<FakeNode> = nodes.into_iter().map(|node| fake_node(&plan, node)).collect();
        plane.control_plane.create_fake_nodes(&nodes).unwrap();
        plane.wait_or_tell("every pod to be scheduled", || all_scheduled(&plane, selector));
    }
    let pods = plane.control_plane.kubectl_json(&["get", "pods", "-n", "default", "-l", "rules=yes"]).unwrap();
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(PODS));
}

/// Or which are not, and what the scheduler says of them.
fn all_scheduled(plane: &Plane, selector: &str) -> anyhow::Result<()> {
    let pods = plane.control_plane.kubectl_json(&["get", "pods", "-n", "default", "-l", selector])?;
    let pods = pods["items"].as_array().unwrap();
    let waiting: Vec<&Value> = pods.iter().filter(|pod| pod["spec"]["nodeName"].is_null()).collect();
    let told = |pod: &&Value| format!("{}: {}", pod["metadata"]["name"], pod["status"]["conditions"]);
    anyhow::ensure!(waiting.is_empty(), "waiting are {:#?}", waiting.iter().map(told).collect::<Vec<_>>());
    Ok(())
}

/// What the program plans for the live cluster, as its user.
fn plan(plane: &Plane) -> Value {
    let catalog = plane.control_plane.folder().join("catalog.yaml");
    std::fs::write(&catalog, CATALOG).unwrap();
    let output =
        run(&plane.control_plane.admin_kubeconfig(), &["plan", "-o", "json", "--catalog", catalog.to_str().unwrap()]);
    serde_json::from_str(&output).unwrap()
}

fn run(kubeconfig: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mini-karpenter-rs"));
    let output = command.args(arguments).env("KUBECONFIG", kubeconfig).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A node as its NodePool and the catalog say that it joins.
fn fake_node(plan: &Value, planned: &Value) -> FakeNode {
    let text = |field: &str| planned[field].as_str().unwrap();
    let named = |list: &str, field: &str, name: &Value| {
        let list = plan[list].as_array().unwrap();
        list.iter().find(|entry| entry.pointer(field) == Some(name)).unwrap().clone()
    };
    let pod = named("pods", "/pod", &planned["pods"][0]);
    let pool = named("nodePools", "/metadata/name", &pod["nodePool"]);
    let node = FakeNode::new(text("name"))
        .cpu("2")
        .memory("4Gi")
        .pods(20)
        .label("topology.kubernetes.io/zone", text("zone"))
        .label("node.kubernetes.io/instance-type", text("instanceType"))
        .label("karpenter.sh/capacity-type", text("capacityType"));
    let labels = pool.pointer("/spec/template/metadata/labels").and_then(Value::as_object).unwrap();
    labels.iter().fold(node, |node, (key, value)| node.label(key, value.as_str().unwrap()))
}

/// Lets none of the sample's web pods be evicted.
const BUDGET: &str = "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: aula07}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: small-web}}}
";

#[test]
fn a_budget_keeps_nodes_where_it_can_be_read_and_where_not_the_suggestion_says_so() {
    let plane = Plane::with_nodes(&["node-1", "node-2"]);
    plane.apply_manifest("samples/consolidation-workload.yaml");
    plane.kubectl(&["rollout", "status", "deployment/small-web", "-n", NAMESPACE, "--timeout=60s"]);
    plane.control_plane.apply(BUDGET).unwrap();
    let _controller = Controller::start(&plane);
    let removed = |summary: &Value| summary["totals"]["nodesAfter"] == 1;
    let summary = plane.wait("a node that could go", || {
        plane.config_map("summary-consolidation").map(|map| info(&map)).filter(removed)
    });
    let unchecked = summary["uncheckedRules"].as_array().unwrap();
    let budgets = unchecked.iter().find(|rule| rule["rule"] == "PodDisruptionBudget").unwrap();
    assert_eq!(budgets["unreadKinds"], json!(["PodDisruptionBudget"]));
    assert!(budgets["pods"].as_u64().unwrap() > 0, "{budgets}");
    let gone = summary["removals"][0].as_str().unwrap();
    let suggestion = plane.wait_for_config_map(&format!("consolidation-{gone}"));
    assert_eq!(info(&suggestion)["unverified"], json!(["PodDisruptionBudget"]));
    assert!(data(&suggestion, "suggestion.yaml").contains("unverified:\n- PodDisruptionBudget\n"));

    apply_extras(&plane);
    let kept = plane.wait("the budget to be read", || {
        let kept = info(&plane.config_map(&format!("consolidation-{gone}"))?);
        (kept["verdict"] == "keep").then_some(kept)
    });
    assert_eq!(kept["blockers"][0]["reason"], "Budget", "{kept}");
    assert_eq!(kept["blockers"][0]["object"], "PodDisruptionBudget aula07/web");
}
