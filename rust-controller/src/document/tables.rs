//! Plans for a person at a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::consolidation_json::{ConsolidationOutcome, block_reason, reason as keep_reason, received};
use super::costs::{HOURS_PER_MONTH, cost_table};
use super::plan_groups::{nodes_to_add, pending_pods};
use super::plan_json::{PlanOutcome, types_of};
use super::replacement_table::costs;
use super::suggestion::{DESTINATIONS, FIRST_WAVE_BEGINS, WAVE_BEGINS, filling, marks, moved, steps, turns};
use super::table::Table;
use super::{attachable, percent, preferences, prices, replacement_table, seen, unchecked, usage};
use crate::catalog::SeenAllocatable;
use crate::consolidate::{Consolidation, Keep, NodePlan, Objective, Utilization, Verdict as NodeVerdict};
use crate::model::{Catalog, Offering, Resources};
use crate::provision::{Plan, Pool, Verdict};
use crate::snapshot::{MeasuredUsage, Skipped};
use crate::units::Money;

/// What to add, what it costs, and what becomes of each pod.
#[must_use]
pub fn plan_table(outcome: &PlanOutcome<'_>) -> String {
    let plan = outcome.plan;
    let mut text = String::new();
    if !plan.nodes.is_empty() {
        text.push_str("NODES TO ADD\n");
        text.push_str(&nodes_to_add(&plan.nodes));
        text.push_str(&set_apart(plan));
        text.push('\n');
    }
    if !plan.pods.is_empty() {
        text.push_str("PENDING PODS\n");
        text.push_str(&pending_pods(plan));
        text.push('\n');
    }
    text.push_str(&plan_totals(outcome));
    text.push_str(&preferences::line(&plan.unmet));
    text.push_str(&seen_of_plan(outcome));
    text.push_str(&attachable::lines(&plan.unknown_attach_limits));
    text.push_str(&unchecked::lines(outcome.unchecked_rules()));
    text.push_str(&skipped_lines(outcome.skipped));
    text
}

/// Pools whose nodes keep other pods off.
fn set_apart(plan: &Plan) -> String {
    let tainted = plan.pools.values().filter(|pool| !pool.taints.is_empty());
    let line = |pool: &Pool| {
        let taints: Vec<String> = pool.taints.iter().map(ToString::to_string).collect();
        format!("Nodes of {} are set apart, like those that are there: taint {}\n", pool.name, taints.join(", "))
    };
    tainted.map(line).collect()
}

fn plan_totals(outcome: &PlanOutcome<'_>) -> String {
    let plan = outcome.plan;
    let count = |of_kind: fn(&Verdict) -> bool| plan.count(of_kind);
    let mut text = format!(
        "Pending pods: {}; {} planned, {} fit existing nodes, {} unplaceable, {} ignored\n",
        plan.pods.len(),
        count(|verdict| matches!(verdict, Verdict::Planned { .. })),
        count(|verdict| matches!(verdict, Verdict::FitsExisting { .. })),
        count(|verdict| matches!(verdict, Verdict::Unplaceable(_))),
        count(|verdict| matches!(verdict, Verdict::Ignored(_))),
    );
    let costs = cost_table(outcome.cost_now, outcome.cost_to_add(), outcome.catalog);
    if !costs.is_empty() {
        text.push('\n');
        text.push_str(&costs);
    }
    if let Some((cost, bound)) = plan.cost_per_hour().zip(plan.bound.as_ref()) {
        let gap = (cost.units() / bound.per_hour - 1.0) * 100.0;
        let currency = &outcome.catalog.currency;
        let _ = writeln!(
            text,
            "No nodes that the options allow cost less for the planned pods than {:.4} {currency} per hour; these are {gap:.1} % above",
            prices::rounded_down(bound.per_hour, 4),
        );
    }
    if plan.bound.is_none() && !plan.nodes.is_empty() {
        text.push_str("No lower bound on the cost: some node type that would do has no price\n");
    }
    if plan.cut_short {
        text.push_str("The time budget ended the search for a cheaper plan early; give it more with --budget\n");
    }
    text
}

/// Types that the plan speaks of and that are planned as live nodes report them, and how many others it chose from.
fn seen_of_plan(outcome: &PlanOutcome<'_>) -> String {
    let PlanOutcome { plan, allocatable_seen, .. } = outcome;
    let unplaceable = plan.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Unplaceable(_)));
    let mut types: BTreeSet<&str> = unplaceable.flat_map(|planned| types_of(&planned.verdict, None)).collect();
    types.extend(plan.nodes.iter().map(|node| node.instance_type.as_str()));
    if types.is_empty() {
        return String::new();
    }
    let shown: Vec<&SeenAllocatable> = outcome.seen_of(&types).collect();
    let others = allocatable_seen.len() - shown.len();
    let mut text = seen::lines(shown);
    if others > 0 {
        let types = if others == 1 { "type" } else { "types" };
        let _ =
            writeln!(text, "Allocatable of {others} {types} not planned here: the smallest seen on live nodes as well");
    }
    text
}

/// Every node's verdict, and the removals in order.
#[must_use]
pub fn consolidation_table(outcome: &ConsolidationOutcome<'_>) -> String {
    let ConsolidationOutcome { consolidation, catalog, skipped, .. } = outcome;
    let mut text = String::new();
    text.push_str(&node_table(consolidation, outcome.usage));
    text.push('\n');
    if consolidation.pods_disturbed() > 0 {
        let _ = writeln!(text, "Note: {DESTINATIONS}.\n");
    }
    text.push_str(&cordon_first(&consolidation.removals));
    let by_name: BTreeMap<&str, &NodePlan> =
        consolidation.nodes.iter().map(|plan| (plan.node.name.as_str(), plan)).collect();
    let mut wave = 1;
    for plan in consolidation.removals.iter().filter_map(|name| by_name.get(name.as_str())) {
        if plan.wave > wave {
            wave = plan.wave;
            let begins =
                if consolidation.removals.first() == Some(&plan.node.name) { FIRST_WAVE_BEGINS } else { WAVE_BEGINS };
            let _ = writeln!(text, "WAVE {wave}: {begins}\n");
        }
        text.push_str(&removal(plan, "", steps(&plan.node.name)));
    }
    text.push_str(&consolidation_totals(consolidation, catalog));
    text.push_str(&replacement_table::lines(outcome));
    text.push_str(&usage::line(outcome.usage));
    text.push_str(&unchecked::lines(outcome.unchecked_rules()));
    text.push_str(&skipped_lines(skipped));
    text
}

/// A line for each node; what it uses only where that could be read, and what is requested without DaemonSets only where there
/// are any.
fn node_table(consolidation: &Consolidation, usage: &MeasuredUsage) -> String {
    let with_usage = matches!(usage, MeasuredUsage::Read(_));
    let with_daemons = consolidation.nodes.iter().any(has_daemons);
    let less: &[&str] = if with_daemons { &["CPU W/O DS", "MEM W/O DS"] } else { &[] };
    let used: &[&str] = if with_usage { &["CPU USED", "MEM USED"] } else { &[] };
    let columns = [&["NODE", "CPU REQ", "MEM REQ"], less, used, &["PODS", "PRICE/HOUR", "VERDICT", "WHY"]].concat();
    let numbers: Vec<usize> = (1..=4 + less.len() + used.len()).collect();
    let mut table = Table::new(&columns, &numbers);
    let shares = |of: Utilization<'_>| ["cpu", "memory"].map(|resource| percent(of.share(resource)));
    for plan in &consolidation.nodes {
        let goes = plan.verdict == NodeVerdict::Remove;
        let mut row = vec![plan.node.name.clone()];
        row.extend(shares(plan.utilization()));
        row.extend(with_daemons.then(|| shares(plan.utilization_without_daemon_sets())).into_iter().flatten());
        row.extend(with_usage.then(|| usage::cells(usage, &plan.node)).into_iter().flatten());
        row.push(if goes { plan.moves.len().to_string() } else { "-".to_owned() });
        row.push(money(plan.price_per_hour));
        row.push(if goes { "remove" } else { "keep" }.to_owned());
        row.push(why(plan));
        table.row(row);
    }
    let note = if with_daemons {
        "REQ is what pods request, W/O DS the same without those of DaemonSets and static ones\n"
    } else {
        ""
    };
    table.render() + note
}

/// Whether pods that end with a node request anything of it.
fn has_daemons(plan: &NodePlan) -> bool {
    let amounts = |of: &Resources| (of.cpu, of.memory);
    amounts(&plan.requested) != amounts(&plan.requested_without_daemon_sets)
}

fn skipped_lines(skipped: &[Skipped]) -> String {
    skipped.iter().fold(String::new(), |text, skipped| text + &format!("Skipped: {skipped}\n"))
}

fn why(plan: &NodePlan) -> String {
    match (&plan.verdict, plan.blockers.as_slice()) {
        (NodeVerdict::Remove, _) => match plan.moves.len() {
            0 => "nothing on it needs another place".to_owned(),
            1 => "1 pod moves".to_owned() + &unchecked::mark(unchecked::of_node(plan)),
            count => format!("{count} pods move") + &unchecked::mark(unchecked::of_node(plan)),
        },
        (NodeVerdict::Keep(Keep::Blocked), [first, ..]) => {
            let others = blocking_pods(plan) - 1;
            let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
            let taken = received(plan).map_or_else(String::new, |taken| format!("; {taken}"));
            format!("{}: {}{more}{taken}", first.pod, block_reason(&first.reason))
        }
        (NodeVerdict::Keep(Keep::AwaitsPods { .. } | Keep::DoNotDisrupt(_) | Keep::Cordoned), [_, ..]) => {
            format!("{}; {} of its pods cannot move", keep_reason(plan), blocking_pods(plan))
        }
        (NodeVerdict::Keep(_), _) => keep_reason(plan),
    }
}

/// How many pods there are that block a node, some for more than one reason.
fn blocking_pods(plan: &NodePlan) -> usize {
    plan.blockers.iter().map(|blocker| &blocker.pod).collect::<BTreeSet<_>>().len()
}

/// The scheduler likes empty nodes, and so those that go later.
fn cordon_first(removals: &[String]) -> String {
    if removals.len() < 2 {
        return String::new();
    }
    format!(
        "Cordon all that go before the first drain, so that no pod comes to a node that goes later:\n  $ kubectl cordon {}\n\n",
        removals.join(" ")
    )
}

/// A node that goes, with a mark behind its name: where its pods move, and what a person types.
pub(super) fn removal(plan: &NodePlan, mark: &str, steps: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{} goes{mark}\n", plan.node.name);
    for each in &plan.moves {
        let _ = writeln!(text, "  {} -> {}{}", moved(each), each.destination, marks(each));
    }
    for destination in &plan.destinations {
        let _ = writeln!(text, "  {}", filling(destination));
    }
    for each in &plan.in_turns {
        let _ = writeln!(text, "  {}", turns(each));
    }
    for step in steps {
        let _ = writeln!(text, "  $ {step}");
    }
    text.push('\n');
    text
}

fn consolidation_totals(consolidation: &Consolidation, catalog: &Catalog) -> String {
    let currency = &catalog.currency;
    let (staying, gone) = costs(consolidation, |plan| plan.verdict == NodeVerdict::Remove);
    let now = staying.and(gone);
    let nodes = if now.nodes() == 1 { "node" } else { "nodes" };
    let mut text = format!("{} {nodes} now, {} after the removals above", now.nodes(), staying.nodes());
    if now.unknown() < now.nodes() {
        let [now, staying] = [now, staying].map(|cost| cost.cell(cost.known_per_hour().to_string()));
        let _ = write!(text, "; {now} {currency} per hour now, {staying} after");
    }
    let savings = gone.known_per_hour();
    if savings > Money::ZERO {
        let month = gone.cell(format!("{:.2}", savings.units() * HOURS_PER_MONTH));
        let _ = write!(text, "; saves {} {currency} per hour, {month} per month", gone.cell(savings.to_string()));
    }
    if gone.unknown() > 0 {
        let _ = write!(text, "; the price of {} of the removed nodes is not known", gone.unknown());
    }
    if now.unknown() < now.nodes() {
        let _ = write!(text, " (prices in {currency}: {})", prices::origin(catalog));
    }
    text.push('\n');
    text + &bound_of_fleet(consolidation, now.unknown(), currency)
}

/// What nodes are compared by, where that is not their price, and how far those that stay are above the least.
fn bound_of_fleet(consolidation: &Consolidation, unknown: usize, currency: &str) -> String {
    let mut text = String::new();
    if consolidation.objective == Objective::Size {
        let (before, after) = consolidation.sizes();
        let nodes = if unknown == 1 { "node" } else { "nodes" };
        let _ = writeln!(
            text,
            "Compared by size, since the price of {unknown} {nodes} is not known: {before:.1} cores now, {after:.1} after, where 4 GiB \
             count as a core"
        );
    }
    let Some((bound, gap)) = consolidation.bound.as_ref().zip(consolidation.gap()) else { return text };
    let least = bound.least;
    let gap = gap * 100.0;
    let _ = match consolidation.fewest_nodes() {
        None => writeln!(
            text,
            "No nodes that are there or that the options allow cost less for these pods than {:.4} {currency} per hour; those that stay are {gap:.1} % above",
            prices::rounded_down(least, 4)
        ),
        Some(fewest) => writeln!(
            text,
            "Their pods need {:.1} cores of such nodes at least, on no fewer than {fewest}; those that stay are {gap:.1} % above",
            prices::rounded_down(least, 1)
        ),
    };
    text
}

/// The node types of a catalog.
#[must_use]
pub fn catalog_table(catalog: &Catalog) -> String {
    let mut table = Table::new(&["TYPE", "CPU", "MEMORY", "PODS", "CAPACITY", "ZONES", "PRICE/HOUR"], &[1, 2, 3, 6]);
    for kind in &catalog.types {
        let mut offers: BTreeMap<(&str, bool, Option<Money>), usize> = BTreeMap::new();
        for Offering { capacity_type, price_per_hour: price, .. } in &kind.offerings {
            // A price that is not known comes last, as in a plan.
            *offers.entry((capacity_type, price.is_none(), *price)).or_default() += 1;
        }
        for ((capacity_type, _, price), zones) in offers {
            table.row([
                kind.name.clone(),
                kind.allocatable.cpu.to_string(),
                kind.allocatable.memory.to_string(),
                kind.allocatable.pods.to_string(),
                capacity_type.to_owned(),
                zones.to_string(),
                money(price),
            ]);
        }
    }
    let Catalog { name, currency, types, .. } = catalog;
    let source = prices::source(catalog);
    let count = if types.len() == 1 { "1 node type".to_owned() } else { format!("{} node types", types.len()) };
    format!("{}\n{count} of catalog {name} in {currency}, prices: {source}\n", table.render())
}

pub(super) fn money(price: Option<Money>) -> String {
    price.map_or_else(|| "unknown".to_owned(), |price| price.to_string())
}
