//! Selectors of pods, namespaces and volumes by their labels.

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as raw;

use super::LowerError;
use crate::model::{LabelSelector, Operator, Requirement};

/// A selector; one that is missing selects nothing, one without requirements everything.
pub(super) fn label_selector(raw: Option<&raw::LabelSelector>, field: &str) -> Result<LabelSelector, LowerError> {
    let Some(raw) = raw else { return Ok(LabelSelector::Nothing) };
    let equal = raw.match_labels.iter().flatten().map(|(key, value)| Ok(Requirement::equals(key, value)));
    let expressions = raw.match_expressions.iter().flatten().enumerate();
    let expressions =
        expressions.map(|(index, raw)| requirement(raw, || format!("{field}.matchExpressions[{index}].operator")));
    Ok(matching(equal.chain(expressions).collect::<Result<_, LowerError>>()?))
}

/// Those of which every requirement holds.
pub(super) fn matching(mut requirements: Vec<Requirement>) -> LabelSelector {
    requirements.sort();
    requirements.dedup();
    LabelSelector::Matching(requirements)
}

fn requirement(raw: &raw::LabelSelectorRequirement, field: impl FnOnce() -> String) -> Result<Requirement, LowerError> {
    let operator = match raw.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => {
            let known = "In, NotIn, Exists, DoesNotExist";
            return Err(LowerError::Unknown { field: field(), value: other.to_owned(), known });
        }
    };
    let mut values = raw.values.clone().unwrap_or_default();
    values.sort();
    values.dedup();
    Ok(Requirement { key: raw.key.clone(), operator, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn lowered(selector: Value) -> Result<LabelSelector, LowerError> {
        let raw: Option<raw::LabelSelector> = serde_json::from_value(selector).unwrap();
        label_selector(raw.as_ref(), "spec.selector")
    }

    #[test]
    fn a_missing_selector_selects_nothing_and_an_empty_one_everything() {
        assert_eq!(lowered(Value::Null).unwrap(), LabelSelector::Nothing);
        assert!(lowered(json!({})).unwrap().is_everything());
        assert!(lowered(json!({"matchLabels": {}, "matchExpressions": []})).unwrap().is_everything());
    }

    #[test]
    fn requirements_are_sorted_and_said_once() {
        let selector = lowered(json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "NotIn", "values": ["b", "a", "b"]},
                {"key": "app", "operator": "In", "values": ["web"]},
                {"key": "app", "operator": "Exists"},
            ],
        }));
        let expected = r#"pods with app="web" and app present and tier not in [a, b]"#;
        assert_eq!(selector.unwrap().to_string(), expected);
    }

    #[test]
    fn an_unknown_operator_is_an_error_with_its_field() {
        let error = lowered(json!({"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}));
        assert_eq!(
            error.unwrap_err().to_string(),
            r#"spec.selector.matchExpressions[0].operator: "Gt" is not one of In, NotIn, Exists, DoesNotExist"#
        );
    }
}
