//! What live nodes say about how many volumes a node of their type can attach.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::seen::{has_reported, is_alike};
use crate::model::{AttachCounts, AttachLimits, Catalog, Node, key};

/// By name of the type, how many volumes of each CSI driver its live nodes can attach: the smallest count, because the next
/// node may be like any of them. A driver that is on some of them without a count, and on none with one, has no limit.
///
/// Nodes count for a type as they do for its allocatable ([`super::seen_allocatable`]).
#[must_use]
pub fn seen_attach_limits<'n>(
    catalog: &Catalog,
    nodes: impl IntoIterator<Item = &'n Node>,
    limits: &BTreeMap<String, Arc<AttachLimits>>,
) -> BTreeMap<String, AttachCounts> {
    let mut of_types: BTreeMap<String, AttachCounts> = BTreeMap::new();
    for node in nodes.into_iter().filter(|node| has_reported(node)) {
        let Some(of_node) = limits.get(&node.name) else { continue };
        let node_type = node.labels.get(key::INSTANCE_TYPE).and_then(|name| catalog.node_type(name));
        let Some(node_type) = node_type.filter(|node_type| is_alike(node, node_type)) else { continue };
        let of_type = of_types.entry(node_type.name.clone()).or_default();
        let counted = of_node.volumes.iter().map(|(driver, count)| (driver, Some(*count)));
        for (driver, count) in counted.chain(of_node.unlimited.iter().map(|driver| (driver, None))) {
            match of_type.entry(driver.clone()) {
                Entry::Vacant(entry) => drop(entry.insert(count)),
                Entry::Occupied(mut entry) => {
                    let known = *entry.get();
                    entry.insert(known.into_iter().chain(count).min());
                }
            }
        }
    }
    of_types.retain(|_, of_type| !of_type.is_empty());
    of_types
}

/// The same catalog with what was seen of its types.
#[must_use]
pub fn with_attach_limits(mut catalog: Catalog, mut seen: BTreeMap<String, AttachCounts>) -> Catalog {
    for node_type in &mut catalog.types {
        if let Some(of_type) = seen.remove(&node_type.name) {
            node_type.attach_limits = Arc::new(of_type);
        }
    }
    catalog
}
