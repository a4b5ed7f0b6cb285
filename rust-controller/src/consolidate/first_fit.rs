//! The first of many places that has room, without asking each.

/// How many resources every node has: CPU, memory, storage and places for pods, which are the first of the simulation's.
const RESOURCES: usize = 4;

/// Room of one place: how much there is of each of these, in the simulation's units.
pub(super) type Room = [i64; RESOURCES];

/// None of anything.
pub(super) const NOTHING: Room = [0; RESOURCES];

/// Both together.
pub(super) fn plus(one: Room, other: Room) -> Room {
    std::array::from_fn(|of| one[of] + other[of])
}

/// What is left of the one without the other.
pub(super) fn minus(one: Room, other: Room) -> Room {
    std::array::from_fn(|of| one[of] - other[of])
}

/// The larger amount of each.
pub(super) fn larger(one: Room, other: Room) -> Room {
    std::array::from_fn(|of| one[of].max(other[of]))
}

/// Whether there is so much of each.
pub(super) fn is_enough(room: Room, asked: Room) -> bool {
    room.iter().zip(&asked).all(|(room, asked)| asked <= room)
}

/// A place that takes nothing.
pub(super) const CLOSED: Room = [-1; RESOURCES];

/// Rooms by position, with the largest of each subtree.
///
/// A change takes O(log places), and so does the search for a place, as long as few places have room of one kind and lack
/// it of another.
#[derive(Clone, Debug)]
pub(super) struct FirstFit {
    places: usize,
    /// How many leaves there are, a power of two.
    leaves: usize,
    /// A binary tree in an array: children of `n` are `2n` and `2n + 1`, leaves come last.
    largest: Vec<Room>,
}

impl FirstFit {
    pub(super) fn new(rooms: &[Room]) -> Self {
        let leaves = rooms.len().next_power_of_two();
        let mut largest = vec![CLOSED; 2 * leaves];
        largest[leaves..leaves + rooms.len()].copy_from_slice(rooms);
        let mut fit = Self { places: rooms.len(), leaves, largest };
        (1..leaves).rev().for_each(|at| fit.renew(at));
        fit
    }

    pub(super) fn set(&mut self, place: usize, room: Room) {
        let mut at = self.leaves + place;
        self.largest[at] = room;
        while at > 1 {
            at /= 2;
            self.renew(at);
        }
    }

    fn renew(&mut self, at: usize) {
        self.largest[at] = larger(self.largest[2 * at], self.largest[2 * at + 1]);
    }

    /// The first place from this position on that has so much room.
    pub(super) fn first(&self, from: usize, asked: Room) -> Option<usize> {
        if from >= self.places {
            return None;
        }
        self.first_below(1, 0, self.leaves, from, asked)
    }

    /// In the subtree at `at`, whose leaves are `count` places from `start`.
    fn first_below(&self, at: usize, start: usize, count: usize, from: usize, asked: Room) -> Option<usize> {
        if !is_enough(self.largest[at], asked) || start + count <= from {
            return None;
        }
        if count == 1 {
            return Some(start);
        }
        let half = count / 2;
        self.first_below(2 * at, start, half, from, asked)
            .or_else(|| self.first_below(2 * at + 1, start + half, half, from, asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_asking_each_place_finds() {
        let rooms: Vec<Room> = (0..37_i64).map(|at| [at * 7 % 11, at * 5 % 13, 1, at * 3 % 7]).collect();
        let mut fit = FirstFit::new(&rooms);
        let mut expected = rooms;
        for step in 0..400_i64 {
            let place = usize::try_from(step * 17 % 37).unwrap();
            let room = if step % 5 == 0 { CLOSED } else { [step * 3 % 11, step * 2 % 13, 1, step % 7] };
            fit.set(place, room);
            expected[place] = room;
            for (from, asked) in [
                (0, NOTHING),
                (place, [5, 6, 0, 1]),
                (place / 2, [10, 1, 1, 0]),
                (9, [1, 1, 0, 5]),
                (36, [2, 2, 0, 0]),
                (37, NOTHING),
            ] {
                let found = (from..37).find(|at| (0..RESOURCES).all(|of| expected[*at][of] >= asked[of]));
                assert_eq!(fit.first(from, asked), found);
            }
        }
    }
}
