//! What is requested of each node while pods come.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Destination, NodePlan};
use crate::model::{Pod, Resources};

/// By position of the node, as far as anybody has asked.
pub(super) struct Requested<'a> {
    now: BTreeMap<usize, Resources>,
    /// What a node's own pods request, by its name.
    by_own_pods: &'a dyn Fn(&str) -> Resources,
}

impl<'a> Requested<'a> {
    /// With the room that is kept for pods that are to come, each with its node.
    pub(super) fn new<'p>(
        expected: impl Iterator<Item = (&'p Pod, &'p str)>,
        by_own_pods: &'a dyn Fn(&str) -> Resources,
        plans: &[NodePlan],
    ) -> Self {
        let mut requested = Self { now: BTreeMap::new(), by_own_pods };
        for (pod, node) in expected {
            if let Ok(at) = plans.binary_search_by(|plan| plan.node.name.as_str().cmp(node)) {
                requested.of(at, plans).add(&pod.requests);
            }
        }
        requested
    }

    fn of(&mut self, node: usize, plans: &[NodePlan]) -> &mut Resources {
        self.now.entry(node).or_insert_with(|| (self.by_own_pods)(&plans[node].node.name))
    }

    /// Pods come to their destinations, all at once.
    pub(super) fn come<'p>(
        &mut self,
        moves: impl Iterator<Item = (&'p Pod, usize)>,
        plans: &[NodePlan],
    ) -> Vec<Destination> {
        let mut coming: BTreeMap<usize, Resources> = BTreeMap::new();
        for (pod, node) in moves {
            coming.entry(node).or_default().add(&pod.requests);
        }
        let destination = |(node, more): (usize, Resources)| {
            let requested = self.of(node, plans);
            let before = requested.clone();
            requested.add(&more);
            Destination { node: Arc::clone(&plans[node].node), before, after: requested.clone() }
        };
        coming.into_iter().map(destination).collect()
    }
}
