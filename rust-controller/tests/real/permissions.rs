//! What the ServiceAccount of `k8s/` can do is a golden list.

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
