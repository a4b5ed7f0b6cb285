//! Soft rules: preferred affinities, and topology spread that need not hold.
//!
//! Source of the defaults: the scheduler plugins `NodeAffinity`, `InterPodAffinity` and `PodTopologySpread`, Kubernetes
//! 1.36.

use k8s_openapi::api::core::v1 as raw;

use super::LowerError;
use super::neighbours::{affinity_term, spread};
use super::placement::node_selector_term;
use crate::model::{AffinityTerm, Labels, NodeSelectorTerm, Preferences, SpreadConstraint, Weighted};

/// What the scheduler takes as the most.
const LARGEST_WEIGHT: u32 = 100;

/// The soft rules of a pod of this namespace and with these labels; `None` where it has none.
pub(super) fn preferences(
    spec: &raw::PodSpec,
    namespace: &str,
    labels: &Labels,
) -> Result<Option<Preferences>, LowerError> {
    let affinity = spec.affinity.as_ref();
    let near = affinity
        .and_then(|affinity| affinity.pod_affinity.as_ref())
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_deref());
    let apart = affinity
        .and_then(|affinity| affinity.pod_anti_affinity.as_ref())
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_deref());
    // The API server takes minDomains only from constraints that must hold.
    let one_domain = |constraint| SpreadConstraint { min_domains: 1, ..constraint };
    let preferences = Preferences {
        node_affinity: node_affinity(affinity.and_then(|affinity| affinity.node_affinity.as_ref()))?,
        affinity: terms(near, "podAffinity", namespace)?,
        anti_affinity: terms(apart, "podAntiAffinity", namespace)?,
        spread: spread(spec, labels, true)?.into_iter().map(one_domain).collect(),
    };
    Ok((preferences != Preferences::default()).then_some(preferences))
}

/// Terms without requirements are left out, since the scheduler gives nothing for them.
fn node_affinity(raw: Option<&raw::NodeAffinity>) -> Result<Vec<Weighted<NodeSelectorTerm>>, LowerError> {
    let preferred = raw.and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_deref());
    let mut terms = Vec::new();
    for (index, raw) in preferred.into_iter().flatten().enumerate() {
        let field =
            format!("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference");
        let term = node_selector_term(&raw.preference, &field)?;
        let says_nothing = term == NodeSelectorTerm::default();
        terms.extend(weighted(raw.weight, term).filter(|_| !says_nothing));
    }
    Ok(terms)
}

fn terms(
    raw: Option<&[raw::WeightedPodAffinityTerm]>,
    kind: &str,
    namespace: &str,
) -> Result<Vec<Weighted<AffinityTerm>>, LowerError> {
    let mut terms = Vec::new();
    for (index, raw) in raw.into_iter().flatten().enumerate() {
        let field =
            format!("spec.affinity.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}].podAffinityTerm");
        terms.extend(weighted(raw.weight, affinity_term(&raw.pod_affinity_term, &field, namespace)?));
    }
    Ok(terms)
}

/// A weight outside of what the API server takes is no reason to plan without the pod: it is cut, and 0 is none.
fn weighted<T>(weight: i32, term: T) -> Option<Weighted<T>> {
    let weight = u32::try_from(weight).unwrap_or(0).min(LARGEST_WEIGHT);
    (weight > 0).then_some(Weighted { weight, term })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lowered(spec: Value) -> Result<Option<Preferences>, LowerError> {
        let spec: raw::PodSpec = serde_json::from_value(spec).unwrap();
        let labels = [("app", "web"), ("hash", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        preferences(&spec, "shop", &Labels::from(labels))
    }

    fn preferred(kind: &str, terms: &Value) -> Result<Option<Preferences>, LowerError> {
        lowered(json!({"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": terms}}}))
    }

    #[test]
    fn most_pods_have_none() {
        assert_eq!(lowered(json!({})).unwrap(), None);
        let hard = json!({"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"});
        assert_eq!(lowered(json!({"topologySpreadConstraints": [hard]})).unwrap(), None);
        assert_eq!(preferred("nodeAffinity", &json!([])).unwrap(), None);
    }

    #[test]
    fn node_affinity_keeps_its_weight_and_terms_that_say_nothing_are_left_out() {
        let on = |value: &str| json!({"matchExpressions": [{"key": "disk", "operator": "In", "values": [value]}]});
        let terms = json!([
            {"weight": 30, "preference": on("ssd")}, {"weight": 50, "preference": {}}, {"weight": 0, "preference": on("x")},
        ]);
        let found = preferred("nodeAffinity", &terms).unwrap().unwrap().node_affinity;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].weight, found[0].term.labels[0].to_string()), (30, r#"disk="ssd""#.to_owned()));
    }

    #[test]
    fn a_pods_term_means_its_own_namespace_as_a_required_one_does() {
        let term = json!({"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "web"}}});
        let terms = json!([{"weight": 1000, "podAffinityTerm": term}]);
        let near = preferred("podAffinity", &terms).unwrap().unwrap();
        let apart = preferred("podAntiAffinity", &terms).unwrap().unwrap();
        assert_eq!(near.affinity, apart.anti_affinity);
        assert!(near.anti_affinity.is_empty() && apart.affinity.is_empty());
        let Weighted { weight, term } = &near.affinity[0];
        assert_eq!((*weight, term.topology_key.as_str()), (100, "host"));
        assert!(term.namespaces.iter().eq(["shop"]));
    }

    #[test]
    fn a_spread_that_is_a_wish_has_match_label_keys_and_one_domain() {
        let wish = json!({
            "topologyKey": "zone", "maxSkew": 2, "minDomains": 3, "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {}, "matchLabelKeys": ["hash"], "nodeTaintsPolicy": "Honor",
        });
        let hard = json!({"topologyKey": "host", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"});
        let found = lowered(json!({"topologySpreadConstraints": [hard, wish]})).unwrap().unwrap().spread;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].topology_key.as_str(), found[0].max_skew, found[0].min_domains), ("zone", 2, 1));
        assert_eq!(found[0].selector.to_string(), r#"pods with hash="1""#);
        assert!(found[0].honors_node_taints && found[0].honors_node_affinity);
    }

    #[test]
    fn errors_name_their_term() {
        let preference = json!({"matchExpressions": [{"key": "a", "operator": "Is"}]});
        let terms = json!([{"weight": 1, "preference": preference}]);
        let error = preferred("nodeAffinity", &terms).unwrap_err().to_string();
        assert!(error.starts_with(
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0]"
        ));
        let selector = json!({"topologyKey": "host", "labelSelector": preference});
        let terms = json!([{"weight": 1, "podAffinityTerm": selector}]);
        let error = preferred("podAntiAffinity", &terms).unwrap_err().to_string();
        assert!(error.starts_with(
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector"
        ));
    }
}
