//! Outcomes -> ConfigMaps, NodePools, tables and JSON.
//!
//! Field names and layout are a contract with other programs: see `docs/ARCHITECTURE.md`.

mod attachable;
mod basis;
mod config_map;
mod consolidation_json;
mod costs;
mod entries;
mod explain;
mod metrics;
mod names;
mod node_pool;
mod plan_groups;
mod plan_json;
mod preferences;
mod prices;
mod replacement_json;
mod replacement_table;
mod said;
mod seen;
mod suggestion;
mod summary;
mod table;
mod tables;
mod unchecked;
mod usage;

pub use config_map::{
    ConfigMap, KIND, Kind, MANAGED_BY, MANAGER, config_map_manifest, config_maps_yaml, consolidation_config_maps,
    plan_config_maps,
};
pub use consolidation_json::{ConsolidationDocument, ConsolidationOutcome};
pub use costs::Cost;
pub use explain::{explain_node, explain_pending_pod, explain_running_pod};
pub use metrics::{Metrics, PlanMetrics};
pub use node_pool::{NodePool, node_pools_yaml};
pub use plan_json::{PlanDocument, PlanOutcome};
pub use replacement_table::explain_replacement;
pub use said::Said;
pub use tables::{catalog_table, consolidation_table, plan_table};

use serde::Serialize;

/// A document as YAML: texts of several lines as blocks, any other value in one line, however long.
fn yaml(document: &impl Serialize) -> String {
    let options = serde_yaml::ser_options! { folded_wrap_chars: usize::MAX };
    serde_yaml::to_string_with_options(document, options)
        .unwrap_or_else(|error| format!("# cannot be written as YAML: {error}\n"))
}

/// A document as JSON for people: indented, with a line break at its end.
#[must_use]
pub fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document)
        .map_or_else(|error| format!("\"cannot be written as JSON: {error}\"\n"), |text| text + "\n")
}

/// A share in millionths as a percentage with one decimal, rounded down: `12.3 %`.
fn percent(millionths: u64) -> String {
    format!("{}.{} %", millionths / 10_000, millionths / 1_000 % 10)
}

/// A share in millionths as a number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "for output only")]
fn share(millionths: u64) -> f64 {
    millionths as f64 / 1e6
}
