//! Node selector, node affinity, tolerations and taints.

use k8s_openapi::api::core::v1 as raw;

use super::LowerError;
use crate::model::{
    NodeSelectorTerm, Operator, Placement, Requirement, Taint, TaintEffect, Toleration, TolerationMatch,
};

pub(super) fn placement(spec: &raw::PodSpec) -> Result<Placement, LowerError> {
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let field = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";
    Ok(Placement {
        node_name: None,
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        node_affinity: required.map(|selector| node_selector_terms(selector, field)).transpose()?,
        tolerations: tolerations(spec.tolerations.as_deref().unwrap_or_default())?,
    })
}

pub(super) fn node_selector_terms(
    selector: &raw::NodeSelector,
    field: &str,
) -> Result<Vec<NodeSelectorTerm>, LowerError> {
    let terms = selector.node_selector_terms.iter().enumerate();
    terms.map(|(index, term)| node_selector_term(term, &format!("{field}.nodeSelectorTerms[{index}]"))).collect()
}

pub(super) fn node_selector_term(term: &raw::NodeSelectorTerm, field: &str) -> Result<NodeSelectorTerm, LowerError> {
    Ok(NodeSelectorTerm {
        labels: requirements(term.match_expressions.as_deref(), &format!("{field}.matchExpressions"))?,
        fields: requirements(term.match_fields.as_deref(), &format!("{field}.matchFields"))?,
    })
}

fn requirements(raw: Option<&[raw::NodeSelectorRequirement]>, field: &str) -> Result<Vec<Requirement>, LowerError> {
    let requirement = |(index, raw): (usize, &raw::NodeSelectorRequirement)| {
        let operator = match raw.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::Gt,
            "Lt" => Operator::Lt,
            other => {
                return Err(LowerError::Unknown {
                    field: format!("{field}[{index}].operator"),
                    value: other.to_owned(),
                    known: "In, NotIn, Exists, DoesNotExist, Gt, Lt",
                });
            }
        };
        Ok(Requirement { key: raw.key.clone(), operator, values: raw.values.clone().unwrap_or_default() })
    };
    raw.into_iter().flatten().enumerate().map(requirement).collect()
}

/// Tolerations with an operator that a scheduler of Kubernetes 1.36 does not know tolerate nothing and are left out.
fn tolerations(raw: &[raw::Toleration]) -> Result<Vec<Toleration>, LowerError> {
    let mut tolerations = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let value = match raw.operator.as_deref() {
            None | Some("" | "Equal") => TolerationMatch::Equal(raw.value.clone().unwrap_or_default()),
            Some("Exists") => TolerationMatch::Exists,
            Some(_) => continue,
        };
        let effect = match raw.effect.as_deref() {
            None | Some("") => None,
            Some(effect) => Some(taint_effect(effect, || format!("spec.tolerations[{index}].effect"))?),
        };
        tolerations.push(Toleration { key: raw.key.clone().unwrap_or_default(), value, effect });
    }
    Ok(tolerations)
}

pub(super) fn taints(raw: &[raw::Taint]) -> Result<Vec<Taint>, LowerError> {
    let taint = |(index, raw): (usize, &raw::Taint)| {
        Ok(Taint {
            key: raw.key.clone(),
            value: raw.value.clone().unwrap_or_default(),
            effect: taint_effect(&raw.effect, || format!("spec.taints[{index}].effect"))?,
        })
    };
    raw.iter().enumerate().map(taint).collect()
}

fn taint_effect(effect: &str, field: impl FnOnce() -> String) -> Result<TaintEffect, LowerError> {
    match effect {
        "NoSchedule" => Ok(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Ok(TaintEffect::PreferNoSchedule),
        "NoExecute" => Ok(TaintEffect::NoExecute),
        other => Err(LowerError::Unknown {
            field: field(),
            value: other.to_owned(),
            known: "NoSchedule, PreferNoSchedule, NoExecute",
        }),
    }
}
