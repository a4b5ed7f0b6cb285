//! Service accounts: what RBAC allows them, and nothing else.

use std::fs;

use crate::common::{TestResult, control_plane};

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader, namespace: default }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: pod-reader }
rules: [{ apiGroups: [''], resources: [pods], verbs: [get, list, watch] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: pod-reader }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pod-reader }
subjects: [{ kind: ServiceAccount, name: reader, namespace: default }]
";

#[test]
fn a_service_account_may_do_what_rbac_says_and_no_more() -> TestResult {
    let cluster = control_plane()?;
    cluster.apply(READER)?;
    let kubeconfig = cluster.service_account_kubeconfig("default", "reader")?;
    let reader = |arguments: &[&str]| cluster.kubectl_as(&kubeconfig, arguments, "");

    let who = reader(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])?;
    assert_eq!(who, "system:serviceaccount:default:reader");

    let rights = reader(&["auth", "can-i", "--list", "--no-headers"])?;
    let line = |resource: &str| rights.lines().find(|line| line.starts_with(resource));
    let pods = line("pods ").ok_or("no line for pods")?;
    assert!(pods.ends_with("[get list watch]"), "{rights}");
    for other in ["*", "nodes", "secrets", "deployments"] {
        assert_eq!(line(other), None, "{rights}");
    }

    reader(&["get", "pods", "--all-namespaces"])?;
    for refused in [&["get", "nodes"][..], &["delete", "pod", "any"], &["get", "secrets"]] {
        let error = reader(refused).expect_err("RBAC does not allow this");
        assert!(error.to_string().contains("Forbidden"), "{error}");
    }
    Ok(())
}

#[test]
fn the_kubeconfig_is_whole_in_itself() -> TestResult {
    let cluster = control_plane()?;
    let kubeconfig = cluster.service_account_kubeconfig("kube-system", "default")?;
    let text = fs::read_to_string(&kubeconfig)?;
    let config: serde_json::Value = serde_json::from_str(&text)?;
    assert_eq!(config["clusters"][0]["cluster"]["server"], cluster.server());
    assert!(config["clusters"][0]["cluster"]["certificate-authority-data"].is_string());
    assert_eq!(config["contexts"][0]["context"]["namespace"], "kube-system");
    // A token of three parts is a signed one, not a static one.
    let token = config["users"][0]["user"]["token"].as_str().unwrap_or_default();
    assert_eq!(token.split('.').count(), 3, "{token}");
    Ok(())
}

#[test]
fn there_is_no_token_for_an_account_that_is_not_there() -> TestResult {
    let cluster = control_plane()?;
    let error = cluster.service_account_kubeconfig("default", "nobody").expect_err("no such account");
    assert!(error.to_string().contains("not found"), "{error}");
    Ok(())
}
