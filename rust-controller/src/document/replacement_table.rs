//! The replacement of nodes for a person: what comes, what goes then, and what that saves beside the removals alone.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::consolidation_json::ConsolidationOutcome;
use super::costs::{Cost, HOURS_PER_MONTH};
use super::plan_groups::nodes_to_add;
use super::suggestion::{WAVE_BEGINS, drain};
use super::table::Table;
use super::tables::removal;
use super::{attachable, percent, unchecked};
use crate::consolidate::{Consolidation, NodePlan, Objective, Replacement, Verdict};
use crate::provision::PlannedNode;
use crate::units::Money;

/// Empty where nothing is to be replaced.
pub(super) fn lines(outcome: &ConsolidationOutcome<'_>) -> String {
    let Some(replacement) = &outcome.consolidation.replacement else { return String::new() };
    let mut text = format!("\nOR, WITH NEW NODES\n{}\n", nodes_to_add(&replacement.nodes));
    for PlannedNode { name, instance_type, zone, .. } in &replacement.nodes {
        let _ = writeln!(text, "{name}: {instance_type} in {zone}");
    }
    text.push_str(&attachable::lines(&replacement.unknown_attach_limits));
    text.push_str(&how(replacement));
    let mut wave = 1;
    for plan in &replacement.removals {
        if plan.wave > wave {
            wave = plan.wave;
            let _ = writeln!(text, "WAVE {wave}: {WAVE_BEGINS}\n");
        }
        let mark = unchecked::mark(unchecked::of_node(plan));
        text.push_str(&removal(plan, &mark, drain(&plan.node.name)));
    }
    if !replacement.staying.is_empty() {
        let _ = writeln!(text, "Of the removals above, these stay: {}\n", replacement.staying.join(", "));
    }
    text.push_str(&both(outcome.consolidation, replacement, &outcome.catalog.currency));
    text
}

/// What a person does before any node is drained.
fn how(replacement: &Replacement) -> String {
    let names: Vec<&str> = replacement.removals.iter().map(|plan| plan.node.name.as_str()).collect();
    format!(
        "\nFirst apply the NodePools (-o nodepools) and cordon all that goes, so that no pod comes there any more. Karpenter \
         launches a node when pods wait for it: those of the first drained nodes wait until it is ready. Go on once they run.\n  \
         $ kubectl cordon {}\n\n",
        names.join(" ")
    )
}

/// What exists, less the removals, and with new nodes, side by side.
fn both(consolidation: &Consolidation, replacement: &Replacement, currency: &str) -> String {
    let heading = format!("{currency} PER HOUR");
    let headings = ["", "NODES", &heading, "SAVED PER HOUR", "PER MONTH", "PODS MOVED", "ABOVE BOUND"];
    let mut table = Table::new(&headings, &[1, 2, 3, 4, 5, 6]);
    let row = |what: &str, staying: Cost, gone: Cost, added: Money, moved: usize, gap: Option<f64>| {
        let saved = gone.known_per_hour().saturating_sub(added);
        [
            what.to_owned(),
            staying.nodes().to_string(),
            staying.cell(staying.known_per_hour().to_string()),
            gone.cell(saved.to_string()),
            gone.cell(format!("{:.2}", saved.units() * HOURS_PER_MONTH)),
            moved.to_string(),
            gap.map_or_else(String::new, |gap| format!("{:.1} %", gap * 100.0)),
        ]
    };
    let (staying, gone) = costs(consolidation, |plan| plan.verdict == Verdict::Remove);
    let gap = consolidation.gap().filter(|_| consolidation.objective == Objective::Price);
    let moved = consolidation.pods_disturbed();
    table.row(row("removals alone", staying, gone, Money::ZERO, moved, gap));
    let names: BTreeSet<&str> = replacement.removals.iter().map(|plan| plan.node.name.as_str()).collect();
    let (staying, gone) = costs(consolidation, |plan| names.contains(plan.node.name.as_str()));
    let added = Cost::of(replacement.nodes.iter().map(|node| node.price_per_hour));
    let (moved, gap) = (replacement.pods_disturbed(), replacement.gap(consolidation));
    table.row(row("with new nodes", staying.and(added), gone, added.known_per_hour(), moved, gap));
    let Replacement { replaced_per_hour, further_savings_per_hour, .. } = replacement;
    format!(
        "{}New nodes save {further_savings_per_hour} {currency} per hour more, {} of the {replaced_per_hour} that the nodes cost \
         that they replace\n",
        table.render(),
        percent(replacement.savings_share()),
    )
}

/// Of the nodes that stay, and of those that go.
pub(super) fn costs(consolidation: &Consolidation, goes: impl Fn(&NodePlan) -> bool) -> (Cost, Cost) {
    let (gone, staying): (Vec<&NodePlan>, Vec<&NodePlan>) = consolidation.nodes.iter().partition(|plan| goes(plan));
    let cost = |plans: Vec<&NodePlan>| Cost::of(plans.iter().map(|plan| plan.price_per_hour));
    (cost(staying), cost(gone))
}

/// What would become of a node if new nodes came; empty where that makes no difference.
#[must_use]
pub fn explain_replacement(consolidation: &Consolidation, node: &NodePlan) -> String {
    let name = &node.node.name;
    let Some(replacement) = &consolidation.replacement else { return String::new() };
    match replacement.removals.iter().find(|plan| plan.node.name == *name) {
        Some(plan) if node.verdict != Verdict::Remove => {
            let destinations: BTreeSet<&str> = plan.moves.iter().map(|each| each.destination.as_str()).collect();
            let destinations: Vec<&str> = destinations.into_iter().collect();
            let moved = match destinations.as_slice() {
                [] => String::new(),
                destinations => format!(", and its pods move to {}", destinations.join(", ")),
            };
            format!("\nIf new nodes came it would go{moved}: see consolidate\n")
        }
        None if node.verdict == Verdict::Remove => "\nIf new nodes came it would stay: see consolidate\n".to_owned(),
        _ => String::new(),
    }
}
