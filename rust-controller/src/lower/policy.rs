//! Namespaces, and what may be evicted from them.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::selector::label_selector;
use super::{LowerError, name_of, object_name};
use crate::model::{Budget, Labels};

/// The label with which the API server repeats a namespace's name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Name and labels of a namespace, that with its name always among them.
///
/// # Errors
/// Where the name is missing.
pub fn lower_namespace(raw: &Namespace) -> Result<(String, Labels), LowerError> {
    let name = name_of(&raw.metadata)?;
    let mut labels = raw.metadata.labels.clone().unwrap_or_default();
    labels.insert(NAME_LABEL.to_owned(), name.clone());
    Ok((name, labels))
}

/// The planner's view of a disruption budget. How many evictions it allows depends on pods and on their controllers, and
/// is not worked out again here: as long as its status does not say, or speaks of an older specification, the API server
/// lets nobody go, and neither does the planner.
///
/// # Errors
/// Where the name is missing, or an operator is not one of Kubernetes'.
pub fn lower_budget(raw: &PodDisruptionBudget) -> Result<Budget, LowerError> {
    let current = raw
        .status
        .as_ref()
        .filter(|status| status.observed_generation.unwrap_or(0) >= raw.metadata.generation.unwrap_or(0));
    let allowed = current.and_then(|status| status.disruptions_allowed);
    let spec = raw.spec.as_ref();
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    let always = spec.and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref()) == Some("AlwaysAllow");
    let enough = current.is_some_and(|status| {
        status.desired_healthy.unwrap_or(0) > 0 && status.current_healthy >= status.desired_healthy
    });
    Ok(Budget {
        name: object_name(&raw.metadata)?,
        selector: label_selector(selector, "spec.selector")?,
        disruptions_allowed: allowed.and_then(|allowed| u32::try_from(allowed).ok()).unwrap_or(0),
        is_stale: allowed.is_none(),
        lets_unready_go: always || enough,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LabelSelector;
    use serde_json::{Value, json};

    #[test]
    fn a_namespace_has_its_name_as_a_label() {
        let raw = json!({"metadata": {"name": "shop", "labels": {"team": "a"}}});
        let (name, labels) = lower_namespace(&serde_json::from_value(raw).unwrap()).unwrap();
        assert_eq!(name, "shop");
        let labels: Vec<String> = labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(labels, ["kubernetes.io/metadata.name=shop", "team=a"]);
    }

    #[test]
    fn a_budget_says_what_it_allows_and_whom_it_protects() {
        let budget = |spec: Value, status: Value| {
            let raw = json!({"metadata": {"name": "b", "namespace": "x"}, "spec": spec, "status": status});
            lower_budget(&serde_json::from_value(raw).unwrap())
        };
        let allowed = |count| json!({"disruptionsAllowed": count});
        let none = budget(json!({}), allowed(0)).unwrap();
        assert_eq!((none.name.to_string().as_str(), none.disruptions_allowed), ("x/b", 0));
        assert_eq!(none.selector, LabelSelector::Nothing);
        let all = budget(json!({"selector": {}}), allowed(2)).unwrap();
        assert!(all.selector.is_everything());
        assert_eq!((all.disruptions_allowed, all.is_stale), (2, false));
        for status in [Value::Null, json!({}), json!({"currentHealthy": 1})] {
            let silent = budget(json!({}), status).unwrap();
            assert_eq!((silent.disruptions_allowed, silent.is_stale), (0, true));
        }
    }

    #[test]
    fn a_status_of_an_older_specification_allows_nothing() {
        let allowed = |observed: Value| {
            let status = json!({"disruptionsAllowed": 2, "observedGeneration": observed});
            let raw =
                json!({"metadata": {"name": "b", "namespace": "x", "generation": 3}, "spec": {}, "status": status});
            lower_budget(&serde_json::from_value(raw).unwrap()).unwrap().disruptions_allowed
        };
        assert_eq!([json!(3), json!(4), json!(2), Value::Null].map(allowed), [2, 2, 0, 0]);
    }
}
