//! What is requested of each node while pods come.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Destination, Move, NodePlan};
use crate::model::{Pod, Resources};

/// By node, on top of what its own pods request.
pub(super) struct Requested<'a> {
    on_top: BTreeMap<String, Resources>,
    pods_on: &'a dyn Fn(&str) -> Resources,
}

impl<'a> Requested<'a> {
    /// With the room that is kept for pods that are to come.
    pub(super) fn new<'p>(
        expected: impl Iterator<Item = (&'p Pod, &'p str)>,
        pods_on: &'a dyn Fn(&str) -> Resources,
    ) -> Self {
        let mut on_top: BTreeMap<String, Resources> = BTreeMap::new();
        for (pod, node) in expected {
            on_top.entry(node.to_owned()).or_default().add(&pod.requests);
        }
        Self { on_top, pods_on }
    }

    /// Pods come to their destinations, all at once.
    pub(super) fn come(&mut self, moves: &[Move], plans: &[NodePlan]) -> Vec<Destination> {
        let mut coming: BTreeMap<&str, Resources> = BTreeMap::new();
        for each in moves {
            coming.entry(&each.destination).or_default().add(&each.pod.requests);
        }
        let destination = |(name, more): (&str, Resources)| {
            let at = plans.binary_search_by(|plan| plan.node.name.as_str().cmp(name)).ok()?;
            let on_top = self.on_top.entry(name.to_owned()).or_default();
            let mut before = (self.pods_on)(name);
            before.add(on_top);
            on_top.add(&more);
            let mut after = before.clone();
            after.add(&more);
            Some(Destination { node: Arc::clone(&plans[at].node), before, after })
        };
        coming.into_iter().filter_map(destination).collect()
    }
}
