//! What nodes use, from the real metrics-server over pods that KWOK pretends to run.

use serde_json::Value;
use testbed::{ControlPlane, FakeNode, Options};

use crate::controller::Controller;
use crate::permissions::apply_extras;
use crate::plane::{Plane, data, info};
use crate::program::run;

/// Requests little and uses a lot, and the other way round: name, node, requests, use.
const PODS: [[&str; 6]; 2] =
    [["greedy", "node-1", "100m", "64Mi", "1", "4Gi"], ["lavish", "node-2", "3", "12Gi", "200m", "800Mi"]];

/// What is requested and used of nodes with 4 CPU and 16Gi, as shares.
const EXPECTED: [(&str, [f64; 2], [f64; 2]); 2] =
    [("node-1", [0.025, 0.0039], [0.25, 0.25]), ("node-2", [0.75, 0.75], [0.05, 0.05])];

#[test]
fn measured_use_stands_beside_requests_once_it_may_be_read_and_until_then_the_program_says_so() {
    let plane = measured_plane();
    let controller =
        Controller::start_with(&plane, &["--usage", "--pending-interval", "1s", "--consolidation-interval", "1s"]);
    let summary = plane.wait_for_config_map("summary-consolidation");
    let status = &info(&summary)["measuredUsage"];
    assert_eq!(status["read"], false);
    assert!(status["reason"].as_str().unwrap().contains("k8s/optional/extras-rbac.yaml"), "{status}");
    assert!(data(&summary, "summary.txt").contains("\nMeasured use of nodes is not shown: not allowed"));
    assert!(!data(&plane.wait_for_config_map("consolidation-node-1"), "suggestion.yaml").contains("measuredUsage"));

    apply_extras(&plane);
    let summary = plane.wait("measured use in the summary", || {
        plane.config_map("summary-consolidation").filter(|summary| info(summary)["measuredUsage"]["read"] == true)
    });
    assert!(data(&summary, "summary.txt").starts_with("NODE    CPU REQ  MEM REQ  CPU USED  MEM USED"));
    let log = controller.log();
    assert_eq!(log.matches("cannot read what nodes use from metrics.k8s.io").count(), 1, "{log}");
    assert_eq!(log.matches("reading what nodes use from metrics.k8s.io").count(), 1, "{log}");

    let node = info(&plane.wait_for_config_map("consolidation-node-1"));
    assert_shown(&node, &EXPECTED[0]);
    // More is used than the threshold, and the verdict is by requests all the same.
    assert_eq!(node["underutilized"], true);
    let suggestion = plane.wait_for_config_map("consolidation-node-1");
    let suggestion = data(&suggestion, "suggestion.yaml");
    assert!(suggestion.contains("\nrequested:\n  cpu: 2.5 % (100m of 4)\n"), "{suggestion}");
    assert!(suggestion.contains("\nmeasuredUsage:\n  cpu: 2"), "{suggestion}");
    assert!(plane.config_map("consolidation-node-2").is_none());

    let once = consolidate(&plane);
    for (node, expected) in once["nodes"].as_array().unwrap().iter().zip(&EXPECTED) {
        assert_shown(node, expected);
    }
}

#[test]
fn a_cluster_without_metrics_is_told_from_one_where_they_may_not_be_read() {
    let plane = Plane::with_nodes(&["node-1"]);
    apply_extras(&plane);
    let once = consolidate(&plane);
    assert_eq!(once["measuredUsage"]["reason"], "the cluster has no metrics.k8s.io (metrics-server serves it)");
    assert_eq!(once["nodes"][0]["node"], "node-1");
}

/// Two nodes with a pod each, which metrics-server has measured.
fn measured_plane() -> Plane {
    let options = Options { kwok: true, metrics: true, ..Options::default() };
    let plane = Plane::on(ControlPlane::start(&options).unwrap());
    let nodes = EXPECTED.map(|(name, ..)| FakeNode::new(name).cpu("4").memory("16Gi"));
    plane.control_plane.create_fake_nodes(&nodes).unwrap();
    for [name, node, cpu, memory, used_cpu, used_memory] in PODS {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: default\n  annotations:\n    \
             kwok.x-k8s.io/usage-cpu: \"{used_cpu}\"\n    kwok.x-k8s.io/usage-memory: {used_memory}\nspec:\n  nodeName: \
             {node}\n  containers:\n  - {{name: c, image: none, resources: {{requests: {{cpu: \"{cpu}\", memory: \
             {memory}}}}}}}\n"
        );
        plane.wait(&format!("pod {name}"), || plane.control_plane.apply(&pod).ok());
    }
    plane.wait("measurements of both nodes", || {
        let all = plane.control_plane.kubectl_json(&["get", "nodes.metrics.k8s.io"]).ok()?;
        let used = |node: &Value| node["usage"]["memory"].as_str().is_some_and(|memory| memory != "0");
        (all["items"].as_array()?.iter().filter(|node| used(node)).count() == PODS.len()).then_some(())
    });
    plane
}

/// The plan, once, with the rights of the ServiceAccount.
fn consolidate(plane: &Plane) -> Value {
    let kubeconfig = plane.service_account_kubeconfig();
    let environment = [("KUBECONFIG", kubeconfig.to_str().unwrap())];
    let outcome = run(&["consolidate", "--usage", "-o", "json"], &environment, "");
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// To a hundredth: CPU is measured between two moments, each of them known to the millisecond.
fn assert_shown(node: &Value, (name, requested, used): &(&str, [f64; 2], [f64; 2])) {
    assert_eq!(node["node"], *name);
    for (index, resource) in ["cpu", "memory"].into_iter().enumerate() {
        let share = node["utilization"][resource].as_f64().unwrap();
        assert!((share - requested[index]).abs() < 1e-4, "{resource}: {node}");
        let share = node["measuredUsage"][resource]["share"].as_f64().unwrap();
        assert!((share - used[index]).abs() < 0.011, "{resource}: {node}");
    }
}
