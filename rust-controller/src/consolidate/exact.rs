//! Few candidates: every set of nodes is tried, the heaviest first. Small clusters: every place of the pods of one node.

use std::cmp::Reverse;

use super::first_fit::{NOTHING, is_enough, plus};
use super::fleet::{Fleet, Passenger};
use super::joint::Joint;
use super::replay::{self, Step, replay, undo};

/// Beyond so many candidates there are too many sets of them.
pub(super) const MOST_CANDIDATES: usize = 10;

/// At most so many places are tried for the pods of one set, and of all sets.
const MOST_PLACES_OF_SET: u32 = 3_000;
const MOST_PLACES: u32 = 60_000;

/// The heaviest set of candidates that can go, done. Of two sets of one weight the one with more of what the guide removes,
/// then the one with less of anything else; then the one with fewer and smaller pods to move; then nodes that come first stay.
/// Whether it is the heaviest for sure: not where so many places were tried in vain that others were left out.
///
/// O(2^candidates) sets, of which few are left once the weight and the room of each are looked at.
pub(super) fn remove_heaviest(
    fleet: &mut Fleet<'_>,
    candidates: &[usize],
    weights: &[u64],
    guide: &Joint,
    order_of: &dyn Fn(&[usize]) -> Vec<usize>,
) -> (Vec<Step>, bool) {
    let chosen = |set: u32| (0..candidates.len()).filter(move |at| set >> at & 1 == 1).map(|at| candidates[at]);
    let mut sets: Vec<Vec<usize>> = (1_u32..1 << candidates.len()).map(|set| chosen(set).collect()).collect();
    sets.sort_by_cached_key(|nodes| {
        let weight: u64 = nodes.iter().map(|node| weights[*node]).sum();
        let cpu: i64 = nodes.iter().map(|node| fleet.load(*node)[0]).sum();
        let guided = nodes.iter().filter(|node| guide.destinations.contains_key(node)).count();
        let others = if guide.removed.is_empty() { 0 } else { nodes.len() - guided };
        let moving = nodes.iter().map(|node| fleet.passengers(*node).len()).sum::<usize>();
        (Reverse(weight), Reverse(guided), others, moving, cpu, Reverse(nodes.clone()))
    });
    let mut places_left = MOST_PLACES;
    let mut is_exact = true;
    let awaited = (!fleet.awaited.is_empty()).then(|| fleet.nowhere());
    for nodes in sets {
        let sources: Vec<usize> = awaited.iter().chain(&nodes).copied().collect();
        if fleet.are_last(&nodes) || !may_fit(fleet, &sources) {
            continue;
        }
        let mut places = MOST_PLACES_OF_SET.min(places_left);
        let before = places;
        // Those with rules about others first, since few places suit them; or last, since they may wait for who suits them.
        let joint = [false, true].into_iter().find_map(|last| pack(fleet, &sources, last, guide, &mut places));
        places_left -= before - places;
        is_exact &= joint.is_some() || places > 0;
        let Some(joint) = joint else { continue };
        let steps = replay(fleet, &joint, order_of(&nodes));
        if steps.len() == sources.len() {
            return (steps, is_exact);
        }
        undo(fleet, &steps);
    }
    (Vec::new(), is_exact)
}

/// Beyond so many nodes there are too many places for the pods of one.
const MOST_NODES: usize = 50;

/// Places that are still to be tried, of all nodes that are emptied one by one.
pub(super) struct PlacesLeft(u32);

impl PlacesLeft {
    pub(super) fn new() -> Self {
        Self(MOST_PLACES)
    }
}

/// Empties a node of a small cluster where taking the first place for each pod has led nowhere. On failure nothing is changed.
pub(super) fn empty(fleet: &mut Fleet<'_>, node: usize, PlacesLeft(left): &mut PlacesLeft) -> Option<Step> {
    if fleet.stops.len() > MOST_NODES || !may_fit(fleet, &[node]) {
        return None;
    }
    let mut places = MOST_PLACES_OF_SET.min(*left);
    *left -= places;
    let mut pack = |ruled_last| pack(fleet, &[node], ruled_last, &Joint::default(), &mut places);
    let joint = pack(false).or_else(|| pack(true));
    *left += places;
    replay::empty(fleet, node, joint?.of(node)).ok()
}

/// Whether all other nodes together have room for the pods of these.
fn may_fit(fleet: &Fleet<'_>, nodes: &[usize]) -> bool {
    let others = (0..fleet.stops.len()).filter(|node| fleet.takes_pods(*node) && !nodes.contains(node));
    let room = others.map(|node| fleet.room(node)).fold(NOTHING, plus);
    is_enough(room, nodes.iter().map(|node| fleet.load(*node)).fold(NOTHING, plus))
}

/// Where the pods of these nodes could be once they are gone; those with rules about others come first, or last. The fleet is
/// left as it was.
fn pack(fleet: &mut Fleet<'_>, nodes: &[usize], ruled_last: bool, guide: &Joint, places: &mut u32) -> Option<Joint> {
    for node in nodes {
        fleet.remove(*node);
    }
    let mut seats: Vec<(usize, usize)> =
        nodes.iter().flat_map(|node| (0..fleet.passengers(*node).len()).map(move |seat| (*node, seat))).collect();
    seats.sort_by_key(|(node, seat)| {
        let (plain, size) = fleet.size(fleet.passengers(*node)[*seat].class);
        (plain != ruled_last, size, *node, *seat)
    });
    let mut found = Vec::new();
    let fits = place_all(fleet, &seats, guide, places, &mut found);
    for ((node, seat), destination) in seats.iter().zip(&found).rev() {
        fleet.take(fleet.passengers(*node)[*seat].class, *destination);
    }
    for node in nodes {
        fleet.restore(*node);
    }
    let mut joint = Joint { removed: nodes.to_vec(), ..Joint::default() };
    for node in nodes {
        joint.destinations.insert(*node, vec![None; fleet.passengers(*node).len()]);
    }
    for ((node, seat), destination) in seats.iter().zip(found) {
        if let Some(seats) = joint.destinations.get_mut(node) {
            seats[*seat] = Some(destination);
        }
    }
    fits.then_some(joint)
}

/// Places these passengers in every way until one works, where the guide sends them first. On success `found` has their
/// destinations, and they are there.
fn place_all(
    fleet: &mut Fleet<'_>,
    seats: &[(usize, usize)],
    guide: &Joint,
    places: &mut u32,
    found: &mut Vec<usize>,
) -> bool {
    let Some(((node, seat), rest)) = seats.split_first() else { return true };
    let Passenger { class, .. } = fleet.passengers(*node)[*seat];
    let guided = guide.of(*node).get(*seat).copied().flatten();
    let others = fleet.order().iter().copied().filter(|destination| guided != Some(*destination));
    let destinations: Vec<usize> = guided.into_iter().chain(others).collect();
    for destination in destinations {
        if *places == 0 {
            return false;
        }
        if !fleet.place_on(class, destination) {
            continue;
        }
        *places -= 1;
        found.push(destination);
        if place_all(fleet, rest, guide, places, found) {
            return true;
        }
        found.pop();
        fleet.take(class, destination);
    }
    false
}
