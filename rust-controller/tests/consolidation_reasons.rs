//! What a consolidation says of each node holds, and is all there is to say: who keeps it, for whom it is kept, and who would
//! find no place.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

#[path = "common/manifests.rs"]
mod manifests;

use std::sync::LazyLock;

use manifests::{OWNED, node_with, snapshot};
use mini_karpenter::check::check_consolidation;
use mini_karpenter::consolidate::{Consolidation, NodePlan, Options, consolidate, obstacles};
use mini_karpenter::document::{ConsolidationDocument, ConsolidationOutcome, consolidation_table, explain_node, json};
use mini_karpenter::model::Catalog;
use mini_karpenter::snapshot::{MeasuredUsage, Snapshot};
use mini_karpenter::{catalog, provision};
use serde_json::Value;

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: cheap, arch: amd64, allocatable: {cpu: 4, memory: 8Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.1}}
- {name: cheaper, arch: amd64, allocatable: {cpu: 4, memory: 8Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.9}}
- {name: dear, arch: amd64, allocatable: {cpu: 4, memory: 8Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 1.0}}
";

fn types() -> Catalog {
    catalog::parse("test", TYPES).unwrap()
}

/// Decided and judged.
fn decided(text: &str) -> Consolidation {
    let snapshot = snapshot(text);
    let consolidation = consolidate(&snapshot, &types(), &Options::default());
    assert_eq!(complaints(&consolidation, &snapshot), "");
    consolidation
}

fn complaints(consolidation: &Consolidation, snapshot: &Snapshot) -> String {
    let wrong = check_consolidation(snapshot, &types(), consolidation);
    wrong.iter().map(ToString::to_string).collect::<Vec<String>>().join("; ")
}

fn plan<'a>(consolidation: &'a mut Consolidation, node: &str) -> &'a mut NodePlan {
    consolidation.nodes.iter_mut().find(|plan| plan.node.name == node).unwrap()
}

static OPTIONS: LazyLock<(provision::Options, Options)> = LazyLock::new(Default::default);

fn outcome<'a>(consolidation: &'a Consolidation, catalog: &'a Catalog) -> ConsolidationOutcome<'a> {
    ConsolidationOutcome {
        consolidation,
        catalog,
        options: (&OPTIONS.0, &OPTIONS.1),
        usage: &MeasuredUsage::NotAsked,
        skipped: &[],
        unread_kinds: Vec::new(),
    }
}

/// What the JSON says of a node.
fn entry(consolidation: &Consolidation, node: &str) -> Value {
    let document = json(&ConsolidationDocument::new(&outcome(consolidation, &types())));
    let document: Value = serde_json::from_str(&document).unwrap();
    document["nodes"].as_array().unwrap().iter().find(|entry| entry["node"] == node).unwrap().clone()
}

fn reason(text: &str, node: &str) -> String {
    entry(&decided(text), node)["reason"].as_str().unwrap().to_owned()
}

/// Pods that block a node, each with the reason.
fn blockers(text: &str, node: &str) -> Vec<String> {
    let entry = entry(&decided(text), node);
    let blockers = entry["blockers"].as_array().unwrap().iter();
    blockers.map(|each| format!("{}: {}", each["pod"].as_str().unwrap(), each["detail"].as_str().unwrap())).collect()
}

fn explained(text: &str, node: &str) -> String {
    let mut consolidation = decided(text);
    let plan = plan(&mut consolidation, node).clone();
    let obstacles = obstacles(&snapshot(text), &consolidation, &plan);
    explain_node(&consolidation, &plan, &obstacles, &types())
}

/// A node of four cores in the zone `z`, with more metadata.
fn node(name: &str, more: &str) -> String {
    node_of("cheap", name, more)
}

fn node_of(kind: &str, name: &str, more: &str) -> String {
    let labels = format!("topology.kubernetes.io/zone: z, node.kubernetes.io/instance-type: {kind}");
    let (labels, metadata) = match more.strip_prefix("labels ") {
        Some(more) => (format!("{labels}, {more}"), ""),
        None => (labels, more),
    };
    node_with(name, "cpu: 4, memory: 8Gi, pods: 20", &labels, metadata, "")
}

const DELETED: &str = ", deletionTimestamp: '2026-08-01T00:00:00Z', finalizers: [x/y]";
const CONTROL_PLANE: &str = "labels node-role.kubernetes.io/control-plane: ''";

fn pod(name: &str, node: &str, millicores: u32) -> String {
    pod_with(name, node, millicores, "", "")
}

fn pod_with(name: &str, node: &str, millicores: u32, metadata: &str, spec: &str) -> String {
    manifests::pod_with(name, node, &format!("cpu: {millicores}m"), metadata, spec)
}

/// Nobody may evict it, so its node stays.
fn bare(name: &str, node: &str, millicores: u32) -> String {
    pod(name, node, millicores).replace(OWNED, "labels: {}")
}

fn unschedulable(name: &str, millicores: u32) -> String {
    pod(name, "", millicores).replace("nodeName: , ", "").replace(
        "phase: Running",
        "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]",
    )
}

/// `leaving` is being deleted; of its pods `large` needs most of `a`, and `b` could only go there, too.
fn with_a_node_that_is_being_deleted() -> String {
    node("a", "")
        + &pod("small", "a", 500)
        + &node("b", "")
        + &pod("medium", "b", 1800)
        + &node("leaving", DELETED)
        + &pod("large", "leaving", 3000)
}

#[test]
fn pods_of_a_node_that_is_being_deleted_have_their_room_kept() {
    let text = with_a_node_that_is_being_deleted();
    let decided = decided(&text);
    assert_eq!(decided.removals, Vec::<String>::new());
    let moves = &entry(&decided, "leaving")["pods"];
    assert_eq!((&moves[0]["pod"], &moves[0]["destination"]), (&"default/large".into(), &"a".into()));
    let said = "is being deleted already; room is kept elsewhere for 1 of its pods";
    assert_eq!(reason(&text, "leaving"), said);
    assert_eq!(reason(&text, "a"), "room is kept for default/large, whose node is being deleted");
    assert!(explained(&text, "a").contains("default/large (3 cpu, 0) <- leaving"), "{}", explained(&text, "a"));
    assert!(explained(&text, "leaving").contains("Room is kept\n  default/large (3 cpu, 0) -> a"));
    // It stays free if the node is not going.
    assert_eq!(self::decided(&text.replace(DELETED, "")).removals, ["a"]);
}

#[test]
fn pods_of_a_node_that_is_being_deleted_without_a_place_are_named_and_block_nothing() {
    let text = with_a_node_that_is_being_deleted().replace("cpu: 3000m", "cpu: 5000m") + &bare("alone", "leaving", 1);
    let decided = decided(&text);
    assert_eq!(decided.removals, ["a"]);
    let said = "is being deleted already; no room is found for default/large; without a controller: default/alone";
    assert_eq!(reason(&text, "leaving"), said);
    assert_eq!(entry(&decided, "leaving")["stranded"][1]["reason"], "NoDestination");
    assert!(consolidation_table(&outcome(&decided, &types())).contains(said));
}

#[test]
fn the_judge_minds_pods_of_nodes_that_are_being_deleted() {
    let text = with_a_node_that_is_being_deleted();
    let before = self::decided(&text.replace(DELETED, ""));
    assert!(complaints(&before, &snapshot(&text)).contains("default/large: is forgotten on leaving"));
    let mut spoiled = decided(&text);
    let leaving = plan(&mut spoiled, "leaving");
    leaving.destinations.clear();
    let pod = leaving.moves.pop().unwrap().pod.name.clone();
    let stranded = decided(&text.replace("cpu: 3000m", "cpu: 5000m")).nodes[2].stranded[0].clone();
    leaving.stranded.push(mini_karpenter::consolidate::Blocker { pod, ..stranded });
    assert_eq!(complaints(&spoiled, &snapshot(&text)), "default/large: is left without a place, and a takes it");
    let mut elsewhere = decided(&text);
    "b".clone_into(&mut plan(&mut elsewhere, "leaving").moves[0].destination);
    assert!(complaints(&elsewhere, &snapshot(&text)).contains("default/large: on b: NodeResourcesFit"));
}

#[test]
fn a_node_that_waits_for_pods_names_them() {
    let text = node("a", "") + &node("b", "") + &bare("stays", "b", 4000) + &unschedulable("w1", 500);
    assert_eq!(reason(&text, "a"), "the pending pod default/w1 fits it as it is");
    let two = text + &unschedulable("w2", 500);
    assert_eq!(reason(&two, "a"), "pending pods fit it as it is: default/w1 and default/w2");
    let three = two + &unschedulable("w3", 500);
    assert_eq!(reason(&three, "a"), "pending pods fit it as it is: default/w1 and 2 others");
}

const ASKS: &str = ", annotations: {karpenter.sh/do-not-disrupt: 'true'}";

#[test]
fn all_that_keeps_a_node_is_named() {
    let text = node("a", "")
        + &pod_with("asks", "a", 100, ASKS, "")
        + &pod("large", "a", 3000)
        + &node("b", "")
        + &bare("full", "b", 3000);
    let large = "default/large: fits no other node that stays; the nearest, b: needs 3 cpu, 1 free";
    let asks = "default/asks: is not to be evicted: karpenter.sh/do-not-disrupt=true";
    assert_eq!(blockers(&text, "a"), [asks, large]);
    // One pod for two reasons.
    let both = text.replace("cpu: 100m", "cpu: 3500m").replace("cpu: 3000m", "cpu: 400m");
    let nowhere = "default/asks: fits no other node that stays; the nearest, b: needs 3500m cpu, 3600m free";
    assert_eq!(blockers(&both.replace("cpu: 400m", "cpu: 1"), "a")[1], nowhere.replace("3600m", "3"));
    // A node that asks to be left alone has its own reason, and its pods have theirs.
    let node_asks = text.replacen("cheap}", &format!("cheap}}{ASKS}"), 1);
    assert_eq!(reason(&node_asks, "a"), "is not to be disturbed: karpenter.sh/do-not-disrupt=true");
    assert_eq!(blockers(&node_asks, "a"), [asks, large]);
}

#[test]
fn a_pod_whose_room_is_taken_by_its_neighbours_does_not_say_that_nothing_fits() {
    let text =
        node("a", "") + &pod("one", "a", 1500) + &pod("two", "a", 1400) + &node("b", "") + &bare("half", "b", 2000);
    assert_eq!(
        blockers(&text, "a"),
        ["default/two: finds no room beside the others that would move: 1 node would take it alone"]
    );
    assert!(explained(&text, "a").contains("NO NODE TAKES default/two\nNODE  RULE              WHY NOT\nb     NodeResourcesFit  needs 1400m cpu, 500m free"), "{}", explained(&text, "a"));
}

#[test]
fn in_small_clusters_every_place_is_tried_before_a_node_is_said_to_stay() {
    // The largest of four pods must not take the first place that it fits.
    let full = (0..10).map(|number| format!("full-{number}")).map(|name| node(&name, "") + &pod(&name, &name, 4000));
    let rest = [("b", 3500), ("c", 3300)].map(|(name, used)| node(name, "") + &bare(name, name, used));
    let sizes = [("p", 400), ("q", 300), ("r", 300), ("s", 200)];
    let text = full.collect::<String>()
        + &rest.concat()
        + &node("a", "")
        + &sizes.map(|(name, size)| pod(name, "a", size)).concat();
    assert_eq!(decided(&text).removals, ["a"]);
}

#[test]
fn a_pod_does_not_keep_itself_away() {
    let apart = "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: \
                 topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: x}}}]}}, ";
    let text = node("a", "")
        + &pod_with("x", "a", 3000, ", labels: {app: x}", apart)
        + &node("b", "")
        + &bare("half", "b", 2000);
    let said = "default/x: fits no other node that stays; the nearest, b: needs 3 cpu, 2 free";
    assert_eq!(blockers(&text, "a"), [said]);
}

#[test]
fn a_node_that_takes_pods_says_why_they_are_not_elsewhere() {
    let text = node_of("dear", "a", "") + &pod("p", "a", 500) + &node("b", "") + &pod("q", "b", 3000);
    assert_eq!(decided(&text).removals, ["a"]);
    assert_eq!(reason(&text, "b"), "takes 1 pod of a; no other node would be left that takes pods");
    let with_full = text + &node("c", "") + &bare("full", "c", 3200);
    let full_first = with_full.replace("cpu: 500m", "cpu: 900m");
    assert_eq!(decided(&full_first).removals, ["a"]);
    assert_eq!(reason(&full_first, "b"), "takes 1 pod of a; with its own 1, none finds another place");
    let own = ["default/q: fits no other node that stays; the nearest, c: needs 3 cpu, 800m free"];
    assert_eq!(blockers(&full_first, "b"), own);
    // Its guest could be elsewhere if it came alone.
    let crowded = full_first.replace("cpu: 3200m", "cpu: 1500m") + &pod("r", "b", 300);
    assert_eq!(decided(&crowded).removals, ["a"]);
}

/// The pods without a place that `explain` has a table for.
fn explained_pods(text: &str, node: &str) -> Vec<String> {
    let text = explained(text, node);
    text.lines().filter_map(|line| Some(line.split_once("NO NODE TAKES ")?.1.to_owned())).collect()
}

/// The first place for the largest of the four small pods leaves none for the smallest.
#[test]
fn as_few_pods_as_possible_are_said_to_have_no_other_place() {
    let sizes = [("large", 2800), ("p", 400), ("q", 300), ("r", 300), ("s", 200)];
    let text = [("b", 3500), ("c", 3300)].map(|(name, used)| node(name, "") + &bare(name, name, used)).concat()
        + &node("a", "")
        + &sizes.map(|(name, size)| pod(name, "a", size)).concat();
    let said = "default/large: fits no other node that stays; the nearest, c: needs 2800m cpu, 700m free";
    assert_eq!(blockers(&text, "a"), [said]);
    assert_eq!(explained_pods(&text, "a"), ["default/large"]);
}

/// `b` stays because of a pod that nobody may evict, and takes one.
#[test]
fn a_node_that_stays_for_another_reason_says_that_it_takes_pods() {
    let text = node_of("dear", "a", "")
        + &pod("p", "a", 500)
        + &node("b", "")
        + &bare("lost", "b", 100)
        + &pod("q", "b", 3000)
        + &node("c", "")
        + &bare("full", "c", 3800);
    let consolidation = decided(&text);
    assert_eq!(consolidation.removals, ["a"]);
    let takes = "takes 1 pod of a; with its own 1, none finds another place";
    assert_eq!(reason(&text, "b"), format!("some of its pods cannot move; {takes}"));
    let table = consolidation_table(&outcome(&consolidation, &types()));
    let lost = "default/lost: has no controller: lost, not moved";
    assert!(table.contains(&format!("{lost} (and 1 more); {takes}\n")), "{table}");
    assert_eq!(explained_pods(&text, "b"), ["default/q", "default/p"]);
    assert!(explained(&text, "b").contains(&format!("stays, some of its pods cannot move; {takes}\n")));
}

#[test]
fn nobody_is_sent_to_the_control_plane() {
    let text = node("cp", CONTROL_PLANE) + &node("w", "") + &pod("p", "w", 500);
    assert_eq!(decided(&text).removals, Vec::<String>::new());
    assert_eq!(reason(&text, "w"), "no other node would be left that takes pods");
    // The only other worker is full.
    let full = text.clone() + &node("x", "") + &bare("full", "x", 3800);
    assert_eq!(decided(&full).removals, Vec::<String>::new());
    assert_eq!(
        blockers(&full, "w"),
        ["default/p: fits no other node that stays; the nearest, x: needs 500m cpu, 200m free"]
    );
    assert!(explained(&full, "w").contains("Not asked, since they run the control plane: cp"));
    // A pod whose node is being deleted comes there if it fits nowhere else: the scheduler would send it there.
    let leaving = full.replacen("name: w, labels", "name: w, deletionTimestamp: '2026-08-01T00:00:00Z', labels", 1);
    assert_eq!(entry(&decided(&leaving), "w")["pods"][0]["destination"], "cp");
}

#[test]
fn the_judge_minds_moves_to_the_control_plane() {
    let worker = node("cp", "") + &bare("stays", "cp", 1) + &node("w", "") + &pod("p", "w", 500);
    let good = decided(&worker);
    assert_eq!(good.removals, ["w"]);
    let control_plane =
        worker.replacen("instance-type: cheap", "instance-type: cheap, node-role.kubernetes.io/control-plane: ''", 1);
    let said = complaints(&good, &snapshot(&control_plane));
    assert!(said.contains("default/p: moves to cp, of the control plane"), "{said}");
    assert!(said.contains("removals: leave no node that takes pods"), "{said}");
}

fn tainted(text: &str) -> String {
    text.replace("\nspec: {}", "\nspec: {taints: [{key: mine, effect: NoSchedule}]}")
}

/// `mine` has a taint and takes pods that tolerate it.
#[test]
fn a_node_for_pods_without_tolerations_stays() {
    let mine = tainted(&node("mine", "")) + &bare("u", "mine", 100);
    let dear = node_of("dear", "a", "");
    let tolerates = "tolerations: [{key: mine, operator: Exists}], ";
    let text = mine.clone() + &dear + &node("b", "") + &pod_with("p", "b", 500, "", tolerates);
    assert_eq!(decided(&text).removals, ["a"]);
    assert_eq!(reason(&text, "b"), "no other node would be left that takes pods without tolerations");
    // Where two remain one may go, and where each has a taint the others do.
    assert_eq!(decided(&(text.clone() + &node("c", "") + &bare("v", "c", 100))).removals, ["a", "b"]);
    let all_tainted = mine + &tainted(&(dear + &node("b", ""))) + &pod_with("p", "b", 500, "", tolerates);
    assert_eq!(decided(&all_tainted).removals, ["a", "b"]);
}

#[test]
fn the_judge_minds_that_only_tainted_nodes_are_left() {
    let plain = node("mine", "") + &bare("u", "mine", 100) + &node("b", "");
    let good = decided(&plain);
    assert_eq!(good.removals, ["b"]);
    let said = complaints(
        &good,
        &snapshot(&plain.replacen("\nspec: {}", "\nspec: {taints: [{key: mine, effect: NoSchedule}]}", 1)),
    );
    assert_eq!(said, "removals: leave no node that takes pods without tolerations");
}

#[test]
fn the_nearest_node_is_one_that_could_take_the_pod() {
    let gpu = |text: &str| text.replace("pods: 20}", "pods: 20, nvidia.com/gpu: 1}");
    let asks = |text: &str| {
        text.replace("cpu: 500m", "cpu: 500m, nvidia.com/gpu: 1")
            .replace("requests:", "limits: {nvidia.com/gpu: 1}, requests:")
    };
    let cpu_node = node("a", "") + &bare("full", "a", 100);
    let from = gpu(&node("g1", "")) + &asks(&pod("p", "g1", 500)) + &bare("stays", "b", 1) + &node("b", "");
    // Free, and tainted: it needs a toleration. The others have no GPU at all.
    let with_tainted = cpu_node.clone() + &from + &tainted(&gpu(&node("g2", ""))) + &bare("u", "g2", 1);
    let said = "default/p: fits no other node that stays; the nearest, g2: does not tolerate the taint mine:NoSchedule";
    assert_eq!(blockers(&with_tainted, "g1"), [said]);
    // Taken: it needs room.
    let taken = cpu_node + &from + &gpu(&node("g2", "")) + &asks(&pod("u", "g2", 500)).replace(OWNED, "labels: {}");
    let said = "default/p: fits no other node that stays; the nearest, g2: needs 1 nvidia.com/gpu, 0 free";
    assert_eq!(blockers(&taken, "g1"), [said]);
    // Of two that lack the same share of one resource, the one that lacks nothing else.
    let memory = |text: String| text.replace("cpu: 3800m", "cpu: 3800m, memory: 8Gi");
    let both = node("a", "")
        + &memory(bare("u", "a", 3800))
        + &node("b", "")
        + &bare("v", "b", 3800)
        + &node("c", "")
        + &pod("p", "c", 1000).replace("cpu: 1000m", "cpu: 1000m, memory: 1Gi");
    assert_eq!(
        blockers(&both, "c"),
        ["default/p: fits no other node that stays; the nearest, b: needs 1 cpu, 200m free"]
    );
}

/// Six workloads of seven pods that keep apart, one pod of each on three dear nodes and the others on seven cheaper ones: more
/// ways to place them than can be tried, before it is known that no four nodes can go.
fn crowded() -> String {
    let apart = |app: &str| {
        format!(
            "affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, \
             labelSelector: {{matchLabels: {{app: {app}}}}}}}]}}}}, "
        )
    };
    let pod = |app: &str, node: &str| {
        pod_with(&format!("{app}-{node}"), node, 100, &format!(", labels: {{app: {app}}}"), &apart(app))
    };
    let apps = ["u", "v", "w", "x", "y", "z"];
    let cheaper = (0..7).map(|number| {
        let name = format!("cheaper-{number}");
        let here = (0..6).filter(|app| (number + 14 - 2 * app) % 7 < 4).map(|app| pod(apps[app], &name));
        node_of("cheaper", &name, "") + &here.collect::<String>()
    });
    let dear = (0..3).map(|number| {
        let name = format!("dear-{number}");
        node_of("dear", &name, "") + &apps.map(|app| pod(app, &name)).concat()
    });
    cheaper.chain(dear).collect()
}

#[test]
fn where_not_every_set_can_be_tried_what_is_found_is_no_worse_than_in_larger_fleets() {
    assert_eq!(decided(&crowded()).removals, ["dear-0", "dear-1", "dear-2"]);
}

#[test]
fn a_pod_with_a_folder_of_its_node_moves_with_a_warning() {
    let folder = "volumes: [{name: v, hostPath: {path: /var/lib/x}}], ";
    let text = node("a", "") + &pod_with("p", "a", 500, "", folder) + &node("b", "") + &bare("stays", "b", 100);
    let decided = decided(&text);
    assert_eq!(decided.removals, ["a"]);
    let warnings = &entry(&decided, "a")["pods"][0]["warnings"];
    assert_eq!(warnings[0], "leaves what is in its hostPath on the node");
}

const SPREAD: &str = "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: \
                      DoNotSchedule, labelSelector: {matchLabels: {app: a}}}], ";

/// Of two pods that leave a node one is spread, and the other is counted and minds nobody: the judge must not have it come first.
#[test]
fn pods_of_deleting_nodes_that_mind_others_come_first() {
    let spread = SPREAD.replace("maxSkew: 1", "maxSkew: 2");
    let app = ", labels: {app: a}";
    let text = node("empty", "")
        + &node("n", "")
        + &node("x", DELETED)
        + &pod_with("p", "n", 300, app, "")
        + &pod_with("plain", "x", 50, app, "")
        + &pod_with("spread", "x", 50, app, &spread);
    let mut consolidation = decided(&text);
    assert_eq!(plan(&mut consolidation, "x").moves.len(), 2);
}

/// One is spread and must come before another that counts and that has only this place.
#[test]
fn pods_of_deleting_nodes_come_in_the_order_in_which_their_places_were_found() {
    let near = "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname, \
                labelSelector: {matchLabels: {app: b}}}]}}, ";
    let app = ", labels: {app: a}";
    let text = node("full", "")
        + &pod_with("large", "full", 3900, app, "")
        + &node("n", "")
        + &pod_with("small", "n", 100, app, "")
        + &pod_with("b", "n", 100, ", labels: {app: b}", "")
        + &node("x", DELETED)
        + &pod_with("near", "x", 100, app, near)
        + &node("y", DELETED)
        + &pod_with("spread", "y", 300, app, SPREAD);
    let mut consolidation = decided(&text);
    let names: Vec<&str> = consolidation.displaced.iter().map(|pod| pod.name.as_str()).collect();
    assert_eq!(names, ["spread", "near"]);
    consolidation.displaced.reverse();
    assert!(complaints(&consolidation, &snapshot(&text)).contains("default/spread: on n: PodTopologySpread"));
}

#[test]
fn a_move_shows_whatever_the_pod_requests_before_and_after() {
    let gpus = |text: String, count: u32| text.replace("pods: 20}", &format!("pods: 20, nvidia.com/gpu: {count}}}"));
    let asks = |text: String| {
        let limits = "limits: {nvidia.com/gpu: 1}, requests: {nvidia.com/gpu: 1, ephemeral-storage: 1Gi, ";
        text.replace("requests: {", limits)
    };
    let text = gpus(node_of("dear", "a", ""), 1)
        + &asks(pod("p", "a", 500))
        + &gpus(node("b", ""), 2).replace("pods: 20", "pods: 20, ephemeral-storage: 9Gi")
        + &asks(pod("q", "b", 3000));
    let decided = decided(&text);
    assert_eq!(decided.removals, ["a"]);
    let table = consolidation_table(&outcome(&decided, &types()));
    let lines = "  default/p (500m cpu, 0, 1Gi ephemeral-storage, 1 nvidia.com/gpu) -> b\n  b: 3000m -> 3500m of 4 cpu, 0 -> 0 of 8Gi memory, \
                 1Gi -> 2Gi of 9Gi ephemeral-storage, 1 -> 2 of 2 nvidia.com/gpu\n";
    assert!(table.contains(lines), "{table}");
    // What nothing comes of is not shown.
    let plain = self::decided(&text.replacen("nvidia.com/gpu: 1, ephemeral-storage: 1Gi, ", "", 1).replacen(
        "limits: {nvidia.com/gpu: 1}, ",
        "",
        1,
    ));
    let table = consolidation_table(&outcome(&plain, &types()));
    assert!(table.contains("  b: 3000m -> 3500m of 4 cpu, 0 -> 0 of 8Gi memory\n"), "{table}");
}

#[test]
fn a_table_has_requests_without_daemon_sets_where_there_are_any() {
    let plain = node("a", "") + &pod("p", "a", 400) + &node("b", "") + &bare("q", "b", 3000);
    let table = |text: &str| consolidation_table(&outcome(&decided(text), &types()));
    assert!(!table(&plain).contains("W/O DS"), "{}", table(&plain));
    let daemon = pod("d", "a", 200).replace("kind: ReplicaSet", "kind: DaemonSet");
    let with_daemon = table(&(plain + &daemon));
    let words = |name: &str| -> Vec<String> {
        let line = with_daemon.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().take(9).map(str::to_owned).collect()
    };
    assert_eq!(words("a ")[1..], ["15.0", "%", "0.0", "%", "10.0", "%", "0.0", "%"]);
    assert_eq!(words("b ")[1..], ["75.0", "%", "0.0", "%", "75.0", "%", "0.0", "%"]);
    assert!(
        with_daemon
            .contains("\nREQ is what pods request, W/O DS the same without those of DaemonSets and static ones\n")
    );
}
