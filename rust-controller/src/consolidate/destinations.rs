//! Room on the nodes that stay.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{BlockReason, Blocker, Millionths, Move, NodePlan};
use crate::feasibility::{Refusal, Target, refusal};
use crate::model::{Node, Pod, Resources};
use crate::snapshot::PodsByNode;

/// The nodes as destinations, in the order of the survey.
pub(super) struct Destinations {
    nodes: Vec<Destination>,
}

struct Destination {
    node: Arc<Node>,
    free: Resources,
    removed: bool,
    preference: Preference,
}

/// Which destination is tried first: the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    /// A node that may yet go itself is the last resort: receiving a pod keeps it.
    may_go: bool,
    /// Fuller nodes first, so that room stays together elsewhere.
    utilization: Reverse<Millionths>,
}

impl Destinations {
    pub(super) fn of(plans: &[NodePlan], pods_by_node: &PodsByNode<'_>) -> Self {
        let destination = |plan: &NodePlan| {
            let node = &plan.node;
            let pods = pods_by_node.get(node.name.as_str()).into_iter().flatten();
            let free = node.allocatable.less(&Resources::sum(pods.map(|pod| &pod.requests)));
            let preference =
                Preference { may_go: super::is_candidate(plan), utilization: Reverse(plan.utilization.largest()) };
            Destination { node: Arc::clone(node), free, removed: node.deleting || !node.ready, preference }
        };
        Self { nodes: plans.iter().map(destination).collect() }
    }

    /// Whether no other node would take pods once the one at `index` is gone.
    pub(super) fn is_last(&self, index: usize) -> bool {
        let takes_pods = |destination: &Destination| !destination.removed && !destination.node.unschedulable;
        !self.nodes.iter().enumerate().any(|(at, destination)| at != index && takes_pods(destination))
    }

    /// Finds a place for every pod of the node at `index` and takes the room; on failure nothing is taken, and the
    /// pods without a place are the blockers.
    pub(super) fn clear(&mut self, index: usize, pods: Vec<&Arc<Pod>>) -> Result<Vec<Move>, Vec<Blocker>> {
        self.nodes[index].removed = true;
        let mut order: Vec<usize> = (0..self.nodes.len()).filter(|at| !self.nodes[*at].removed).collect();
        order.sort_by_key(|at| (self.nodes[*at].preference, *at));
        let mut taken: Vec<(usize, Resources, Move)> = Vec::new();
        let mut blockers = Vec::new();
        for pod in pods {
            match order.iter().copied().find(|at| self.refusal(*at, pod).is_none()) {
                Some(at) => {
                    let before = self.nodes[at].free.clone();
                    self.nodes[at].free = before.less(&pod.requests);
                    let destination = self.nodes[at].node.name.clone();
                    taken.push((at, before, Move { pod: Arc::clone(pod), destination }));
                }
                None => blockers.push(self.blocker(pod, &order)),
            }
        }
        if blockers.is_empty() {
            return Ok(self.commit(taken));
        }
        self.nodes[index].removed = false;
        for (at, before, _) in taken.into_iter().rev() {
            self.nodes[at].free = before;
        }
        blockers.sort_by(|left, right| left.pod.cmp(&right.pod));
        Err(blockers)
    }

    fn commit(&mut self, taken: Vec<(usize, Resources, Move)>) -> Vec<Move> {
        for (at, ..) in &taken {
            self.nodes[*at].preference.may_go = false;
        }
        let mut moves: Vec<Move> = taken.into_iter().map(|(.., each)| each).collect();
        moves.sort_by(|left, right| left.pod.name.cmp(&right.pod.name));
        moves
    }

    fn refusal(&self, at: usize, pod: &Pod) -> Option<Refusal> {
        let Destination { node, free, .. } = &self.nodes[at];
        refusal(pod, &Target::existing(node), free)
    }

    /// The nearest miss is a node that is only too small, if there is one, and in as few resources as possible.
    fn blocker(&self, pod: &Pod, order: &[usize]) -> Blocker {
        let refusals = order.iter().filter_map(|at| Some((self.nodes[*at].node.name.clone(), self.refusal(*at, pod)?)));
        let nearest = refusals.min_by_key(|(_, refusal)| match refusal {
            Refusal::TooSmall(short) => (false, short.len()),
            _ => (true, 0),
        });
        Blocker { pod: pod.name.clone(), reason: BlockReason::NoDestination(nearest) }
    }
}
