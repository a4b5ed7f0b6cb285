//! Rules that could not be checked, since nobody could read what they look at.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::consolidate::{Consolidation, NodePlan};
use crate::feasibility::Rule;
use crate::provision::Plan;

/// The rule that decides whether a pod may be evicted. It is none of the scheduler's.
pub(super) const BUDGET_RULE: &str = "PodDisruptionBudget";

/// Kinds of objects, each with the rules that look at them.
const RULES_OF_KINDS: [(&str, &[&str]); 6] = [
    ("Namespace", &["InterPodAffinity"]),
    ("PersistentVolumeClaim", &["VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"]),
    ("PersistentVolume", &["NodeVolumeLimits", "VolumeBinding", "VolumeZone"]),
    ("StorageClass", &["NodeVolumeLimits", "VolumeBinding", "VolumeZone"]),
    ("CSINode", &["NodeVolumeLimits"]),
    (BUDGET_RULE, &[BUDGET_RULE]),
];

/// A rule that could not be checked, wholly or in part.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UncheckedRule {
    rule: &'static str,
    /// Kinds of objects that it looks at and that nobody could read.
    unread_kinds: Vec<&'static str>,
    /// Pods for which it would have mattered.
    pods: usize,
}

/// Rules that could not be checked for a plan.
pub(super) fn of_plan(plan: &Plan, unread_kinds: &[&'static str]) -> Vec<UncheckedRule> {
    // Nothing is evicted.
    let unread: Vec<&str> = unread_kinds.iter().copied().filter(|kind| *kind != BUDGET_RULE).collect();
    unchecked(&unread, plan.pods.iter().flat_map(|planned| &planned.unchecked_rules).map(|rule| rule.name()))
}

/// Rules that could not be checked for a consolidation.
pub(super) fn of_consolidation(consolidation: &Consolidation, unread_kinds: &[&'static str]) -> Vec<UncheckedRule> {
    unchecked(unread_kinds, consolidation.nodes.iter().flat_map(of_moves))
}

/// Each rule that could not be checked for a pod that moves off a node, once for each pod.
fn of_moves(plan: &NodePlan) -> impl Iterator<Item = &'static str> {
    let evictions = plan.moves.iter().filter(|_| plan.unread_budgets).map(|_| BUDGET_RULE);
    plan.moves.iter().flat_map(|each| &each.unchecked_rules).map(|rule| rule.name()).chain(evictions)
}

/// The rules that a node's removal depends on and that could not be checked, by name.
pub(super) fn of_node(plan: &NodePlan) -> Vec<&'static str> {
    let mut rules: Vec<&str> = of_moves(plan).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

fn unchecked(unread_kinds: &[&'static str], mattered: impl Iterator<Item = &'static str>) -> Vec<UncheckedRule> {
    let mut rules: BTreeMap<&str, UncheckedRule> = BTreeMap::new();
    for (kind, of_kind) in RULES_OF_KINDS.into_iter().filter(|(kind, _)| unread_kinds.contains(kind)) {
        for rule in of_kind {
            let unchecked = UncheckedRule { rule, unread_kinds: Vec::new(), pods: 0 };
            rules.entry(rule).or_insert(unchecked).unread_kinds.push(kind);
        }
    }
    for rule in mattered {
        if let Some(unchecked) = rules.get_mut(rule) {
            unchecked.pods += 1;
        }
    }
    rules.into_values().collect()
}

/// Those that would have mattered.
pub(super) fn that_matter(mut rules: Vec<UncheckedRule>) -> Vec<UncheckedRule> {
    rules.retain(|unchecked| unchecked.pods > 0);
    rules
}

/// One line for each rule that would have mattered.
pub(super) fn lines(rules: Vec<UncheckedRule>) -> String {
    that_matter(rules).iter().fold(String::new(), |text, UncheckedRule { rule, unread_kinds, pods }| {
        let pods = if *pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") };
        text + &format!("Not checked: {rule} of {pods} (not read: {})\n", unread_kinds.join(", "))
    })
}

/// What to add to a line about something for which these rules were not checked.
pub(super) fn mark<'a>(rules: impl IntoIterator<Item = &'a str>) -> String {
    let rules: Vec<&str> = rules.into_iter().collect();
    if rules.is_empty() { String::new() } else { format!(" (unverified: {} not checked)", rules.join(", ")) }
}

/// Names of rules.
pub(super) fn names(rules: &[Rule]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.name()).collect()
}
