//! What `metrics.k8s.io` says of a node.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, Resource};
use serde::Deserialize;

use super::{LowerError, amounts, resources};
use crate::model::Usage;

/// One object of `metrics.k8s.io/v1beta1`, `nodes`: no type of Kubernetes' own, and so not in `k8s-openapi`. When it was
/// measured and for how long is left out: both are seconds, and differ each time.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeMetrics {
    /// The node's name, and labels.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// `cpu` and `memory`.
    #[serde(default)]
    pub usage: BTreeMap<String, RawQuantity>,
}

impl Resource for NodeMetrics {
    const API_VERSION: &'static str = "metrics.k8s.io/v1beta1";
    const GROUP: &'static str = "metrics.k8s.io";
    const KIND: &'static str = "NodeMetrics";
    const VERSION: &'static str = "v1beta1";
    const URL_PATH_SEGMENT: &'static str = "nodes";
    type Scope = ClusterResourceScope;
}

impl Metadata for NodeMetrics {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What a node used, in the planner's units, rounded up.
///
/// # Errors
/// Where an amount is no quantity, or one of the two is missing.
pub fn lower_usage(raw: &NodeMetrics) -> Result<Usage, LowerError> {
    for (resource, field) in [("cpu", "usage.cpu"), ("memory", "usage.memory")] {
        if !raw.usage.contains_key(resource) {
            return Err(LowerError::Missing(field));
        }
    }
    let used = resources(&amounts(Some(&raw.usage), "usage")?);
    Ok(Usage { cpu: used.cpu, memory: used.memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lowered(usage: &serde_json::Value) -> Result<Usage, String> {
        let raw =
            json!({"metadata": {"name": "n"}, "timestamp": "2026-08-01T00:00:00Z", "window": "15s", "usage": usage});
        lower_usage(&serde_json::from_value(raw).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn amounts_are_exact_to_the_planners_units() {
        let usage = lowered(&json!({"cpu": "1500000001n", "memory": "2097153Ki"})).unwrap();
        assert_eq!((usage.cpu.get(), usage.memory.get()), (1501, 2_147_484_672));
    }

    #[test]
    fn what_is_missing_or_no_quantity_is_named() {
        assert_eq!(lowered(&json!({"cpu": "1"})).unwrap_err(), "usage.memory: missing");
        assert!(lowered(&json!({"cpu": "1", "memory": "much"})).unwrap_err().starts_with("usage.memory: "));
    }
}
