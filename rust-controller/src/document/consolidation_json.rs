//! A consolidation as JSON: the document of `-o json`, and each node's `info.json` with the same field names.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::basis::Basis;
use super::entries::Room;
use super::plan_json::CertificateEntry;
use super::prices::Prices;
use super::replacement_json::{self, ReplacementEntry};
use super::{share, unchecked, usage};
use crate::consolidate::{
    BlockReason, Blocker, Consolidation, Keep, Last, Move, NodePlan, Objective, Receives, Replacement, Turns,
    Utilization, Verdict, Warning, WhyKept,
};
use crate::feasibility::Rule;
use crate::model::{Catalog, Pod, PodName};
use crate::snapshot::{MeasuredUsage, Skipped};
use crate::units::Money;
use crate::{consolidate, provision};

/// A consolidation with everything that its documents say about it.
#[derive(Debug)]
pub struct ConsolidationOutcome<'a> {
    /// The consolidation.
    pub consolidation: &'a Consolidation,
    /// Where its prices are from.
    pub catalog: &'a Catalog,
    /// Under which options: of new nodes, and its own.
    pub options: (&'a provision::Options, &'a consolidate::Options),
    /// What the nodes were measured to use.
    pub usage: &'a MeasuredUsage,
    /// Objects that were left out.
    pub skipped: &'a [Skipped],
    /// Kinds of objects that nobody could read.
    pub unread_kinds: Vec<&'static str>,
}

/// What every `utilization`, `cpu` and `memory` of a node is a share of allocatable of; measured use has a name of its own.
pub(super) const UTILIZATION_OF: &str = "requests";

/// The document of `consolidate -o json`.
#[derive(Debug, Serialize)]
pub struct ConsolidationDocument<'a> {
    version: u32,
    #[serde(flatten)]
    basis: Basis<'a>,
    /// Where it was asked for.
    #[serde(rename = "measuredUsage", skip_serializing_if = "Option::is_none")]
    measured_usage: Option<usage::UsageStatus>,
    /// What shares of allocatable are of.
    #[serde(rename = "utilizationOf")]
    utilization_of: &'static str,
    nodes: Vec<NodeEntry<'a>>,
    removals: &'a [String],
    /// Pending pods for which room is kept, each with its node: they come first, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reserved: Vec<ReservedEntry<'a>>,
    totals: Totals,
    /// What could be done instead if new nodes came; null where that does not save enough.
    replacements: Option<ReplacementEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateEntry>,
    #[serde(rename = "uncheckedRules", skip_serializing_if = "Vec::is_empty")]
    unchecked_rules: Vec<unchecked::UncheckedRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
}

/// One node's verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeEntry<'a> {
    node: &'a str,
    /// Shares of requests, of all running pods.
    utilization: UtilizationEntry<'a>,
    /// The same without the pods that end with the node.
    utilization_without_daemon_sets: UtilizationEntry<'a>,
    /// Measured use, which no verdict depends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_usage: Option<usage::UsageEntry>,
    underutilized: bool,
    /// The share of allocatable from which on its suggestion goes, where it is not underutilized any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    underutilized_since: Option<String>,
    verdict: &'static str,
    reason: String,
    /// Rules that the verdict depends on and that could not be checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unverified: Vec<&'static str>,
    blockers: Vec<BlockerEntry<'a>>,
    /// There may be more: the other nodes were not asked about its pods.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unasked: bool,
    /// Pods of a node that is being deleted which find no place; they block nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stranded: Vec<BlockerEntry<'a>>,
    pods: Vec<MoveEntry<'a>>,
    /// In which wave of evictions it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
    /// Budgets because of which its drain waits in between.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    in_turns: Vec<TurnsEntry>,
    price_per_hour: Option<Money>,
}

/// By resource, as a map.
#[derive(Debug)]
struct UtilizationEntry<'a>(Utilization<'a>);

impl Serialize for UtilizationEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.shares().map(|(resource, millionths)| (resource, share(millionths))))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlockerEntry<'a> {
    pod: String,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    detail: String,
    /// How many of the nodes that stay each rule refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_nodes: Option<&'a BTreeMap<Rule, usize>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MoveEntry<'a> {
    pod: String,
    destination: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unchecked_rules: &'a [Rule],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

/// A pending pod for which room is kept.
#[derive(Debug, Serialize)]
struct ReservedEntry<'a> {
    pod: String,
    node: &'a str,
}

fn reserved_entry((pod, node): &(Arc<Pod>, String)) -> ReservedEntry<'_> {
    ReservedEntry { pod: pod.name.to_string(), node }
}

/// More pods under a budget than that allows to evict at once.
#[derive(Debug, Serialize)]
pub(super) struct TurnsEntry {
    budget: String,
    pods: u32,
    allowed: u32,
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
    /// How many pods are evicted for it.
    pods_disturbed: usize,
    /// What nodes are compared by: `price`, or `size`.
    objective: &'static str,
    /// Sizes in cores, where nodes are compared by them.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_before: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_after: Option<f64>,
    /// The least that any nodes for these pods would cost; or how large, and how many at least, the existing ones for them are.
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_bound_per_hour: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_bound_size: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_bound_nodes: Option<usize>,
    /// By which share those that stay are above that.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<f64>,
}

/// One node's `info.json`.
#[derive(Debug, Serialize)]
pub(super) struct NodeInfo<'a> {
    version: u32,
    #[serde(flatten)]
    prices: Prices<'a>,
    #[serde(rename = "utilizationOf")]
    utilization_of: &'static str,
    #[serde(flatten)]
    node: NodeEntry<'a>,
}

impl<'a> ConsolidationDocument<'a> {
    /// The whole consolidation.
    #[must_use]
    pub fn new(outcome: &ConsolidationOutcome<'a>) -> Self {
        let ConsolidationOutcome { consolidation, usage, skipped, .. } = outcome;
        Self {
            unchecked_rules: unchecked::that_matter(outcome.unchecked_rules()),
            version: 1,
            basis: outcome.basis(),
            measured_usage: usage::status(usage),
            utilization_of: UTILIZATION_OF,
            nodes: consolidation.nodes.iter().map(|plan| node_entry(plan, usage)).collect(),
            removals: &consolidation.removals,
            reserved: consolidation.reserved.iter().map(reserved_entry).collect(),
            totals: totals(consolidation),
            replacements: replacement_json::entry(consolidation, Room::new(usize::MAX)),
            certificate: consolidation.bound.as_ref().map(|bound| CertificateEntry::of(&bound.certificate)),
            skipped: skipped.iter().map(Skipped::to_string).collect(),
        }
    }
}

impl<'a> ConsolidationOutcome<'a> {
    pub(super) fn basis(&self) -> Basis<'a> {
        let (provisioning, options) = self.options;
        Basis::of(self.catalog, provisioning).with(options)
    }

    /// Rules that could not be checked, with the pods for which they would have mattered.
    pub(super) fn unchecked_rules(&self) -> Vec<unchecked::UncheckedRule> {
        unchecked::of_consolidation(self.consolidation, &self.unread_kinds)
    }
}

pub(super) fn totals(consolidation: &Consolidation) -> Totals {
    let (cost_before, cost_after) = consolidation.costs_per_hour();
    let by_size = consolidation.objective == Objective::Size;
    let (size_before, size_after) = consolidation.sizes();
    let least = consolidation.bound.as_ref().map(|bound| bound.least);
    Totals {
        nodes_before: consolidation.nodes.len(),
        nodes_after: consolidation.nodes.len() - consolidation.removals.len(),
        cost_before,
        cost_after,
        savings_per_hour: consolidation.savings_per_hour(),
        pods_disturbed: consolidation.pods_disturbed(),
        objective: if by_size { "size" } else { "price" },
        size_before: by_size.then_some(size_before),
        size_after: by_size.then_some(size_after),
        lower_bound_per_hour: least.filter(|_| !by_size),
        lower_bound_size: least.filter(|_| by_size),
        lower_bound_nodes: consolidation.fewest_nodes(),
        gap: consolidation.gap().map(rounded),
    }
}

impl Totals {
    /// The same where new nodes come.
    pub(super) fn with_replacement(consolidation: &Consolidation, replacement: &Replacement) -> Self {
        let alone = totals(consolidation);
        let cost_after = replacement.cost_after(consolidation);
        Self {
            nodes_after: alone.nodes_before - replacement.removals.len() + replacement.nodes.len(),
            cost_after,
            savings_per_hour: alone.cost_before.zip(cost_after).map(|(before, after)| before.saturating_sub(after)),
            pods_disturbed: replacement.pods_disturbed(),
            size_after: alone.size_after.map(|_| replacement.size_after(consolidation)),
            lower_bound_size: None,
            lower_bound_nodes: None,
            gap: replacement.gap(consolidation).map(rounded),
            ..alone
        }
    }
}

fn rounded(gap: f64) -> f64 {
    (gap * 1e4).round() / 1e4
}

pub(super) fn node_info<'a>(plan: &'a NodePlan, outcome: &ConsolidationOutcome<'a>) -> NodeInfo<'a> {
    let (prices, node) = (Prices::of(outcome.catalog), node_entry(plan, outcome.usage));
    NodeInfo { version: 1, prices, utilization_of: UTILIZATION_OF, node }
}

fn node_entry<'a>(plan: &'a NodePlan, usage: &MeasuredUsage) -> NodeEntry<'a> {
    NodeEntry {
        node: &plan.node.name,
        utilization: UtilizationEntry(plan.utilization()),
        utilization_without_daemon_sets: UtilizationEntry(plan.utilization_without_daemon_sets()),
        measured_usage: usage::entry(usage, &plan.node),
        underutilized: plan.underutilized,
        held_until: plan.held_until.map(share),
        underutilized_since: plan.underutilized_since.map(|since| since.to_string()),
        verdict: if plan.verdict == Verdict::Remove { "remove" } else { "keep" },
        reason: reason(plan),
        unverified: unchecked::of_node(plan),
        blockers: plan.blockers.iter().map(blocker_entry).collect(),
        unasked: plan.unasked,
        stranded: plan.stranded.iter().map(blocker_entry).collect(),
        pods: plan.moves.iter().map(move_entry).collect(),
        wave: (plan.wave > 0).then_some(plan.wave),
        in_turns: plan.in_turns.iter().map(turns_entry).collect(),
        price_per_hour: plan.price_per_hour,
    }
}

pub(super) fn move_entry(each: &Move) -> MoveEntry<'_> {
    MoveEntry {
        pod: each.pod.name.to_string(),
        destination: &each.destination,
        unchecked_rules: &each.unchecked_rules,
        warnings: each.warnings.iter().map(|warning| warning_text(*warning)).collect(),
    }
}

pub(super) fn turns_entry(Turns { budget, pods, allowed }: &Turns) -> TurnsEntry {
    TurnsEntry { budget: budget.to_string(), pods: *pods, allowed: *allowed }
}

/// What a move costs, for a person.
pub(super) fn warning_text(warning: Warning) -> &'static str {
    match warning {
        Warning::LosesScratch => "loses what is in its emptyDir",
        Warning::LeavesHostPath => "leaves what is in its hostPath on the node",
        Warning::OnlyReplica => "the only replica: down until it runs again",
        Warning::StartsAnew => "a Job's pod: starts again from the beginning",
    }
}

/// Why a node stays, and whose pods it takes; empty where it goes.
pub(super) fn reason(plan: &NodePlan) -> String {
    let Verdict::Keep(keep) = &plan.verdict else { return String::new() };
    let reason = match keep {
        Keep::Deleting => Some(itself(plan, keep).to_owned() + &displaced(plan)),
        Keep::DoNotDisrupt(annotation) => Some(format!("{}: {annotation}", itself(plan, keep))),
        Keep::AwaitsPods { pending, displaced } => Some(awaited(pending, displaced)),
        Keep::ReceivesPods => None,
        _ => Some(itself(plan, keep).to_owned()),
    };
    [reason, received(plan)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The same in some forty letters, without the names of others.
pub(super) fn short_reason(plan: &NodePlan) -> String {
    let Verdict::Keep(keep) = &plan.verdict else { return String::new() };
    let reason = (*keep != Keep::ReceivesPods).then(|| itself(plan, keep).to_owned());
    let taken = plan.receives.as_ref().map(|Receives { pods, own, why, .. }| match why {
        WhyKept::WithoutPlace { pods: stuck, is_least } => {
            let tried = if *is_least { "" } else { "as tried, " };
            format!("takes {}; {tried}{stuck} of {} have no other place", counted(*pods), own + pods)
        }
        _ => format!("takes {}", counted(*pods)),
    });
    [reason, taken].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a node stays, as far as that is about itself.
fn itself(plan: &NodePlan, keep: &Keep) -> &'static str {
    match keep {
        Keep::ControlPlane => "runs the control plane",
        Keep::NotReady => "is not ready, so what runs there is not known",
        Keep::Cordoned => "is cordoned: somebody is at it already",
        Keep::Deleting => "is being deleted already",
        Keep::DoNotDisrupt(_) => "is not to be disturbed",
        Keep::NoAllocatable => "has not reported what it offers",
        Keep::UnreadablePod => "runs a pod that could not be read",
        Keep::AwaitsPods { .. } => "room is kept for pods that are to come",
        Keep::LastNode(last) => last_node(*last),
        Keep::Blocked if plan.blockers.is_empty() => "no plan in which it goes was found",
        Keep::Blocked => "some of its pods cannot move",
        Keep::ReceivesPods => "takes pods",
    }
}

/// `1 pod`, `2 pods`.
fn counted(pods: usize) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

fn last_node(last: Last) -> &'static str {
    match last {
        Last::TakingPods => "no other node would be left that takes pods",
        Last::Untainted => "no other node would be left that takes pods without tolerations",
    }
}

/// Whose pods a node takes, if any, and why they and its own are not all somewhere else.
pub(super) fn received(plan: &NodePlan) -> Option<String> {
    let Receives { from, pods, own, why } = plan.receives.as_ref()?;
    let named = if from.len() > 3 {
        format!("{} and {} more nodes", from[..2].join(", "), from.len() - 2)
    } else {
        from.join(", ")
    };
    let taken = format!("takes {} of {named}", counted(*pods));
    let total = own + pods;
    let with_own = if *own == 0 { String::new() } else { format!("with its own {own}, ") };
    // Where something else keeps it, that has been said.
    let is_why = plan.verdict == Verdict::Keep(Keep::ReceivesPods);
    let why = match why {
        WhyKept::WithoutPlace { .. } if total == 1 => "it finds no other place".to_owned(),
        WhyKept::WithoutPlace { pods, .. } if *pods == total => format!("{with_own}none finds another place"),
        WhyKept::WithoutPlace { pods, is_least } => {
            let tried = if *is_least { "" } else { "as tried, " };
            let find = if *pods == 1 { "finds" } else { "find" };
            format!("{with_own}{tried}{pods} of {total} {find} no other place")
        }
        _ if !is_why => return Some(taken),
        WhyKept::LastNode(last) => last_node(*last).to_owned(),
        WhyKept::NoPlanFound => {
            format!("{with_own}all would have other places, but no plan that leads there was found")
        }
        WhyKept::Unasked => "whether they have other places was not asked".to_owned(),
    };
    Some(format!("{taken}; {why}"))
}

/// What becomes of the pods of a node that is being deleted, as the rest of a sentence.
fn displaced(NodePlan { moves, stranded, .. }: &NodePlan) -> String {
    let kept = match moves.len() {
        0 => None,
        1 => Some("room is kept elsewhere for 1 of its pods".to_owned()),
        count => Some(format!("room is kept elsewhere for {count} of its pods")),
    };
    let (lost, homeless): (Vec<_>, Vec<_>) = stranded.iter().partition(|each| each.reason == BlockReason::NoController);
    let named = |pods: Vec<&Blocker>| first_of(&pods.into_iter().map(|each| each.pod.clone()).collect::<Vec<_>>());
    let homeless = named(homeless).map(|pods| format!("no room is found for {pods}"));
    let lost = named(lost).map(|pods| format!("without a controller: {pods}"));
    [kept, homeless, lost].into_iter().flatten().fold(String::new(), |text, part| text + "; " + &part)
}

/// For whom room is kept on a node.
fn awaited(pending: &[PodName], displaced: &[PodName]) -> String {
    let pending = first_of(pending).map(|pods| match pending.len() {
        1 => format!("the pending pod {pods} fits it as it is"),
        _ => format!("pending pods fit it as it is: {pods}"),
    });
    let displaced = first_of(displaced).map(|pods| {
        let whose = if displaced.len() == 1 { "whose node is" } else { "whose nodes are" };
        format!("room is kept for {pods}, {whose} being deleted")
    });
    pending.into_iter().chain(displaced).collect::<Vec<_>>().join("; ")
}

/// `shop/web-1`, `shop/web-1 and shop/web-2`, `shop/web-1 and 7 others`; none of none.
fn first_of(pods: &[PodName]) -> Option<String> {
    match pods {
        [] => None,
        [only] => Some(only.to_string()),
        [first, second] => Some(format!("{first} and {second}")),
        [first, others @ ..] => Some(format!("{first} and {} others", others.len())),
    }
}

fn blocker_entry(blocker: &Blocker) -> BlockerEntry<'_> {
    let (reason, object, refused_nodes) = match &blocker.reason {
        BlockReason::NoController => ("NoController", None, None),
        BlockReason::DoNotDisrupt(annotation) => ("DoNotDisrupt", Some(annotation.clone()), None),
        BlockReason::LocalVolume(volume) => ("LocalVolume", Some(format!("PersistentVolume {volume}")), None),
        BlockReason::Nominated => ("Nominated", None, None),
        BlockReason::Budget(budget) | BlockReason::StaleBudget(budget) => {
            ("Budget", Some(format!("PodDisruptionBudget {budget}")), None)
        }
        BlockReason::SeveralBudgets(budgets) => {
            ("SeveralBudgets", budgets.first().map(|budget| format!("PodDisruptionBudget {budget}")), None)
        }
        BlockReason::NoDestination { nearest, refused_nodes, .. } => {
            ("NoDestination", nearest.as_ref().map(|(node, _)| format!("Node {node}")), Some(refused_nodes))
        }
    };
    let detail = block_reason(&blocker.reason);
    BlockerEntry { pod: blocker.pod.to_string(), reason, object, detail, refused_nodes }
}

/// Why a pod keeps its node, for a person.
pub(super) fn block_reason(reason: &BlockReason) -> String {
    match reason {
        BlockReason::NoController => "has no controller: lost, not moved".to_owned(),
        BlockReason::DoNotDisrupt(annotation) => format!("is not to be evicted: {annotation}"),
        BlockReason::LocalVolume(volume) => format!("its volume {volume} is a disk of this node"),
        BlockReason::Nominated => "room is being made for it here".to_owned(),
        BlockReason::Budget(budget) => format!("budget {budget} allows no eviction now"),
        BlockReason::StaleBudget(budget) => {
            format!("budget {budget} has no status that says how many evictions it allows: none until it has")
        }
        BlockReason::SeveralBudgets(budgets) => {
            let budgets: Vec<String> = budgets.iter().map(ToString::to_string).collect();
            format!("several budgets protect it, and Kubernetes evicts no such pod: {}", budgets.join(", "))
        }
        BlockReason::NoDestination { alone: 1, .. } => {
            "finds no room beside the others that would move: 1 node would take it alone".to_owned()
        }
        BlockReason::NoDestination { alone: alone @ 2.., .. } => {
            format!("finds no room beside the others that would move: {alone} nodes would take it alone")
        }
        BlockReason::NoDestination { nearest: None, .. } => "fits no other node, because there is none".to_owned(),
        BlockReason::NoDestination { nearest: Some((node, refusal)), .. } => {
            format!("fits no other node that stays; the nearest, {node}: {refusal}")
        }
    }
}
