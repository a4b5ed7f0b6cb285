//! `consolidation-<node>`: what becomes of one node, and how a person does it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::config_map::{LARGEST_BYTES, cut, texts};
use super::consolidation_json::{block_reason, node_info, reason, warning_text};
use super::{json, percent, unchecked, yaml};
use crate::consolidate::{Destination, Move, NodePlan, Verdict};
use crate::model::{Catalog, printed_amount};

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
    /// Requests, not use.
    requested: Requested,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blockers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moves: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    moves_left_out: usize,
    /// Requests there, before and after.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ends_with_the_node: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<String>,
}

#[derive(Serialize)]
struct Requested {
    cpu: String,
    memory: String,
}

pub(super) fn node(plan: &NodePlan, catalog: &Catalog) -> BTreeMap<String, String> {
    texts([("suggestion.yaml", yaml(&suggestion(plan))), ("info.json", json(&node_info(plan, catalog)))])
}

fn suggestion(plan: &NodePlan) -> Suggestion {
    let name = &plan.node.name;
    let allocatable = &plan.node.allocatable;
    let of = |resource: &str, requested: u64, millionths: u64| {
        let (requested, offered) =
            (printed_amount(resource, requested), printed_amount(resource, allocatable.amount(resource)));
        format!("{} ({requested} of {offered})", percent(millionths))
    };
    let utilization = &plan.utilization;
    let moves = plan.moves.iter().map(|each| format!("{} -> {}{}", each.pod.name, each.destination, marks(each)));
    let (moves, moves_left_out) = cut(moves.collect(), LARGEST_BYTES / 4);
    Suggestion {
        node: name.clone(),
        verdict: if plan.verdict == Verdict::Remove { "remove" } else { "keep" },
        reason: reason(&plan.verdict),
        wave: (plan.wave > 1).then_some(plan.wave),
        unverified: unchecked::of_node(plan),
        requested: Requested {
            cpu: of("cpu", utilization.requested_cpu.get(), utilization.cpu),
            memory: of("memory", utilization.requested_memory.get(), utilization.memory),
        },
        blockers: plan
            .blockers
            .iter()
            .map(|blocker| format!("{}: {}", blocker.pod, block_reason(&blocker.reason)))
            .collect(),
        moves,
        moves_left_out,
        destinations: plan.destinations.iter().map(filling).collect(),
        ends_with_the_node: plan.local_pods.iter().map(ToString::to_string).collect(),
        steps: if plan.verdict == Verdict::Remove { steps(name) } else { Vec::new() },
    }
}

/// What to add to a line about a move: what it costs, and which rules were not checked.
pub(super) fn marks(each: &Move) -> String {
    let warnings: Vec<&str> = each.warnings.iter().map(|warning| warning_text(*warning)).collect();
    let warnings = if warnings.is_empty() { String::new() } else { format!(" ({})", warnings.join("; ")) };
    warnings + &unchecked::mark(unchecked::names(&each.unchecked_rules))
}

/// What is requested of a destination: `node-2: 1200m -> 1700m of 4 cpu, 2Gi -> 3Gi of 16Gi memory`.
pub(super) fn filling(destination: &Destination) -> String {
    let Destination { node, before, after } = destination;
    let of = |resource: &str| {
        let [before, after, offered] =
            [before, after, &node.allocatable].map(|amounts| printed_amount(resource, amounts.amount(resource)));
        format!("{before} -> {after} of {offered} {resource}")
    };
    format!("{}: {}, {}", node.name, of("cpu"), of("memory"))
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
