//! What live nodes say about the types of a catalog.
//!
//! A formula knows neither the kernel nor the image nor the kubelet's settings of a cluster; its nodes do. So where
//! there are some of a type, what they report counts instead. The smallest, because the next node may be like any of
//! them, and a pod that is planned for more than it gets stays pending. Karpenter's provider for AWS does the same with
//! memory.

use std::collections::BTreeMap;

use crate::model::{Catalog, Node, NodeType, Resources, key};
use crate::units::{Cpu, Memory};

/// A node type of which live nodes offer something else than the catalog says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAllocatable {
    /// Name of the type.
    pub instance_type: String,
    /// How many nodes were looked at: one or more.
    pub nodes: usize,
    /// The smallest seen of each resource; what the catalog says of those that no node reports.
    pub allocatable: Resources,
    /// What the catalog says.
    pub in_catalog: Resources,
}

/// The types of which live nodes offer something else than the catalog says, sorted by name.
///
/// A node counts for the type that its label `node.kubernetes.io/instance-type` names, unless
/// - it is not ready: what it reported may be old, or from before it was complete;
/// - it reports no CPU or no memory: its kubelet has not registered yet;
/// - it has another architecture or operating system than the type, and so another reservation.
///
/// Of each resource, amounts of zero are not looked at: a device plugin that has not started yet reports nothing, and
/// a type would lose its GPUs over that. CPU, memory, storage and pods are what every node has; of the others only
/// those that the catalog names are looked at, since what else a live node has (devices, huge pages, volumes that it can
/// attach) somebody has set up on it, and a new one need not have it.
#[must_use]
pub fn seen_allocatable<'n>(catalog: &Catalog, nodes: impl IntoIterator<Item = &'n Node>) -> Vec<SeenAllocatable> {
    let mut by_type: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes.into_iter().filter(|node| has_reported(node)) {
        if let Some(instance_type) = node.labels.get(key::INSTANCE_TYPE) {
            by_type.entry(instance_type).or_default().push(node);
        }
    }
    by_type.into_iter().filter_map(|(name, nodes)| seen_of_type(catalog.node_type(name)?, nodes)).collect()
}

/// The same catalog with what was seen of its types.
#[must_use]
pub fn with_seen(mut catalog: Catalog, seen: &[SeenAllocatable]) -> Catalog {
    let by_name: BTreeMap<&str, &SeenAllocatable> =
        seen.iter().map(|seen| (seen.instance_type.as_str(), seen)).collect();
    for node_type in &mut catalog.types {
        if let Some(seen) = by_name.get(node_type.name.as_str()) {
            node_type.allocatable = seen.allocatable.clone();
        }
    }
    catalog
}

pub(super) fn has_reported(node: &Node) -> bool {
    node.ready && !node.allocatable.cpu.is_zero() && !node.allocatable.memory.is_zero()
}

fn seen_of_type(node_type: &NodeType, mut nodes: Vec<&Node>) -> Option<SeenAllocatable> {
    nodes.retain(|node| is_alike(node, node_type));
    let NodeType { name, allocatable: in_catalog, .. } = node_type;
    let allocatable = smallest(in_catalog, &nodes);
    (allocatable != *in_catalog).then(|| SeenAllocatable {
        instance_type: name.clone(),
        nodes: nodes.len(),
        allocatable,
        in_catalog: in_catalog.clone(),
    })
}

/// Whether architecture and operating system are those of the type, as far as both say.
pub(super) fn is_alike(node: &Node, node_type: &NodeType) -> bool {
    let contradicts = |key: &str| {
        let pair = node.labels.get(key).zip(node_type.labels.get(key));
        pair.is_some_and(|(of_node, of_type)| of_node != of_type)
    };
    ![key::ARCH, key::OS].into_iter().any(contradicts)
}

/// The smallest amount on any of the nodes of each resource that a type has; the type's own where none has it.
fn smallest(of_type: &Resources, nodes: &[&Node]) -> Resources {
    let seen = |resource: &str| {
        let amounts = nodes.iter().map(|node| node.allocatable.amount(resource));
        amounts.filter(|amount| *amount > 0).min().unwrap_or_else(|| of_type.amount(resource))
    };
    Resources {
        cpu: Cpu::millicores(seen("cpu")),
        memory: Memory::bytes(seen("memory")),
        ephemeral_storage: Memory::bytes(seen("ephemeral-storage")),
        pods: seen("pods"),
        extended: of_type.extended.keys().map(|name| (name.clone(), seen(name))).collect(),
    }
}
