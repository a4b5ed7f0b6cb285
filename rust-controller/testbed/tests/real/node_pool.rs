//! Karpenter's own `NodePool` type.

use crate::common::{TestResult, control_plane};

const NODE_POOL: &str = "
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: { name: general }
spec:
  limits: { cpu: 100 }
  template:
    spec:
      nodeClassRef: { group: example.com, kind: ExampleNodeClass, name: default }
      requirements:
      - { key: kubernetes.io/arch, operator: In, values: [amd64] }
";

#[test]
fn a_node_pool_is_accepted_and_a_wrong_one_refused() -> TestResult {
    let cluster = control_plane()?;
    cluster.install_nodepool_crd()?;
    // Installing what is installed is no error.
    cluster.install_nodepool_crd()?;

    let admin = cluster.admin_kubeconfig();
    let create = ["create", "--dry-run=server", "-f", "-"];
    cluster.kubectl_as(&admin, &create, NODE_POOL)?;

    let wrong = NODE_POOL.replace("operator: In", "operator: Near");
    let error = cluster.kubectl_as(&admin, &create, &wrong).expect_err("no such operator");
    assert!(error.to_string().contains("Unsupported value: \"Near\""), "{error}");

    let pools = cluster.kubectl_json(&["get", "nodepools"])?;
    assert_eq!(pools["items"], serde_json::json!([]), "a dry run leaves nothing");
    Ok(())
}
