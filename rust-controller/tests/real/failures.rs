//! What goes wrong says so and, where it can, mends itself.

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane};

/// Runs the controller until it ends by itself; returns its exit status and log.
fn run_to_its_end(plane: &Plane, arguments: &[&str]) -> (i32, String) {
    let controller = Controller::spawn(&plane.service_account_kubeconfig(), plane.control_plane.folder(), arguments);
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
