//! Pods that have their place change it where that meets more of their soft rules and costs nothing.
//!
//! A pod moves into room that is free, or exchanges nodes with a pod where there is room for both. Both only where every
//! hard rule still holds, and where no rule that counts pods would count otherwise ([`Simulation::counts_alike`]). So all
//! that was decided before stays right in the order in which it was decided: the nodes, what they cost, and who has a
//! place.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::existing::Waiting;
use super::launch::{Launch, Launches};
use crate::feasibility::{ClassId, NodeId, Simulation, Target, Wishes};

/// How often all pods are asked at most, as long as that helps.
pub(super) const ROUNDS: usize = 3;

/// How many nodes are looked at for one pod, each time from where the last pod's search ended.
const NODES_LOOKED_AT: usize = 24;

/// How many nodes are passed over in one such search since they are full.
const NODES_PASSED: usize = 1024;

/// How many pods of a node are asked to change places with one.
const PARTNERS: usize = 4;

/// Where so many pods with the same soft rules have found nothing better one after the other, the rest of them will not.
const PATIENCE: u32 = 8;

/// A node with the pods on it that may change places.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    /// In the simulation.
    pub(super) node: NodeId,
    /// Among the nodes of [`Wishes`].
    pub(super) number: usize,
    /// For a node that is planned.
    pub(super) planned: Option<PlannedSpot<'a>>,
    /// By position among the pods that are given.
    pub(super) pods: Vec<usize>,
}

/// A planned node may be smaller in the end than it is in the simulation.
#[derive(Debug)]
pub(super) struct PlannedSpot<'a> {
    /// What makes it.
    pub(super) launch: Launch<'a>,
    /// What is left of each resource, by number.
    pub(super) left: Vec<i64>,
}

impl<'a> Spot<'a> {
    /// The node of which rules see the same.
    fn like(&self) -> NodeId {
        self.planned.as_ref().map_or(self.node, |planned| planned.launch.node())
    }

    /// Whose labels and taints it has.
    pub(super) fn likeness(&self) -> Likeness<'a> {
        self.planned.as_ref().map_or(Likeness::Existing(self.node), |planned| Likeness::Planned(planned.launch))
    }
}

/// Where a node has its labels and taints from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Likeness<'a> {
    Existing(NodeId),
    Planned(Launch<'a>),
}

impl Likeness<'_> {
    pub(super) fn target<'t>(&'t self, simulation: &'t Simulation) -> Target<'t> {
        match self {
            Self::Existing(node) => simulation.target(*node),
            Self::Planned(launch) => launch.target(),
        }
    }
}

/// What could be done for a pod.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Move it to this spot.
    Move(usize),
    /// Let it and this pod on that spot change places.
    Swap(usize, usize),
}

/// Pods on nodes.
pub(super) struct Exchange<'e, 'a> {
    pub(super) pods: &'e [Waiting<'a>],
    pub(super) spots: Vec<Spot<'a>>,
    pub(super) wishes: &'e mut Wishes,
    pub(super) simulation: &'e mut Simulation,
    /// None for existing nodes.
    launches: Option<&'e Launches<'a>>,
    /// Classes of which pods found no place, and may find none after this.
    rest: Vec<ClassId>,
    /// By pod, its spot; none for one that is not on any.
    spot_of: Vec<Option<usize>>,
    /// Where the next search begins.
    next: usize,
}

impl<'e, 'a> Exchange<'e, 'a> {
    /// `spots` with their pods, all of which have been placed.
    pub(super) fn new(
        pods: &'e [Waiting<'a>],
        spots: Vec<Spot<'a>>,
        wishes: &'e mut Wishes,
        simulation: &'e mut Simulation,
    ) -> Self {
        let mut spot_of = vec![None; pods.len()];
        for (number, spot) in spots.iter().enumerate() {
            spot.pods.iter().for_each(|pod| spot_of[*pod] = Some(number));
        }
        Self { pods, spots, wishes, simulation, launches: None, rest: Vec::new(), spot_of, next: 0 }
    }

    /// Pods stay with nodes that could have been planned for them.
    pub(super) fn within(self, launches: &'e Launches<'a>) -> Self {
        Self { launches: Some(launches), ..self }
    }

    /// Makes no room for pods of these classes.
    pub(super) fn without_room_for(self, rest: Vec<ClassId>) -> Self {
        Self { rest, ..self }
    }

    /// Lets pods change places, as long as all together win by it: what one pod wins another may lose, whom it has come
    /// near. O(pods × nodes looked at) at most for each round.
    pub(super) fn improve(&mut self, rounds: usize) {
        let mut unmet = self.unmet();
        for _ in 0..rounds {
            let before = self.spot_of.clone();
            if unmet == 0 || !self.round() {
                return;
            }
            let after = self.unmet();
            if after >= unmet {
                self.put_back(&before);
                return;
            }
            unmet = after;
        }
    }

    /// The weight of all that is unmet.
    fn unmet(&self) -> u64 {
        let caring = (0..self.pods.len()).filter(|pod| self.cares(*pod));
        caring.filter_map(|pod| Some(u64::from(self.weight_there(pod, self.spot_of[pod]?)))).sum()
    }

    /// Asks every pod once. Whether any has changed its place.
    fn round(&mut self) -> bool {
        let mut failures: BTreeMap<Option<usize>, u32> = BTreeMap::new();
        let mut improved = false;
        for pod in 0..self.pods.len() {
            let Some(from) = self.spot_of[pod].filter(|_| self.cares(pod)) else { continue };
            let failures = failures.entry(self.wishes.number(self.pods[pod].position)).or_default();
            if *failures >= PATIENCE {
                continue;
            }
            match self.improve_pod(pod, from) {
                Some(true) => (improved, *failures) = (true, 0),
                Some(false) => *failures += 1,
                None => {}
            }
        }
        improved
    }

    /// Every pod where it was before.
    fn put_back(&mut self, before: &[Option<usize>]) {
        let moved = (0..self.pods.len()).filter_map(|pod| {
            let (now, then) = self.spot_of[pod].zip(before[pod])?;
            (now != then).then_some((pod, now, then))
        });
        let moved: Vec<(usize, usize, usize)> = moved.collect();
        for (pod, now, _) in &moved {
            self.lift(*pod, *now);
        }
        for (pod, now, then) in moved {
            self.put(pod, then);
            self.settle(pod, now, then);
        }
    }

    /// Planned nodes have no taints, so that there only pods with preferences care.
    fn cares(&self, pod: usize) -> bool {
        let position = self.pods[pod].position;
        self.wishes.number(position).is_some() || (self.launches.is_none() && self.wishes.has(position))
    }

    /// Whether a pod that does not have all that it would like has more of it now.
    fn improve_pod(&mut self, pod: usize, from: usize) -> Option<bool> {
        let here = self.weight_there(pod, from);
        if here == 0 {
            return None;
        }
        self.leave(pod, from);
        let mut steps = self.steps(pod, from, here);
        self.come(pod, from);
        steps.sort_by_key(|(gain, _)| Reverse(*gain));
        Some(steps.into_iter().any(|(_, step)| match step {
            Step::Move(to) => self.try_move(pod, from, to),
            Step::Swap(other, to) => self.try_swap((pod, from), (other, to)),
        }))
    }

    /// Steps by which weight would be won, and how much. The pod is on no node for [`Wishes`].
    fn steps(&mut self, pod: usize, from: usize, here: u32) -> Vec<(u32, Step)> {
        let mut steps = Vec::new();
        let mut looked_at = 0;
        for _ in 0..NODES_PASSED.min(self.spots.len()) {
            let to = self.next;
            self.next = (self.next + 1) % self.spots.len();
            let has_room = self.has_room(pod, to);
            if to == from || (!has_room && self.spots[to].pods.is_empty()) {
                continue;
            }
            looked_at += 1;
            if looked_at > NODES_LOOKED_AT {
                break;
            }
            let there = self.weight(pod, to);
            if there >= here {
                continue;
            }
            if has_room {
                steps.push((here - there, Step::Move(to)));
            }
            for other in self.partners((pod, from), to) {
                let gain = self.gain_of_swap((pod, from, here), (other, to));
                steps.extend(gain.map(|gain| (gain, Step::Swap(other, to))));
            }
        }
        steps
    }

    fn has_room(&self, pod: usize, to: usize) -> bool {
        self.has_room_after(pod, to, None)
    }

    /// Whether a pod fits, once another one is gone.
    fn has_room_after(&self, pod: usize, to: usize, gone: Option<usize>) -> bool {
        let Spot { node, planned, .. } = &self.spots[to];
        let room = planned.as_ref().map_or_else(|| self.simulation.room(*node), |planned| &planned.left);
        let requests = |pod: usize| self.simulation.requests(self.pods[pod].class);
        let freed = |resource: usize| {
            let freed = gone.into_iter().flat_map(requests).find(|(other, _)| *other == resource);
            freed.map_or(0, |(_, amount)| *amount)
        };
        requests(pod).iter().all(|(resource, amount)| *amount <= room[*resource].saturating_add(freed(*resource)))
    }

    /// Pods of a spot that another pod may change places with, as far as room goes.
    fn partners(&self, (pod, from): (usize, usize), to: usize) -> Vec<usize> {
        let number = |pod: usize| self.wishes.number(self.pods[pod].position);
        let differs = |other: usize| number(other).is_none() || number(other) != number(pod);
        let fit =
            |other: usize| self.has_room_after(pod, to, Some(other)) && self.has_room_after(other, from, Some(pod));
        let here = self.spots[to].pods.iter().copied();
        here.filter(|other| differs(*other) && fit(*other)).take(PARTNERS).collect()
    }

    /// How much weight both together would win. The first pod is on no node for [`Wishes`], and has `here` unmet.
    fn gain_of_swap(&mut self, (pod, from, here): (usize, usize, u32), (other, to): (usize, usize)) -> Option<u32> {
        self.come(pod, from);
        let before = here + self.weight_there(other, to);
        self.leave(pod, from);
        self.leave(other, to);
        self.come(other, from);
        self.come(pod, to);
        let after = self.weight_there(pod, to) + self.weight_there(other, from);
        self.leave(pod, to);
        self.leave(other, from);
        self.come(other, to);
        before.checked_sub(after).filter(|gain| *gain > 0)
    }

    fn try_move(&mut self, pod: usize, from: usize, to: usize) -> bool {
        // A planned node that nobody came to would not be planned.
        let is_last = self.launches.is_some() && self.spots[from].pods.len() < 2;
        if is_last || !self.may_change(pod, from, to) {
            return false;
        }
        self.lift(pod, from);
        let allowed = self.has_room(pod, to) && self.suits(pod, to);
        if allowed {
            self.put(pod, to);
            if !self.makes_room(from, to) {
                self.settle(pod, from, to);
                return true;
            }
            self.lift(pod, to);
        }
        self.put(pod, from);
        false
    }

    fn try_swap(&mut self, (pod, from): (usize, usize), (other, to): (usize, usize)) -> bool {
        if !self.may_change(pod, from, to) || !self.may_change(other, to, from) {
            return false;
        }
        self.lift(pod, from);
        self.lift(other, to);
        let pod_allowed = self.suits(pod, to);
        self.put(pod, to);
        let allowed = pod_allowed && self.suits(other, from);
        self.put(other, from);
        if allowed && !self.makes_room(from, to) {
            self.settle(pod, from, to);
            self.settle(other, to, from);
            return true;
        }
        self.lift(pod, to);
        self.lift(other, from);
        self.put(pod, from);
        self.put(other, to);
        false
    }

    /// Takes a pod off its node in the simulation.
    fn lift(&mut self, pod: usize, spot: usize) {
        self.simulation.take(self.pods[pod].class, self.spots[spot].node);
    }

    /// Puts a pod on a node in the simulation.
    fn put(&mut self, pod: usize, spot: usize) {
        self.simulation.place(self.pods[pod].class, self.spots[spot].node);
    }

    /// Whether it makes no difference to rules that count pods elsewhere.
    fn may_change(&self, pod: usize, from: usize, to: usize) -> bool {
        let class = self.pods[pod].class;
        let (from, to) = (&self.spots[from], &self.spots[to]);
        !self.simulation.carries_more_than_room(class)
            && self.simulation.counts_alike(class, from.node, to.node)
            && self.simulation.counts_alike(class, from.like(), to.like())
    }

    /// Whether a pod may run there, were there room in the node that is planned.
    fn suits(&self, pod: usize, to: usize) -> bool {
        let waiting = &self.pods[pod];
        let spot = &self.spots[to];
        let is_for_it = |launches: &Launches<'_>| launches.suits(waiting, spot.like(), self.simulation);
        self.simulation.may_run(waiting.class, spot.node) && self.launches.is_none_or(is_for_it)
    }

    fn makes_room(&self, one: usize, other: usize) -> bool {
        let runs = |class: &ClassId, spot: usize| self.simulation.may_run(*class, self.spots[spot].node);
        self.rest.iter().any(|class| runs(class, one) || runs(class, other))
    }

    /// A pod that the simulation has moved already changes its place everywhere else.
    fn settle(&mut self, pod: usize, from: usize, to: usize) {
        self.leave(pod, from);
        self.come(pod, to);
        self.spots[from].pods.retain(|other| *other != pod);
        self.spots[to].pods.push(pod);
        self.spot_of[pod] = Some(to);
        for (resource, amount) in self.simulation.requests(self.pods[pod].class) {
            for (spot, change) in [(from, *amount), (to, -*amount)] {
                if let Some(planned) = &mut self.spots[spot].planned {
                    planned.left[*resource] += change;
                }
            }
        }
    }

    fn leave(&mut self, pod: usize, spot: usize) {
        self.wishes.take(self.pods[pod].position, self.spots[spot].number);
    }

    fn come(&mut self, pod: usize, spot: usize) {
        self.wishes.place(self.pods[pod].position, self.spots[spot].number);
    }

    /// What would be unmet for a pod that is on no node.
    fn weight(&self, pod: usize, spot: usize) -> u32 {
        let Waiting { position, pod, .. } = &self.pods[pod];
        let spot = &self.spots[spot];
        self.wishes.unmet(*position, pod, spot.number, &spot.likeness().target(self.simulation)).weight
    }

    /// What is unmet for a pod that is there.
    fn weight_there(&self, pod: usize, spot: usize) -> u32 {
        let Waiting { position, pod, .. } = &self.pods[pod];
        let spot = &self.spots[spot];
        self.wishes.unmet_there(*position, pod, spot.number, &spot.likeness().target(self.simulation)).weight
    }
}
