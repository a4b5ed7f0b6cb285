//! Underutilized nodes get a suggestion, and it goes when they are busy or gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::controller::Controller;
use crate::plane::{NAMESPACE, Plane, data, info};

#[test]
fn the_sample_leaves_nodes_that_could_go_with_a_destination_for_each_pod() {
    let plane = Plane::with_nodes(&["node-1", "node-2", "node-3"]);
    plane.apply_manifest("samples/consolidation-workload.yaml");
    plane.kubectl(&["rollout", "status", "deployment/small-web", "-n", NAMESPACE, "--timeout=60s"]);
    plane.kubectl(&["rollout", "status", "deployment/small-worker", "-n", NAMESPACE, "--timeout=60s"]);
    let _controller = Controller::start(&plane);
    let maps: Vec<_> = (1..=3).map(|node| plane.wait_for_config_map(&format!("consolidation-node-{node}"))).collect();
    let infos: Vec<_> = maps.iter().map(info).collect();
    let removed: Vec<_> = infos.iter().filter(|info| info["verdict"] == "remove").collect();
    // All six pods fit one node, and somebody has to take them.
    assert_eq!(removed.len(), 2, "{infos:?}");
    let kept = infos.iter().find(|info| info["verdict"] == "keep").unwrap();
    for info in &removed {
        for pod in info["pods"].as_array().unwrap() {
            assert_eq!(pod["destination"], kept["node"], "{info}");
        }
    }
    let moved: usize = removed.iter().map(|info| info["pods"].as_array().unwrap().len()).sum();
    assert!(moved > 0, "{infos:?}");
    for (map, info) in maps.iter().zip(&infos).filter(|(_, info)| info["verdict"] == "remove") {
        let node = info["node"].as_str().unwrap();
        let suggestion = data(map, "suggestion.yaml");
        assert!(suggestion.contains(&format!("- kubectl cordon {node}\n")), "{suggestion}");
        assert!(suggestion.contains(&format!("- kubectl delete node {node}")), "{suggestion}");
    }
    let summary = info(&plane.wait_for_config_map("summary-consolidation"));
    assert_eq!(summary["totals"]["nodesAfter"], 1);
}

#[test]
fn a_node_that_falls_under_the_threshold_gets_a_suggestion_within_thirty_seconds() {
    let plane = Plane::with_nodes(&["node-1", "node-2"]);
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: heavy, namespace: default}\nspec: {nodeName: node-1, containers: \
               [{name: c, image: none, resources: {requests: {cpu: \"3\"}}}]}\n";
    plane.wait("the heavy pod", || plane.control_plane.apply(pod).ok());
    let _controller = Controller::start_with(&plane, &[]);
    plane.wait_for_config_map("consolidation-node-2");
    assert!(plane.config_map("consolidation-node-1").is_none());
    plane.kubectl(&["delete", "pod", "heavy", "--now"]);
    let underutilized_since = Instant::now();
    plane.wait_for_config_map("consolidation-node-1");
    // One tick, and a second for a busy machine.
    assert!(underutilized_since.elapsed() < Duration::from_secs(31), "{:?}", underutilized_since.elapsed());
}

#[test]
fn a_suggestion_goes_when_its_node_is_busy_or_gone() {
    let plane = Plane::with_nodes(&["busy", "gone", "idle"]);
    let _controller = Controller::start(&plane);
    for node in ["busy", "gone", "idle"] {
        plane.wait_for_config_map(&format!("consolidation-{node}"));
    }
    plane.kubectl(&["delete", "node", "gone"]);
    plane.wait_until_gone("consolidation-gone");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: heavy, namespace: default}\nspec: {nodeName: busy, containers: \
               [{name: c, image: none, resources: {requests: {cpu: \"3\"}}}]}\n";
    plane.wait("the heavy pod", || plane.control_plane.apply(pod).ok());
    plane.wait_until_gone("consolidation-busy");
    assert!(plane.config_map("consolidation-idle").is_some());
}

#[test]
fn a_pod_without_a_controller_keeps_its_node() {
    let plane = Plane::with_nodes(&["node-1", "node-2"]);
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare, namespace: default}\nspec: {nodeName: node-1, containers: \
               [{name: c, image: none, resources: {requests: {cpu: 100m}}}]}\n";
    plane.wait("the bare pod", || plane.control_plane.apply(pod).ok());
    let _controller = Controller::start(&plane);
    let info = plane.wait("the blocker", || {
        let info = info(&plane.config_map("consolidation-node-1")?);
        (!info["blockers"].as_array()?.is_empty()).then_some(info)
    });
    assert_eq!(info["verdict"], "keep");
    assert_eq!(info["blockers"][0]["pod"], "default/bare");
    assert_eq!(info["blockers"][0]["reason"], "NoController");
    let map = plane.config_map("consolidation-node-1").unwrap();
    assert!(data(&map, "suggestion.yaml").contains("default/bare: has no controller: lost, not moved"));
}

/// Texts about consolidations, by ConfigMap.
fn published(plane: &Plane) -> BTreeMap<String, Value> {
    let names = ["consolidation-node-1", "consolidation-node-2", "consolidation-node-3", "summary-consolidation"];
    names.into_iter().map(|name| (name.to_owned(), plane.wait_for_config_map(name))).collect()
}

#[test]
fn a_controller_that_starts_again_goes_on_from_what_is_published() {
    let plane = Plane::with_nodes(&["node-1", "node-2", "node-3"]);
    let controller = Controller::start(&plane);
    let before = published(&plane);
    let since = |map: &Value| info(map)["underutilizedSince"].as_str().unwrap().to_owned();
    assert!(controller.terminate(&plane).success());
    // Long enough that a time which was not read back would be another one.
    let ended = SystemTime::now();
    plane.wait("two seconds", || ended.elapsed().is_ok_and(|waited| waited.as_secs() >= 2).then_some(()));
    // Somebody edits one of them meanwhile: only that one starts anew.
    let edited = r#"{"data": {"info.json": "mine now"}}"#;
    plane.kubectl(&["patch", "configmap", "consolidation-node-2", "-n", NAMESPACE, "-p", edited]);
    let controller = Controller::start(&plane);
    plane.wait("the edited ConfigMap to be mended", || {
        let map = plane.config_map("consolidation-node-2")?;
        data(&map, "info.json").starts_with('{').then_some(())
    });
    // Some ticks, after which anything that flaps would have been written again.
    plane.wait("three plans", || {
        let metrics = controller.get("/metrics")?;
        let counter = metrics.lines().find(|line| line.contains("plans_total{kind=\"consolidation\"}"))?;
        (counter.rsplit(' ').next()?.parse::<u32>().ok()? >= 3).then_some(())
    });
    let after = published(&plane);
    for (name, map) in &before {
        let version = |map: &Value| map["metadata"]["resourceVersion"].clone();
        if name == "consolidation-node-2" {
            assert!(since(&after[name]) > since(map), "{name}");
        } else {
            assert_eq!(version(&after[name]), version(map), "{name} was written again: {}", controller.log());
        }
    }
}
