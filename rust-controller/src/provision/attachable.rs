//! Planned nodes of which nobody knows how many volumes they can attach.

use std::collections::{BTreeMap, BTreeSet};

use crate::feasibility::attached_volumes;
use crate::model::{Catalog, Pod};
use crate::snapshot::Extras;

/// A node type that is planned to attach volumes, while no live node of it says how many it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAttachLimit {
    /// Name of the type.
    pub instance_type: String,
    /// By CSI driver, the most volumes that are planned on one such node.
    pub most_planned: BTreeMap<String, usize>,
}

/// Those among planned nodes, each given by its type and its pods; by name.
#[must_use]
pub fn unknown_attach_limits<'p>(
    nodes: impl IntoIterator<Item = (&'p str, Vec<&'p Pod>)>,
    catalog: &Catalog,
    extras: &Extras,
) -> Vec<UnknownAttachLimit> {
    let mut unknown: BTreeMap<&str, BTreeMap<String, usize>> = BTreeMap::new();
    for (instance_type, mut pods) in nodes {
        pods.retain(|pod| !pod.volumes.is_empty());
        if pods.is_empty() {
            continue;
        }
        let known = catalog.node_type(instance_type).map(|kind| &*kind.attach_limits);
        let mut attached: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (driver, volume) in pods.into_iter().flat_map(|pod| attached_volumes(pod, extras)) {
            if known.is_none_or(|known| !known.contains_key(driver)) {
                attached.entry(driver).or_default().insert(volume);
            }
        }
        for (driver, volumes) in attached {
            let most = unknown.entry(instance_type).or_default().entry(driver.to_owned()).or_default();
            *most = volumes.len().max(*most);
        }
    }
    let entry = |(instance_type, most_planned): (&str, _)| UnknownAttachLimit {
        instance_type: instance_type.to_owned(),
        most_planned,
    };
    unknown.into_iter().map(entry).collect()
}
