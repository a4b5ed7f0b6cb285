//! Karpenter's `NodePool`, of the API `karpenter.sh/v1`.

use serde::{Serialize, Serializer};

use super::yaml;
use crate::model::{Labels, NodeClassRef, Operator, Requirement, Taint, is_label_value};
use crate::provision::Pool;

/// A `NodePool` that makes nodes of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePool {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Spec {
    template: Template,
    disruption: Disruption,
    limits: Limits,
    weight: u32,
}

/// So that a mistake has its price, too.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Limits {
    cpu: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Template {
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    spec: NodeSpec,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeSpec {
    node_class_ref: NodeClassRef,
    requirements: Vec<NodeRequirement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taints: Vec<NodeTaint>,
    expire_after: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct NodeRequirement {
    key: String,
    #[serde(serialize_with = "operator_name")]
    operator: Operator,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct NodeTaint {
    key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    effect: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Disruption {
    consolidation_policy: &'static str,
    consolidate_after: &'static str,
}

impl NodePool {
    /// The document for a kind of node.
    #[must_use]
    pub fn new(pool: &Pool) -> Self {
        let labels = Labels::from([("app.kubernetes.io/managed-by".to_owned(), "mini-karpenter-rs".to_owned())]);
        let template_labels = (!pool.labels.is_empty()).then(|| Metadata { name: None, labels: pool.labels.clone() });
        Self {
            api_version: "karpenter.sh/v1",
            kind: "NodePool",
            metadata: Metadata { name: Some(pool.name.clone()), labels },
            spec: Spec {
                template: Template {
                    metadata: template_labels,
                    spec: NodeSpec {
                        node_class_ref: pool.node_class.clone(),
                        requirements: pool.requirements.iter().filter_map(acceptable).collect(),
                        taints: pool.taints.iter().map(NodeTaint::new).collect(),
                        // Karpenter's own default, spelled out because whoever applies this should see it.
                        expire_after: "720h",
                    },
                },
                disruption: Disruption {
                    consolidation_policy: "WhenEmptyOrUnderutilized",
                    // Not Karpenter's default of 0s, which takes a node away between two pods of a rollout.
                    consolidate_after: "1m",
                },
                limits: Limits { cpu: pool.most_cores.to_string() },
                weight: pool.weight,
            },
        }
    }

    /// As YAML, ready for `kubectl apply -f`.
    #[must_use]
    pub fn yaml(&self) -> String {
        yaml(self)
    }
}

/// Several documents in one file.
#[must_use]
pub fn node_pools_yaml<'a>(pools: impl IntoIterator<Item = &'a Pool>) -> String {
    let documents: Vec<String> = pools.into_iter().map(|pool| NodePool::new(pool).yaml()).collect();
    documents.join("---\n")
}

impl NodeTaint {
    fn new(Taint { key, value, effect }: &Taint) -> Self {
        Self { key: key.clone(), value: value.clone(), effect: effect.to_string() }
    }
}

/// The requirement as the `NodePool` schema takes it. Pods may carry values that it refuses (no label value, a bound
/// below zero); the requirement on the instance type, which is always there, says the same without them.
fn acceptable(requirement: &Requirement) -> Option<NodeRequirement> {
    let Requirement { key, operator, values } = requirement;
    let values: Vec<String> = match operator {
        Operator::In | Operator::NotIn => values.iter().filter(|value| is_label_value(value)).cloned().collect(),
        Operator::Gt | Operator::Lt => values.iter().filter(|value| value.parse::<u32>().is_ok()).cloned().collect(),
        Operator::Exists | Operator::DoesNotExist => Vec::new(),
    };
    let takes_values = !matches!(operator, Operator::Exists | Operator::DoesNotExist);
    (!takes_values || !values.is_empty()).then(|| NodeRequirement { key: key.clone(), operator: *operator, values })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn operator_name<S: Serializer>(operator: &Operator, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match operator {
        Operator::In => "In",
        Operator::NotIn => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
        Operator::Gt => "Gt",
        Operator::Lt => "Lt",
    })
}
