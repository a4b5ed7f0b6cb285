//! Equal pods together.

use std::collections::BTreeMap;

use super::bundles::Bundle;
use super::market::Market;
use crate::feasibility::{ClassId, Seat, Simulation};

/// A seat is rare where it is wanted on less than this part of the nodes that are needed anyway.
const FEW_NODES: u32 = 8;

/// Pods that no node tells apart: they request the same, need the same of a node, take the same seats, and go to the same
/// area.
#[derive(Clone, Debug)]
pub(super) struct Lot {
    /// By number of the resource.
    pub(super) requests: Vec<i64>,
    /// Numbers of what they need of a node by itself: more than one for pods that must be together and need different things.
    pub(super) needs: Vec<usize>,
    /// Numbers of the seats that each takes.
    pub(super) seats: Vec<usize>,
    /// Number of the area that they must go to; none for any.
    pub(super) area: Option<usize>,
    /// Positions of the pods, in the order in which they were given.
    pub(super) pods: Vec<usize>,
}

/// All lots.
#[derive(Clone, Debug)]
pub(super) struct Lots {
    pub(super) all: Vec<Lot>,
    /// By number of the seat, how many of it a node has.
    pub(super) seats: Vec<u32>,
}

/// A pod, or the first of several that must be together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'b> {
    /// Position of the pod.
    pub(super) pod: usize,
    pub(super) class: ClassId,
    /// The area that it must go to.
    pub(super) area: Option<usize>,
    /// Those that it leads.
    pub(super) bundle: Option<&'b Bundle>,
}

impl Lots {
    /// How many pods at most must be on one node, by what they take of this resource, of which each takes one.
    pub(super) fn largest_bundle(&self, pod_slots: usize) -> usize {
        let taken = self.all.iter().filter_map(|lot| lot.requests.get(pod_slots)).max();
        taken.and_then(|taken| usize::try_from(*taken).ok()).unwrap_or(1).max(1)
    }

    /// The same lots for nodes that they share with others, whatever labels these ask for.
    pub(super) fn in_company(&self, market: &Market<'_>) -> Self {
        let needs = |lot: &Lot| lot.needs.iter().map(|needs| market.in_company(*needs)).collect();
        let all = self.all.iter().map(|lot| Lot { needs: needs(lot), ..lot.clone() }).collect();
        Self { all, seats: self.seats.clone() }
    }

    /// Whether these lots need the same as those of the same units in company, or by themselves.
    pub(super) fn need_the_same_as(&self, other: &Self) -> bool {
        self.all.iter().zip(&other.all).all(|(one, other)| one.needs == other.needs)
    }

    /// Equal pods together.
    pub(super) fn of(market: &Market<'_>, units: &[Unit<'_>], simulation: &Simulation) -> Self {
        let seats = Seats::wanted(units, simulation);
        let mut of_class: BTreeMap<(ClassId, Option<usize>), usize> = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        let mut lots: Vec<Lot> = Vec::new();
        let mut lot_of = |unit: &Unit<'_>, lots: &mut Vec<Lot>| {
            let Unit { class, area, bundle, .. } = *unit;
            let own = || vec![market.needs(class).unwrap_or(usize::MAX)];
            let needs = bundle.map_or_else(own, |bundle| bundle.needs.clone());
            let taken = seats.of(&simulation.seats(class));
            let alone = || dense(simulation.requests(class), simulation.dimensions());
            let requests = bundle.map_or_else(alone, |bundle| bundle.requests.clone());
            *numbers.entry((requests.clone(), needs.clone(), taken.clone(), area)).or_insert_with(|| {
                lots.push(Lot { requests, needs, seats: taken, area, pods: Vec::new() });
                lots.len() - 1
            })
        };
        for unit in units {
            let number = match unit.bundle {
                Some(_) => lot_of(unit, &mut lots),
                None => *of_class.entry((unit.class, unit.area)).or_insert_with(|| lot_of(unit, &mut lots)),
            };
            lots[number].pods.push(unit.pod);
        }
        Self { all: lots, seats: seats.limits }
    }
}

/// Seats by number, with how many of each a host has.
struct Seats {
    numbers: BTreeMap<Seat, usize>,
    limits: Vec<u32>,
}

impl Seats {
    /// The seats that matter for what a node can hold. Those that are wanted on few of the nodes that are needed anyway are
    /// left out: whoever wants one finds a node where it is free.
    fn wanted(units: &[Unit<'_>], simulation: &Simulation) -> Self {
        let mut pods_of: BTreeMap<ClassId, u32> = BTreeMap::new();
        for unit in units {
            *pods_of.entry(unit.class).or_default() += 1;
        }
        let mut wanted: BTreeMap<Seat, (u32, u32)> = BTreeMap::new();
        for (class, count) in pods_of {
            for (seat, limit) in simulation.seats(class) {
                let (pods, least) = wanted.entry(seat).or_insert((0, u32::MAX));
                *pods += count;
                *least = limit.min(*least);
            }
        }
        let nodes = |(pods, limit): &(u32, u32)| pods.div_ceil((*limit).max(1));
        let needed = wanted.values().map(nodes).max().unwrap_or(0);
        // One node has seats enough for those that need but one.
        wanted.retain(|_, seats| nodes(seats) > (needed / FEW_NODES).max(1));
        let limits = wanted.values().map(|(_, limit)| *limit).collect();
        Self { numbers: wanted.into_keys().enumerate().map(|(number, seat)| (seat, number)).collect(), limits }
    }

    fn of(&self, seats: &[(Seat, u32)]) -> Vec<usize> {
        seats.iter().filter_map(|(seat, _)| self.numbers.get(seat)).copied().collect()
    }
}

fn dense(requests: &[(usize, i64)], resources: usize) -> Vec<i64> {
    let mut dense = vec![0; resources];
    for (resource, amount) in requests {
        dense[*resource] = *amount;
    }
    dense
}
