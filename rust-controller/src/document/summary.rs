//! `summary-provisioning` and `summary-consolidation`: the whole of a plan, for programs and for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::basis::Basis;
use super::config_map::{LARGEST_BYTES, cut, texts};
use super::consolidation_json::{self, ConsolidationOutcome, reason};
use super::plan_json::{self, PlanOutcome};
use super::replacement_json::{self, ReplacementEntry};
use super::seen::{self, SeenEntry};
use super::suggestion::is_zero;
use super::{json, share, tables, unchecked, usage};
use crate::consolidate::{Move, NodePlan, Verdict};
use crate::feasibility::Rule;
use crate::provision::PodPlan;
use crate::snapshot::{MeasuredUsage, Skipped};

/// Each of the two texts of a summary may take half.
const LARGEST_TEXT: usize = LARGEST_BYTES / 2;

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
    totals: plan_json::Totals,
    certificate: Option<plan_json::CertificateEntry>,
    /// Unschedulable pods beyond `--max-plans`, which have no ConfigMap of their own.
    pods_without_own_plan: usize,
    unchecked_rules: Vec<unchecked::UncheckedRule>,
    skipped: Vec<String>,
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
    let (allocatable_seen, allocatable_seen_left_out) =
        cut(outcome.allocatable_seen.iter().map(seen::entry).collect(), LARGEST_TEXT / 8);
    let (skipped, skipped_left_out) = cut(lines(outcome.skipped), LARGEST_TEXT / 4);
    let (pods, pods_left_out) = cut(outcome.plan.pods.iter().map(pod_line).collect(), LARGEST_TEXT / 2);
    let summary = ProvisioningSummary {
        version: 1,
        basis: outcome.basis(),
        allocatable_seen,
        allocatable_seen_left_out,
        totals: outcome.totals(),
        certificate: outcome.certificate(),
        pods_without_own_plan: without_own_plan,
        unchecked_rules: outcome.unchecked_rules(),
        skipped: with_rest(skipped, skipped_left_out),
        pods,
        pods_left_out,
    };
    texts([("info.json", json(&summary)), ("summary.txt", bounded(tables::plan_table(outcome)))])
}

fn pod_line(planned: &PodPlan) -> PodLine {
    let (verdict, node) = plan_json::verdict_and_node(&planned.verdict);
    PodLine {
        pod: planned.pod.name.to_string(),
        verdict,
        node: node.map(str::to_owned),
        reason: plan_json::reason(&planned.verdict),
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
    underutilized: bool,
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
    let (skipped, skipped_left_out) = cut(lines(outcome.skipped), LARGEST_TEXT / 16);
    let (removals, removals_left_out) =
        cut(consolidation.removals.iter().map(String::as_str).collect(), LARGEST_TEXT / 4);
    let (moves, moves_left_out) = cut(consolidation.moves().map(move_line).collect(), LARGEST_TEXT / 16 * 3);
    let (nodes, nodes_left_out) =
        cut(consolidation.nodes.iter().map(|plan| node_line(plan, outcome.usage)).collect(), LARGEST_TEXT / 4);
    let summary = ConsolidationSummary {
        version: 1,
        basis: outcome.basis(),
        measured_usage: usage::status(outcome.usage),
        totals: consolidation_json::totals(consolidation),
        replacements: replacement_json::entry(consolidation, Some(LARGEST_TEXT / 4)),
        removals,
        removals_left_out,
        moves,
        moves_left_out,
        unchecked_rules: outcome.unchecked_rules(),
        skipped: with_rest(skipped, skipped_left_out),
        nodes,
        nodes_left_out,
    };
    texts([("info.json", json(&summary)), ("summary.txt", bounded(tables::consolidation_table(outcome)))])
}

fn move_line(each: &Move) -> MoveLine<'_> {
    MoveLine { pod: each.pod.name.to_string(), destination: &each.destination }
}

fn node_line<'a>(plan: &'a NodePlan, usage: &MeasuredUsage) -> NodeLine<'a> {
    NodeLine {
        node: &plan.node.name,
        cpu: share(plan.utilization().share("cpu")),
        memory: share(plan.utilization().share("memory")),
        measured_usage: usage::entry(usage, &plan.node),
        underutilized: plan.underutilized,
        verdict: if plan.verdict == Verdict::Remove { "remove" } else { "keep" },
        reason: reason(plan),
        unverified: unchecked::of_node(plan),
    }
}

fn lines(skipped: &[Skipped]) -> Vec<String> {
    skipped.iter().map(Skipped::to_string).collect()
}

fn with_rest(mut lines: Vec<String>, left_out: usize) -> Vec<String> {
    if left_out > 0 {
        lines.push(format!("and {left_out} more"));
    }
    lines
}

/// Whole lines of a text as far as they fit, and how many do not.
fn bounded(text: String) -> String {
    /// Room for the note.
    const NOTE: usize = 64;
    if text.len() <= LARGEST_TEXT {
        return text;
    }
    let within = text.as_bytes().iter().take(LARGEST_TEXT - NOTE);
    let lines = within.filter(|byte| **byte == b'\n').count();
    let kept: String = text.split_inclusive('\n').take(lines).collect();
    format!("{kept}… and {} more lines\n", text.lines().count() - lines)
}
