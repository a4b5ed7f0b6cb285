//! What a pod asks of the other pods around it: topology spread, pod affinity and anti-affinity.
//!
//! Source of the defaults: the scheduler plugins `PodTopologySpread` and `InterPodAffinity`, Kubernetes 1.36.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1 as raw;

use super::LowerError;
use super::selector::{label_selector, matching};
use crate::model::{AffinityTerm, LabelSelector, Labels, Neighbours, Requirement, SpreadConstraint};

/// The hard rules of a pod of this namespace and with these labels.
pub(super) fn neighbours(spec: &raw::PodSpec, namespace: &str, labels: &Labels) -> Result<Neighbours, LowerError> {
    let affinity = spec.affinity.as_ref();
    let near = affinity
        .and_then(|affinity| affinity.pod_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_deref());
    let apart = affinity
        .and_then(|affinity| affinity.pod_anti_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_deref());
    Ok(Neighbours {
        spread: spread(spec, labels, false)?,
        affinity: terms(near, "podAffinity", namespace)?,
        anti_affinity: terms(apart, "podAntiAffinity", namespace)?,
    })
}

/// The constraints that must hold, or those that are only wishes (`ScheduleAnyway`).
pub(super) fn spread(
    spec: &raw::PodSpec,
    labels: &Labels,
    only_wishes: bool,
) -> Result<Vec<SpreadConstraint>, LowerError> {
    let mut constraints = Vec::new();
    for (index, raw) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let field = format!("spec.topologySpreadConstraints[{index}]");
        let is_wish = match raw.when_unsatisfiable.as_str() {
            "DoNotSchedule" => false,
            "ScheduleAnyway" => true,
            other => {
                return Err(LowerError::Unknown {
                    field: format!("{field}.whenUnsatisfiable"),
                    value: other.to_owned(),
                    known: "DoNotSchedule, ScheduleAnyway",
                });
            }
        };
        if is_wish == only_wishes {
            constraints.push(spread_constraint(raw, labels, &field)?);
        }
    }
    Ok(constraints)
}

fn spread_constraint(
    raw: &raw::TopologySpreadConstraint,
    labels: &Labels,
    field: &str,
) -> Result<SpreadConstraint, LowerError> {
    let mut selector = label_selector(raw.label_selector.as_ref(), &format!("{field}.labelSelector"))?;
    if let LabelSelector::Matching(mut requirements) = selector {
        let keys = raw.match_label_keys.iter().flatten();
        requirements.extend(keys.filter_map(|key| Some(Requirement::equals(key, labels.get(key)?))));
        selector = matching(requirements);
    }
    Ok(SpreadConstraint {
        topology_key: topology_key(&raw.topology_key, field)?,
        max_skew: above_zero(raw.max_skew, || format!("{field}.maxSkew"))?,
        min_domains: above_zero(raw.min_domains.unwrap_or(1), || format!("{field}.minDomains"))?,
        selector,
        honors_node_affinity: honors(raw.node_affinity_policy.as_deref(), true, || {
            format!("{field}.nodeAffinityPolicy")
        })?,
        honors_node_taints: honors(raw.node_taints_policy.as_deref(), false, || format!("{field}.nodeTaintsPolicy"))?,
    })
}

/// The API server takes no empty one, since it would name no domain.
fn topology_key(key: &str, field: &str) -> Result<String, LowerError> {
    if key.is_empty() { Err(LowerError::Empty(format!("{field}.topologyKey"))) } else { Ok(key.to_owned()) }
}

fn above_zero(number: i32, field: impl FnOnce() -> String) -> Result<u32, LowerError> {
    let above = u32::try_from(number).ok().filter(|number| *number > 0);
    let unknown = || LowerError::Unknown { field: field(), value: number.to_string(), known: "the numbers above 0" };
    above.ok_or_else(unknown)
}

fn honors(policy: Option<&str>, default: bool, field: impl FnOnce() -> String) -> Result<bool, LowerError> {
    match policy {
        None => Ok(default),
        Some("Honor") => Ok(true),
        Some("Ignore") => Ok(false),
        Some(other) => Err(LowerError::Unknown { field: field(), value: other.to_owned(), known: "Honor, Ignore" }),
    }
}

fn terms(raw: Option<&[raw::PodAffinityTerm]>, kind: &str, namespace: &str) -> Result<Vec<AffinityTerm>, LowerError> {
    let field = |index| format!("spec.affinity.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}]");
    let terms = raw.into_iter().flatten().enumerate();
    terms.map(|(index, raw)| affinity_term(raw, &field(index), namespace)).collect()
}

/// A term of a pod of this namespace.
pub(super) fn affinity_term(
    raw: &raw::PodAffinityTerm,
    field: &str,
    namespace: &str,
) -> Result<AffinityTerm, LowerError> {
    let mut namespaces: BTreeSet<String> = raw.namespaces.iter().flatten().cloned().collect();
    if namespaces.is_empty() && raw.namespace_selector.is_none() {
        namespaces.insert(namespace.to_owned());
    }
    Ok(AffinityTerm {
        topology_key: topology_key(&raw.topology_key, field)?,
        // The API server has merged matchLabelKeys and mismatchLabelKeys into it; the scheduler does not.
        selector: label_selector(raw.label_selector.as_ref(), &format!("{field}.labelSelector"))?,
        namespaces,
        namespace_selector: label_selector(raw.namespace_selector.as_ref(), &format!("{field}.namespaceSelector"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lowered(spec: Value) -> Result<Neighbours, LowerError> {
        let spec: raw::PodSpec = serde_json::from_value(spec).unwrap();
        let labels = [("app", "web"), ("hash", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        neighbours(&spec, "shop", &Labels::from(labels))
    }

    fn one_spread(constraint: &Value) -> Result<SpreadConstraint, LowerError> {
        lowered(json!({"topologySpreadConstraints": [constraint]})).map(|mut all| all.spread.remove(0))
    }

    fn spread_with(more: &Value) -> Value {
        let mut constraint = json!({"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"});
        constraint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        constraint
    }

    #[test]
    fn what_a_spread_constraint_does_not_say_has_the_schedulers_defaults() {
        let constraint = one_spread(&spread_with(&json!({}))).unwrap();
        let expected = SpreadConstraint {
            topology_key: "zone".to_owned(),
            max_skew: 2,
            min_domains: 1,
            selector: LabelSelector::Nothing,
            honors_node_affinity: true,
            honors_node_taints: false,
        };
        assert_eq!(constraint, expected);
        let said = json!({"minDomains": 3, "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"});
        let constraint = one_spread(&spread_with(&said)).unwrap();
        assert_eq!(constraint.min_domains, 3);
        assert!(!constraint.honors_node_affinity && constraint.honors_node_taints);
    }

    #[test]
    fn constraints_that_are_only_wishes_are_left_out() {
        let wish = spread_with(&json!({"whenUnsatisfiable": "ScheduleAnyway"}));
        assert_eq!(lowered(json!({"topologySpreadConstraints": [wish]})).unwrap(), Neighbours::default());
    }

    #[test]
    fn match_label_keys_that_the_pod_has_narrow_a_selector_that_is_there() {
        let keys = json!(["hash", "app", "missing"]);
        let selector = |label_selector: Value| {
            let more = json!({"labelSelector": label_selector, "matchLabelKeys": keys});
            one_spread(&spread_with(&more)).unwrap().selector.to_string()
        };
        assert_eq!(selector(json!({"matchLabels": {"app": "web"}})), r#"pods with app="web" and hash="1""#);
        assert_eq!(selector(json!({})), r#"pods with app="web" and hash="1""#);
        assert_eq!(selector(Value::Null), "no pods");
    }

    #[test]
    fn unknown_policies_and_numbers_are_errors_with_their_field() {
        let error = |more: Value| one_spread(&spread_with(&more)).unwrap_err().to_string();
        let at = "spec.topologySpreadConstraints[0]";
        assert_eq!(
            error(json!({"whenUnsatisfiable": "Never"})),
            format!("{at}.whenUnsatisfiable: \"Never\" is not one of DoNotSchedule, ScheduleAnyway")
        );
        assert_eq!(
            error(json!({"nodeTaintsPolicy": "Maybe"})),
            format!("{at}.nodeTaintsPolicy: \"Maybe\" is not one of Honor, Ignore")
        );
        assert_eq!(error(json!({"maxSkew": 0})), format!("{at}.maxSkew: \"0\" is not one of the numbers above 0"));
        assert!(error(json!({"minDomains": -1})).starts_with(&format!("{at}.minDomains: ")));
        assert_eq!(error(json!({"topologyKey": ""})), format!("{at}.topologyKey: empty"));
    }

    #[test]
    fn a_term_without_namespaces_means_the_pods_own() {
        let namespaces = |more: Value| {
            let mut term = json!({"topologyKey": "host", "labelSelector": {}});
            term.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]});
            let term = lowered(json!({"affinity": {"podAffinity": required}})).unwrap().affinity.remove(0);
            (term.namespaces.into_iter().collect::<Vec<_>>().join(" "), term.namespace_selector)
        };
        let nothing = LabelSelector::Nothing;
        let everything = LabelSelector::Matching(Vec::new());
        assert_eq!(namespaces(json!({})), ("shop".to_owned(), nothing.clone()));
        assert_eq!(namespaces(json!({"namespaces": []})), ("shop".to_owned(), nothing.clone()));
        assert_eq!(namespaces(json!({"namespaces": ["b", "a"]})), ("a b".to_owned(), nothing));
        assert_eq!(namespaces(json!({"namespaceSelector": {}})), (String::new(), everything.clone()));
        assert_eq!(namespaces(json!({"namespaces": ["a"], "namespaceSelector": {}})), ("a".to_owned(), everything));
    }

    #[test]
    fn only_required_terms_count_and_errors_name_theirs() {
        let preferred = json!({"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "host", "labelSelector": {}}},
        ]});
        let affinity = json!({"podAffinity": preferred, "podAntiAffinity": preferred});
        assert_eq!(lowered(json!({"affinity": affinity})).unwrap(), Neighbours::default());
        let wrong =
            json!({"topologyKey": "host", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}});
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": [wrong]});
        let error = lowered(json!({"affinity": {"podAntiAffinity": required}})).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector.\
                 matchExpressions[0].operator: \"Is\""
            ),
            "{error}"
        );
    }
}
