//! What a plan or a consolidation was made from: prices, and options.

use serde::Serialize;

use super::prices::Prices;
use super::share;
use crate::model::Catalog;
use crate::{consolidate, provision};

/// Prices and options.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Basis<'a> {
    #[serde(flatten)]
    prices: Prices<'a>,
    options: OptionsEntry<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OptionsEntry<'a> {
    capacity_types: Vec<&'a str>,
    arch: Vec<&'a str>,
    /// Share of each new node that is left free.
    headroom: f64,
    exclude_types: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_node_cpu: Option<String>,
    min_nodes_per_zone: usize,
    /// Share of allocatable below which a node is underutilized; of a consolidation.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// Share of what replaced nodes cost that must be saved; of a consolidation.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_savings: Option<f64>,
}

impl<'a> Basis<'a> {
    /// Of a plan.
    pub(super) fn of(catalog: &'a Catalog, options: &'a provision::Options) -> Self {
        let provision::Options {
            capacity_types, arch, headroom, exclude_types, max_node_cpu, min_nodes_per_zone, ..
        } = options;
        Self {
            prices: Prices::of(catalog),
            options: OptionsEntry {
                capacity_types: capacity_types.iter().map(String::as_str).collect(),
                arch: arch.iter().map(String::as_str).collect(),
                headroom: share(*headroom),
                exclude_types: exclude_types.as_str(),
                max_node_cpu: max_node_cpu.map(|cpu| cpu.to_string()),
                min_nodes_per_zone: *min_nodes_per_zone,
                threshold: None,
                min_savings: None,
            },
        }
    }

    /// The same of a consolidation, with what that was asked for beside.
    pub(super) fn with(mut self, options: &consolidate::Options) -> Self {
        self.options.threshold = Some(share(options.threshold));
        self.options.min_savings = Some(share(options.min_savings));
        self
    }
}
