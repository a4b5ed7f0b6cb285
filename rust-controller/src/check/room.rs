//! What is requested of each node, added up pod by pod.

use std::collections::BTreeMap;

use super::Violation;
use crate::model::{Node, Pod, Resources, printed_amount};

/// Requests by node name and resource name.
#[derive(Debug, Default)]
pub(super) struct Room<'a> {
    requested: BTreeMap<String, BTreeMap<&'a str, u128>>,
}

impl<'a> Room<'a> {
    /// Adds what the pods of a cluster take today.
    pub(super) fn taken_by<'p: 'a>(pods: impl IntoIterator<Item = &'p Pod>) -> Self {
        let mut room = Self::default();
        for pod in pods {
            if let Some(node) = pod.occupied_node() {
                room.add(node, &pod.requests);
            }
        }
        room
    }

    pub(super) fn add(&mut self, node: &str, requests: &'a Resources) {
        let requested = self.requested.entry(node.to_owned()).or_default();
        for (resource, amount) in requests.amounts() {
            *requested.entry(resource).or_default() += u128::from(amount);
        }
    }

    /// A node's allocatable must hold all that is requested of it, in every resource that `added` asks for.
    pub(super) fn overcommitted(&self, node: &str, allocatable: &Resources, added: &Resources) -> Option<Violation> {
        let requested = self.requested.get(node)?;
        let (resource, _) = added.amounts().filter(|(_, amount)| *amount > 0).find(|(resource, _)| {
            requested.get(resource).copied().unwrap_or(0) > u128::from(allocatable.amount(resource))
        })?;
        let offered = printed_amount(resource, allocatable.amount(resource));
        let sum = u64::try_from(requested.get(resource).copied().unwrap_or(0)).unwrap_or(u64::MAX);
        let sum = printed_amount(resource, sum);
        Some(Violation::new(node, format_args!("{sum} {resource} requested of {offered}")))
    }

    pub(super) fn overcommitted_node(&self, node: &Node, added: &Resources) -> Option<Violation> {
        self.overcommitted(&node.name, &node.allocatable, added)
    }
}
