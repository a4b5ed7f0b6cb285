//! Room on the nodes that stay.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::budgets::Budgets;
use super::{BlockReason, Blocker, Keep, Millionths, Move, NodePlan, Verdict};
use crate::feasibility::{ClassId, NodeId, Simulation};
use crate::model::Pod;
use crate::provision::{place_on_existing, place_until_nothing_changes};
use crate::snapshot::Snapshot;

/// The nodes as destinations.
pub(super) struct Destinations<'a> {
    simulation: Simulation,
    budgets: Budgets<'a>,
    /// In the order of the survey.
    nodes: Vec<Destination>,
    /// Indices of those that stay, in the order in which they are tried.
    order: Vec<usize>,
}

struct Destination {
    id: NodeId,
    name: String,
    cordoned: bool,
    /// Takes no pods: it is to go, going, not ready, or holds a pod that could not be read.
    closed: bool,
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

/// The pods of a node that is tried.
pub(super) struct Leaving<'a> {
    /// Those that must run elsewhere, in the order in which a place is sought.
    pub(super) moving: Vec<&'a Arc<Pod>>,
    /// All of them.
    pub(super) all: &'a [&'a Arc<Pod>],
}

impl<'a> Destinations<'a> {
    /// The nodes with their pods, and with the unschedulable pods that fit them as they are, which are named beside.
    pub(super) fn of(snapshot: &'a Snapshot, plans: &mut [NodePlan]) -> (Self, Vec<(Arc<Pod>, String)>) {
        let mut simulation = Simulation::of(snapshot);
        let awaited = place_on_existing(snapshot, &mut simulation).fitting;
        for (_, node) in &awaited {
            let plan = plans.binary_search_by(|plan| plan.node.name.cmp(node)).ok().map(|at| &mut plans[at]);
            if let Some(plan) = plan.filter(|plan| super::is_candidate(plan)) {
                plan.verdict = Verdict::Keep(Keep::AwaitsPods);
            }
        }
        let unreadable = snapshot.unreadable_nodes();
        let destination = |(id, plan): (NodeId, &NodePlan)| {
            let node = &plan.node;
            let preference =
                Preference { may_go: super::is_candidate(plan), utilization: Reverse(plan.utilization.largest()) };
            Destination {
                id,
                name: node.name.clone(),
                cordoned: node.unschedulable,
                closed: node.deleting || !node.ready || unreadable.contains(node.name.as_str()),
                preference,
            }
        };
        let nodes: Vec<Destination> = simulation.existing_nodes().zip(&*plans).map(destination).collect();
        let order = (0..nodes.len()).collect();
        let reserved = awaited.into_iter().map(|(waiting, node)| (Arc::clone(waiting.pod), node)).collect();
        (Self { simulation, budgets: Budgets::of(snapshot), nodes, order }, reserved)
    }

    /// Leaves out who is gone, and puts whoever has become certain to stay before those that may go. The order is
    /// nearly right each time, which a merge sort takes in one pass.
    fn renew_order(&mut self) {
        let Self { nodes, order, .. } = self;
        order.retain(|at| !nodes[*at].closed);
        order.sort_by_key(|at| (nodes[*at].preference, *at));
    }

    /// Whether no other node would take pods once the one at `index` is gone.
    pub(super) fn is_last(&self, index: usize) -> bool {
        let takes_pods = |destination: &Destination| !destination.closed && !destination.cordoned;
        !self.nodes.iter().enumerate().any(|(at, destination)| at != index && takes_pods(destination))
    }

    /// Whether nobody could read the budgets that decide which pods may be evicted.
    pub(super) fn has_unread_budgets(&self) -> bool {
        self.budgets.are_unread()
    }

    /// Takes the node at `index` away and finds a place for every pod that must move; on failure nothing is changed, and
    /// the pods without a place are the blockers.
    pub(super) fn clear(&mut self, index: usize, leaving: &Leaving<'_>) -> Result<Vec<Move>, Vec<Blocker>> {
        let protected = self.budgets.protecting(&leaving.moving);
        if !protected.is_empty() {
            return Err(protected);
        }
        self.nodes[index].closed = true;
        self.renew_order();
        self.empty(index, leaving.all);
        let mut taken: Vec<(ClassId, usize, Move)> = Vec::new();
        let mut waiting = leaving.moving.clone();
        place_until_nothing_changes(&mut waiting, |pod| {
            let Some((class, at)) = self.place(pod) else { return false };
            let destination = self.nodes[at].name.clone();
            let unchecked_rules = self.simulation.unchecked_rules(class);
            taken.push((class, at, Move { pod: Arc::clone(pod), destination, unchecked_rules }));
            true
        });
        let mut blockers: Vec<Blocker> = waiting.iter().filter_map(|pod| self.blocker(pod)).collect();
        if blockers.is_empty() {
            self.budgets.evict(&leaving.moving);
            return Ok(self.commit(taken));
        }
        for (class, at, _) in taken.into_iter().rev() {
            self.simulation.take(class, self.nodes[at].id);
        }
        self.refill(index, leaving.all);
        self.order.push(index);
        blockers.sort_by(|left, right| left.pod.cmp(&right.pod));
        Err(blockers)
    }

    /// Puts a pod on the first destination that may run it.
    fn place(&mut self, pod: &Pod) -> Option<(ClassId, usize)> {
        let class = self.simulation.class_of(&pod.name)?;
        let at = self.order.iter().copied().find(|at| self.simulation.may_run(class, self.nodes[*at].id))?;
        self.simulation.place(class, self.nodes[at].id);
        Some((class, at))
    }

    /// Takes a node away with all that runs on it.
    fn empty(&mut self, index: usize, pods: &[&Arc<Pod>]) {
        let node = self.nodes[index].id;
        for class in pods.iter().filter_map(|pod| self.simulation.class_of(&pod.name)).collect::<Vec<_>>() {
            self.simulation.take(class, node);
        }
        self.simulation.remove_node(node);
    }

    /// Puts it back. It stays for good.
    fn refill(&mut self, index: usize, pods: &[&Arc<Pod>]) {
        let Destination { id, closed, preference, .. } = &mut self.nodes[index];
        *closed = false;
        preference.may_go = false;
        let node = *id;
        self.simulation.restore_node(node);
        for class in pods.iter().filter_map(|pod| self.simulation.class_of(&pod.name)).collect::<Vec<_>>() {
            self.simulation.put_back(class, node);
        }
    }

    fn commit(&mut self, taken: Vec<(ClassId, usize, Move)>) -> Vec<Move> {
        for (_, at, _) in &taken {
            self.nodes[*at].preference.may_go = false;
        }
        taken.into_iter().map(|(.., each)| each).collect()
    }

    /// Why no node takes the pod: how many each rule refuses, and the one that comes nearest.
    fn blocker(&self, pod: &Pod) -> Option<Blocker> {
        let class = self.simulation.class_of(&pod.name)?;
        let mut refused_nodes = BTreeMap::new();
        let mut misses = Vec::new();
        for at in &self.order {
            if let Some(miss) = self.simulation.miss(class, self.nodes[*at].id) {
                *refused_nodes.entry(miss.rule()).or_default() += 1;
                misses.push((miss, *at));
            }
        }
        let nearest = misses.into_iter().min().and_then(|(_, at)| {
            Some((self.nodes[at].name.clone(), self.simulation.refusal(class, self.nodes[at].id)?))
        });
        Some(Blocker { pod: pod.name.clone(), reason: BlockReason::NoDestination { nearest, refused_nodes } })
    }
}
