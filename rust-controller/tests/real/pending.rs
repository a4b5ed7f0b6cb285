//! Unschedulable pods get a plan, and it goes when they do.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane, data, info};

#[test]
fn the_sample_gets_a_plan_within_ten_seconds_and_other_objects_stay_as_they_are() {
    let plane = Plane::with_nodes(&["node-1", "node-2", "node-3"]);
    let controller = Controller::start_with(&plane, &[]);
    let nodes_before = specs(&plane, "nodes");
    plane.apply_manifest("samples/pending-deploy.yaml");
    let pods = plane.wait_for_unschedulable(NAMESPACE, "app=pending-demo", 2);
    let unschedulable_since = Instant::now();
    for pod in &pods {
        let config_map = plane.wait_for_config_map(&format!("plan-{pod}"));
        let plan = data(&config_map, "plan.yaml");
        assert!(plan.starts_with("apiVersion: karpenter.sh/v1\nkind: NodePool\n"), "{plan}");
        assert!(plan.contains("disktype: nvme-aula07"), "{plan}");
        let info = info(&config_map);
        assert_eq!(info["verdict"], "planned");
        assert_eq!(info["pod"], format!("{NAMESPACE}/{pod}"));
        assert!(info["calculation"]["formula"].as_str().unwrap().starts_with("waste = "), "{info}");
        assert_eq!(info["requests"], serde_json::json!({"cpu": "500m", "memory": "256Mi"}));
    }
    // One tick, and a second for a busy machine.
    assert!(unschedulable_since.elapsed() < Duration::from_secs(11), "{:?}", unschedulable_since.elapsed());
    assert_eq!(specs(&plane, "nodes"), nodes_before, "nodes were touched");

    let published: Vec<Value> = pods.iter().map(|pod| plane.config_map(&format!("plan-{pod}")).unwrap()).collect();
    assert_eq!(data(&published[0], "plan.yaml"), data(&published[1], "plan.yaml"), "pods of one kind share a NodePool");
    let metrics = controller.get("/metrics").unwrap();
    for kind in ["provisioning", "consolidation"] {
        let rejected = format!("\nmini_karpenter_plans_rejected_total{{kind=\"{kind}\"}} 0\n");
        assert!(metrics.contains(&rejected), "{metrics}");
        assert!(metrics.contains(&format!("\nmini_karpenter_last_plan_seconds{{kind=\"{kind}\"}} ")), "{metrics}");
    }
    assert_eq!(controller.terminate(&plane).code(), Some(0));
}

#[test]
fn a_plan_is_written_again_only_when_it_changes_and_goes_with_its_pod() {
    let plane = Plane::with_nodes(&["node-1"]);
    let _controller = Controller::start(&plane);
    plane.create_large_pod(NAMESPACE, "first");
    let version = |config_map: &Value| config_map["metadata"]["resourceVersion"].clone();
    let first = plane.wait_for_config_map("plan-first");
    // Each gated pod in the summary is proof of a tick, and needs no node.
    for later in ["second", "third"] {
        let gated = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {later}, namespace: default}}\nspec: {{schedulingGates: [{{name: \
             example.com/wait}}], containers: [{{name: c, image: none}}]}}\n"
        );
        plane.wait("the gated pod", || plane.control_plane.apply(&gated).ok());
        plane.wait("the gated pod in the summary", || {
            let summary = info(&plane.config_map("summary-provisioning")?);
            let pods = summary["pods"].as_array()?;
            pods.iter().any(|pod| pod["pod"] == format!("default/{later}")).then_some(())
        });
    }
    assert_eq!(version(&plane.config_map("plan-first").unwrap()), version(&first), "written again without a change");

    plane.kubectl(&["delete", "pod", "first", "-n", NAMESPACE, "--now"]);
    plane.wait_until_gone("plan-first");
}

#[test]
fn two_pods_of_one_name_get_a_plan_each() {
    let plane = Plane::with_nodes(&["node-1"]);
    let _controller = Controller::start(&plane);
    plane.kubectl(&["create", "namespace", "other"]);
    plane.create_large_pod(NAMESPACE, "twin");
    plane.wait_for_config_map("plan-twin");
    plane.create_large_pod("other", "twin");
    plane.wait_until_gone("plan-twin");
    let both = plane.wait("both plans", || {
        let list =
            plane.control_plane.kubectl_json(&["get", "configmaps", "-n", NAMESPACE, "-l", "mini-karpenter/kind=plan"]);
        list.ok()?["items"].as_array().filter(|items| items.len() == 2).cloned()
    });
    let mut pods: Vec<String> = both.iter().map(|plan| info(plan)["pod"].as_str().unwrap().to_owned()).collect();
    pods.sort();
    assert_eq!(pods, [format!("{NAMESPACE}/twin"), "other/twin".to_owned()]);
    plane.kubectl(&["delete", "pod", "twin", "-n", "other", "--now"]);
    plane.wait_for_config_map("plan-twin");
}

#[test]
fn pods_that_need_no_plan_are_in_the_summary_with_the_reason() {
    let plane = Plane::with_nodes(&["node-1"]);
    let gated = "apiVersion: v1\nkind: Pod\nmetadata: {name: gated, namespace: default}\nspec: {schedulingGates: [{name: \
                 example.com/wait}], containers: [{name: c, image: none}]}\n";
    plane.wait("the gated pod", || plane.control_plane.apply(gated).ok());
    let _controller = Controller::start(&plane);
    let summary = plane.wait("the gated pod in the summary", || {
        let summary = info(&plane.config_map("summary-provisioning")?);
        summary["pods"].as_array()?.iter().find(|pod| pod["pod"] == "default/gated").cloned()
    });
    assert_eq!(summary["verdict"], "ignored");
    assert_eq!(summary["reason"], "held back by scheduling gates: example.com/wait");
    assert!(plane.config_map("plan-gated").is_none());
}

/// The part of objects that somebody writes on purpose.
fn specs(plane: &Plane, kind: &str) -> Vec<Value> {
    let list = plane.control_plane.kubectl_json(&["get", kind]).unwrap();
    let parts =
        |object: &Value| serde_json::json!([object["metadata"]["name"], object["metadata"]["labels"], object["spec"]]);
    list["items"].as_array().unwrap().iter().map(parts).collect()
}
