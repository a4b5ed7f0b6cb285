//! A consolidation as JSON: the document of `-o json`, and each node's `info.json` with the same field names.

use serde::Serialize;

use super::share;
use crate::consolidate::{BlockReason, Blocker, Consolidation, Keep, NodePlan, Verdict};
use crate::snapshot::Skipped;
use crate::units::Money;

/// The document of `consolidate -o json`.
#[derive(Debug, Serialize)]
pub struct ConsolidationDocument<'a> {
    version: u32,
    nodes: Vec<NodeEntry<'a>>,
    removals: &'a [String],
    totals: Totals,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
}

/// One node's verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeEntry<'a> {
    node: &'a str,
    utilization: UtilizationEntry,
    underutilized: bool,
    verdict: &'static str,
    reason: String,
    blockers: Vec<BlockerEntry>,
    pods: Vec<MoveEntry<'a>>,
    price_per_hour: Option<Money>,
}

#[derive(Debug, Serialize)]
struct UtilizationEntry {
    cpu: f64,
    memory: f64,
}

#[derive(Debug, Serialize)]
struct BlockerEntry {
    pod: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    detail: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MoveEntry<'a> {
    pod: String,
    destination: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unchecked_rules: &'a [&'static str],
}

/// Sums over all nodes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    nodes_before: usize,
    nodes_after: usize,
    cost_before: Option<Money>,
    cost_after: Option<Money>,
    savings_per_hour: Option<Money>,
}

/// One node's `info.json`.
#[derive(Debug, Serialize)]
pub(super) struct NodeInfo<'a> {
    version: u32,
    #[serde(flatten)]
    node: NodeEntry<'a>,
}

impl<'a> ConsolidationDocument<'a> {
    /// The whole consolidation, and the objects that were left out.
    #[must_use]
    pub fn new(consolidation: &'a Consolidation, skipped: &[Skipped]) -> Self {
        Self {
            version: 1,
            nodes: consolidation.nodes.iter().map(node_entry).collect(),
            removals: &consolidation.removals,
            totals: totals(consolidation),
            skipped: skipped.iter().map(Skipped::to_string).collect(),
        }
    }
}

pub(super) fn totals(consolidation: &Consolidation) -> Totals {
    let (cost_before, cost_after) = consolidation.costs_per_hour();
    Totals {
        nodes_before: consolidation.nodes.len(),
        nodes_after: consolidation.nodes.len() - consolidation.removals.len(),
        cost_before,
        cost_after,
        savings_per_hour: consolidation.savings_per_hour(),
    }
}

pub(super) fn node_info(plan: &NodePlan) -> NodeInfo<'_> {
    NodeInfo { version: 1, node: node_entry(plan) }
}

fn node_entry(plan: &NodePlan) -> NodeEntry<'_> {
    NodeEntry {
        node: &plan.node.name,
        utilization: UtilizationEntry { cpu: share(plan.utilization.cpu), memory: share(plan.utilization.memory) },
        underutilized: plan.underutilized,
        verdict: if plan.verdict == Verdict::Remove { "remove" } else { "keep" },
        reason: reason(&plan.verdict),
        blockers: plan.blockers.iter().map(blocker_entry).collect(),
        pods: plan
            .moves
            .iter()
            .map(|each| MoveEntry {
                pod: each.pod.name.to_string(),
                destination: &each.destination,
                unchecked_rules: &each.pod.unchecked_rules,
            })
            .collect(),
        price_per_hour: plan.price_per_hour,
    }
}

/// Why a node stays; empty where it goes.
pub(super) fn reason(verdict: &Verdict) -> String {
    let Verdict::Keep(keep) = verdict else { return String::new() };
    match keep {
        Keep::Utilized => "enough of it is requested".to_owned(),
        Keep::ControlPlane => "runs the control plane".to_owned(),
        Keep::NotReady => "is not ready, so what runs there is not known".to_owned(),
        Keep::Cordoned => "is cordoned: somebody is at it already".to_owned(),
        Keep::Deleting => "is being deleted already".to_owned(),
        Keep::NoAllocatable => "has not reported what it offers".to_owned(),
        Keep::UnreadablePod => "runs a pod that could not be read".to_owned(),
        Keep::AwaitsPods => "an unschedulable pod fits it as it is".to_owned(),
        Keep::LastNode => "no other node would be left that takes pods".to_owned(),
        Keep::Blocked => "some of its pods cannot move".to_owned(),
        Keep::ReceivesPods(senders) => format!("takes the pods of {}", senders.join(", ")),
    }
}

fn blocker_entry(blocker: &Blocker) -> BlockerEntry {
    let (reason, object) = match &blocker.reason {
        BlockReason::NoController => ("NoController", None),
        BlockReason::Nominated => ("Nominated", None),
        BlockReason::NoDestination(nearest) => {
            ("NoDestination", nearest.as_ref().map(|(node, _)| format!("Node {node}")))
        }
    };
    BlockerEntry { pod: blocker.pod.to_string(), reason, object, detail: block_reason(&blocker.reason) }
}

/// Why a pod keeps its node, for a person.
pub(super) fn block_reason(reason: &BlockReason) -> String {
    match reason {
        BlockReason::NoController => "has no controller: lost, not moved".to_owned(),
        BlockReason::Nominated => "room is being made for it here".to_owned(),
        BlockReason::NoDestination(None) => "fits no other node, because there is none".to_owned(),
        BlockReason::NoDestination(Some((node, refusal))) => {
            format!("fits no other node that stays; the nearest, {node}: {refusal}")
        }
    }
}
