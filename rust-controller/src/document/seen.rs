//! Where live nodes report something else than the catalog says, and so count instead.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan_json::amounts;
use crate::catalog::SeenAllocatable;
use crate::model::printed_amount;

/// A type whose allocatable is what live nodes report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeenEntry<'a> {
    instance_type: &'a str,
    /// How many live nodes were looked at.
    nodes: usize,
    /// The smallest seen of each resource: what was planned with.
    allocatable: BTreeMap<String, String>,
    /// What the catalog says.
    catalog_allocatable: BTreeMap<String, String>,
}

pub(super) fn entry(seen: &SeenAllocatable) -> SeenEntry<'_> {
    let SeenAllocatable { instance_type, nodes, allocatable, in_catalog } = seen;
    SeenEntry {
        instance_type,
        nodes: *nodes,
        allocatable: amounts(allocatable),
        catalog_allocatable: amounts(in_catalog),
    }
}

/// A line for each of these types: the resources that differ, as seen and as in the catalog.
pub(super) fn lines<'a>(seen: impl IntoIterator<Item = &'a SeenAllocatable>) -> String {
    seen.into_iter().map(line).collect()
}

fn line(seen: &SeenAllocatable) -> String {
    let SeenAllocatable { instance_type, nodes, allocatable, in_catalog } = seen;
    let differing: Vec<String> = allocatable
        .amounts()
        .map(|(resource, amount)| (resource, amount, in_catalog.amount(resource)))
        .filter(|(_, amount, in_catalog)| amount != in_catalog)
        .map(|(resource, amount, in_catalog)| {
            let [seen, in_catalog] = [amount, in_catalog].map(|amount| printed_amount(resource, amount));
            format!("{resource} {seen} (catalog: {in_catalog})")
        })
        .collect();
    let nodes = if *nodes == 1 { "1 live node".to_owned() } else { format!("{nodes} live nodes") };
    format!("Allocatable of {instance_type}, the smallest seen on {nodes}: {}\n", differing.join(", "))
}
