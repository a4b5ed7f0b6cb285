//! The nodes with their pods, of which some are emptied and others take what comes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::first_fit::{CLOSED, FirstFit, Room, plus};
use super::{BlockReason, Blocker, NodePlan};
use crate::feasibility::{ClassId, NodeId, Refusal, Rule, Simulation};
use crate::model::{Pod, key};

/// A pod that needs another place if its node goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passenger<'a> {
    pub(super) pod: &'a Arc<Pod>,
    pub(super) class: ClassId,
}

/// A node of the fleet.
#[expect(clippy::struct_excessive_bools, reason = "a node may be each of these with or without the others")]
pub(super) struct Stop<'a> {
    id: NodeId,
    /// All that runs there, those that end with it included.
    all: Vec<ClassId>,
    /// Those that must move, larger ones first.
    pub(super) passengers: Vec<Passenger<'a>>,
    /// Whether pods may be sent there: it is neither to go, nor going, nor out of reach, nor is a part of its room unknown.
    takes_pods: bool,
    cordoned: bool,
    /// Sent to last: it runs the control plane.
    is_last_resort: bool,
    open: bool,
    removed: bool,
}

/// The cluster, as nodes go and pods move. Nodes are meant by their position in the survey.
pub(super) struct Fleet<'a> {
    pub(super) simulation: Simulation,
    pub(super) stops: Vec<Stop<'a>>,
    /// Nodes in the order in which pods are sent to them.
    order: Vec<usize>,
    /// By node, its place in that order.
    place_of: Vec<usize>,
    fit: FirstFit,
}

impl<'a> Fleet<'a> {
    /// `closed` nodes take no pods. O(nodes + pods).
    pub(super) fn of(
        simulation: Simulation,
        plans: &[NodePlan],
        pods_on: &dyn Fn(&str) -> &'a [&'a Arc<Pod>],
        closed: &dyn Fn(&NodePlan) -> bool,
    ) -> Self {
        let stop = |(id, plan): (NodeId, &NodePlan)| {
            let pods = pods_on(&plan.node.name);
            let class = |pod: &&'a Arc<Pod>| simulation.class_of(&pod.name);
            let passenger = |pod: &'a Arc<Pod>| Some(Passenger { pod, class: simulation.class_of(&pod.name)? });
            Stop {
                id,
                all: pods.iter().filter_map(class).collect(),
                passengers: super::candidates::movable(pods).into_iter().filter_map(passenger).collect(),
                takes_pods: !closed(plan),
                cordoned: plan.node.unschedulable,
                is_last_resort: plan.node.labels.contains_key(key::CONTROL_PLANE),
                open: true,
                removed: false,
            }
        };
        let stops: Vec<Stop<'a>> = simulation.existing_nodes().zip(plans).map(stop).collect();
        let count = stops.len();
        let fit = FirstFit::new(&vec![CLOSED; count]);
        let mut fleet = Self { simulation, stops, order: Vec::new(), place_of: Vec::new(), fit };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|node| (fleet.preference(*node), *node));
        fleet.send_in_order(order);
        fleet
    }

    /// Which node pods are sent to first, where nothing else matters: the smallest. Fuller nodes come first, so that room
    /// stays together elsewhere.
    pub(super) fn preference(&self, node: usize) -> (bool, Room) {
        (self.stops[node].is_last_resort, self.room(node))
    }

    /// Nodes in the order in which pods are sent to them.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// From now on pods are sent to nodes in this order, which names every node once.
    pub(super) fn send_in_order(&mut self, order: Vec<usize>) {
        self.place_of = vec![0; order.len()];
        for (place, node) in order.iter().enumerate() {
            self.place_of[*node] = place;
        }
        self.fit = FirstFit::new(&order.iter().map(|node| self.open_room(*node)).collect::<Vec<_>>());
        self.order = order;
    }

    /// What a node could take, if it takes anything.
    fn open_room(&self, node: usize) -> Room {
        if self.takes_pods(node) { self.room(node) } else { CLOSED }
    }

    /// What is free on a node.
    pub(super) fn room(&self, node: usize) -> Room {
        let room = self.simulation.room(self.stops[node].id);
        [room[0].max(0), room[1].max(0)]
    }

    fn renew(&mut self, node: usize) {
        self.fit.set(self.place_of[node], self.open_room(node));
    }

    /// CPU and memory that a class requests.
    pub(super) fn requests(&self, class: ClassId) -> Room {
        let mut asked = [0; 2];
        for (resource, amount) in self.simulation.requests(class) {
            if let Some(asked) = asked.get_mut(*resource) {
                *asked = *amount;
            }
        }
        asked
    }

    /// What the passengers of a node request.
    pub(super) fn load(&self, node: usize) -> Room {
        let requests = self.stops[node].passengers.iter().map(|passenger| self.requests(passenger.class));
        requests.fold([0; 2], plus)
    }

    pub(super) fn takes_pods(&self, node: usize) -> bool {
        let Stop { takes_pods, open, removed, .. } = self.stops[node];
        takes_pods && open && !removed
    }

    /// Whether no other node would take pods of any kind if these went.
    pub(super) fn are_last(&self, nodes: &[usize]) -> bool {
        let stays = |node: &usize| self.takes_pods(*node) && !self.stops[*node].cordoned && !nodes.contains(node);
        !(0..self.stops.len()).any(|node| stays(&node))
    }

    /// A node goes, and with it all that runs there. O(its pods).
    pub(super) fn remove(&mut self, node: usize) {
        let Stop { id, all, removed, .. } = &mut self.stops[node];
        *removed = true;
        for class in all {
            self.simulation.take(*class, *id);
        }
        self.simulation.remove_node(*id);
        self.renew(node);
    }

    /// It is there again, with all that ran there.
    pub(super) fn restore(&mut self, node: usize) {
        let Stop { id, all, removed, .. } = &mut self.stops[node];
        *removed = false;
        self.simulation.restore_node(*id);
        for class in all {
            self.simulation.put_back(*class, *id);
        }
        self.renew(node);
    }

    /// Sends a pod to the first node that may run it.
    pub(super) fn place(&mut self, class: ClassId) -> Option<usize> {
        let asked = self.requests(class);
        let mut from = 0;
        loop {
            let place = self.fit.first(from, asked)?;
            let node = self.order[place];
            if self.place_on(class, node) {
                return Some(node);
            }
            from = place + 1;
        }
    }

    /// Sends a pod to this node, if that may run it.
    pub(super) fn place_on(&mut self, class: ClassId, node: usize) -> bool {
        let id = self.stops[node].id;
        let may_come = self.takes_pods(node) && self.simulation.may_run(class, id);
        if may_come {
            self.simulation.place(class, id);
            self.renew(node);
        }
        may_come
    }

    /// Whether pods are sent to a node, of those that take pods at all.
    pub(super) fn open(&mut self, node: usize, open: bool) {
        self.stops[node].open = open;
        self.renew(node);
    }

    /// A pod that was on a node before, with the same pods beside it, is there again.
    pub(super) fn return_to(&mut self, class: ClassId, node: usize) {
        self.simulation.place(class, self.stops[node].id);
        self.renew(node);
    }

    /// Takes a pod that was sent to a node away again.
    pub(super) fn take(&mut self, class: ClassId, node: usize) {
        self.simulation.take(class, self.stops[node].id);
        self.renew(node);
    }

    /// Larger pods first, since they fit fewer holes; those with rules about others before all.
    pub(super) fn size(&self, class: ClassId) -> (bool, Reverse<Room>) {
        (!self.simulation.depends_on_others(class), Reverse(self.requests(class)))
    }
}

/// Why pods find no place, found once for all pods of a class.
#[derive(Default)]
pub(super) struct Refusals {
    of_class: BTreeMap<ClassId, Refused>,
}

/// What the nodes that take pods say of a class.
struct Refused {
    by_rule: BTreeMap<Rule, usize>,
    /// The nearest ones, with the rule that refuses.
    nearest: Vec<(usize, Rule)>,
}

impl Refusals {
    /// Why a pod of a node finds no place on any other. O(nodes) for the first pod of a class.
    pub(super) fn blocker(&mut self, fleet: &Fleet<'_>, node: usize, passenger: Passenger<'_>) -> Blocker {
        let Passenger { pod, class } = passenger;
        let refused = self.of_class.entry(class).or_insert_with(|| Refused::of(fleet, class));
        let mut refused_nodes = refused.by_rule.clone();
        if let Some(own) = fleet.takes_pods(node).then(|| fleet.simulation.miss(class, fleet.stops[node].id)).flatten()
            && let Some(count) = refused_nodes.get_mut(&own.rule())
        {
            *count -= 1;
        }
        refused_nodes.retain(|_, count| *count > 0);
        let other = refused.nearest.iter().find(|(other, _)| *other != node);
        let explained = |other: usize| {
            let id = fleet.stops[other].id;
            Some((fleet.simulation.name(id).to_owned(), fleet.simulation.refusal(class, id)?))
        };
        let nearest: Option<(String, Refusal)> = other.and_then(|(other, _)| explained(*other));
        Blocker { pod: pod.name.clone(), reason: BlockReason::NoDestination { nearest, refused_nodes } }
    }
}

impl Refused {
    fn of(fleet: &Fleet<'_>, class: ClassId) -> Self {
        let mut by_rule = BTreeMap::new();
        let mut misses = Vec::new();
        for node in (0..fleet.stops.len()).filter(|node| fleet.takes_pods(*node)) {
            if let Some(miss) = fleet.simulation.miss(class, fleet.stops[node].id) {
                *by_rule.entry(miss.rule()).or_default() += 1;
                misses.push((miss, node));
            }
        }
        misses.sort();
        Self { by_rule, nearest: misses.into_iter().take(2).map(|(miss, node)| (node, miss.rule())).collect() }
    }
}
