//! What the ServiceAccount of `k8s/` can do is a golden list.

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane};

/// Every authenticated account may do these; they come with the cluster.
const OF_EVERYBODY: [&str; 4] = ["selfsubject", "/api", "/healthz", "/version"];

#[test]
fn the_service_account_can_do_what_is_listed_and_nothing_else() {
    let plane = Plane::start();
    assert_eq!(
        rights(&plane, NAMESPACE),
        ["configmaps: create delete get list patch watch", "nodes: get list watch", "pods: get list watch"]
    );
    for namespace in ["default", "kube-system"] {
        assert_eq!(rights(&plane, namespace), ["nodes: get list watch", "pods: get list watch"], "{namespace}");
    }
}

/// What `k8s/optional/extras-rbac.yaml` lets the program read.
const EXTRAS: [&str; 6] =
    ["namespaces", "persistentvolumeclaims", "persistentvolumes", "storageclasses", "csinodes", "poddisruptionbudgets"];

#[test]
fn with_the_extras_it_reads_more_and_writes_nothing_more() {
    let plane = Plane::start();
    apply_extras(&plane);
    let more = [
        "csinodes.storage.k8s.io: get list watch",
        "namespaces: get list watch",
        "nodes.metrics.k8s.io: get list",
        "nodes: get list watch",
        "persistentvolumeclaims: get list watch",
        "persistentvolumes: get list watch",
        "poddisruptionbudgets.policy: get list watch",
        "pods: get list watch",
        "storageclasses.storage.k8s.io: get list watch",
    ];
    assert_eq!(rights(&plane, "default"), more);
}

#[test]
fn with_the_extras_every_kind_is_read_before_the_program_is_ready() {
    let plane = Plane::with_nodes(&["node-1"]);
    apply_extras(&plane);
    let log = Controller::start(&plane).log();
    for kind in EXTRAS {
        assert_eq!(log.matches(&format!("reading {kind}\n")).count(), 1, "{kind}: {log}");
    }
    assert!(!log.contains("not allowed"), "{log}");
}

#[test]
fn without_the_extras_the_program_plans_and_says_so_once_and_they_may_come_later() {
    let plane = Plane::with_nodes(&["node-1"]);
    let controller = Controller::start(&plane);
    plane.create_large_pod(NAMESPACE, "large");
    plane.wait_for_config_map("plan-large");
    apply_extras(&plane);
    for kind in EXTRAS {
        let reading = format!("reading {kind}\n");
        plane.wait(&reading, || controller.log().contains(&reading).then_some(()));
        assert_eq!(controller.log().matches(&format!("not allowed to read {kind}:")).count(), 1, "{kind}");
    }
}

/// Grants them, and waits until the API server knows.
pub(crate) fn apply_extras(plane: &Plane) {
    plane.apply_manifest("optional/extras-rbac.yaml");
    let kubeconfig = plane.service_account_kubeconfig();
    for kind in EXTRAS {
        let question = ["auth", "can-i", "watch", kind, "--all-namespaces"];
        plane.wait(&format!("the right to read {kind}"), || {
            plane.control_plane.kubectl_as(&kubeconfig, &question, "").ok()
        });
    }
}

/// One line for each resource, with its verbs, both sorted.
fn rights(plane: &Plane, namespace: &str) -> Vec<String> {
    let kubeconfig = plane.service_account_kubeconfig();
    let arguments = ["auth", "can-i", "--list", "--no-headers", "-n", namespace];
    let list = plane.control_plane.kubectl_as(&kubeconfig, &arguments, "").unwrap();
    let of_program = |line: &&str| {
        let url_or_self = OF_EVERYBODY.iter().any(|common| line.contains(common));
        !url_or_self && !line.trim().is_empty() && !line.contains("[/")
    };
    let right = |line: &str| {
        let resource = line.split_whitespace().next().unwrap();
        let verbs = line.rsplit_once('[').unwrap().1.trim_end_matches(']');
        let mut verbs: Vec<&str> = verbs.split_whitespace().collect();
        verbs.sort_unstable();
        format!("{resource}: {}", verbs.join(" "))
    };
    let mut rights: Vec<String> = list.lines().filter(of_program).map(right).collect();
    rights.sort();
    rights
}
