//! Why a pod is planned so, or why a node stays: for a person.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::consolidation_json::{block_reason, reason as keep_reason};
use super::plan_json::{reason, types_of};
use super::suggestion::{filling, marks, moved, steps};
use super::table::Table;
use super::tables::removal;
use super::{percent, prices, seen, unchecked};
use crate::catalog::SeenAllocatable;
use crate::consolidate::{Consolidation, Destination, Keep, NodePlan, Obstacle, Utilization, Verdict as NodeVerdict};
use crate::feasibility::{Refusal, Rule};
use crate::model::{Catalog, Phase, Pod, Resources, SchedulingState, printed_amount};
use crate::provision::least_waste::Fit;
use crate::provision::{Choice, NodeVerdicts, PlannedNode, PodPlan, Unplaceable, Verdict};

/// Why a pending pod is planned so.
#[must_use]
pub fn explain_pending_pod(
    planned: &PodPlan,
    on: Option<(&PlannedNode, &Choice)>,
    catalog: &Catalog,
    allocatable_seen: &[SeenAllocatable],
    nodes: &NodeVerdicts,
) -> String {
    let fate = match &planned.verdict {
        Verdict::Planned { node, .. } => planned_on(node, on.map(|(on, _)| on)),
        Verdict::FitsExisting { node } => format!("fits {node} as it is"),
        other @ Verdict::Unplaceable(_) => format!("unplaceable: {}", reason(other)),
        other @ Verdict::Ignored(_) => format!("ignored: {}", reason(other)),
    };
    let mut text = format!("Pod {}: {fate}\n", planned.pod.name);
    text.push_str(&asked(&planned.pod));
    if !planned.unchecked_rules.is_empty() {
        let rules = unchecked::names(&planned.unchecked_rules).join(", ");
        let _ = writeln!(
            text,
            "Not checked, since what they look at could not be read: {rules}\nSo it is not said to fit an existing node: the \
             scheduler, which checks them, has refused every one"
        );
    }
    match &planned.verdict {
        Verdict::Planned { .. } => {
            text.push_str(&on.map_or_else(String::new, |(_, alone)| node_types(alone, catalog)));
        }
        Verdict::Unplaceable(unplaceable) => text.push_str(&refused_types(unplaceable)),
        Verdict::FitsExisting { .. } | Verdict::Ignored(_) => {}
    }
    let types = types_of(&planned.verdict, on.map(|(_, alone)| alone));
    text.push_str(&seen::lines(allocatable_seen.iter().filter(|seen| types.contains(seen.instance_type.as_str()))));
    text.push_str(&existing_nodes(nodes));
    text
}

fn planned_on(node: &str, on: Option<&PlannedNode>) -> String {
    let Some(on) = on else { return format!("planned on {node}") };
    let beside = match on.pods.len().saturating_sub(1) {
        0 => "which it has for itself".to_owned(),
        1 => "beside 1 other pod".to_owned(),
        others => format!("beside {others} other pods"),
    };
    format!("planned on {node}, a new {} in {}, {beside}", on.instance_type, on.zone)
}

/// Where a pod runs, and where else it could.
#[must_use]
pub fn explain_running_pod(pod: &Pod, nodes: &NodeVerdicts) -> String {
    let place = match &pod.scheduling {
        _ if pod.phase == Phase::Finished => return format!("Pod {}: is over, and needs no node\n", pod.name),
        SchedulingState::Bound(node) => format!("runs on {node}"),
        SchedulingState::Nominated(node) => format!("room is being made for it on {node}"),
        SchedulingState::Unjudged | SchedulingState::Gated(_) | SchedulingState::Unschedulable => {
            "has no node".to_owned()
        }
    };
    if pod.is_daemon() && pod.occupied_node().is_none() {
        return format!("Pod {}: stands for those of its DaemonSet, one for each node that suits it\n", pod.name)
            + &asked(pod);
    }
    if pod.ends_with_its_node() {
        return format!("Pod {}: {place}, and goes with it\n", pod.name) + &asked(pod);
    }
    let bare = pod.owner.is_none() && pod.occupied_node().is_some();
    let lost = if bare { "It has no controller: evicted, it would be lost, not moved\n" } else { "" };
    format!("Pod {}: {place}\n", pod.name) + &asked(pod) + lost + &existing_nodes(nodes)
}

/// What a pod requests, and its priority.
fn asked(pod: &Pod) -> String {
    let requests = Resources { pods: 0, ..pod.requests.clone() };
    let amounts: Vec<String> = requests
        .amounts()
        .filter(|(_, amount)| *amount > 0)
        .map(|(resource, amount)| format!("{} {resource}", printed_amount(resource, amount)))
        .collect();
    let requested = if amounts.is_empty() { "nothing".to_owned() } else { amounts.join(", ") };
    format!("It requests {requested}; priority {}\n", pod.priority)
}

/// How the node type was chosen.
fn node_types(choice: &Choice, catalog: &Catalog) -> String {
    let heading = ["TYPE", "ZONE", "CAPACITY", "PRICE/HOUR", "WASTE"];
    let mut table = Table::new(&heading, &[3, 4]);
    for fit in std::iter::once(&choice.best).chain(&choice.runners_up) {
        table.row(fit_row(fit, &catalog.currency));
    }
    let Choice { best, fitting_types, refused_types, .. } = choice;
    let daemons: Vec<String> = best.daemon_sets.iter().map(ToString::to_string).collect();
    let daemons = if daemons.is_empty() { "none".to_owned() } else { daemons.join(", ") };
    let counts = counts(refused_types);
    let fitting = if *fitting_types == 1 { "1 fits".to_owned() } else { format!("{fitting_types} fit") };
    let types = table.render();
    let (currency, origin) = (&catalog.currency, prices::origin(catalog));
    format!(
        "\nNODE TYPES FOR THIS POD ALONE, the least waste first (prices in {currency}: {origin})\n{types}Of all node types, \
         {fitting}{counts}\nDaemon pods on it: {daemons}\n"
    )
}

fn fit_row(fit: &Fit, currency: &str) -> [String; 5] {
    let price = fit.price_per_hour().map_or_else(|| "unknown".to_owned(), |price| format!("{price} {currency}"));
    let waste = percent(fit.score.waste_millionths);
    [fit.instance_type.clone(), fit.zone.clone(), fit.capacity_type.clone(), price, waste]
}

fn refused_types(unplaceable: &Unplaceable) -> String {
    match unplaceable {
        Unplaceable::NoType(miss)
        | Unplaceable::Hindered(miss)
        | Unplaceable::Outrun(miss)
        | Unplaceable::Crowded(miss) => {
            let nearest = format!("The nearest is {} in {}: {}\n", miss.instance_type, miss.zone, miss.refusal);
            format!("\nNODE TYPES\n{nearest}Of all node types, none fits{}\n", counts(&miss.refused_types))
        }
        Unplaceable::Shape { nearest: Some(nearest), .. } => {
            format!("\nNODE TYPES\nWithout that it would be {nearest}\n")
        }
        Unplaceable::Shape { nearest: None, .. } | Unplaceable::NoTypes | Unplaceable::Devices => String::new(),
    }
}

/// How many each rule refuses, in the scheduler's order, as the rest of a sentence.
fn counts(refused: &BTreeMap<Rule, usize>) -> String {
    refused.iter().fold(String::new(), |text, (rule, count)| text + &format!(", {rule} refuses {count}"))
}

fn existing_nodes(nodes: &NodeVerdicts) -> String {
    let NodeVerdicts { refusing, taking, shunned } = nodes;
    let mut text = String::from("\nEXISTING NODES\n");
    let none_takes = taking.is_empty() && shunned.is_empty();
    if refusing.is_empty() && none_takes {
        text.push_str("There is none\n");
    }
    for node in taking {
        let _ = writeln!(text, "{node} may run it");
    }
    for node in shunned {
        let _ = writeln!(text, "{node} may run it, but is being deleted, or holds a pod that could not be read");
    }
    if !none_takes && !refusing.is_empty() {
        text.push('\n');
    }
    text + &refusal_table(refusing)
}

fn refusal_table(refusals: &[(String, Refusal)]) -> String {
    if refusals.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["NODE", "RULE", "WHY NOT"], &[]);
    for (node, refusal) in refusals {
        table.row([node.clone(), refusal.rule().to_string(), refusal.to_string()]);
    }
    table.render()
}

/// Why a node goes or stays, as things are once everything else of the consolidation is done.
#[must_use]
pub fn explain_node(
    consolidation: &Consolidation,
    plan: &NodePlan,
    obstacles: &[Obstacle],
    catalog: &Catalog,
) -> String {
    let name = &plan.node.name;
    let mut text = match &plan.verdict {
        NodeVerdict::Remove => format!("Node {name}: could go{}\n", unchecked::mark(unchecked::of_node(plan))),
        NodeVerdict::Keep(_) => format!("Node {name}: stays, {}\n", keep_reason(plan)),
    };
    let _ = writeln!(text, "Requested of it: {}", requested(plan.utilization()));
    if plan.requested_without_daemon_sets != plan.requested {
        let others = requested(plan.utilization_without_daemon_sets());
        let _ = writeln!(text, "Without the pods that end with it: {others}");
    }
    for blocker in plan.blockers.iter().chain(&plan.stranded) {
        let _ = writeln!(text, "{}: {}", blocker.pod, block_reason(&blocker.reason));
    }
    if plan.unasked {
        text.push_str(
            "Whether its pods have other places was not asked as the plan was made: it would have taken too long\n",
        );
    }
    if plan.verdict == NodeVerdict::Remove {
        text.push_str(&why_it_goes(consolidation, plan, catalog));
    }
    if !plan.local_pods.is_empty() {
        let names: Vec<String> = plan.local_pods.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "Ends with the node: {}", names.join(", "));
    }
    if plan.verdict == NodeVerdict::Remove {
        let _ = write!(text, "\n{}", removal(plan, "", steps(name)).trim_end());
        text.push('\n');
    }
    if plan.node.deleting && !plan.moves.is_empty() {
        let lines = plan.moves.iter().map(|each| format!("  {} -> {}{}\n", moved(each), each.destination, marks(each)));
        let _ = write!(text, "\nRoom is kept\n{}", lines.collect::<String>());
    }
    text.push_str(&coming(consolidation, plan));
    for Obstacle { pod, refusals } in obstacles {
        let heading = "ONCE ALL OTHERS HAVE MOVED, NO NODE TAKES";
        let refusals = if refusals.is_empty() { "No other node stays\n".to_owned() } else { refusal_table(refusals) };
        let _ = write!(text, "\n{heading} {pod}\n{refusals}");
    }
    if !obstacles.is_empty() {
        text.push_str(&not_asked(consolidation, plan));
    }
    text
}

/// `18.3 % of the CPU, 16.2 % of the memory, 4.5 % of pods`.
fn requested(utilization: Utilization<'_>) -> String {
    let share = |(resource, millionths)| match resource {
        "cpu" => format!("{} of the CPU", percent(millionths)),
        "memory" => format!("{} of the memory", percent(millionths)),
        other => format!("{} of {other}", percent(millionths)),
    };
    utilization.shares().map(share).collect::<Vec<_>>().join(", ")
}

/// Its place among all that go, and what that saves.
fn why_it_goes(consolidation: &Consolidation, plan: &NodePlan, catalog: &Catalog) -> String {
    let currency = &catalog.currency;
    let count = consolidation.removals.len();
    let number = consolidation.removals.iter().take_while(|removed| **removed != plan.node.name).count() + 1;
    let wave = if plan.wave > 1 { format!(", in wave {}", plan.wave) } else { String::new() };
    let price = match (plan.price_per_hour, consolidation.savings_per_hour()) {
        (Some(price), _) if count == 1 => format!("it costs {price} {currency} per hour"),
        (Some(price), Some(all)) => format!("it costs {price} {currency} per hour, all {count} cost {all}"),
        (Some(price), None) => format!("it costs {price} {currency} per hour, and not every other price is known"),
        (None, _) => "its price is not known".to_owned(),
    };
    format!(
        "Removal {number} of {count}{wave}: those nodes go that save the most together, as far as the others have places for \
         their pods; {price}\n"
    )
}

/// Pods that move to a node, those of nodes that are being deleted first, and what is requested of it before and after.
fn coming(consolidation: &Consolidation, plan: &NodePlan) -> String {
    let name = &plan.node.name;
    let mut text = String::new();
    let mut filled: Option<Destination> = None;
    let of_name = |removed: &String| consolidation.nodes.iter().find(|plan| plan.node.name == *removed);
    let leaving = consolidation.nodes.iter().filter(|plan| plan.node.deleting);
    for sender in leaving.chain(consolidation.removals.iter().filter_map(of_name)) {
        for each in sender.moves.iter().filter(|each| each.destination == *name) {
            let _ = writeln!(text, "  {} <- {}{}", moved(each), sender.node.name, marks(each));
        }
        for Destination { node, before, after } in sender.destinations.iter().filter(|each| each.node.name == *name) {
            let before = filled.take().map_or_else(|| before.clone(), |earlier| earlier.before);
            filled = Some(Destination { node: Arc::clone(node), before, after: after.clone() });
        }
    }
    filled.map_or_else(String::new, |filled| format!("\n{name} takes\n{text}  {}\n", filling(&filled)))
}

/// Other nodes that no pod is sent to, by why not.
fn not_asked(consolidation: &Consolidation, plan: &NodePlan) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for other in consolidation.nodes.iter().filter(|other| other.node.name != plan.node.name) {
        let why = match &other.verdict {
            NodeVerdict::Remove => "they go themselves",
            NodeVerdict::Keep(_) if other.node.deleting => "they are being deleted",
            NodeVerdict::Keep(_) if !other.node.ready => "they are not ready",
            NodeVerdict::Keep(Keep::UnreadablePod) => "they run a pod that could not be read",
            NodeVerdict::Keep(Keep::ControlPlane) => "they run the control plane",
            NodeVerdict::Keep(_) => continue,
        };
        by_reason.entry(why).or_default().push(&other.node.name);
    }
    let lines = by_reason.iter().map(|(why, names)| format!("\nNot asked, since {why}: {}", names.join(", ")));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { lines + "\n" }
}
