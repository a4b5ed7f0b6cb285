//! The program touches its own ConfigMaps and no others, and mends them.

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane};

#[test]
fn a_config_map_without_the_label_is_never_touched() {
    let plane = Plane::with_nodes(&["node-1"]);
    for name in ["plan-mine", "plan-unrelated", "consolidation-other"] {
        plane.kubectl(&["create", "configmap", name, "-n", NAMESPACE, "--from-literal=note=mine"]);
    }
    let controller = Controller::start(&plane);
    plane.create_large_pod(NAMESPACE, "mine");
    plane.create_large_pod(NAMESPACE, "later");
    plane.wait_for_config_map("plan-later");
    for name in ["plan-mine", "plan-unrelated", "consolidation-other"] {
        let config_map = plane.config_map(name).unwrap();
        assert_eq!(config_map["data"], serde_json::json!({"note": "mine"}), "{name}");
        assert!(config_map["metadata"]["labels"].is_null(), "{name}");
    }
    let log = controller.log();
    let warning = "ConfigMap plan-mine exists without the labels app.kubernetes.io/managed-by=mini-karpenter-rs and \
                   mini-karpenter/kind: not touched";
    assert_eq!(log.matches(warning).count(), 1, "{log}");
}

#[test]
fn what_somebody_adds_stays_and_causes_no_writes() {
    let plane = Plane::with_nodes(&["node-1"]);
    let controller = Controller::start(&plane);
    plane.wait_for_config_map("consolidation-node-1");
    plane.kubectl(&[
        "patch",
        "configmap",
        "consolidation-node-1",
        "-n",
        NAMESPACE,
        "-p",
        r#"{"data":{"note":"mine"}}"#,
    ]);
    let added = plane.config_map("consolidation-node-1").unwrap();
    // Both loops tick at one pace: by the third of these the other has ticked too.
    for name in ["first", "second", "third"] {
        plane.create_large_pod(NAMESPACE, name);
        plane.wait_for_config_map(&format!("plan-{name}"));
    }
    assert_eq!(plane.config_map("consolidation-node-1").unwrap(), added);
    assert!(!controller.log().contains("cannot write"), "{}", controller.log());
}

#[test]
fn what_is_stale_goes_at_the_start_and_what_is_lost_comes_back() {
    let plane = Plane::with_nodes(&["node-1"]);
    plane.kubectl(&["create", "configmap", "plan-stale", "-n", NAMESPACE]);
    let labels = ["app.kubernetes.io/managed-by=mini-karpenter-rs", "mini-karpenter/kind=plan"];
    plane.kubectl(&["label", "configmap", "plan-stale", "-n", NAMESPACE, labels[0], labels[1]]);
    let _controller = Controller::start(&plane);
    plane.wait_until_gone("plan-stale");
    plane.create_large_pod(NAMESPACE, "large");
    let before = plane.wait_for_config_map("plan-large");
    plane.kubectl(&["delete", "configmap", "plan-large", "-n", NAMESPACE]);
    let after = plane.wait_for_config_map("plan-large");
    assert_eq!(after["data"], before["data"]);
    plane.kubectl(&["patch", "configmap", "plan-large", "-n", NAMESPACE, "-p", r#"{"data":{"plan.yaml":"edited"}}"#]);
    plane.wait("the edit to be undone", || {
        plane.config_map("plan-large").filter(|config_map| config_map["data"] == before["data"])
    });
}
