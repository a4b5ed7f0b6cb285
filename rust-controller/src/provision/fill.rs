//! Filling one node.

use std::collections::BTreeMap;

use super::lots::Lot;

/// How many pods of which lots a node gets, by number of the lot.
pub(super) type Filling = Vec<(usize, u32)>;

/// Nodes that hold no more pods than this are tried with each kind of pod that takes a seat which is short.
const FEW_PODS: f64 = 16.0;

/// Where much room is left, so many parts of what would fit are placed one after the other.
const PARTS: i64 = 12;

/// With more lots than this, lots of almost the same size are looked at together.
const MANY_LOTS: usize = 256;

/// With more sizes than this, the seats that lots take make no size of their own any more: thousands of workloads may each
/// keep their pods apart.
const MOST_SIZES: usize = 1024;

/// How many lots of one size are tried for a pod that fits.
const TRIES: usize = 4;

/// What fillings are made of.
#[derive(Clone)]
pub(super) struct Filler<'m> {
    pub(super) lots: &'m [Lot],
    /// How many pods of a node may take each seat.
    pub(super) seats: &'m [u32],
    /// Numbers of the resources that are requested at all.
    pub(super) resources: Vec<usize>,
    /// By lot, its requests of those resources, one after the other.
    requests: Vec<f64>,
    /// By lot, which size it is of.
    sizes: Vec<usize>,
}

/// A node as it is filled.
struct Node {
    /// By resource, what one unit is of the whole room.
    unit: Vec<f64>,
    free: Vec<f64>,
    seats: Vec<u32>,
    filling: Filling,
}

impl<'m> Filler<'m> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "amounts are far below 2^53, and the scheduler's rules are asked again"
    )]
    pub(super) fn new(lots: &'m [Lot], seats: &'m [u32], resources: Vec<usize>) -> Self {
        let requests = lots.iter().flat_map(|lot| resources.iter().map(|resource| lot.requests[*resource] as f64));
        let requests: Vec<f64> = requests.collect();
        let sizes = sizes(lots, &requests, resources.len());
        Self { lots, seats, resources, requests, sizes }
    }

    pub(super) fn requests(&self, lot: usize) -> &[f64] {
        &self.requests[lot * self.resources.len()..][..self.resources.len()]
    }

    /// Fills a node with pods of these lots, of which so many are left: always the pod that leaves the room most evenly
    /// empty, that is, the least sum of squares of the shares that are free. Large pods go first that way, and those that
    /// request much of what there is most of. `first` is on it whatever comes.
    ///
    /// O(pods × lots), and O(pods × sizes) where there are many lots.
    pub(super) fn fill(&self, room: &[f64], lots: &[usize], left: &[u32], first: Option<usize>) -> Filling {
        if let Some(all) = self.all(room, lots, left) {
            return all;
        }
        let mut node = Node::new(room, self.seats);
        let mut left = left.to_vec();
        if let Some(first) = first {
            left[first] -= 1;
            node.place(self, first, 1);
        }
        let mut by_size = self.by_size(lots);
        while let Some(lot) = self.most_even(&node, &mut by_size, &left) {
            let many = node.at_once(self, lot).min(left[lot]);
            left[lot] -= many;
            node.place(self, lot, many);
        }
        node.filling.sort_unstable();
        node.filling
    }

    /// All pods of these lots, if a node has room for all of them and none takes a seat: there is nothing to choose then.
    fn all(&self, room: &[f64], lots: &[usize], left: &[u32]) -> Option<Filling> {
        let mut free = room.to_vec();
        for lot in lots {
            let count = f64::from(left[*lot]);
            free.iter_mut().zip(self.requests(*lot)).for_each(|(free, asked)| *free -= count * asked);
            if !self.lots[*lot].seats.is_empty() || free.iter().any(|free| *free < 0.0) {
                return None;
            }
        }
        let mut all: Filling = lots.iter().map(|lot| (*lot, left[*lot])).filter(|(_, left)| *left > 0).collect();
        all.sort_unstable();
        Some(all)
    }

    /// How many lots were tried for the places of a filling, at most.
    pub(super) fn steps(&self, lots: &[usize], filling: &Filling) -> usize {
        let sizes = lots.chunk_by(|left, right| self.sizes[*left] == self.sizes[*right]).count();
        let places: usize = filling.iter().map(|(_, count)| *count as usize).sum();
        lots.len() + sizes * places
    }

    /// The lot of which a pod leaves the room most evenly empty. Lots of which no pod will fit any more are dropped.
    fn most_even(&self, node: &Node, by_size: &mut Vec<&[usize]>, left: &[u32]) -> Option<usize> {
        let fits = |lot: &usize| left[*lot] > 0 && node.takes(self, *lot);
        let mut best: Option<(f64, usize)> = None;
        by_size.retain_mut(|lots| {
            while lots.first().is_some_and(|first| !fits(first)) {
                *lots = &lots[1..];
            }
            for lot in lots.iter().take(TRIES).filter(|lot| fits(lot)) {
                let rest = node.unevenness(self.requests(*lot));
                if best.is_none_or(|(least, _)| rest < least) {
                    best = Some((rest, *lot));
                }
            }
            !lots.is_empty()
        });
        best.map(|(_, lot)| lot)
    }

    /// The lots, those of one size together.
    fn by_size<'l>(&self, lots: &'l [usize]) -> Vec<&'l [usize]> {
        lots.chunk_by(|left, right| self.sizes[*left] == self.sizes[*right]).collect()
    }

    /// Brings lots into an order in which those of one size are together.
    pub(super) fn sort(&self, lots: &mut [usize]) {
        lots.sort_by_key(|lot| (self.sizes[*lot], *lot));
    }

    /// Whether a node is so small that the choice of its first pod matters.
    pub(super) fn is_small(room: &[f64], average: &[f64]) -> bool {
        room.iter().zip(average).any(|(room, average)| *room <= FEW_PODS * average)
    }
}

/// By lot, the number of its size. Where there are many lots, one size is a quarter of an octave of each resource. A seat that
/// nobody else wants makes no difference: once it is taken, no pod of the lot fits, and the next lot is as good.
fn sizes(lots: &[Lot], requests: &[f64], resources: usize) -> Vec<usize> {
    if lots.len() <= MANY_LOTS || resources == 0 {
        return (0..lots.len()).collect();
    }
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm of an amount")]
    let quarter = |amount: &f64| (amount.max(1.0).log2() * 4.0) as i32;
    let mut wanted_by: BTreeMap<usize, usize> = BTreeMap::new();
    lots.iter().flat_map(|lot| &lot.seats).for_each(|seat| *wanted_by.entry(*seat).or_default() += 1);
    let shared = |lot: &Lot| lot.seats.iter().copied().filter(|seat| wanted_by[seat] > 1).collect::<Vec<usize>>();
    let numbered = |seats: &dyn Fn(&Lot) -> Vec<usize>| {
        let mut numbers = BTreeMap::new();
        let mut of_lot: Vec<usize> = Vec::with_capacity(lots.len());
        for (lot, requests) in lots.iter().zip(requests.chunks_exact(resources)) {
            let size: Vec<i32> = requests.iter().map(quarter).collect();
            let next = numbers.len();
            of_lot.push(*numbers.entry((&lot.needs, seats(lot), lot.area, size)).or_insert(next));
        }
        (of_lot, numbers.len())
    };
    let (of_lot, sizes) = numbered(&shared);
    if sizes > MOST_SIZES { numbered(&|_| Vec::new()).0 } else { of_lot }
}

impl Node {
    fn new(room: &[f64], seats: &[u32]) -> Self {
        let unit = room.iter().map(|room| 1.0 / room.max(1.0)).collect();
        Self { unit, free: room.to_vec(), seats: seats.to_vec(), filling: Filling::new() }
    }

    fn takes(&self, filler: &Filler<'_>, lot: usize) -> bool {
        filler.requests(lot).iter().zip(&self.free).all(|(asked, free)| asked <= free)
            && filler.lots[lot].seats.iter().all(|seat| self.seats[*seat] > 0)
    }

    fn unevenness(&self, requests: &[f64]) -> f64 {
        let shares = requests.iter().zip(&self.free).zip(&self.unit).map(|((asked, free), unit)| (free - asked) * unit);
        shares.map(|share| share * share).sum()
    }

    /// How many pods of the lot to place before others are looked at.
    fn at_once(&self, filler: &Filler<'_>, lot: usize) -> u32 {
        if !filler.lots[lot].seats.is_empty() {
            return 1;
        }
        let asked = filler.requests(lot).iter().zip(&self.free).filter(|(asked, _)| **asked > 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "a number of pods on one node")]
        let fitting = asked.map(|(asked, free)| (free / asked) as i64).min().unwrap_or(1);
        u32::try_from((fitting / PARTS).max(1)).unwrap_or(u32::MAX)
    }

    fn place(&mut self, filler: &Filler<'_>, lot: usize, count: u32) {
        for (free, asked) in self.free.iter_mut().zip(filler.requests(lot)) {
            *free -= asked * f64::from(count);
        }
        filler.lots[lot].seats.iter().for_each(|seat| self.seats[*seat] -= 1);
        match self.filling.iter_mut().find(|(other, _)| *other == lot) {
            Some((_, placed)) => *placed += count,
            None => self.filling.push((lot, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filling costs as many steps as there are sizes, so they must not grow with the workloads.
    #[test]
    fn many_workloads_that_keep_apart_are_of_few_sizes() {
        let lot = |workload: usize, cpu: i64| Lot {
            requests: vec![cpu],
            needs: vec![0],
            seats: vec![workload],
            area: None,
            pods: vec![0],
        };
        let sizes_of = |workloads: usize| {
            let lots: Vec<Lot> =
                (0..workloads).flat_map(|workload| [100, 500, 1000].map(|cpu| lot(workload, cpu))).collect();
            let requests = vec![1.0; lots.len()];
            sizes(&lots, &requests, 1).into_iter().max().unwrap() + 1
        };
        assert_eq!(sizes_of(200), 200, "few are told apart by what they keep apart from");
        assert_eq!(sizes_of(2_000), 1);
    }
}
