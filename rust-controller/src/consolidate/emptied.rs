//! A node emptied as far as its pods find other places, and those that the plan sends there.

use super::fleet::Fleet;
use crate::feasibility::ClassId;
use crate::provision::place_until_nothing_changes;

/// Beyond so many nodes nobody looks for more pods with a place than taking the first one for each finds.
const MOST_NODES: usize = 50;

/// So many places are tried for the pods of one node.
const MOST_PLACES: u32 = 1_000;

/// The node is gone, and who has found a place is there.
pub(super) struct Emptied {
    node: usize,
    guests: Vec<ClassId>,
    /// All that need other places: the guests first, then its own pods.
    movers: Vec<ClassId>,
    /// Where each of them is.
    places: Vec<Option<usize>>,
    /// Whether no more of them could have places, for sure.
    pub(super) is_most: bool,
}

impl Emptied {
    /// Guests take their places before its own pods, each the first in the order of the fleet. Where some find none, more ways are
    /// tried in a small cluster.
    pub(super) fn of(fleet: &mut Fleet<'_>, node: usize, guests: &[ClassId], own: &[ClassId]) -> Self {
        for class in guests {
            fleet.take(*class, node);
        }
        fleet.remove(node);
        let movers = [guests, own].concat();
        let places = vec![None; movers.len()];
        let mut emptied = Self { node, guests: guests.to_vec(), movers, places, is_most: false };
        emptied.place_rest(fleet);
        // If none of them finds a place, none could be the first to have one.
        emptied.is_most = emptied.stuck().next().is_none() || emptied.stuck().count() == emptied.movers.len();
        if !emptied.is_most && fleet.stops.len() <= MOST_NODES {
            emptied.place_more(fleet);
        }
        emptied
    }

    /// Positions of those without a place: guests, then, from their number on, its own pods.
    pub(super) fn stuck(&self) -> impl Iterator<Item = usize> {
        (0..self.movers.len()).filter(|mover| self.places[*mover].is_none())
    }

    /// Those that have found places are gone again.
    pub(super) fn withdraw(&mut self, fleet: &mut Fleet<'_>) {
        for (class, place) in self.movers.iter().zip(&mut self.places).rev() {
            if let Some(place) = place.take() {
                fleet.take(*class, place);
            }
        }
    }

    /// The fleet is as it was.
    pub(super) fn restore(mut self, fleet: &mut Fleet<'_>) {
        self.withdraw(fleet);
        fleet.restore(self.node);
        for class in &self.guests {
            fleet.return_to(*class, self.node);
        }
    }

    fn place_rest(&mut self, fleet: &mut Fleet<'_>) {
        let mut waiting: Vec<usize> = self.stuck().collect();
        place_until_nothing_changes(&mut waiting, |mover| {
            self.places[*mover] = fleet.place(self.movers[*mover]);
            self.places[*mover].is_some()
        });
    }

    /// Finds places for as many as possible, as far as that may be tried.
    fn place_more(&mut self, fleet: &mut Fleet<'_>) {
        let stuck = self.stuck().count();
        self.withdraw(fleet);
        let mut able: Vec<usize> =
            (0..self.movers.len()).filter(|mover| may_come(fleet, self.movers[*mover])).collect();
        able.sort_by_key(|mover| (fleet.size(self.movers[*mover]), *mover));
        let hopeless = self.movers.len() - able.len();
        let mut places_left = MOST_PLACES;
        (0..stuck - hopeless).find(|spare| self.place_all_but(*spare, &able, fleet, &mut places_left));
        // Where one may let another in, not every order is tried.
        let in_any_order = able.iter().all(|mover| fleet.simulation.is_only_hindered(self.movers[*mover]));
        self.is_most = stuck == hopeless || (in_any_order && places_left > 0);
        self.place_rest(fleet);
    }

    /// Places all but so many of these, in every way until one works; on failure none.
    fn place_all_but(&mut self, spare: usize, movers: &[usize], fleet: &mut Fleet<'_>, places_left: &mut u32) -> bool {
        let Some((mover, rest)) = movers.split_first() else { return true };
        let class = self.movers[*mover];
        for at in 0..fleet.order().len() {
            if *places_left == 0 {
                return false;
            }
            let destination = fleet.order()[at];
            if !fleet.place_on(class, destination) {
                continue;
            }
            *places_left -= 1;
            self.places[*mover] = Some(destination);
            if self.place_all_but(spare, rest, fleet, places_left) {
                return true;
            }
            self.places[*mover] = None;
            fleet.take(class, destination);
        }
        spare > 0 && self.place_all_but(spare - 1, rest, fleet, places_left)
    }
}

/// Whether a pod of the class might find a place, now or as others come.
fn may_come(fleet: &Fleet<'_>, class: ClassId) -> bool {
    let takes = |node: &usize| fleet.takes_pods(*node) && fleet.simulation.may_run(class, fleet.stops[*node].id);
    !fleet.simulation.is_only_hindered(class) || (0..fleet.stops.len()).any(|node| takes(&node))
}
