//! Pods: made by controllers, placed by the scheduler, run by KWOK.

use crate::common::{TIMEOUT, TestResult, control_plane};
use serde_json::Value;
use testbed::{ControlPlane, Error, FakeNode};

/// A namespace of its own for each test, and a node only its pods tolerate.
fn prepare(cluster: &ControlPlane, name: &str) -> testbed::Result<()> {
    cluster.kubectl(&["create", "namespace", name])?;
    let node = FakeNode::new(name).cpu("2").memory("4Gi").pods(10);
    let node = node.label("testbed/for", name).taint("testbed/for", name, "NoSchedule");
    cluster.create_fake_nodes(&[node])
}

/// A controller's manifest, whose pods go to the node of [`prepare`].
fn workload(kind: &str, name: &str, replicas: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: {kind}
metadata: {{ name: web, namespace: {name} }}
spec:
  {replicas}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
      nodeSelector: {{ testbed/for: {name} }}
      tolerations: [{{ key: testbed/for, value: {name} }}]
      containers:
      - name: main
        image: example.invalid/web
        resources: {{ requests: {{ cpu: 500m, memory: 64Mi }} }}
"
    )
}

/// The pods of a namespace, once `count` of them are in `phase`.
fn pods(cluster: &ControlPlane, namespace: &str, phase: &str, count: usize) -> testbed::Result<Vec<Value>> {
    cluster.wait_until(&format!("{count} pods {phase}"), TIMEOUT, || {
        let field = format!("--field-selector=status.phase={phase}");
        let mut list = cluster.kubectl_json(&["get", "pods", "-n", namespace, &field])?;
        let pods = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok::<_, Error>((pods.len() == count).then_some(pods))
    })
}

#[test]
fn a_deployment_runs_on_a_fake_node() -> TestResult {
    let cluster = control_plane()?;
    prepare(cluster, "deployment")?;
    cluster.apply(&workload("Deployment", "deployment", "replicas: 3"))?;
    for pod in pods(cluster, "deployment", "Running", 3)? {
        assert_eq!(pod["spec"]["nodeName"], "deployment");
        assert_eq!(pod["spec"]["serviceAccountName"], "default");
    }
    // The fourth and the fifth do not fit: 2 CPUs hold four pods of 500m.
    cluster.kubectl(&["scale", "deployment/web", "-n", "deployment", "--replicas=5"])?;
    pods(cluster, "deployment", "Running", 4)?;
    pods(cluster, "deployment", "Pending", 1)?;
    Ok(())
}

#[test]
fn a_daemon_set_runs_on_its_node() -> TestResult {
    let cluster = control_plane()?;
    prepare(cluster, "daemons")?;
    cluster.apply(&workload("DaemonSet", "daemons", ""))?;
    let pods = pods(cluster, "daemons", "Running", 1)?;
    assert_eq!(pods[0]["spec"]["nodeName"], "daemons");
    Ok(())
}

#[test]
fn a_pod_that_fits_nowhere_is_unschedulable() -> TestResult {
    let cluster = control_plane()?;
    cluster.kubectl(&["create", "namespace", "nowhere"])?;
    // Pods are refused until their namespace has its default account.
    cluster.wait_until("the pod to be accepted", TIMEOUT, || {
        cluster
            .apply(
                "
apiVersion: v1
kind: Pod
metadata: { name: lost, namespace: nowhere }
spec:
  nodeSelector: { testbed/for: nobody }
  containers: [{ name: main, image: example.invalid/lost }]
",
            )
            .map(Some)
    })?;
    let condition = cluster.wait_until("the scheduler's verdict", TIMEOUT, || {
        let pod = cluster.kubectl_json(&["get", "pod", "lost", "-n", "nowhere"])?;
        let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let scheduled = conditions.find(|condition| condition["type"] == "PodScheduled");
        Ok::<_, Error>(scheduled.cloned())
    })?;
    assert_eq!(condition["status"], "False");
    assert_eq!(condition["reason"], "Unschedulable");
    Ok(())
}

#[test]
fn pod_security_admission_refuses_what_a_namespace_forbids() -> TestResult {
    let cluster = control_plane()?;
    cluster.kubectl(&["create", "namespace", "strict"])?;
    let enforce = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", "strict", enforce])?;
    let run = ["run", "root", "-n", "strict", "--image=example.invalid/root", "--privileged"];
    let refusal = cluster.wait_until("PodSecurity's refusal", TIMEOUT, || {
        let error = cluster.kubectl(&run).err().map(|error| error.to_string());
        Ok::<_, Error>(error.filter(|text| text.contains("violates PodSecurity")))
    })?;
    assert!(refusal.contains("privileged"), "{refusal}");
    Ok(())
}
