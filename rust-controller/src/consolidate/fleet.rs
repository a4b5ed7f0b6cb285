//! The nodes with their pods, of which some are emptied and others take what comes.

use std::cmp::Reverse;
use std::sync::Arc;

use super::NodePlan;
use super::admitted::Admitted;
use super::candidates::{larger_first, must_move};
use super::first_fit::{CLOSED, FirstFit, NOTHING, Room, plus};
use crate::feasibility::{ClassId, NodeId, Simulation};
use crate::model::{Node, Pod, TaintEffect, key};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// A pod that needs another place if its node goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passenger<'a> {
    pub(super) pod: &'a Arc<Pod>,
    pub(super) class: ClassId,
    /// Its position in the snapshot, which is in the order of names.
    pub(super) position: usize,
}

/// A node of the fleet.
#[expect(clippy::struct_excessive_bools, reason = "a node may be each of these with or without the others")]
pub(super) struct Stop<'a> {
    pub(super) id: NodeId,
    /// All that runs there, those that end with it included.
    all: Vec<ClassId>,
    /// Those that must move, larger ones first.
    pub(super) passengers: Vec<Passenger<'a>>,
    /// Whether pods may be sent there: it is neither going, nor out of reach, nor is a part of its room unknown.
    takes_pods: bool,
    cordoned: bool,
    /// No taint keeps pods without tolerations away.
    untainted: bool,
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
    admitted: Admitted,
    /// Pods that need a place before anything goes and have none, as long as it is decided where they go: they are
    /// [`nowhere`](Self::nowhere).
    pub(super) awaited: Vec<Passenger<'a>>,
    /// Some node takes pods without tolerations, so one such node stays.
    needs_untainted: bool,
    /// How many nodes were asked about pods so far.
    pub(super) asked: u64,
}

impl<'a> Stop<'a> {
    /// A pod that runs there.
    fn take_aboard(&mut self, passenger: Passenger<'a>) {
        self.all.push(passenger.class);
        if must_move(passenger.pod) {
            self.passengers.push(passenger);
        }
    }
}

impl<'a> Fleet<'a> {
    /// Nodes with a pod that could not be read take no pods, nor do those that are going or out of reach. O(nodes + pods).
    pub(super) fn of(simulation: Simulation, plans: &[NodePlan], snapshot: &'a Snapshot) -> Self {
        let unreadable = snapshot.unreadable_nodes();
        let stop = |(id, plan): (NodeId, &NodePlan)| {
            let Node { name, labels, taints, ready, deleting, unschedulable, .. } = &*plan.node;
            Stop {
                id,
                all: Vec::new(),
                passengers: Vec::new(),
                takes_pods: *ready && !deleting && !unreadable.contains(name.as_str()),
                cordoned: *unschedulable,
                untainted: taints.iter().all(|taint| taint.effect == TaintEffect::PreferNoSchedule),
                is_last_resort: labels.contains_key(key::CONTROL_PLANE),
                open: true,
                removed: false,
            }
        };
        let mut stops: Vec<Stop<'a>> = simulation.existing_nodes().zip(plans).map(stop).collect();
        let number: FastMap<&str, usize> = plans.iter().map(|plan| plan.node.name.as_str()).zip(0..).collect();
        for (position, pod) in snapshot.pods().iter().enumerate() {
            let node = pod.occupied_node().and_then(|name| number.get(name));
            if let Some((node, class)) = node.zip(simulation.class_at(position)) {
                stops[*node].take_aboard(Passenger { pod, class, position });
            }
        }
        for stop in &mut stops {
            stop.passengers.sort_by_key(|passenger| larger_first(passenger.pod, passenger.position));
        }
        let count = stops.len();
        let fit = FirstFit::new(&vec![CLOSED; count]);
        let takes_any = |stop: &Stop<'_>| stop.takes_pods && !stop.cordoned && stop.untainted && !stop.is_last_resort;
        let needs_untainted = stops.iter().any(takes_any);
        let mut fleet = Fleet {
            simulation,
            stops,
            order: Vec::new(),
            place_of: Vec::new(),
            fit,
            admitted: Admitted::default(),
            awaited: Vec::new(),
            needs_untainted,
            asked: 0,
        };
        fleet.send_by_preference();
        fleet
    }

    /// From now on pods are sent to nodes by preference.
    pub(super) fn send_by_preference(&mut self) {
        let mut order: Vec<usize> = (0..self.stops.len()).collect();
        order.sort_by_key(|node| (self.preference(*node), *node));
        self.send_in_order(order);
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
        self.admitted.reorder();
    }

    /// What a node could take, if it takes anything.
    fn open_room(&self, node: usize) -> Room {
        if self.takes_pods(node) { self.room(node) } else { CLOSED }
    }

    /// What is free on a node.
    pub(super) fn room(&self, node: usize) -> Room {
        let room = self.simulation.room(self.stops[node].id);
        std::array::from_fn(|of| room[of].max(0))
    }

    fn renew(&mut self, node: usize) {
        self.fit.set(self.place_of[node], self.open_room(node));
    }

    /// What a class requests of what every node has.
    pub(super) fn requests(&self, class: ClassId) -> Room {
        let mut asked = NOTHING;
        for (resource, amount) in self.simulation.requests(class) {
            if let Some(asked) = asked.get_mut(*resource) {
                *asked = *amount;
            }
        }
        asked
    }

    /// Stands for a node that is gone, with the awaited pods on it: its number comes after those of all nodes.
    pub(super) fn nowhere(&self) -> usize {
        self.stops.len()
    }

    /// The pods of a node that must move if it goes.
    pub(super) fn passengers(&self, node: usize) -> &[Passenger<'a>] {
        self.stops.get(node).map_or(&self.awaited, |stop| &stop.passengers)
    }

    /// What the passengers of a node request.
    pub(super) fn load(&self, node: usize) -> Room {
        let requests = self.passengers(node).iter().map(|passenger| self.requests(passenger.class));
        requests.fold(NOTHING, plus)
    }

    pub(super) fn takes_pods(&self, node: usize) -> bool {
        let Stop { takes_pods, open, removed, .. } = self.stops[node];
        takes_pods && open && !removed
    }

    /// From now on nobody is sent to a node of the control plane: where nothing forbids it there, that is seldom meant.
    pub(super) fn close_control_plane(&mut self) {
        for node in 0..self.stops.len() {
            if self.stops[node].is_last_resort {
                self.stops[node].takes_pods = false;
                self.renew(node);
            }
        }
    }

    /// Whether no other node would be left if these went that takes whatever pods may come.
    pub(super) fn are_last(&self, nodes: &[usize]) -> bool {
        !(0..self.stops.len()).any(|node| self.may_be_last(node) && !nodes.contains(&node))
    }

    /// Whether some other node takes pods, of whatever kind.
    pub(super) fn others_take_pods(&self, node: usize) -> bool {
        (0..self.stops.len()).any(|other| other != node && self.takes_pods(other) && !self.stops[other].cordoned)
    }

    /// Whether this node may be the only one that stays and takes pods. One with taints only where there never was a node for
    /// pods without tolerations.
    pub(super) fn may_be_last(&self, node: usize) -> bool {
        let Stop { cordoned, untainted, .. } = self.stops[node];
        self.takes_pods(node) && !cordoned && (untainted || !self.needs_untainted)
    }

    /// A node goes, and with it all that runs there. O(its pods).
    pub(super) fn remove(&mut self, node: usize) {
        let Some(Stop { id, all, removed, .. }) = self.stops.get_mut(node) else { return };
        *removed = true;
        for class in all {
            self.simulation.take(*class, *id);
        }
        self.simulation.remove_node(*id);
        self.renew(node);
    }

    /// It is there again, with all that ran there.
    pub(super) fn restore(&mut self, node: usize) {
        let Some(Stop { id, all, removed, .. }) = self.stops.get_mut(node) else { return };
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
        let Self { admitted, simulation, stops, place_of, .. } = self;
        let admitted = admitted.places(class, simulation, stops, place_of);
        let mut from = 0;
        loop {
            let place = self.fit.first(from, asked)?;
            if let Some(places) = &admitted
                && let Err(next) = places.binary_search(&place)
            {
                from = *places.get(next)?;
                continue;
            }
            let node = self.order[place];
            if self.place_on(class, node) {
                return Some(node);
            }
            from = place + 1;
        }
    }

    /// Sends a pod to this node, if that may run it.
    pub(super) fn place_on(&mut self, class: ClassId, node: usize) -> bool {
        self.asked += 1;
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
        let Some(stop) = self.stops.get_mut(node) else { return };
        stop.open = open;
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
