//! A plan as JSON: the document of `-o json`, and each pod's `info.json` with the same field names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Not;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::attachable::UnknownEntry;
use super::basis::Basis;
use super::costs::Cost;
use super::seen::{self, SeenEntry};
use super::{NodePool, attachable, preferences, share, unchecked};
use crate::catalog::SeenAllocatable;
use crate::feasibility::Rule;
use crate::model::{Catalog, PodName, Resources, printed_amount};
use crate::provision::least_waste::{FORMULA, Fit, NearestMiss};
use crate::provision::{
    Certificate, Choice, ExistingMisses, Options, Plan, PlannedNode, PodPlan, Surcharge, Unplaceable, Verdict,
};
use crate::snapshot::Skipped;
use crate::units::Money;

/// A plan with everything that its documents say about it.
#[derive(Debug)]
pub struct PlanOutcome<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What it chose from.
    pub catalog: &'a Catalog,
    /// Types of it whose allocatable is what live nodes report.
    pub allocatable_seen: &'a [SeenAllocatable],
    /// Under which options.
    pub options: &'a Options,
    /// What pods would need if each were the only one; for those whose ConfigMap is asked for.
    pub alone: BTreeMap<PodName, Arc<Choice>>,
    /// Objects that were left out.
    pub skipped: &'a [Skipped],
    /// Kinds of objects that nobody could read.
    pub unread_kinds: Vec<&'static str>,
    /// What the nodes that are there cost.
    pub cost_now: Cost,
}

/// The document of `plan -o json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanDocument<'a> {
    version: u32,
    #[serde(flatten)]
    basis: Basis<'a>,
    /// All types whose allocatable is what live nodes report, planned or not: refusals depend on it, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allocatable_seen: Vec<SeenEntry<'a>>,
    /// Types of planned nodes of which nobody knows how many volumes they can attach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attach_limits_unknown: Vec<UnknownEntry<'a>>,
    pods: Vec<PodEntry<'a>>,
    nodes: Vec<NodeEntry<'a>>,
    node_pools: Vec<NodePool>,
    totals: Totals,
    certificate: Option<CertificateEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchecked_rules: Vec<unchecked::UncheckedRule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
}

/// One pod's verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodEntry<'a> {
    pod: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_pool: Option<&'a str>,
    /// The planned node's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_type: Option<&'a str>,
    reason: String,
    requests: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_miss: Option<NearestMissEntry<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unchecked_rules: &'a [Rule],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NearestMissEntry<'a> {
    instance_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    rule: Rule,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_types: Option<&'a BTreeMap<Rule, usize>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeEntry<'a> {
    name: &'a str,
    instance_type: &'a str,
    zone: &'a str,
    capacity_type: &'a str,
    price_per_hour: Option<Money>,
    pods: Vec<String>,
}

/// Sums over a plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Totals {
    pods: usize,
    planned: usize,
    fits_existing: usize,
    unplaceable: usize,
    ignored: usize,
    nodes: usize,
    cost_per_hour: Option<Money>,
    /// Of the nodes that are there.
    cost_now_per_hour: Option<Money>,
    /// Of these and the planned ones.
    cost_after_per_hour: Option<Money>,
    lower_bound_per_hour: Option<f64>,
    gap: Option<f64>,
    /// By kind; absent where all are met.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    soft_rules_violated: BTreeMap<&'static str, u32>,
    /// Present where `--budget` ended the search for a cheaper plan.
    #[serde(skip_serializing_if = "Not::not")]
    cut_short: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    solve_seconds: Option<f64>,
}

/// Prices by which the lower bound can be verified.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateEntry {
    per_resource: BTreeMap<String, f64>,
    per_node: f64,
    fewest_nodes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    apart_like: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apart_by: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    surcharges: Vec<SurchargeEntry>,
    node_types: Vec<String>,
}

/// Resources whose price is said even where it is nothing.
const WITH_EVERY_NODE: [&str; 3] = ["cpu", "memory", "pods"];

impl CertificateEntry {
    pub(super) fn of(certificate: &Certificate) -> Self {
        let Certificate { node_types, per_resource, per_node, fewest_nodes, apart_like, apart_by, surcharges } =
            certificate;
        let of_resources = per_resource.iter().map(|(name, price)| (name.clone(), *price));
        Self {
            per_resource: WITH_EVERY_NODE.map(|name| (name.to_owned(), 0.0)).into_iter().chain(of_resources).collect(),
            per_node: *per_node,
            fewest_nodes: *fewest_nodes,
            apart_like: apart_like.as_ref().map(PodName::to_string),
            apart_by: apart_by.clone(),
            surcharges: surcharges.iter().map(surcharge_entry).collect(),
            node_types: node_types.iter().cloned().collect(),
        }
    }
}

/// A price for each pod of a group, on top of what it requests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SurchargeEntry {
    at_least: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apart_like: Option<String>,
    pods: u64,
    per_pod: f64,
}

/// One pod's `info.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodInfo<'a> {
    version: u32,
    #[serde(flatten)]
    basis: Basis<'a>,
    #[serde(flatten)]
    pod: PodEntry<'a>,
    /// Types spoken of here whose allocatable is what live nodes report.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allocatable_seen: Vec<SeenEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calculation: Option<Calculation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_nodes: Option<ExistingEntry<'a>>,
}

/// Why no existing node takes a pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExistingEntry<'a> {
    refused_nodes: &'a BTreeMap<Rule, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest_miss: Option<NearestNodeEntry<'a>>,
}

#[derive(Debug, Serialize)]
struct NearestNodeEntry<'a> {
    node: &'a str,
    rule: Rule,
    reason: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Calculation<'a> {
    formula: &'static str,
    chosen: FitEntry<'a>,
    runners_up: Vec<FitEntry<'a>>,
    refused_types: &'a BTreeMap<Rule, usize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FitEntry<'a> {
    instance_type: &'a str,
    zone: &'a str,
    capacity_type: &'a str,
    price_per_hour: Option<Money>,
    allocatable: BTreeMap<String, String>,
    daemon_requests: BTreeMap<String, String>,
    daemon_sets: Vec<String>,
    waste: f64,
}

impl<'a> PlanOutcome<'a> {
    /// The whole plan; `solve_time` is what planning and checking took.
    #[must_use]
    pub fn document(&self, solve_time: Duration) -> PlanDocument<'a> {
        PlanDocument {
            version: 1,
            basis: self.basis(),
            allocatable_seen: self.allocatable_seen.iter().map(seen::entry).collect(),
            attach_limits_unknown: attachable::entries(&self.plan.unknown_attach_limits),
            pods: self.plan.pods.iter().map(|planned| pod_entry(self.plan, planned)).collect(),
            nodes: self.plan.nodes.iter().map(node_entry).collect(),
            node_pools: self.plan.pools.values().map(NodePool::new).collect(),
            totals: Totals { solve_seconds: Some(solve_time.as_secs_f64()), ..self.totals() },
            certificate: self.certificate(),
            unchecked_rules: unchecked::that_matter(self.unchecked_rules()),
            skipped: self.skipped.iter().map(Skipped::to_string).collect(),
        }
    }

    pub(super) fn basis(&self) -> Basis<'a> {
        Basis::of(self.catalog, self.options)
    }

    /// Sums that depend on the plan alone, not on how long it took.
    pub(super) fn totals(&self) -> Totals {
        let plan = self.plan;
        let cost = plan.cost_per_hour();
        let bound = plan.bound.as_ref().map(|bound| bound.per_hour);
        let ratio = |cost: Money, bound: f64| ((cost.units() / bound - 1.0) * 1e4).round() / 1e4;
        Totals {
            pods: plan.pods.len(),
            planned: plan.count(|verdict| matches!(verdict, Verdict::Planned { .. })),
            fits_existing: plan.count(|verdict| matches!(verdict, Verdict::FitsExisting { .. })),
            unplaceable: plan.count(|verdict| matches!(verdict, Verdict::Unplaceable(_))),
            ignored: plan.count(|verdict| matches!(verdict, Verdict::Ignored(_))),
            nodes: plan.nodes.len(),
            cost_per_hour: cost,
            cost_now_per_hour: self.cost_now.per_hour(),
            cost_after_per_hour: self.cost_now.and(self.cost_to_add()).per_hour(),
            lower_bound_per_hour: bound,
            gap: cost.zip(bound).map(|(cost, bound)| ratio(cost, bound)),
            soft_rules_violated: preferences::violated(&plan.unmet),
            cut_short: plan.cut_short,
            solve_seconds: None,
        }
    }

    pub(super) fn cost_to_add(&self) -> Cost {
        Cost::of(self.plan.nodes.iter().map(|node| node.price_per_hour))
    }

    pub(super) fn certificate(&self) -> Option<CertificateEntry> {
        Some(CertificateEntry::of(&self.plan.bound.as_ref()?.certificate))
    }

    /// Rules that could not be checked, with the pods for which they would have mattered.
    pub(super) fn unchecked_rules(&self) -> Vec<unchecked::UncheckedRule> {
        unchecked::of_plan(self.plan, &self.unread_kinds)
    }

    /// What one pod's ConfigMap says.
    pub(super) fn pod_info<'s>(&'s self, planned: &'s PodPlan) -> PodInfo<'s> {
        let mut pod = pod_entry(self.plan, planned);
        // Names of planned nodes depend on the other pods; what a pod's own ConfigMap says must not.
        if matches!(planned.verdict, Verdict::Planned { .. }) {
            pod.node = None;
        }
        let alone = self.alone.get(&planned.pod.name).map(|choice| &**choice);
        let calculation = alone.map(|choice| Calculation {
            formula: FORMULA,
            chosen: fit_entry(&choice.best),
            runners_up: choice.runners_up.iter().map(fit_entry).collect(),
            refused_types: &choice.refused_types,
        });
        let existing_nodes = planned.existing.as_deref().map(existing_entry);
        let allocatable_seen = self.seen_of(&types_of(&planned.verdict, alone)).map(seen::entry).collect();
        PodInfo { version: 1, basis: self.basis(), pod, allocatable_seen, calculation, existing_nodes }
    }

    /// Those of these types whose allocatable is what live nodes report, by name.
    pub(super) fn seen_of(&self, types: &BTreeSet<&str>) -> impl Iterator<Item = &'a SeenAllocatable> {
        self.allocatable_seen.iter().filter(|seen| types.contains(seen.instance_type.as_str()))
    }
}

fn pod_entry<'a>(plan: &'a Plan, planned: &'a PodPlan) -> PodEntry<'a> {
    let (verdict, node) = verdict_and_node(&planned.verdict);
    let node_pool = match &planned.verdict {
        Verdict::Planned { pool, .. } => Some(pool.as_str()),
        Verdict::FitsExisting { .. } | Verdict::Unplaceable(_) | Verdict::Ignored(_) => None,
    };
    PodEntry {
        pod: planned.pod.name.to_string(),
        verdict,
        node,
        node_pool,
        instance_type: node_pool.and(node).and_then(|node| plan.node(node)).map(|node| node.instance_type.as_str()),
        reason: reason(&planned.verdict),
        requests: amounts(&Resources { pods: 0, ..planned.pod.requests.clone() }),
        nearest_miss: nearest_miss(&planned.verdict),
        unchecked_rules: &planned.unchecked_rules,
    }
}

/// The verdict's name, and the node that it speaks of.
pub(super) fn verdict_and_node(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Planned { node, .. } => ("planned", Some(node)),
        Verdict::FitsExisting { node } => ("fitsExisting", Some(node)),
        Verdict::Unplaceable(_) => ("unplaceable", None),
        Verdict::Ignored(_) => ("ignored", None),
    }
}

/// The node types that a verdict speaks of.
pub(super) fn types_of<'v>(verdict: &'v Verdict, alone: Option<&'v Choice>) -> BTreeSet<&'v str> {
    let alone = alone.into_iter().flat_map(|alone| std::iter::once(&alone.best).chain(&alone.runners_up));
    match verdict {
        Verdict::Planned { .. } => alone.map(|fit| fit.instance_type.as_str()).collect(),
        Verdict::Unplaceable(unplaceable) => match &**unplaceable {
            Unplaceable::NoType(NearestMiss { instance_type, .. })
            | Unplaceable::Hindered(NearestMiss { instance_type, .. })
            | Unplaceable::Outrun(NearestMiss { instance_type, .. })
            | Unplaceable::Crowded(NearestMiss { instance_type, .. }) => BTreeSet::from([instance_type.as_str()]),
            Unplaceable::Shape { .. } | Unplaceable::NoTypes | Unplaceable::Devices => BTreeSet::new(),
        },
        Verdict::FitsExisting { .. } | Verdict::Ignored(_) => BTreeSet::new(),
    }
}

/// Why a verdict is what it is; empty where the verdict says it all.
pub(super) fn reason(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Planned { .. } | Verdict::FitsExisting { .. } => String::new(),
        Verdict::Ignored(ignored) => ignored.to_string(),
        Verdict::Unplaceable(unplaceable) => match &**unplaceable {
            Unplaceable::Shape { error, .. } => error.to_string(),
            Unplaceable::NoType(NearestMiss { instance_type, refusal, .. }) => {
                format!("no node type fits; the nearest, {instance_type}: {refusal}")
            }
            Unplaceable::Hindered(NearestMiss { instance_type, refusal, .. }) => {
                format!(
                    "other pods that wait stand in the way: {} refuses, on the nearest type, {instance_type}: {refusal}",
                    refusal.rule()
                )
            }
            Unplaceable::Outrun(NearestMiss { instance_type, refusal, .. }) => format!(
                "other pods that wait take the existing nodes that would do, and no node type does; the nearest, \
                 {instance_type}: {refusal}"
            ),
            Unplaceable::Crowded(NearestMiss { instance_type, refusal, .. }) => format!(
                "no node has room for it beside the pods whose host it must share; of new ones, the nearest type, \
                 {instance_type}: {refusal}"
            ),
            Unplaceable::NoTypes => {
                "the options leave no node type to choose from (--capacity-type, --exclude-types, --max-node-cpu)"
                    .to_owned()
            }
            Unplaceable::Devices => "DRA not supported: it claims devices, and where they are is not known".to_owned(),
        },
    }
}

fn nearest_miss(verdict: &Verdict) -> Option<NearestMissEntry<'_>> {
    let Verdict::Unplaceable(unplaceable) = verdict else { return None };
    match &**unplaceable {
        Unplaceable::NoType(NearestMiss { instance_type, zone, refusal, refused_types })
        | Unplaceable::Hindered(NearestMiss { instance_type, zone, refusal, refused_types })
        | Unplaceable::Outrun(NearestMiss { instance_type, zone, refusal, refused_types })
        | Unplaceable::Crowded(NearestMiss { instance_type, zone, refusal, refused_types }) => Some(NearestMissEntry {
            instance_type,
            zone: Some(zone),
            rule: refusal.rule(),
            reason: refusal.to_string(),
            refused_types: Some(refused_types),
        }),
        Unplaceable::Shape { error, nearest } => Some(NearestMissEntry {
            instance_type: nearest.as_ref()?,
            zone: None,
            rule: Rule::NodeAffinity,
            reason: error.to_string(),
            refused_types: None,
        }),
        Unplaceable::NoTypes | Unplaceable::Devices => None,
    }
}

fn existing_entry(misses: &ExistingMisses) -> ExistingEntry<'_> {
    let ExistingMisses { refused_nodes, nearest } = misses;
    let nearest_miss = nearest.as_ref().map(|(node, refusal)| NearestNodeEntry {
        node,
        rule: refusal.rule(),
        reason: refusal.to_string(),
    });
    ExistingEntry { refused_nodes, nearest_miss }
}

fn surcharge_entry(surcharge: &Surcharge) -> SurchargeEntry {
    let Surcharge { at_least, apart_like, pods, per_pod } = surcharge;
    let printed = |(resource, least): (&String, &u64)| (resource.clone(), printed_amount(resource, *least));
    SurchargeEntry {
        at_least: at_least.iter().map(printed).collect(),
        apart_like: apart_like.as_ref().map(PodName::to_string),
        pods: *pods,
        per_pod: *per_pod,
    }
}

pub(super) fn node_entry(node: &PlannedNode) -> NodeEntry<'_> {
    NodeEntry {
        name: &node.name,
        instance_type: &node.instance_type,
        zone: &node.zone,
        capacity_type: &node.capacity_type,
        price_per_hour: node.price_per_hour,
        pods: node.pods.iter().map(PodName::to_string).collect(),
    }
}

fn fit_entry(fit: &Fit) -> FitEntry<'_> {
    FitEntry {
        instance_type: &fit.instance_type,
        zone: &fit.zone,
        capacity_type: &fit.capacity_type,
        price_per_hour: fit.price_per_hour(),
        allocatable: amounts(&fit.allocatable),
        daemon_requests: amounts(&fit.daemon_requests),
        daemon_sets: fit.daemon_sets.iter().map(PodName::to_string).collect(),
        waste: share(fit.score.waste_millionths),
    }
}

/// Amounts as Kubernetes prints them. CPU and memory always; pod slots and anything else where there is some.
pub(super) fn amounts(resources: &Resources) -> BTreeMap<String, String> {
    let shown = resources.amounts().filter(|(name, amount)| *amount > 0 || matches!(*name, "cpu" | "memory"));
    shown.map(|(name, amount)| (name.to_owned(), printed_amount(name, amount))).collect()
}
