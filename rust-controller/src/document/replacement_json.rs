//! The replacement of nodes as JSON: `replacements` of `consolidate -o json` and of `summary-consolidation`.

use serde::Serialize;

use super::attachable::UnknownEntry;
use super::consolidation_json::{MoveEntry, Totals, TurnsEntry, move_entry, turns_entry};
use super::entries::Room;
use super::plan_json::{NodeEntry, node_entry};
use super::suggestion::is_zero;
use super::{NodePool, attachable, share, unchecked};
use crate::consolidate::{Consolidation, NodePlan, Replacement};
use crate::units::Money;

/// New nodes, and what goes then.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplacementEntry<'a> {
    /// Those that come first.
    nodes: Vec<NodeEntry<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    nodes_left_out: usize,
    /// Those that go then, in this order.
    removals: Vec<RemovalEntry<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    removals_left_out: usize,
    /// Removals of the consolidation that stay if this is done.
    staying: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    staying_left_out: usize,
    node_pools: Vec<NodePool>,
    #[serde(skip_serializing_if = "is_zero")]
    node_pools_left_out: usize,
    /// Types of the new nodes of which nobody knows how many volumes they can attach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attach_limits_unknown: Vec<UnknownEntry<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    attach_limits_unknown_left_out: usize,
    totals: ReplacementTotals,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RemovalEntry<'a> {
    node: &'a str,
    wave: u32,
    price_per_hour: Option<Money>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unverified: Vec<&'static str>,
    /// Budgets for which its drain waits in between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    in_turns: Vec<TurnsEntry>,
    pods: Vec<MoveEntry<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplacementTotals {
    /// As those of the removals alone, to stand beside them.
    #[serde(flatten)]
    totals: Totals,
    /// What is saved beyond the removals alone.
    further_savings_per_hour: Money,
    /// What the nodes cost that go here and stay there, and the share of it that is saved.
    replaced_per_hour: Money,
    savings_share: f64,
}

/// The whole replacement, as far as there is room for its lists.
pub(super) fn entry(consolidation: &Consolidation, mut room: Room) -> Option<ReplacementEntry<'_>> {
    let replacement = consolidation.replacement.as_ref()?;
    let (nodes, nodes_left_out) = room.cut(replacement.nodes.iter().map(node_entry).collect());
    let (node_pools, node_pools_left_out) = room.cut(replacement.pools.values().map(NodePool::new).collect());
    let (staying, staying_left_out) = room.cut(replacement.staying.iter().map(String::as_str).collect());
    let (removals, removals_left_out) = room.cut(replacement.removals.iter().map(removal_entry).collect());
    let (attach_limits_unknown, attach_limits_unknown_left_out) =
        room.cut(attachable::entries(&replacement.unknown_attach_limits));
    let Replacement { replaced_per_hour, further_savings_per_hour, .. } = replacement;
    let totals = ReplacementTotals {
        totals: Totals::with_replacement(consolidation, replacement),
        further_savings_per_hour: *further_savings_per_hour,
        replaced_per_hour: *replaced_per_hour,
        savings_share: share(replacement.savings_share()),
    };
    Some(ReplacementEntry {
        nodes,
        nodes_left_out,
        removals,
        removals_left_out,
        staying,
        staying_left_out,
        node_pools,
        node_pools_left_out,
        attach_limits_unknown,
        attach_limits_unknown_left_out,
        totals,
    })
}

fn removal_entry(plan: &NodePlan) -> RemovalEntry<'_> {
    RemovalEntry {
        node: &plan.node.name,
        wave: plan.wave,
        price_per_hour: plan.price_per_hour,
        unverified: unchecked::of_node(plan),
        in_turns: plan.in_turns.iter().map(turns_entry).collect(),
        pods: plan.moves.iter().map(move_entry).collect(),
    }
}
