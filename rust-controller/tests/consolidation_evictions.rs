//! Whom nobody may evict, what the eviction of others costs, and in which waves budgets let pods go.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use mini_karpenter::check::check_consolidation;
use mini_karpenter::consolidate::{BlockReason, Consolidation, Keep, NodePlan, Options, Verdict, Warning, consolidate};
use mini_karpenter::document::{ConsolidationOutcome, consolidation_config_maps, consolidation_table};
use mini_karpenter::model::ObjectName;
use mini_karpenter::snapshot::{MeasuredUsage, Snapshot};
use mini_karpenter::{catalog, lower, provision};

const OWNER: &str = "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u, controller: true}]";

fn snapshot(text: &str) -> Snapshot {
    lower::parse_manifest(text).unwrap().into_snapshot()
}

/// Decided, and judged.
fn decided(text: &str) -> Consolidation {
    let snapshot = snapshot(text);
    let catalog = catalog::builtin("generic").unwrap();
    let consolidation = consolidate(&snapshot, &catalog, &Options::default());
    let wrong: Vec<String> =
        check_consolidation(&snapshot, &catalog, &consolidation).iter().map(ToString::to_string).collect();
    assert_eq!(wrong, Vec::<String>::new());
    consolidation
}

fn plan<'a>(consolidation: &'a Consolidation, node: &str) -> &'a NodePlan {
    consolidation.nodes.iter().find(|plan| plan.node.name == node).unwrap()
}

fn node(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}{more}}}\nstatus: {{allocatable: {{cpu: 4, memory: 8Gi, pods: 20}}}}\n"
    )
}

fn pod(name: &str, node: &str, metadata: &str, spec: &str, status: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, {OWNER}{metadata}}}\nspec: {{nodeName: {node}, {spec} containers: [{{name: c, \
         resources: {{requests: {{cpu: 100m}}}}}}]}}\nstatus: {{phase: Running{status}}}\n"
    )
}

/// A node `big` that stays, since nobody may evict `bare`, and nodes that hold one pod each.
fn cluster(pods: &[(&str, &str, &str, &str)]) -> String {
    let bare = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec: {nodeName: big, containers: [{name: c}]}\nstatus: {phase: Running}\n";
    let each = pods.iter().enumerate().map(|(number, (name, metadata, spec, status))| {
        let on = format!("n{number}");
        node(&on, "") + &pod(name, &on, metadata, spec, status)
    });
    node("big", "") + bare + &each.collect::<String>()
}

fn blocker(text: &str) -> Option<BlockReason> {
    plan(&decided(text), "n0").blockers.first().map(|blocker| blocker.reason.clone())
}

#[test]
fn annotations_of_karpenter_and_of_the_autoscaler_keep_pods_and_nodes() {
    for (annotation, value) in
        [("karpenter.sh/do-not-disrupt", "true"), ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")]
    {
        let annotated = |value: &str| format!(", annotations: {{{annotation}: '{value}'}}");
        let said = format!("{annotation}={value}");
        let of_pod = blocker(&cluster(&[("p", &annotated(value), "", "")]));
        assert_eq!(of_pod, Some(BlockReason::DoNotDisrupt(said.clone())));
        assert_eq!(blocker(&cluster(&[("p", &annotated("maybe"), "", "")])), None);
        let of_node = decided(&(cluster(&[]) + &node("n0", &annotated(value))));
        let verdict = &plan(&of_node, "n0").verdict;
        assert!(matches!(verdict, Verdict::Keep(Keep::DoNotDisrupt(by)) if *by == said), "{verdict:?}");
    }
}

const KARPENTER: &str = "karpenter.sh/do-not-disrupt";
const AUTOSCALER: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";

#[test]
fn a_duration_keeps_a_pod_as_long_as_it_runs_and_shows_in_the_reason() {
    let of_pod =
        |key: &str, value: &str| blocker(&cluster(&[("p", &format!(", annotations: {{{key}: '{value}'}}"), "", "")]));
    for value in ["24h", "1h30m", "0.5s"] {
        assert_eq!(of_pod(KARPENTER, value), Some(BlockReason::DoNotDisrupt(format!("{KARPENTER}={value}"))));
    }
    for value in ["0s", "-24h", "1d", "24", "false", ""] {
        assert_eq!(of_pod(KARPENTER, value), None, "{value}");
    }
    assert_eq!(of_pod(AUTOSCALER, "24h"), None);
    // Karpenter does not read durations on nodes.
    let of_node = decided(&(cluster(&[]) + &node("n0", &format!(", annotations: {{{KARPENTER}: 24h}}"))));
    assert_eq!(of_node.removals, ["n0"]);
}

#[test]
fn pods_that_end_with_their_node_keep_it_where_karpenters_annotation_asks_for_it() {
    let daemon = |metadata: &str| {
        let pod = pod("d", "n0", metadata, "", "").replace("kind: ReplicaSet", "kind: DaemonSet");
        cluster(&[("p", "", "", "")]) + &pod
    };
    let mirror = |metadata: &str| {
        daemon(metadata)
            .replace("annotations: {", "annotations: {kubernetes.io/config.mirror: x, ")
            .replace("kind: DaemonSet", "kind: Node")
    };
    let annotated = |key: &str, value: &str| format!(", annotations: {{{key}: '{value}'}}");
    for value in ["true", "24h"] {
        let metadata = annotated(KARPENTER, value);
        for text in [daemon(&metadata), mirror(&metadata)] {
            assert_eq!(decided(&text).removals, Vec::<String>::new(), "{text}");
            assert_eq!(blocker(&text), Some(BlockReason::DoNotDisrupt(format!("{KARPENTER}={value}"))));
        }
        let ending = daemon(&(metadata + ", deletionTimestamp: '2026-08-01T00:00:00Z', finalizers: [x/y]"));
        assert_eq!(decided(&ending).removals, ["n0"], "it is over soon");
    }
    for metadata in [annotated(AUTOSCALER, "false"), annotated(KARPENTER, "0s")] {
        for text in [daemon(&metadata), mirror(&metadata)] {
            assert_eq!(decided(&text).removals, ["n0"], "{text}");
        }
    }
}

#[test]
fn a_pod_with_a_disk_of_its_node_stays_with_it() {
    let volume = |source: &str| {
        format!(
            "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: v}}\nspec: {{capacity: {{storage: 1Gi}}, {source}, claimRef: \
             {{namespace: default, name: d}}}}\nstatus: {{phase: Bound}}\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: d, \
             annotations: {{pv.kubernetes.io/bind-completed: 'yes'}}}}\nspec: {{volumeName: v, resources: {{requests: {{storage: \
             1Gi}}}}}}\n"
        )
    };
    let claim = "volumes: [{name: d, persistentVolumeClaim: {claimName: d}}],";
    let pods = cluster(&[("p", "", claim, "")]);
    for local in ["local: {path: /d}", "hostPath: {path: /d}"] {
        assert_eq!(blocker(&(pods.clone() + &volume(local))), Some(BlockReason::LocalVolume("v".to_owned())));
    }
    assert_eq!(blocker(&(pods + &volume("nfs: {server: s, path: /d}"))), None);
}

#[test]
fn what_a_move_costs_is_said() {
    let warnings = |pods: &[(&str, &str, &str, &str)]| plan(&decided(&cluster(pods)), "n0").moves[0].warnings.clone();
    let scratch = "volumes: [{name: s, emptyDir: {}}],";
    assert_eq!(warnings(&[("p", "", scratch, "")]), [Warning::LosesScratch, Warning::OnlyReplica]);
    assert_eq!(warnings(&[("p", "", "", ""), ("q", "", "", "")]), []);
    let of_job = cluster(&[("p", "", "", "")]).replace("kind: ReplicaSet", "kind: Job");
    assert_eq!(plan(&decided(&of_job), "n0").moves[0].warnings, [Warning::StartsAnew]);
}

/// What the judge says of a plan that was made for one cluster, in another.
fn complaints(made_for: &str, judged_in: &str) -> String {
    let wrong = check_consolidation(&snapshot(judged_in), &catalog::builtin("generic").unwrap(), &decided(made_for));
    wrong.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
}

#[test]
fn the_judge_minds_who_asks_to_be_left_alone() {
    let plain = cluster(&[("p", "", "", "")]);
    let annotated = cluster(&[("p", ", annotations: {karpenter.sh/do-not-disrupt: 'true'}", "", "")]);
    assert_eq!(complaints(&plain, &annotated), "default/p: is evicted, and asks not to be");
    let asking = "metadata: {name: n0, annotations: {karpenter.sh/do-not-disrupt: 'true'}}";
    let left_alone = plain.replacen("metadata: {name: n0}", asking, 1);
    assert_eq!(complaints(&plain, &left_alone), "n0: goes, and asks not to be disturbed");
    let daemon = pod("d", "n0", "", "", "").replace("kind: ReplicaSet", "kind: DaemonSet");
    let asks = daemon.replacen("name: d, ", "name: d, annotations: {karpenter.sh/do-not-disrupt: 24h}, ", 1);
    let said = "default/d: ends with its node, and asks not to be disturbed";
    assert_eq!(complaints(&(plain.clone() + &daemon), &(plain + &asks)), said);
}

fn budget(allowed: u32, more: &str) -> String {
    format!(
        "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: b}}\nspec: {{selector: {{}}{more}}}\nstatus: {{disruptionsAllowed: \
         {allowed}, currentHealthy: 2, desiredHealthy: 3}}\n"
    )
}

#[test]
fn removals_that_need_more_evictions_than_a_budget_allows_at_once_go_in_waves() {
    let pods = cluster(&[("p", "", "", ""), ("q", "", "", ""), ("r", "", "", "")]);
    let waves = |allowed: u32| -> Vec<u32> {
        let consolidation = decided(&(pods.clone() + &budget(allowed, "")));
        consolidation.removals.iter().map(|node| plan(&consolidation, node).wave).collect()
    };
    assert_eq!([waves(3), waves(2), waves(1), waves(0)], [vec![1, 1, 1], vec![1, 1, 2], vec![1, 2, 3], vec![]]);
    let name = ObjectName { namespace: "default".to_owned(), name: "b".to_owned() };
    assert_eq!(blocker(&(pods.clone() + &budget(0, ""))), Some(BlockReason::Budget(name.clone())));
    let without_status = budget(0, "").split("status:").next().unwrap().to_owned();
    assert_eq!(blocker(&(pods + &without_status)), Some(BlockReason::StaleBudget(name)));
}

#[test]
fn pods_of_nodes_that_are_being_deleted_take_their_part_of_a_budget_first() {
    let deleted = ", deletionTimestamp: '2026-08-01T00:00:00Z', finalizers: [x/y]";
    let daemon = pod("d", "gone", "", "", "").replace("kind: ReplicaSet", "kind: DaemonSet");
    let leaving =
        node("gone", deleted) + &pod("l", "gone", "", "", "") + &daemon + &pod("ends", "gone", deleted, "", "");
    let pods = cluster(&[("p", "", "", ""), ("q", "", "", "")]);
    let waves = |allowed: u32, leaving: &str| -> Vec<u32> {
        let consolidation = decided(&(pods.clone() + leaving + &budget(allowed, "")));
        consolidation.removals.iter().map(|node| plan(&consolidation, node).wave).collect()
    };
    assert_eq!([waves(1, &leaving), waves(2, &leaving), waves(3, &leaving)], [vec![2, 3], vec![1, 2], vec![1, 1]]);
    assert_eq!(waves(1, ""), [1, 2]);
    // Who has no place elsewhere is evicted all the same.
    assert_eq!(waves(1, &leaving.replacen("cpu: 100m", "cpu: 100", 1)), [2, 3]);
    let (with, without) = (pods.clone() + &leaving + &budget(1, ""), pods.clone() + &leaving + &budget(3, ""));
    let said = complaints(&without, &with);
    assert!(
        said.contains("n0: goes in wave 1, out of order: wave 2 is next, since budget default/b is used up"),
        "{said}"
    );
}

#[test]
fn a_drain_that_waits_for_its_budget_is_said_to() {
    let text =
        cluster(&[("p", "", "", ""), ("q", "", "", "")]).replace("nodeName: n1", "nodeName: n0") + &budget(1, "");
    let consolidation = decided(&text);
    let catalog = catalog::builtin("generic").unwrap();
    let unread_kinds = Vec::new();
    let outcome = ConsolidationOutcome {
        consolidation: &consolidation,
        catalog: &catalog,
        options: (&provision::Options::default(), &Options::default()),
        skipped: &[],
        unread_kinds,
        usage: &MeasuredUsage::NotAsked,
    };
    let line = "budget default/b allows 1 eviction at once, and 2 of its pods leave: the drain waits in between";
    assert!(consolidation_table(&outcome).contains(&format!("\n  {line}\n  $ kubectl cordon n0\n")));
    let maps = consolidation_config_maps(&outcome);
    let data = &maps.iter().find(|map| map.name == "consolidation-n0").unwrap().data;
    assert!(data["suggestion.yaml"].contains(&format!("inTurns:\n- \"{line}\"\n")), "{}", data["suggestion.yaml"]);
    let info: serde_json::Value = serde_json::from_str(&data["info.json"]).unwrap();
    assert_eq!(info["inTurns"], serde_json::json!([{"budget": "default/b", "pods": 2, "allowed": 1}]));
}

#[test]
fn pods_that_are_not_ready_go_where_their_budget_says_so() {
    let unready = ", conditions: [{type: Ready, status: 'False'}]";
    let pods = cluster(&[("p", "", "", unready)]);
    assert!(matches!(blocker(&(pods.clone() + &budget(0, ""))), Some(BlockReason::Budget(_))));
    assert_eq!(blocker(&(pods.clone() + &budget(0, ", unhealthyPodEvictionPolicy: AlwaysAllow"))), None);
    let enough = budget(0, "").replace("desiredHealthy: 3", "desiredHealthy: 2");
    assert_eq!(blocker(&(pods + &enough)), None);
    let ready = cluster(&[("p", "", "", "")]);
    assert!(matches!(blocker(&(ready + &enough)), Some(BlockReason::Budget(_))));
}
