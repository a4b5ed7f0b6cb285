//! Which nodes go together, and where their pods go.
//!
//! Whatever goes, the pods that must move need room elsewhere. What a node that stays offers is all its room but that of
//! pods that never move; what it costs is its price. Those that offer most for their price are to stay, just as many as the
//! pods need in all ([`Keeping`]); all others go at once, and their pods are packed onto the rest. Nodes come back one by
//! one as long as some pod has no place, and then each node that stays is tried once more.

use std::collections::{BTreeMap, BTreeSet};

use super::first_fit::{NOTHING, Room, is_enough, larger, minus, plus};
use super::fleet::{Fleet, Passenger};
use crate::provision::{dual_prices, place_until_nothing_changes};

/// Nodes that go, and where their pods would be.
#[derive(Clone, Debug, Default)]
pub(super) struct Joint {
    /// By position in the survey.
    pub(super) removed: Vec<usize>,
    /// By node, where each of its passengers goes.
    pub(super) destinations: BTreeMap<usize, Vec<Option<usize>>>,
}

impl Joint {
    /// Where the passengers of a node go; empty where nothing is said of it.
    pub(super) fn of(&self, node: usize) -> &[Option<usize>] {
        self.destinations.get(&node).map_or(&[], Vec::as_slice)
    }
}

/// A passenger: its node, and its place there.
type Seat = (usize, usize);

/// Beyond so many candidates not every node that stays is tried once more.
const MOST_TRIED_AGAIN: usize = 400;

/// The packing as it is.
struct Packing<'f, 'a> {
    fleet: &'f mut Fleet<'a>,
    weights: &'f [u64],
    guide: &'f Joint,
    joint: Joint,
    waiting: Vec<Seat>,
}

/// What to remove of these candidates, each with its weight: the more weight goes, the better. The fleet is left as it was.
///
/// Where the guide says what is to go, that takes the place of what room and weight alone say, and pods go first where it
/// sends them.
///
/// Awaited pods come from nowhere, which goes in any case and never comes back.
///
/// O(pods × log nodes) where the first node with room takes a pod, for the packing and for each node that comes back.
pub(super) fn choose(fleet: &mut Fleet<'_>, candidates: &[usize], weights: &[u64], guide: &Joint) -> Joint {
    let mut keeping = Keeping::of(fleet, candidates, weights);
    if !guide.removed.is_empty() {
        keeping.follow(fleet, guide);
    }
    fleet.send_in_order(keeping.order(fleet, candidates));
    let mut packing = Packing { fleet, weights, guide, joint: Joint::default(), waiting: Vec::new() };
    if !packing.fleet.awaited.is_empty() {
        packing.remove_all(&[packing.fleet.nowhere()]);
    }
    packing.remove_all(&keeping.going);
    packing.place_waiting();
    let mut coming_back = keeping.going;
    while !packing.waiting.is_empty() {
        let Some(node) = packing.best_to_restore(&mut coming_back) else { break };
        packing.restore(node);
        packing.place_waiting();
    }
    let mut staying: Vec<usize> =
        candidates.iter().copied().filter(|node| !packing.joint.destinations.contains_key(node)).collect();
    staying.sort_by_key(|node| std::cmp::Reverse((weights[*node], *node)));
    for node in staying.into_iter().take(MOST_TRIED_AGAIN) {
        packing.try_to_remove(node);
    }
    packing.unwind()
}

impl Packing<'_, '_> {
    fn remove_all(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.fleet.remove(*node);
            self.joint.removed.push(*node);
            let count = self.fleet.passengers(*node).len();
            self.joint.destinations.insert(*node, vec![None; count]);
            self.waiting.extend((0..count).map(|seat| (*node, seat)));
        }
        self.sort_waiting();
    }

    fn passenger(&self, (node, seat): Seat) -> Passenger<'_> {
        self.fleet.passengers(node)[seat]
    }

    fn sort_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_cached_key(|seat| {
            let Passenger { class, position, .. } = self.passenger(*seat);
            (self.fleet.size(class), position)
        });
        self.waiting = waiting;
    }

    fn place_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        place_until_nothing_changes(&mut waiting, |seat| {
            let class = self.passenger(*seat).class;
            let guided = self.guide.of(seat.0).get(seat.1).copied().flatten();
            let guided = guided.filter(|node| self.fleet.place_on(class, *node));
            let destination = guided.or_else(|| self.fleet.place(class));
            self.seat(*seat, destination);
            destination.is_some()
        });
        self.waiting = waiting;
    }

    fn seat(&mut self, (node, seat): Seat, destination: Option<usize>) {
        if let Some(seats) = self.joint.destinations.get_mut(&node) {
            seats[seat] = destination;
        }
    }

    /// The node of least weight that has room for all that wait; else the one that is best to keep.
    fn best_to_restore(&self, going: &mut Vec<usize>) -> Option<usize> {
        let waiting = self.waiting.iter().map(|seat| self.fleet.requests(self.passenger(*seat).class));
        let asked = waiting.fold(NOTHING, plus);
        let holds = |node: &usize| is_enough(minus(self.fleet.room(*node), self.fleet.load(*node)), asked);
        let enough = (0..going.len()).filter(|at| holds(&going[*at])).min_by_key(|at| self.weights[going[*at]]);
        let at = enough.or_else(|| going.len().checked_sub(1))?;
        Some(going.remove(at))
    }

    /// A node stays, after all, and its pods with it.
    fn restore(&mut self, node: usize) {
        for (seat, destination) in self.joint.destinations.remove(&node).unwrap_or_default().into_iter().enumerate() {
            if let Some(destination) = destination {
                let class = self.passenger((node, seat)).class;
                self.fleet.take(class, destination);
            }
        }
        self.waiting.retain(|(of, _)| *of != node);
        self.joint.removed.retain(|other| *other != node);
        self.fleet.restore(node);
    }

    /// One node more goes, if its pods and those that were sent there find other places.
    fn try_to_remove(&mut self, node: usize) {
        if self.fleet.are_last(&[node]) {
            return;
        }
        let guests: Vec<Seat> = self
            .joint
            .destinations
            .iter()
            .flat_map(|(of, seats)| {
                let here = seats.iter().enumerate().filter(|(_, destination)| **destination == Some(node));
                here.map(|(seat, _)| (*of, seat))
            })
            .collect();
        for seat in &guests {
            let class = self.passenger(*seat).class;
            self.fleet.take(class, node);
        }
        self.remove_all(&[node]);
        self.waiting.extend(&guests);
        self.sort_waiting();
        let tried = self.waiting.clone();
        self.place_waiting();
        if self.waiting.is_empty() {
            return;
        }
        for seat in tried.iter().filter(|(of, _)| *of != node) {
            if let Some(destination) = self.joint.destinations[&seat.0][seat.1] {
                let class = self.passenger(*seat).class;
                self.fleet.take(class, destination);
            }
        }
        self.restore(node);
        self.waiting.clear();
        for seat in guests {
            let class = self.passenger(seat).class;
            self.fleet.return_to(class, node);
            self.seat(seat, Some(node));
        }
    }

    /// The fleet as it was.
    fn unwind(mut self) -> Joint {
        for (node, seats) in &self.joint.destinations {
            for (seat, destination) in seats.iter().enumerate() {
                if let Some(destination) = destination {
                    let class = self.fleet.passengers(*node)[seat].class;
                    self.fleet.take(class, *destination);
                }
            }
        }
        for node in &self.joint.removed {
            self.fleet.restore(*node);
        }
        let nowhere = self.fleet.nowhere();
        self.joint.removed.retain(|node| *node != nowhere);
        self.joint.removed.sort_unstable();
        self.joint
    }
}

/// Which candidates stay, by room and weight alone.
struct Keeping {
    /// The others, the best to keep last.
    going: Vec<usize>,
    /// Candidates, the best to keep first.
    by_worth: Vec<usize>,
}

impl Keeping {
    fn of(fleet: &Fleet<'_>, candidates: &[usize], weights: &[u64]) -> Self {
        let loads: BTreeMap<usize, Room> = candidates.iter().map(|node| (*node, fleet.load(*node))).collect();
        let others = (0..fleet.stops.len()).filter(|node| !loads.contains_key(node) && fleet.takes_pods(*node));
        let elsewhere = others.map(|node| fleet.room(node)).fold(NOTHING, plus);
        let awaited = fleet.load(fleet.nowhere());
        let mut needed = minus(loads.values().copied().fold(awaited, plus), elsewhere);
        let offered = |node: usize| plus(fleet.room(node), loads[&node]);
        let by_worth = by_worth(candidates, &offered, needed, weights, &loads);
        let largest = candidates.iter().map(|node| offered(*node)).fold(NOTHING, larger);
        let mut going = Vec::new();
        for (at, node) in by_worth.iter().enumerate() {
            if is_enough(NOTHING, needed) {
                going.push(*node);
                continue;
            }
            // Only once so little is needed that one node may be enough is that one sought.
            if !is_enough(largest, needed) {
                needed = minus(needed, offered(*node));
                continue;
            }
            let last = |node: &&usize| is_enough(offered(**node), needed);
            let lightest = by_worth[at..].iter().filter(last).min_by_key(|node| weights[**node]);
            if let Some(lightest) = lightest.filter(|lightest| weights[**lightest] < weights[*node]) {
                going.extend(by_worth[at..].iter().filter(|other| *other != lightest));
                break;
            }
            needed = minus(needed, offered(*node));
        }
        Self { going: leave_one(fleet, going), by_worth }
    }

    /// What goes is what the guide says.
    fn follow(&mut self, fleet: &Fleet<'_>, guide: &Joint) {
        let going = self.by_worth.iter().copied().filter(|node| guide.destinations.contains_key(node));
        self.going = leave_one(fleet, going.collect());
    }

    /// Pods are sent to nodes that stay whatever happens first, then to those that are best to keep.
    fn order(&self, fleet: &Fleet<'_>, candidates: &[usize]) -> Vec<usize> {
        let is_candidate: BTreeSet<usize> = candidates.iter().copied().collect();
        let mut others: Vec<usize> = (0..fleet.stops.len()).filter(|node| !is_candidate.contains(node)).collect();
        others.sort_by_key(|node| (fleet.preference(*node), *node));
        others.into_iter().chain(self.by_worth.iter().copied()).collect()
    }
}

/// Of these, the best to keep first, all that can go, the best to keep last: some node must be left for what comes next.
fn leave_one(fleet: &Fleet<'_>, mut going: Vec<usize>) -> Vec<usize> {
    if fleet.are_last(&going) {
        let best = going.iter().copied().find(|node| fleet.may_be_last(*node));
        going.retain(|node| Some(*node) != best);
    }
    going.reverse();
    going
}

/// Candidates by what they offer for their weight, at the prices at which the lightest mixture of them would cover what is
/// needed. Of two that are equal the one with more on it comes first, since it need not move then.
fn by_worth(
    candidates: &[usize],
    offered: &dyn Fn(usize) -> Room,
    needed: Room,
    weights: &[u64],
    loads: &BTreeMap<usize, Room>,
) -> Vec<usize> {
    #[expect(clippy::cast_precision_loss, reason = "a guide; what fits is counted in whole numbers")]
    let real = |room: Room| room.map(|amount| amount.max(0) as f64);
    #[expect(clippy::cast_precision_loss, reason = "a guide")]
    let weight = |node: usize| weights[node].max(1) as f64;
    let rooms: Vec<_> = candidates.iter().map(|node| real(offered(*node))).collect();
    let limits = rooms.iter().zip(candidates).map(|(room, node)| (room.as_slice(), weight(*node)));
    let prices = dual_prices(limits, &real(needed));
    let worth = |(node, room): (&usize, &[f64; NOTHING.len()])| {
        let value: f64 = room.iter().zip(&prices).map(|(room, price)| room * price).sum();
        (value / weight(*node), *node)
    };
    let mut by_worth: Vec<(f64, usize)> = candidates.iter().zip(&rooms).map(worth).collect();
    by_worth.sort_by(|left, right| {
        let more_there = loads[&right.1].cmp(&loads[&left.1]);
        right.0.total_cmp(&left.0).then(more_there).then(left.1.cmp(&right.1))
    });
    by_worth.into_iter().map(|(_, node)| node).collect()
}
