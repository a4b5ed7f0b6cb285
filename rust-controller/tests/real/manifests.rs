//! The manifests of `k8s/` are what an API server takes, and what its Pod Security admits.

use serde_json::Value;

use crate::plane::{NAMESPACE, Plane, manifest};

const MANIFESTS: [&str; 8] = [
    "00-namespace.yaml",
    "01-serviceaccount.yaml",
    "02-clusterrole.yaml",
    "03-clusterrolebinding.yaml",
    "04-deployment.yaml",
    "samples/pending-deploy.yaml",
    "samples/consolidation-workload.yaml",
    "optional/extras-rbac.yaml",
];

#[test]
fn the_api_server_takes_every_manifest() {
    let plane = Plane::start();
    for path in MANIFESTS {
        let file = manifest(path);
        plane.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", file.to_str().unwrap()]);
    }
    plane.control_plane.install_nodepool_crd().unwrap();
    let template = manifest("optional/karpenter/provisioner-template.yaml");
    plane.kubectl(&["apply", "--dry-run=server", "--validate=strict", "-f", template.to_str().unwrap()]);
}

#[test]
fn every_manifest_is_listed_here() {
    let mut found = Vec::new();
    let root = manifest("");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    let mut listed: Vec<&str> = MANIFESTS.to_vec();
    listed.push("optional/karpenter/provisioner-template.yaml");
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn pod_security_restricted_admits_the_program_and_the_samples_and_refuses_others() {
    let plane = Plane::with_nodes(&["node-1", "node-2", "node-3"]);
    for path in ["04-deployment.yaml", "samples/pending-deploy.yaml", "samples/consolidation-workload.yaml"] {
        plane.apply_manifest(path);
    }
    // Pods that the scheduler has seen were admitted; a refused one never exists.
    let pods = plane.wait("nine pods", || {
        let pods = plane.control_plane.kubectl_json(&["get", "pods", "-n", NAMESPACE]).ok()?;
        pods["items"].as_array().filter(|pods| pods.len() == 9).cloned()
    });
    let deployment = pods.iter().find(|pod| pod["spec"]["serviceAccountName"] == "mini-karpenter-rs").unwrap();
    let container = &deployment["spec"]["containers"][0];
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], Value::Bool(true));
    assert_eq!(deployment["spec"]["securityContext"]["runAsNonRoot"], Value::Bool(true));
    let privileged = "apiVersion: v1\nkind: Pod\nmetadata: {name: root, namespace: aula07}\nspec: {containers: [{name: c, \
                      image: none}]}\n";
    let refusal = plane.control_plane.apply(privileged).unwrap_err().to_string();
    assert!(refusal.contains("violates PodSecurity"), "{refusal}");
}
