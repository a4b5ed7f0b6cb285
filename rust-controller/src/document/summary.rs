//! `summary-provisioning` and `summary-consolidation`: the whole of a plan, for programs and for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attachable::UnknownEntry;
use super::basis::Basis;
use super::config_map::{LARGEST_BYTES, texts};
use super::consolidation_json::{self, ConsolidationOutcome, reason, short_reason};
use super::entries::{Room, json_by_entry, size};
use super::plan_json::{self, PlanOutcome};
use super::replacement_json::{self, ReplacementEntry};
use super::seen::{self, SeenEntry};
use super::suggestion::is_zero;
use super::{attachable, share, tables, unchecked, usage};
use crate::consolidate::{Move, NodePlan, Verdict};
use crate::feasibility::Rule;
use crate::provision::PodPlan;
use crate::snapshot::{MeasuredUsage, Skipped};

/// What is left of a ConfigMap for `summary.txt` at least, however long the lists of `info.json` are.
const TEXT_AT_LEAST: usize = LARGEST_BYTES / 32;
/// What each list may take that is no answer by itself.
const SIDE_LIST: usize = LARGEST_BYTES / 32;
/// The digits of the numbers that say what is left out.
const NUMBERS: usize = 256;

/// What is left for the lists of a document that is otherwise complete.
fn room_beside(document: &impl Serialize) -> Room {
    Room::new(LARGEST_BYTES).less(TEXT_AT_LEAST + NUMBERS + json_by_entry(document).len())
}

/// Both files of a summary: its text gets what its JSON leaves.
fn files(info: &impl Serialize, text: String) -> BTreeMap<String, String> {
    let info = json_by_entry(info);
    let text = bounded(text, LARGEST_BYTES.saturating_sub(info.len()));
    texts([("info.json", info), ("summary.txt", text)])
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisioningSummary<'a> {
    version: u32,
    #[serde(flatten)]
    basis: Basis<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allocatable_seen: Vec<SeenEntry<'a>>,
    /// Types that the list above leaves out for its size.
    #[serde(skip_serializing_if = "is_zero")]
    allocatable_seen_left_out: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attach_limits_unknown: Vec<UnknownEntry<'a>>,
    /// Types that the list above leaves out for its size.
    #[serde(skip_serializing_if = "is_zero")]
    attach_limits_unknown_left_out: usize,
    totals: plan_json::Totals,
    certificate: Option<plan_json::CertificateEntry>,
    /// Unschedulable pods beyond `--max-plans`, which have no ConfigMap of their own.
    pods_without_own_plan: usize,
    unchecked_rules: Vec<unchecked::UncheckedRule>,
    skipped: Vec<String>,
    /// Fields of the pods of which only the beginning is there, if anything, for the size of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shortened: Vec<&'static str>,
    pods: Vec<PodLine>,
    /// Pods that the list above leaves out for its size.
    pods_left_out: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodLine {
    pod: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchecked_rules: Vec<Rule>,
}

pub(super) fn provisioning(outcome: &PlanOutcome<'_>, without_own_plan: usize) -> BTreeMap<String, String> {
    let side_list = || Room::new(SIDE_LIST);
    let (allocatable_seen, allocatable_seen_left_out) =
        side_list().cut(outcome.allocatable_seen.iter().map(seen::entry).collect());
    let (attach_limits_unknown, attach_limits_unknown_left_out) =
        side_list().cut(attachable::entries(&outcome.plan.unknown_attach_limits));
    let mut summary = ProvisioningSummary {
        version: 1,
        basis: outcome.basis(),
        allocatable_seen,
        allocatable_seen_left_out,
        attach_limits_unknown,
        attach_limits_unknown_left_out,
        totals: outcome.totals(),
        certificate: outcome.certificate(),
        pods_without_own_plan: without_own_plan,
        unchecked_rules: outcome.unchecked_rules(),
        skipped: skipped(outcome.skipped, side_list()),
        shortened: Vec::new(),
        pods: Vec::new(),
        pods_left_out: 0,
    };
    let mut room = room_beside(&summary);
    let pods = |longest: usize| outcome.plan.pods.iter().map(|planned| pod_line(planned, longest)).collect::<Vec<_>>();
    let whole = pods(usize::MAX);
    let pods = if room.holds(size(&whole)) {
        whole
    } else {
        summary.shortened = vec!["reason"];
        let shorter = SHORTER_REASONS.into_iter().map(pods).find(|pods| room.holds(size(pods)));
        shorter.unwrap_or_else(|| pods(0))
    };
    (summary.pods, summary.pods_left_out) = room.cut(pods);
    files(&summary, tables::plan_table(outcome))
}

/// How many bytes of the reason of each pod remain where they do not all fit.
const SHORTER_REASONS: [usize; 3] = [160, 80, 40];

/// A text of so many bytes at most.
fn cut_short(text: String, longest: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= longest {
        return text;
    }
    let end = (0..=longest.saturating_sub(ELLIPSIS.len_utf8())).rev().find(|end| text.is_char_boundary(*end));
    match end {
        None | Some(0) => String::new(),
        Some(end) => format!("{}{ELLIPSIS}", text[..end].trim_end()),
    }
}

fn pod_line(planned: &PodPlan, longest_reason: usize) -> PodLine {
    let (verdict, node) = plan_json::verdict_and_node(&planned.verdict);
    PodLine {
        pod: planned.pod.name.to_string(),
        verdict,
        node: node.map(str::to_owned),
        reason: cut_short(plan_json::reason(&planned.verdict), longest_reason),
        unchecked_rules: planned.unchecked_rules.clone(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsolidationSummary<'a> {
    version: u32,
    #[serde(flatten)]
    basis: Basis<'a>,
    /// Where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_usage: Option<usage::UsageStatus>,
    totals: consolidation_json::Totals,
    /// What the shares of the nodes are of.
    utilization_of: &'static str,
    replacements: Option<ReplacementEntry<'a>>,
    removals: Vec<&'a str>,
    /// Removals that the list above leaves out for its size.
    removals_left_out: usize,
    /// Where the pods of the removals go, in the order of the nodes' names.
    moves: Vec<MoveLine<'a>>,
    /// Moves that the list above leaves out for its size.
    moves_left_out: usize,
    unchecked_rules: Vec<unchecked::UncheckedRule>,
    skipped: Vec<String>,
    /// Fields of the nodes that are shorter than elsewhere, or missing, for the size of the list.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shortened: &'static [&'static str],
    nodes: Vec<NodeLine<'a>>,
    /// Nodes that the list above leaves out for its size.
    nodes_left_out: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeLine<'a> {
    node: &'a str,
    /// Shares of requests.
    cpu: f64,
    memory: f64,
    /// Measured use, which no verdict depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_usage: Option<usage::UsageEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underutilized: Option<bool>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unverified: Vec<&'static str>,
}

#[derive(Serialize)]
struct MoveLine<'a> {
    pod: String,
    destination: &'a str,
}

pub(super) fn consolidation(outcome: &ConsolidationOutcome<'_>) -> BTreeMap<String, String> {
    let consolidation = outcome.consolidation;
    let mut summary = ConsolidationSummary {
        version: 1,
        basis: outcome.basis(),
        measured_usage: usage::status(outcome.usage),
        totals: consolidation_json::totals(consolidation),
        utilization_of: consolidation_json::UTILIZATION_OF,
        replacements: None,
        removals: Vec::new(),
        removals_left_out: 0,
        moves: Vec::new(),
        moves_left_out: 0,
        unchecked_rules: outcome.unchecked_rules(),
        skipped: skipped(outcome.skipped, Room::new(SIDE_LIST)),
        shortened: &[],
        nodes: Vec::new(),
        nodes_left_out: 0,
    };
    let removals = consolidation.removals.iter().map(String::as_str).collect();
    (summary.removals, summary.removals_left_out) = room_beside(&summary).cut(removals);
    fill(&mut summary, outcome);
    files(&summary, tables::consolidation_table(outcome))
}

/// Adds the lists beside the removals. Where they do not all fit, the nodes' texts make way first, then moves and what is
/// listed of the replacement.
fn fill<'a>(summary: &mut ConsolidationSummary<'a>, outcome: &ConsolidationOutcome<'a>) {
    let consolidation = outcome.consolidation;
    let moves: Vec<MoveLine<'_>> = consolidation.moves().map(move_line).collect();
    let nodes = |detail: Detail| -> Vec<NodeLine<'a>> {
        consolidation.nodes.iter().map(|plan| node_line(plan, outcome.usage, detail)).collect()
    };
    summary.replacements = replacement_json::entry(consolidation, Room::new(usize::MAX));
    let room = room_beside(summary).less(size(&moves));
    for detail in [Detail::Whole, Detail::ShortReasons, Detail::Short] {
        let nodes = nodes(detail);
        if room.holds(size(&nodes)) {
            summary.shortened = detail.shortened();
            (summary.nodes, summary.moves) = (nodes, moves);
            return;
        }
    }
    summary.replacements = None;
    let mut room = room_beside(summary);
    let short = nodes(Detail::Short);
    let (detail, nodes) = if room.holds(size(&short)) {
        (Detail::Short, short)
    } else {
        (Detail::VerdictAlone, nodes(Detail::VerdictAlone))
    };
    summary.shortened = detail.shortened();
    (summary.nodes, summary.nodes_left_out) = room.cut(nodes);
    let room = room_beside(summary).at_most(LARGEST_BYTES / 8);
    summary.replacements = replacement_json::entry(consolidation, room);
    (summary.moves, summary.moves_left_out) = room_beside(summary).cut(moves);
}

/// How much is said of each node.
#[derive(Clone, Copy)]
enum Detail {
    Whole,
    ShortReasons,
    /// And without measured use and rules that were not checked, with shares to a hundredth of a percent, and
    /// `underutilized` only where it is true.
    Short,
    /// And without any reason.
    VerdictAlone,
}

impl Detail {
    /// Fields that are shorter or missing.
    fn shortened(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &[],
            Self::ShortReasons => &["reason"],
            Self::Short | Self::VerdictAlone => {
                &["reason", "measuredUsage", "cpu", "memory", "underutilized", "unverified"]
            }
        }
    }
}

fn move_line(each: &Move) -> MoveLine<'_> {
    MoveLine { pod: each.pod.name.to_string(), destination: &each.destination }
}

fn node_line<'a>(plan: &'a NodePlan, usage: &MeasuredUsage, detail: Detail) -> NodeLine<'a> {
    let is_short = matches!(detail, Detail::Short | Detail::VerdictAlone);
    let reason = match detail {
        Detail::Whole => reason(plan),
        Detail::ShortReasons | Detail::Short => short_reason(plan),
        Detail::VerdictAlone => String::new(),
    };
    let of_resource = |resource| {
        let millionths = plan.utilization().share(resource);
        share(if is_short { millionths / 100 * 100 } else { millionths })
    };
    NodeLine {
        node: &plan.node.name,
        cpu: of_resource("cpu"),
        memory: of_resource("memory"),
        measured_usage: usage::entry(usage, &plan.node).filter(|_| !is_short),
        underutilized: Some(plan.underutilized).filter(|holds| *holds || !is_short),
        verdict: if plan.verdict == Verdict::Remove { "remove" } else { "keep" },
        reason,
        unverified: if is_short { Vec::new() } else { unchecked::of_node(plan) },
    }
}

/// Objects that are left out, as many as there is room for.
fn skipped(skipped: &[Skipped], mut room: Room) -> Vec<String> {
    let (mut lines, left_out) = room.cut(skipped.iter().map(Skipped::to_string).collect());
    if left_out > 0 {
        lines.push(format!("and {left_out} more"));
    }
    lines
}

/// A text of so many bytes at most: its first and its last lines, since the sums stand at the end.
fn bounded(text: String, room: usize) -> String {
    /// Room for the note.
    const NOTE: usize = 64;
    if text.len() <= room {
        return text;
    }
    let room = room.saturating_sub(NOTE);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let last = lines.len() - fitting(lines.iter().rev(), room / 4);
    let taken: usize = lines[last..].iter().map(|line| line.len()).sum();
    let first = fitting(lines.iter(), room - taken);
    format!("{}… {} lines are left out …\n{}", lines[..first].concat(), last - first, lines[last..].concat())
}

/// How many of these lines fit.
fn fitting<'l>(lines: impl Iterator<Item = &'l &'l str>, mut room: usize) -> usize {
    let fits = |line: &&&str| {
        let after = room.checked_sub(line.len());
        room = after.unwrap_or(0);
        after.is_some()
    };
    lines.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;
    use crate::consolidate::{self, Consolidation, Receives, WhyKept, consolidate};
    use crate::document::{Cost, Said};
    use crate::lower;
    use crate::model::{Catalog, Usage};
    use crate::provision;
    use crate::units::{Cpu, Memory, Timestamp};
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// `goes` and its pod move to `takes`; nobody may evict what is on `stuck`.
    const THREE_NODES: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: goes}, status: {allocatable: &all {cpu: 2, memory: 4Gi, pods: 9}}}
- {apiVersion: v1, kind: Node, metadata: {name: stuck}, status: {allocatable: *all}}
- {apiVersion: v1, kind: Node, metadata: {name: takes}, status: {allocatable: *all}}
- {apiVersion: v1, kind: Pod, metadata: &owned {name: p, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u,
  controller: true}]}, spec: {nodeName: goes, containers: [{name: c, resources: {requests: {cpu: 100m}}}]}, status: {phase: Running}}
- {apiVersion: v1, kind: Pod, metadata: {<<: *owned, name: q}, spec: {nodeName: takes, containers: [{name: c, resources: {requests: {cpu: 1800m}}}]},
  status: {phase: Running}}
- {apiVersion: v1, kind: Pod, metadata: {name: s}, spec: {nodeName: stuck, containers: [{name: c, resources: {requests: {cpu: 1950m}}}]},
  status: {phase: Running}}
";

    fn types() -> Catalog {
        catalog::builtin("generic").unwrap()
    }

    fn name_of_node(number: usize) -> String {
        format!(
            "ip-10-{}-{}-{}.us-east-1.compute.internal",
            100 + number / 10_000,
            100 + number / 100 % 100,
            100 + number % 100
        )
    }

    /// So many nodes with so many pods on each that goes: half of them go, every other of the rest takes pods of three.
    fn fleet(nodes: usize, pods: usize) -> Consolidation {
        let snapshot = lower::parse_manifest(THREE_NODES).unwrap().into_snapshot();
        let mut consolidation = consolidate(&snapshot, &types(), &consolidate::Options::default());
        assert_eq!(consolidation.removals, ["goes"]);
        let [goes, stuck, takes] = consolidation.nodes.as_slice() else { unreachable!("three nodes") };
        let plan = |number: usize| {
            let mut plan = [goes, takes, goes, stuck][number % 4].clone();
            Arc::make_mut(&mut plan.node).name = name_of_node(number);
            let moved = plan.moves.pop();
            for pod in 0..pods {
                let Some(mut each) = moved.clone() else { continue };
                Arc::make_mut(&mut each.pod).name.name = format!("a-workload-7d9f8b6c5d-{number}-{pod}");
                each.destination = name_of_node(number / 4 * 4 + 1);
                plan.moves.push(each);
            }
            if let Some(receives) = &mut plan.receives {
                receives.from = [1, 3, 5].map(|other| name_of_node(number + other)).to_vec();
            }
            plan
        };
        let plans: Vec<NodePlan> = (0..nodes).map(plan).collect();
        let gone = plans.iter().filter(|plan| plan.verdict == Verdict::Remove);
        consolidation.removals = gone.map(|plan| plan.node.name.clone()).collect();
        consolidation.nodes = plans;
        consolidation
    }

    /// Both files, which fit a ConfigMap.
    fn written(consolidation: &Consolidation, usage: &MeasuredUsage) -> (Value, String, String) {
        let mut files = super::consolidation(&ConsolidationOutcome {
            consolidation,
            catalog: &types(),
            options: (&provision::Options::default(), &consolidate::Options::default()),
            usage,
            skipped: &[],
            unread_kinds: Vec::new(),
        });
        assert!(files.values().map(String::len).sum::<usize>() <= LARGEST_BYTES);
        let info = files.remove("info.json").unwrap();
        (serde_json::from_str(&info).unwrap(), info, files.remove("summary.txt").unwrap())
    }

    /// Every node, with its verdict and why it stays, and all that go.
    fn assert_covers(info: &Value, consolidation: &Consolidation) {
        let (nodes, removals) = (info["nodes"].as_array().unwrap(), info["removals"].as_array().unwrap());
        assert!(nodes.iter().map(|node| &node["node"]).eq(consolidation.nodes.iter().map(|plan| &plan.node.name)));
        for (node, plan) in nodes.iter().zip(&consolidation.nodes) {
            let goes = plan.verdict == Verdict::Remove;
            assert_eq!(node["verdict"], if goes { "remove" } else { "keep" });
            assert_eq!(node.get("reason").is_none(), goes, "{node}");
            assert!(node["cpu"].is_f64() && node["memory"].is_number(), "{node}");
            let underutilized = node.get("underutilized").and_then(Value::as_bool);
            assert_eq!(underutilized.or(info.get("shortened").and(Some(false))), Some(plan.underutilized), "{node}");
        }
        assert!(removals.iter().eq(consolidation.removals.iter()));
        assert_eq!((&info["nodesLeftOut"], &info["removalsLeftOut"]), (&0.into(), &0.into()));
        assert_eq!(info["utilizationOf"], "requests");
    }

    #[test]
    fn of_a_thousand_nodes_every_one_is_there_with_all_that_is_said_and_every_move() {
        let fleet = fleet(1000, 3);
        let (info, text, _) = written(&fleet, &MeasuredUsage::NotAsked);
        assert_covers(&info, &fleet);
        assert_eq!((info["moves"].as_array().unwrap().len(), &info["movesLeftOut"]), (1500, &0.into()));
        assert!(info.get("shortened").is_none());
        let said = "takes 1 pod of ip-10-100-100-102.us-east-1.compute.internal, ";
        assert!(info["nodes"][1]["reason"].as_str().unwrap().starts_with(said), "{}", info["nodes"][1]);
        let said = Said::before(&[Said::read(&text).unwrap()], Timestamp::unix_seconds(0));
        assert_eq!((said.removals.len(), said.destinations.len()), (500, 1500));
    }

    #[test]
    fn of_five_thousand_nodes_every_one_is_there_with_a_short_reason() {
        let fleet = fleet(5000, 40);
        let (info, text, table) = written(&fleet, &MeasuredUsage::NotAsked);
        assert_covers(&info, &fleet);
        assert_eq!(
            info["shortened"],
            serde_json::json!(["reason", "measuredUsage", "cpu", "memory", "underutilized", "unverified"])
        );
        assert_eq!(info["nodes"][1]["reason"], "takes 1 pod; 2 of 2 have no other place");
        let moves = info["moves"].as_array().unwrap().len();
        assert!(moves > 0);
        assert_eq!(moves as u64 + info["movesLeftOut"].as_u64().unwrap(), 100_000);
        assert!(table.starts_with("NODE ") && table.contains("5000 nodes now, 2500 after"), "{table}");
        let left_out = table.lines().find(|line| line.starts_with('…')).unwrap();
        assert!(left_out.ends_with(" lines are left out …"), "{left_out}");
        let said = Said::before(&[Said::read(&text).unwrap()], Timestamp::unix_seconds(0));
        assert_eq!((said.removals.len(), said.destinations.len()), (2500, moves));
    }

    #[test]
    fn of_five_thousand_nodes_that_nearly_all_take_pods_every_one_is_there_too() {
        let mut fleet = fleet(5000, 10);
        let takes = fleet.nodes[1].clone();
        for (number, plan) in fleet.nodes.iter_mut().enumerate().filter(|(number, _)| number % 10 != 0) {
            let node = Arc::clone(&plan.node);
            let receives = takes.receives.clone().map(|receives| Receives {
                pods: 25,
                own: 30,
                why: WhyKept::WithoutPlace { pods: 17, is_least: false },
                ..receives
            });
            *plan = NodePlan { node, receives, ..takes.clone() };
            Arc::make_mut(&mut plan.node).name = name_of_node(number);
        }
        let goes = |plan: &&NodePlan| plan.verdict == Verdict::Remove;
        fleet.removals = fleet.nodes.iter().filter(goes).map(|plan| plan.node.name.clone()).collect();
        let (info, ..) = written(&fleet, &MeasuredUsage::NotAsked);
        assert_covers(&info, &fleet);
        assert_eq!(info["nodes"][1]["reason"], "takes 25 pods; as tried, 17 of 55 have no other place");
    }

    #[test]
    fn measured_use_makes_way_before_any_node_does() {
        let usage = Arc::new(Usage { cpu: Cpu::millicores(100), memory: Memory::bytes(1 << 30) });
        let read = |nodes| {
            MeasuredUsage::Read(Arc::new((0..nodes).map(|node| (name_of_node(node), Arc::clone(&usage))).collect()))
        };
        for (nodes, is_there) in [(1000, true), (5000, false)] {
            let fleet = fleet(nodes, 1);
            let (info, ..) = written(&fleet, &read(nodes));
            assert_covers(&info, &fleet);
            assert_eq!(info["nodes"][0].get("measuredUsage").is_some(), is_there);
        }
    }

    #[test]
    fn what_no_shortening_makes_fit_is_left_out_and_counted() {
        let fleet = fleet(12_000, 1);
        let (info, ..) = written(&fleet, &MeasuredUsage::NotAsked);
        let nodes = info["nodes"].as_array().unwrap();
        assert_eq!(nodes.len() as u64 + info["nodesLeftOut"].as_u64().unwrap(), 12_000);
        assert!(nodes.len() > 3000 && nodes.iter().all(|node| node.get("reason").is_none()));
        assert_eq!((info["removals"].as_array().unwrap().len(), &info["removalsLeftOut"]), (6000, &0.into()));
    }

    #[test]
    fn of_five_thousand_pods_every_one_is_there() {
        let pending = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {nodeSelector: {topology.kubernetes.io/zone: a-zone-that-no-node-type-is-in}, \
                       containers: [{name: c, resources: {requests: {cpu: 1}}}]}\nstatus: {phase: Pending, conditions: [{type: PodScheduled, \
                       status: 'False', reason: Unschedulable}]}\n";
        let snapshot = lower::parse_manifest(pending).unwrap().into_snapshot();
        let (catalog, options) = (types(), provision::Options::default());
        let mut plan = provision::plan(&snapshot, &catalog, &options);
        let unplaceable = plan.pods[0].clone();
        let pod = |number: usize| {
            let mut planned = unplaceable.clone();
            Arc::make_mut(&mut planned.pod).name.name = format!("a-workload-7d9f8b6c5d-{number:05}");
            planned
        };
        plan.pods = (0..5000).map(pod).collect();
        let files = super::provisioning(
            &PlanOutcome {
                plan: &plan,
                catalog: &catalog,
                allocatable_seen: &[],
                options: &options,
                alone: BTreeMap::new(),
                skipped: &[],
                unread_kinds: Vec::new(),
                cost_now: Cost::of([]),
            },
            4500,
        );
        assert!(files.values().map(String::len).sum::<usize>() <= LARGEST_BYTES);
        let info: Value = serde_json::from_str(&files["info.json"]).unwrap();
        let pods = info["pods"].as_array().unwrap();
        let names: BTreeSet<&str> = pods.iter().map(|pod| pod["pod"].as_str().unwrap()).collect();
        assert_eq!(
            (names.len(), &info["podsLeftOut"], &info["shortened"]),
            (5000, &0.into(), &serde_json::json!(["reason"]))
        );
        let reason = pods[0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("no node type fits; the nearest, ") && reason.ends_with('…'), "{reason}");
    }

    #[test]
    fn texts_are_cut_at_whole_letters_and_lines() {
        assert_eq!(cut_short("größer".to_owned(), 8), "größer");
        assert_eq!("größer".len(), 8);
        assert_eq!(cut_short("größer".to_owned(), 7), "grö…");
        assert_eq!(cut_short("größer".to_owned(), 6), "gr…");
        assert_eq!(cut_short("größer".to_owned(), 3), "");
        let lines = (0..100).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
        assert_eq!(bounded(lines.clone(), lines.len()), lines);
        let cut = bounded(lines.clone(), 400);
        assert!(cut.len() <= 400, "{cut}");
        assert!(cut.starts_with("line 0\nline 1\n") && cut.ends_with("line 98\nline 99\n"), "{cut}");
        let kept = cut.lines().filter(|line| line.starts_with("line ")).count();
        assert!(cut.contains(&format!("\n… {} lines are left out …\nline ", 100 - kept)), "{cut}");
    }
}
