//! `consolidation-<node>`: what becomes of one node, and how a person does it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::config_map::{LARGEST_BYTES, texts};
use super::consolidation_json::{ConsolidationOutcome, block_reason, node_info, reason, warning_text};
use super::entries::Room;
use super::{json, percent, unchecked, usage, yaml};
use crate::consolidate::{Destination, Millionths, Move, NodePlan, Turns, Utilization, Verdict};
use crate::model::{Pod, Resources, printed_alike, printed_amount};
use crate::snapshot::MeasuredUsage;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Suggestion {
    node: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// Of evictions, where budgets make more than one necessary.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
    /// Rules that the verdict depends on and that could not be checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unverified: Vec<&'static str>,
    /// Requests, not use, by resource.
    requested: BTreeMap<String, String>,
    /// The same without the pods that end with the node, where there are any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    requested_without_daemon_sets: BTreeMap<String, String>,
    /// Measured use, which no verdict depends on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    measured_usage: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underutilized_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blockers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moves: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    moves_left_out: usize,
    /// Requests there, before and after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<String>,
    /// Budgets because of which the drain waits in between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    in_turns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends_with_the_node: Vec<String>,
    /// What to know and to wait for before the first step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<String>,
}

pub(super) fn node(plan: &NodePlan, outcome: &ConsolidationOutcome<'_>) -> BTreeMap<String, String> {
    let alone = outcome.consolidation.removals.len() < 2;
    let suggestion = suggestion(plan, alone, outcome.usage);
    texts([("suggestion.yaml", yaml(&suggestion)), ("info.json", json(&node_info(plan, outcome)))])
}

/// `alone`: whether no other node goes.
fn suggestion(plan: &NodePlan, alone: bool, usage: &MeasuredUsage) -> Suggestion {
    let name = &plan.node.name;
    let goes = plan.verdict == Verdict::Remove;
    let without_daemon_sets = plan.requested_without_daemon_sets != plan.requested;
    let moves = plan.moves.iter().map(|each| format!("{} -> {}{}", each.pod.name, each.destination, marks(each)));
    let (moves, moves_left_out) = Room::new(LARGEST_BYTES / 4).cut(moves.collect());
    Suggestion {
        node: name.clone(),
        verdict: if goes { "remove" } else { "keep" },
        reason: reason(plan),
        wave: (plan.wave > 1).then_some(plan.wave),
        unverified: unchecked::of_node(plan),
        requested: requested(plan.utilization()),
        requested_without_daemon_sets: if without_daemon_sets {
            requested(plan.utilization_without_daemon_sets())
        } else {
            BTreeMap::new()
        },
        measured_usage: usage::texts(usage, &plan.node),
        underutilized_since: plan.underutilized_since.map(|since| since.to_string()),
        held_until: plan.held_until.map(held),
        blockers: plan
            .blockers
            .iter()
            .map(|blocker| format!("{}: {}", blocker.pod, block_reason(&blocker.reason)))
            .collect(),
        moves,
        moves_left_out,
        destinations: plan.destinations.iter().map(filling).collect(),
        in_turns: plan.in_turns.iter().map(turns).collect(),
        ends_with_the_node: plan.local_pods.iter().map(ToString::to_string).collect(),
        before: if goes { before(plan, alone) } else { Vec::new() },
        steps: if goes { steps(name) } else { Vec::new() },
    }
}

/// Names no other node, so that the document stays as it is where another one does not go any more.
fn before(plan: &NodePlan, alone: bool) -> Vec<String> {
    let mut before = Vec::new();
    if !alone {
        let others = "cordon the other nodes that go, too (summary-consolidation lists them in order), so that no pod comes to one that goes later";
        before.push(others.to_owned());
    }
    if plan.wave > 1 {
        before.push(format!("wave {}: {}", plan.wave, WAVE_BEGINS));
    }
    if !plan.moves.is_empty() {
        before.push(DESTINATIONS.to_owned());
    }
    before
}

/// When a later wave of evictions may begin.
pub(super) const WAVE_BEGINS: &str = "once the pods that moved so far run, and budgets allow as much again";

/// The same, where no removal comes before it.
pub(super) const FIRST_WAVE_BEGINS: &str =
    "once the pods of nodes that are being deleted run elsewhere, and budgets allow as much again";

/// What a destination is worth.
pub(super) const DESTINATIONS: &str =
    "the scheduler chooses where evicted pods go; each destination here is a place that its rules allow";

/// Of each resource `12.5 % (500m of 4)`.
fn requested(utilization: Utilization<'_>) -> BTreeMap<String, String> {
    let Utilization { requested, allocatable } = utilization;
    let line = |(resource, millionths): (&str, u64)| {
        let [requested, offered] =
            [requested, allocatable].map(|amounts| printed_amount(resource, amounts.amount(resource)));
        (resource.to_owned(), format!("{} ({requested} of {offered})", percent(millionths)))
    };
    utilization.shares().map(line).collect()
}

/// A pod that moves, with what it requests: `shop/web-1 (500m cpu, 1Gi)`, and whatever else: `(4 cpu, 16Gi, 1 nvidia.com/gpu)`.
pub(super) fn moved(each: &Move) -> String {
    let Pod { name, requests, .. } = &*each.pod;
    let [cpu, memory] = [("cpu", requests.cpu.get()), ("memory", requests.memory.get())]
        .map(|(resource, amount)| printed_amount(resource, amount));
    let others =
        others(requests).map(|(resource, amount)| format!(", {} {resource}", printed_amount(resource, amount)));
    format!("{name} ({cpu} cpu, {memory}{})", others.collect::<String>())
}

/// What is requested beside CPU, memory and a place for a pod.
fn others(requests: &Resources) -> impl Iterator<Item = (&str, u64)> {
    requests.amounts().filter(|(resource, amount)| *amount > 0 && !["cpu", "memory", "pods"].contains(resource))
}

/// What to add to a line about a move: what it costs, and which rules were not checked.
pub(super) fn marks(each: &Move) -> String {
    let warnings: Vec<&str> = each.warnings.iter().map(|warning| warning_text(*warning)).collect();
    let warnings = if warnings.is_empty() { String::new() } else { format!(" ({})", warnings.join("; ")) };
    warnings + &unchecked::mark(unchecked::names(&each.unchecked_rules))
}

/// What is requested of a destination: `node-2: 1200m -> 1700m of 4 cpu, 2Gi -> 3Gi of 16Gi memory`, and of whatever else the
/// pods request that come: `0 -> 1 of 2 nvidia.com/gpu`.
pub(super) fn filling(destination: &Destination) -> String {
    let Destination { node, before, after } = destination;
    let of = |resource: &str| {
        let [before, after] = printed_alike(resource, [before, after].map(|amounts| amounts.amount(resource)));
        let offered = printed_amount(resource, node.allocatable.amount(resource));
        format!("{before} -> {after} of {offered} {resource}")
    };
    let more = others(after).filter(|(resource, amount)| *amount != before.amount(resource));
    let resources = ["cpu", "memory"].into_iter().chain(more.map(|(resource, _)| resource));
    format!("{}: {}", node.name, resources.map(of).collect::<Vec<_>>().join(", "))
}

/// Why a node that is not underutilized still has a suggestion.
fn held(until: Millionths) -> String {
    format!("{} requested; it is above the threshold again, but only just", percent(until))
}

/// What a budget means for the drain of a node.
pub(super) fn turns(Turns { budget, pods, allowed }: &Turns) -> String {
    let evictions = if *allowed == 1 { "1 eviction" } else { &format!("{allowed} evictions") };
    format!("budget {budget} allows {evictions} at once, and {pods} of its pods leave: the drain waits in between")
}

/// What a person types, in order.
pub(super) fn steps(node: &str) -> Vec<String> {
    std::iter::once(format!("kubectl cordon {node}")).chain(drain(node)).collect()
}

/// The same for a node that is cordoned.
pub(super) fn drain(node: &str) -> [String; 2] {
    [format!("kubectl drain {node} --ignore-daemonsets --delete-emptydir-data"), format!("kubectl delete node {node}")]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) fn is_zero(count: &usize) -> bool {
    *count == 0
}
