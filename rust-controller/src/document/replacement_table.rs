//! The replacement of nodes for a person: what comes, what goes then, and what that saves beside the removals alone.

use std::fmt::Write;

use super::consolidation_json::ConsolidationOutcome;
use super::costs::HOURS_PER_MONTH;
use super::plan_groups::nodes_to_add;
use super::suggestion::{drain, marks};
use super::table::Table;
use super::{percent, unchecked};
use crate::consolidate::{Consolidation, NodePlan, Replacement};
use crate::units::Money;

/// Empty where nothing is to be replaced.
pub(super) fn lines(outcome: &ConsolidationOutcome<'_>) -> String {
    let Some(replacement) = &outcome.consolidation.replacement else { return String::new() };
    let mut text = format!("\nOR, WITH NEW NODES\n{}\n", nodes_to_add(&replacement.nodes));
    text.push_str(&how(replacement));
    let mut wave = 1;
    for plan in &replacement.removals {
        if plan.wave > wave {
            wave = plan.wave;
            let _ =
                writeln!(text, "WAVE {wave}: once the pods that moved so far run, and budgets allow as much again\n");
        }
        text.push_str(&removal(plan));
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
        "First apply the NodePools (-o nodepools) and cordon all that goes, so that no pod comes there any more. Karpenter \
         launches a node when pods wait for it: those of the first drained nodes wait until it is ready. Go on once they run.\n  \
         $ kubectl cordon {}\n\n",
        names.join(" ")
    )
}

fn removal(plan: &NodePlan) -> String {
    let name = &plan.node.name;
    let mut text = format!("{name} goes{}\n", unchecked::mark(unchecked::of_node(plan)));
    for each in &plan.moves {
        let _ = writeln!(text, "  {} -> {}{}", each.pod.name, each.destination, marks(each));
    }
    for step in drain(name) {
        let _ = writeln!(text, "  $ {step}");
    }
    text.push('\n');
    text
}

/// What exists, less the removals, and with new nodes, side by side.
fn both(consolidation: &Consolidation, replacement: &Replacement, currency: &str) -> String {
    let heading = format!("{currency} PER HOUR");
    let mut table = Table::new(
        &["", "NODES", &heading, "SAVES PER HOUR", "PER MONTH", "PODS MOVED", "ABOVE BOUND"],
        &[1, 2, 3, 4, 5, 6],
    );
    let (before, alone) = consolidation.costs_per_hour();
    let nodes = consolidation.nodes.len();
    let row = |what: &str, nodes: usize, cost: Option<Money>, saved: Option<Money>, moved: usize, gap: Option<f64>| {
        let amount = |amount: Option<Money>| amount.map_or_else(|| "unknown".to_owned(), |amount| amount.to_string());
        let month = saved.map_or_else(String::new, |saved| format!("{:.2}", saved.units() * HOURS_PER_MONTH));
        let gap = gap.map_or_else(String::new, |gap| format!("{:.1} %", gap * 100.0));
        [what.to_owned(), nodes.to_string(), amount(cost), amount(saved), month, moved.to_string(), gap]
    };
    let saved = consolidation.savings_per_hour();
    let moved = consolidation.pods_disturbed();
    table.row(row("removals alone", nodes - consolidation.removals.len(), alone, saved, moved, consolidation.gap()));
    let after = replacement.cost_after(consolidation);
    let saved = before.zip(after).map(|(before, after)| before.saturating_sub(after));
    let count = nodes - replacement.removals.len() + replacement.nodes.len();
    let moved = replacement.pods_disturbed();
    table.row(row("with new nodes", count, after, saved, moved, replacement.gap(consolidation)));
    let Replacement { replaced_per_hour, further_savings_per_hour, .. } = replacement;
    format!(
        "{}New nodes save {further_savings_per_hour} {currency} per hour more, {} of the {replaced_per_hour} that the nodes cost \
         that they replace\n",
        table.render(),
        percent(replacement.savings_share()),
    )
}
