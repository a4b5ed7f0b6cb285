//! What goes wrong says so and, where it can, mends itself.

use std::path::Path;

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane};

/// Runs the controller until it ends by itself; returns its exit status and log.
fn run_to_its_end(plane: &Plane, arguments: &[&str]) -> (i32, String) {
    run_as(plane, &plane.service_account_kubeconfig(), arguments)
}

/// As [`run_to_its_end`], with another identity.
fn run_as(plane: &Plane, kubeconfig: &Path, arguments: &[&str]) -> (i32, String) {
    let controller = Controller::spawn(kubeconfig, plane.control_plane.folder(), arguments);
    let controller = std::cell::RefCell::new(controller);
    let status = plane.wait("the controller to end", || controller.borrow_mut().exited());
    (status.code().unwrap(), controller.borrow().log())
}

#[test]
fn a_namespace_that_does_not_exist_is_named() {
    let plane = Plane::start();
    plane.kubectl(&[
        "create",
        "clusterrolebinding",
        "all",
        "--clusterrole=cluster-admin",
        "--group=system:serviceaccounts",
    ]);
    let (status, log) = run_to_its_end(&plane, &["--namespace", "missing"]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("error: namespace \"missing\" does not exist"), "{log}");
}

#[test]
fn a_missing_permission_is_named() {
    let plane = Plane::start();
    let (status, log) = run_to_its_end(&plane, &["--namespace", "default"]);
    assert_eq!(status, 1, "{log}");
    assert!(
        log.contains("missing permission: get, list, watch, create, patch, delete on configmaps in namespace default"),
        "{log}"
    );
    plane.kubectl(&["delete", "clusterrolebinding", "mini-karpenter-rs"]);
    plane.wait("the rights to go", || {
        let (status, log) = run_to_its_end(&plane, &[]);
        (status == 1 && log.contains("missing permission: get, list, watch on pods")).then_some(())
    });
}

#[test]
fn credentials_that_are_not_accepted_are_named() {
    let plane = Plane::start();
    let path = plane.service_account_kubeconfig();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    kubeconfig["users"][0]["user"]["token"] = "expired".into();
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let (status, log) = run_as(&plane, &path, &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("does not accept these credentials: Unauthorized\n  log in again"), "{log}");
}

#[test]
fn a_namespace_that_is_being_deleted_is_no_missing_permission() {
    let plane = Plane::start();
    let finalizer = r#"{"metadata":{"finalizers":["mini-karpenter/test"]}}"#;
    plane.kubectl(&["create", "configmap", "held", "-n", NAMESPACE]);
    plane.kubectl(&["patch", "configmap", "held", "-n", NAMESPACE, "-p", finalizer]);
    // Its ServiceAccount goes with it, so the client is an administrator.
    let kubeconfig = plane.control_plane.admin_kubeconfig();
    plane.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]);
    let (status, log) = run_as(&plane, &kubeconfig, &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("namespace \"aula07\" is being deleted"), "{log}");
}

#[test]
fn writes_that_fail_are_tried_again_while_the_loops_go_on() {
    let plane = Plane::with_nodes(&["node-1"]);
    let controller = Controller::start(&plane);
    plane.wait_for_config_map("summary-provisioning");
    let role = r#"{"rules":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list","watch"]}]}"#;
    plane.kubectl(&["patch", "role", "mini-karpenter-rs", "-n", NAMESPACE, "--type=merge", "-p", role]);
    plane.create_large_pod(NAMESPACE, "large");
    plane.wait("a failed write", || {
        controller.log().contains("cannot write plan-large: missing permission").then_some(())
    });
    plane.wait("a second attempt", || (controller.log().matches("trying again in").count() >= 2).then_some(()));
    plane.apply_manifest("02-clusterrole.yaml");
    plane.wait_for_config_map("plan-large");
}
