//! What is published: ConfigMaps with their names and contents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::consolidation_json::ConsolidationOutcome;
use super::names::{consolidation_name, plan_names};
use super::plan_json::{PlanOutcome, reason};
use super::{NodePool, json as json_text, suggestion, summary, unchecked, yaml};
use crate::provision::{PodPlan, Verdict};

/// A ConfigMap of this program, without its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    /// Name within the namespace.
    pub name: String,
    /// Which of the three kinds; a label tells it.
    pub kind: Kind,
    /// File names and texts.
    pub data: BTreeMap<String, String>,
}

/// The three kinds of ConfigMaps, as the label `mini-karpenter/kind` tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What one pod needs.
    Plan,
    /// What becomes of one node.
    Consolidation,
    /// The whole of either.
    Summary,
}

impl Kind {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Consolidation => "consolidation",
            Self::Summary => "summary",
        }
    }
}

/// The API server takes 1 MiB for a whole object; this leaves room for its metadata.
pub(super) const LARGEST_BYTES: usize = 900 * 1024;

/// `plan-<pod>` for each unschedulable pod, at most `max_plans`, and `summary-provisioning`.
#[must_use]
pub fn plan_config_maps(outcome: &PlanOutcome<'_>, max_plans: usize) -> Vec<ConfigMap> {
    let shown = |planned: &&PodPlan| !matches!(planned.verdict, Verdict::Ignored(_));
    let planned: BTreeMap<_, _> =
        outcome.plan.pods.iter().filter(shown).map(|planned| (&planned.pod.name, planned)).collect();
    let names = plan_names(planned.keys().copied());
    let mut maps: Vec<ConfigMap> = names
        .into_iter()
        .take(max_plans)
        .filter_map(|(pod, name)| Some(plan_config_map(outcome, name, planned.get(pod)?)))
        .collect();
    let left_out = planned.len().saturating_sub(max_plans);
    maps.push(ConfigMap {
        name: "summary-provisioning".to_owned(),
        kind: Kind::Summary,
        data: bounded(summary::provisioning(outcome, left_out)),
    });
    maps
}

fn plan_config_map(outcome: &PlanOutcome<'_>, name: String, planned: &PodPlan) -> ConfigMap {
    let plan = match &planned.verdict {
        Verdict::Planned { pool, .. } => {
            let document = outcome.plan.pools.get(pool).map(|pool| NodePool::new(pool).yaml()).unwrap_or_default();
            unverified_comment(planned) + &document
        }
        Verdict::FitsExisting { node } => format!("# needs no new node: it fits {node} as it is\n"),
        other => format!("# {}\n", reason(other).replace(char::is_control, " ")),
    };
    let data = [("plan.yaml", plan), ("info.json", json_text(&outcome.pod_info(planned)))];
    ConfigMap { name, kind: Kind::Plan, data: bounded(texts(data)) }
}

/// Says what a plan depends on that could not be checked.
fn unverified_comment(planned: &PodPlan) -> String {
    match unchecked::names(&planned.unchecked_rules).as_slice() {
        [] => String::new(),
        rules => format!("# unverified: {} not checked\n", rules.join(", ")),
    }
}

/// `consolidation-<node>` for each node that has a suggestion of its own, and `summary-consolidation`.
#[must_use]
pub fn consolidation_config_maps(outcome: &ConsolidationOutcome<'_>) -> Vec<ConfigMap> {
    let suggested = outcome.consolidation.nodes.iter().filter(|plan| plan.has_suggestion());
    let mut maps: Vec<ConfigMap> = suggested
        .map(|plan| ConfigMap {
            name: consolidation_name(&plan.node.name),
            kind: Kind::Consolidation,
            data: bounded(suggestion::node(plan, outcome)),
        })
        .collect();
    maps.push(ConfigMap {
        name: "summary-consolidation".to_owned(),
        kind: Kind::Summary,
        data: bounded(summary::consolidation(outcome)),
    });
    maps
}

/// Label by which a ConfigMap of this program is known, with [`MANAGER`] as its value.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// This program, as the owner of ConfigMaps and of their fields.
pub const MANAGER: &str = "mini-karpenter-rs";
/// Label that tells the kinds apart.
pub const KIND: &str = "mini-karpenter/kind";

/// A ConfigMap as it is applied.
#[must_use]
pub fn config_map_manifest(map: &ConfigMap, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": map.name,
            "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER, KIND: map.kind.as_str()},
        },
        "data": map.data,
    })
}

/// ConfigMaps as one file of YAML documents.
#[must_use]
pub fn config_maps_yaml(maps: &[ConfigMap], namespace: &str) -> String {
    maps.iter().map(|map| yaml(&config_map_manifest(map, namespace))).collect::<Vec<_>>().join("---\n")
}

/// The last resort for contents that are still too large after every list was cut: the largest texts make way for a note.
fn bounded(mut data: BTreeMap<String, String>) -> BTreeMap<String, String> {
    while data.values().map(String::len).sum::<usize>() > LARGEST_BYTES {
        let Some((name, largest)) = data.iter_mut().max_by_key(|(_, text)| text.len()) else { break };
        let bytes = largest.len();
        *largest = if name == "info.json" {
            json_text(&json!({"version": 1, "leftOutBytes": bytes}))
        } else {
            format!("# left out: {bytes} bytes, more than a ConfigMap holds\n")
        };
    }
    data
}

pub(super) fn texts<const N: usize>(texts: [(&str, String); N]) -> BTreeMap<String, String> {
    texts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cut_makes_small_enough_makes_way_for_a_note() {
        let large = "x".repeat(LARGEST_BYTES);
        let data = bounded(texts([("info.json", large.clone()), ("plan.yaml", "small".to_owned())]));
        assert_eq!(data["plan.yaml"], "small");
        let info: Value = serde_json::from_str(&data["info.json"]).unwrap();
        assert_eq!(info["leftOutBytes"], LARGEST_BYTES);
    }
}
