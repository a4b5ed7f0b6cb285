//! Every kind of generated `plan.yaml` is what Karpenter's own schema takes.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane, data};

/// Pods with every kind of requirement that reaches a NodePool, a node that is set apart, and values that its schema would refuse.
const PODS: &str = include_str!("node_pools.yaml");

#[test]
fn node_pools_of_every_catalog_pass_a_server_side_dry_run() {
    let plane = Plane::start();
    plane.control_plane.install_nodepool_crd().unwrap();
    for catalog in ["generic", "aws", "azure", "gcp"] {
        let pools = node_pools(catalog);
        let count = pools.matches("kind: NodePool").count();
        assert!(count >= 3, "{catalog}: {count} NodePools:\n{pools}");
        assert!(pools.contains("key: example.com/dedicated"), "{catalog}: no taint:\n{pools}");
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let kubeconfig = plane.control_plane.admin_kubeconfig();
        let applied = plane.control_plane.kubectl_as(&kubeconfig, &arguments, &pools);
        let applied = applied.unwrap_or_else(|error| panic!("{catalog}: {error}\n{pools}"));
        assert_eq!(applied.lines().count(), count, "{catalog}: {applied}");
    }
}

#[test]
fn a_published_plan_applies_as_it_is() {
    let plane = Plane::with_nodes(&["node-1"]);
    plane.control_plane.install_nodepool_crd().unwrap();
    let _controller = Controller::start(&plane);
    plane.create_large_pod(NAMESPACE, "large");
    let plan = data(&plane.wait_for_config_map("plan-large"), "plan.yaml").to_owned();
    let applied = plane.control_plane.apply(&plan).unwrap();
    assert!(applied.contains("nodepool.karpenter.sh/planned-"), "{applied}");
}

fn node_pools(catalog: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mini-karpenter-rs"))
        .args(["plan", "-f", "-", "--catalog", catalog, "--capacity-type", "on-demand,spot", "-o", "nodepools"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PODS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{catalog}: {:?}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
