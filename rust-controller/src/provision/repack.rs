//! Nodes for few pods, packed again for less.
//!
//! A mixture is put together node by node, and areas are chosen before any node is known. Among thousands of pods neither
//! costs much; among a handful it may cost a node. So where there are few, the pods of two or three nodes at a time, and
//! then of all, are placed anew in every way that may cost less: on what the other nodes have left, or on new ones, and in
//! any area that the rules allow.

use super::areas::Settled;
use super::effort::Effort;
use super::existing::place_until_nothing_changes;
use super::lots::{Lot, Lots, Unit};
use super::market::Market;
use super::mixture::Batch;
use crate::feasibility::{ClassId, NodeId, Simulation};

/// Plans for more pods are left as they are.
pub(super) const MOST_PODS: usize = 64;

/// And so are those with more nodes.
const MOST_NODES: usize = 12;

/// So many units are placed anew at once.
const MOST_AT_ONCE: usize = 10;

/// How many places are tried for one set of nodes.
const STEPS_AT_ONCE: u32 = 10_000;

/// How many places are tried in all.
const MOST_STEPS: u32 = 100_000;

/// What one of them is counted for: some offers are looked at each time.
const STEPS_OF_PLACE: u64 = 50;

/// What saves less saves nothing.
const LEAST_SAVING: f64 = 1e-9;

/// Nodes that cost less, and where pods with rules about areas go then, in an order that the rules allow.
pub(super) struct Repacked {
    pub(super) settled: Settled,
    /// Each with its offer and the units on it, by the position of their pods.
    pub(super) nodes: Vec<(usize, Vec<usize>)>,
}

/// Looks for nodes that hold the same units as those of a mixture and cost less. The simulation is as before when this
/// returns.
///
/// O(places tried × offers), of which [`MOST_STEPS`] are tried at most.
pub(super) fn repack(
    (market, lots): (&Market<'_>, &Lots),
    units: &[Unit<'_>],
    (settled, batches): (&Settled, &[Batch]),
    simulation: &mut Simulation,
    effort: &Effort,
) -> Option<Repacked> {
    let nodes: u32 = batches.iter().map(|batch| batch.nodes).sum();
    // Those who follow a pod go to the area that was chosen for them with it.
    let has_settled_followers = |unit: &Unit<'_>| unit.bundle.is_some() && unit.area.is_some();
    if nodes as usize > MOST_NODES || units.iter().any(has_settled_followers) {
        return None;
    }
    let items = items(market, lots, units, settled, simulation);
    let mut search = Search::new(market, lots, items, simulation);
    search.take_over(batches);
    let before = search.cost(&search.groups);
    search.improve(effort);
    if search.cost(&search.groups) < before - LEAST_SAVING { search.repacked() } else { None }
}

/// A unit that is to be placed.
struct Item<'l> {
    pod: usize,
    class: ClassId,
    number_of_lot: usize,
    lot: &'l Lot,
    /// By area, a node there that would suit it; none where areas do not matter to it.
    suiting: Option<Vec<Option<NodeId>>>,
}

/// The units, in the order in which they will take their seats.
fn items<'l>(
    market: &Market<'_>,
    lots: &'l Lots,
    units: &[Unit<'_>],
    settled: &Settled,
    simulation: &Simulation,
) -> Vec<Item<'l>> {
    let lot_of = |pod: usize| lots.all.iter().enumerate().find(|(_, lot)| lot.pods.contains(&pod));
    let item = |unit: &Unit<'_>| {
        let Unit { pod, class, area, .. } = *unit;
        let (number_of_lot, lot) = lot_of(pod)?;
        Some(Item { pod, class, number_of_lot, lot, suiting: area.map(|_| market.suiting_by_area(class, simulation)) })
    };
    let mut items: Vec<Item<'l>> = units.iter().filter_map(item).collect();
    items.sort_by_key(|item| settled.iter().position(|(pod, _)| *pod == item.pod).unwrap_or(usize::MAX));
    items
}

/// Units that share a node.
#[derive(Clone, Debug)]
struct Group {
    /// None as long as the node may be in any.
    area: Option<usize>,
    items: Vec<usize>,
    requests: Vec<i64>,
    /// By seat, how many are taken.
    seats: Vec<u32>,
    /// The cheapest that holds it.
    offer: usize,
}

struct Search<'s, 'l, 'a> {
    market: &'s Market<'a>,
    items: Vec<Item<'l>>,
    /// By seat, how many of it a node has.
    limits: &'l [u32],
    simulation: &'s mut Simulation,
    /// Offers by price.
    by_price: Vec<usize>,
    groups: Vec<Group>,
    /// What has been found for less than the cost of the nodes that there were.
    best: Option<Vec<Group>>,
    least: f64,
    /// How many places may still be tried.
    steps: u32,
}

impl<'s, 'l, 'a> Search<'s, 'l, 'a> {
    fn new(market: &'s Market<'a>, lots: &'l Lots, items: Vec<Item<'l>>, simulation: &'s mut Simulation) -> Self {
        let price = |offer: &usize| market.offers[*offer].price;
        let mut by_price: Vec<usize> = (0..market.offers.len()).collect();
        by_price.sort_by(|one, other| price(one).total_cmp(&price(other)));
        let (groups, limits) = (Vec::new(), &lots.seats[..]);
        Self { market, items, limits, simulation, by_price, groups, best: None, least: f64::INFINITY, steps: 0 }
    }

    /// The nodes of a mixture, each with units of its lots.
    fn take_over(&mut self, batches: &[Batch]) {
        let mut left: Vec<usize> = (0..self.items.len()).collect();
        for batch in batches {
            for _ in 0..batch.nodes {
                let mut group = self.empty(Some(self.market.offers[batch.offer].area));
                group.offer = batch.offer;
                for (lot, count) in &batch.filling {
                    for _ in 0..*count {
                        let next = left.iter().position(|item| self.items[*item].number_of_lot == *lot);
                        let Some(next) = next.map(|at| left.remove(at)) else { break };
                        self.add(&mut group, next);
                    }
                }
                self.groups.push(group);
            }
        }
    }

    fn empty(&self, area: Option<usize>) -> Group {
        let resources = self.items.first().map_or(0, |item| item.lot.requests.len());
        let seats = vec![0; self.limits.len()];
        Group { area, items: Vec::new(), requests: vec![0; resources], seats, offer: 0 }
    }

    fn add(&self, group: &mut Group, item: usize) {
        let lot = self.items[item].lot;
        group.items.push(item);
        group.requests.iter_mut().zip(&lot.requests).for_each(|(sum, asked)| *sum += asked);
        lot.seats.iter().for_each(|seat| group.seats[*seat] += 1);
    }

    fn cost(&self, groups: &[Group]) -> f64 {
        groups.iter().map(|group| self.price(group.offer)).sum()
    }

    /// Places the units of a few nodes anew, as long as that saves something.
    fn improve(&mut self, effort: &Effort) {
        let mut steps = MOST_STEPS;
        let mut sets = self.sets_of_groups().into_iter();
        while let Some(set) = sets.next() {
            if steps == 0 || effort.is_spent() {
                return;
            }
            let allowed = steps.min(STEPS_AT_ONCE);
            self.steps = allowed;
            let improved = self.place_anew(&set);
            steps -= allowed - self.steps;
            effort.spend(u64::from(allowed - self.steps) * STEPS_OF_PLACE);
            if improved {
                sets = self.sets_of_groups().into_iter();
            }
        }
    }

    /// One node at a time, then two, three, and all, if so many units may be placed at once.
    fn sets_of_groups(&self) -> Vec<Vec<usize>> {
        let all = 0..self.groups.len();
        let singles = all.clone().map(|group| vec![group]);
        let pairs: Vec<Vec<usize>> =
            all.clone().flat_map(|right| (0..right).map(move |left| vec![left, right])).collect();
        let with_third = |pair: &Vec<usize>| {
            let (left, right) = (pair[0], pair[1]);
            (0..left).map(move |third| vec![third, left, right])
        };
        let triples: Vec<Vec<usize>> = pairs.iter().flat_map(with_third).collect();
        let units = |set: &Vec<usize>| set.iter().map(|group| self.groups[*group].items.len()).sum::<usize>();
        singles.chain(pairs).chain(triples).chain([all.collect()]).filter(|set| units(set) <= MOST_AT_ONCE).collect()
    }

    /// Takes the units off these nodes, and keeps the cheapest places that are found for them. Whether they cost less.
    fn place_anew(&mut self, set: &[usize]) -> bool {
        let before = self.groups.clone();
        self.least = self.cost(&before);
        let mut open: Vec<usize> = set.iter().flat_map(|group| before[*group].items.iter().copied()).collect();
        open.sort_unstable();
        let kept = before.iter().enumerate().filter(|(number, _)| !set.contains(number));
        self.groups = kept.map(|(_, group)| group.clone()).collect();
        self.count_in_areas(true);
        let cost = self.cost(&self.groups);
        self.place(&open, 0, cost);
        self.count_in_areas(false);
        let best = self.best.take();
        let improved = best.is_some();
        self.groups = best.unwrap_or(before);
        self.choose_areas();
        improved
    }

    /// Tries all places of these units, the first of them on any node from this one on; equal units come to no node before
    /// that of the last one.
    fn place(&mut self, open: &[usize], from: usize, cost: f64) {
        let Some((&item, rest)) = open.split_first() else {
            if cost < self.least - LEAST_SAVING && self.has_order() {
                (self.best, self.least) = (Some(self.groups.clone()), cost);
            }
            return;
        };
        let next_is_equal = rest.first().is_some_and(|next| self.items[*next].class == self.items[item].class);
        let next_from = |host: usize| if next_is_equal { host } else { 0 };
        for host in from..self.groups.len() {
            self.place_on(host, item, (rest, next_from(host)), cost);
        }
        let host = self.groups.len();
        for area in self.areas(item) {
            let new = self.empty(area);
            self.groups.push(new);
            self.place_on(host, item, (rest, next_from(host)), cost);
            self.groups.pop();
        }
    }

    /// Puts a unit on a node, if it may be there and that may save something, tries all places of the rest, and takes it back.
    fn place_on(&mut self, host: usize, item: usize, (rest, from): (&[usize], usize), cost: f64) {
        if self.steps == 0 {
            return;
        }
        self.steps -= 1;
        let group = &self.groups[host];
        // A new node costs nothing before its first unit.
        let old = if group.items.is_empty() { 0.0 } else { self.price(group.offer) };
        let Some(joined) = self.joined(group, item, (old, old + self.least - LEAST_SAVING - cost)) else { return };
        let cost = cost - old + self.price(joined.offer);
        let before = std::mem::replace(&mut self.groups[host], joined);
        let counted = before.area.and_then(|area| self.suiting(item, area));
        let class = self.items[item].class;
        if let Some(node) = counted {
            self.simulation.count_in_area(class, node, true);
        }
        self.place(rest, from, cost);
        if let Some(node) = counted {
            self.simulation.count_in_area(class, node, false);
        }
        self.groups[host] = before;
    }

    fn price(&self, offer: usize) -> f64 {
        self.market.offers[offer].price
    }

    /// A node in an area that would suit a unit to which areas matter.
    fn suiting(&self, item: usize, area: usize) -> Option<NodeId> {
        self.items[item].suiting.as_ref().and_then(|suiting| suiting[area])
    }

    /// Where a new node for a unit could be.
    fn areas(&self, item: usize) -> Vec<Option<usize>> {
        match &self.items[item].suiting {
            None => vec![None],
            Some(suiting) => (0..suiting.len()).filter(|area| suiting[*area].is_some()).map(Some).collect(),
        }
    }

    /// A node with one unit more, on the cheapest offer that holds all, of those that cost at least so much and less than
    /// that; none where the unit may not be there.
    fn joined(&self, group: &Group, item: usize, (least, limit): (f64, f64)) -> Option<Group> {
        let Item { class, lot, suiting, .. } = &self.items[item];
        let allowed = suiting.is_none() || {
            let node = group.area.and_then(|area| self.suiting(item, area));
            node.is_some_and(|node| self.simulation.may_be_in_area(*class, node))
        };
        if !allowed || lot.seats.iter().any(|seat| group.seats[*seat] >= self.limits[*seat]) {
            return None;
        }
        let mut joined = group.clone();
        self.add(&mut joined, item);
        let from = self.by_price.partition_point(|offer| self.price(*offer) < least);
        let in_area = |offer: &usize| joined.area.is_none_or(|area| self.market.offers[*offer].area == area);
        let holds = |offer: &usize| in_area(offer) && self.holds(*offer, &joined);
        let mut affordable = self.by_price[from..].iter().copied().take_while(|offer| self.price(*offer) < limit);
        joined.offer = affordable.find(holds)?;
        Some(joined)
    }

    fn holds(&self, offer: usize, group: &Group) -> bool {
        let offer = &self.market.offers[offer];
        group.requests.iter().zip(&offer.room).all(|(asked, room)| *asked == 0 || asked <= room)
            && group
                .items
                .iter()
                .flat_map(|item| &self.items[*item].lot.needs)
                .all(|needs| offer.meets.contains(*needs))
    }

    /// All units that are placed and to which areas matter, each with a node of its area, in order.
    fn in_areas(&self) -> Vec<(usize, usize, NodeId)> {
        let placed = self.groups.iter().flat_map(|group| group.items.iter().map(|item| (*item, group.area)));
        let in_area = |(item, area): (usize, Option<usize>)| Some((item, area?, self.suiting(item, area?)?));
        let mut in_areas: Vec<(usize, usize, NodeId)> = placed.filter_map(in_area).collect();
        in_areas.sort_unstable();
        in_areas
    }

    fn count_in_areas(&mut self, come: bool) {
        for (item, _, node) in self.in_areas() {
            self.simulation.count_in_area(self.items[item].class, node, come);
        }
    }

    /// Whether the units, all of which are counted, can come to their areas one after the other.
    fn has_order(&mut self) -> bool {
        self.count_in_areas(false);
        let has_order = self.order().is_some();
        self.count_in_areas(true);
        has_order
    }

    /// An order in which they can, none of which is counted.
    fn order(&mut self) -> Option<Settled> {
        let mut waiting = self.in_areas();
        let mut counted = Vec::new();
        place_until_nothing_changes(&mut waiting, |(item, area, node)| {
            let class = self.items[*item].class;
            let may_come = self.simulation.may_be_in_area(class, *node);
            if may_come {
                self.simulation.count_in_area(class, *node, true);
                counted.push((*item, *area, *node));
            }
            may_come
        });
        for (item, _, node) in counted.iter().rev() {
            self.simulation.count_in_area(self.items[*item].class, *node, false);
        }
        waiting.is_empty().then(|| counted.into_iter().map(|(item, area, _)| (self.items[item].pod, area)).collect())
    }

    /// Puts each node that may be in any area where the fewest are.
    fn choose_areas(&mut self) {
        for number in 0..self.groups.len() {
            if self.groups[number].area.is_some() {
                continue;
            }
            let area = |offer: usize| self.market.offers[offer].area;
            let nodes = |offer: &usize| self.groups.iter().filter(|group| group.area == Some(area(*offer))).count();
            let twins = self.market.twins(self.groups[number].offer);
            let holding = twins.filter(|offer| self.holds(*offer, &self.groups[number]));
            let Some(offer) = holding.min_by_key(|offer| (nodes(offer), *offer)) else { continue };
            self.groups[number] = Group { area: Some(area(offer)), offer, ..self.groups[number].clone() };
        }
    }

    fn repacked(&mut self) -> Option<Repacked> {
        let settled = self.order()?;
        let pods = |group: &Group| group.items.iter().map(|item| self.items[*item].pod).collect();
        let nodes = self.groups.iter().map(|group| (group.offer, pods(group)));
        Some(Repacked { settled, nodes: nodes.collect() })
    }
}
