//! Room on the nodes that stay.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{BlockReason, Blocker, Keep, Millionths, Move, NodePlan, Verdict};
use crate::feasibility::{Refusal, Target, may_run, refusal};
use crate::model::{Node, Pod, Resources};
use crate::snapshot::PodsByNode;

/// The nodes as destinations.
pub(super) struct Destinations {
    /// In the order of the survey.
    nodes: Vec<Destination>,
    /// Indices of those that stay, in the order in which they are tried.
    order: Vec<usize>,
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
        let nodes: Vec<Destination> = plans.iter().map(destination).collect();
        let order = (0..nodes.len()).collect();
        Self { nodes, order }
    }

    /// Keeps the room of a pod that is about to be scheduled there.
    pub(super) fn reserve(&mut self, plans: &mut [NodePlan], node: &str, pod: &Pod) {
        let Ok(at) = plans.binary_search_by(|plan| plan.node.name.as_str().cmp(node)) else { return };
        self.nodes[at].free = self.nodes[at].free.less(&pod.requests);
        if super::is_candidate(&plans[at]) {
            plans[at].verdict = Verdict::Keep(Keep::AwaitsPods);
            self.nodes[at].preference.may_go = false;
        }
    }

    /// Leaves out who is gone, and puts whoever has become certain to stay before those that may go. The order is
    /// nearly right each time, which a merge sort takes in one pass.
    fn renew_order(&mut self) {
        let Self { nodes, order } = self;
        order.retain(|at| !nodes[*at].removed);
        order.sort_by_key(|at| (nodes[*at].preference, *at));
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
        self.renew_order();
        let mut taken: Vec<(usize, Resources, Move)> = Vec::new();
        let mut blockers = Vec::new();
        for pod in pods {
            match self.order.iter().copied().find(|at| self.takes(*at, pod)) {
                Some(at) => {
                    let before = self.nodes[at].free.clone();
                    self.nodes[at].free = before.less(&pod.requests);
                    let destination = self.nodes[at].node.name.clone();
                    taken.push((at, before, Move { pod: Arc::clone(pod), destination }));
                }
                None => blockers.push(self.blocker(pod)),
            }
        }
        if blockers.is_empty() {
            return Ok(self.commit(taken));
        }
        self.nodes[index].removed = false;
        self.nodes[index].preference.may_go = false;
        self.order.push(index);
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

    fn takes(&self, at: usize, pod: &Pod) -> bool {
        let Destination { node, free, .. } = &self.nodes[at];
        may_run(pod, &Target::existing(node), free)
    }

    /// The nearest miss is a node that is only too small, if there is one, and in as few resources as possible.
    fn blocker(&self, pod: &Pod) -> Blocker {
        let refusals = self.order.iter().filter_map(|at| {
            let Destination { node, free, .. } = &self.nodes[*at];
            Some((node.name.clone(), refusal(pod, &Target::existing(node), free)?))
        });
        let nearest = refusals.min_by_key(|(_, refusal)| match refusal {
            Refusal::TooSmall(short) => (false, short.len()),
            _ => (true, 0),
        });
        Blocker { pod: pod.name.clone(), reason: BlockReason::NoDestination(nearest) }
    }
}
