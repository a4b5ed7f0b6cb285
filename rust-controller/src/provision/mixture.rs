//! Which nodes to buy, and how many pods of which lots each of them gets.
//!
//! Node by node, always the one that gives most for its price. What a filling is worth follows from the prices of resources
//! at which the cheapest mixture of nodes would cover what is left ([`dual_prices`]), and so does what it is worth that a
//! node has a seat of which there are fewest. A filling is used for many nodes at once while there are many such pods.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::effort::Effort;
use super::fill::{Filler, Filling};
use super::lots::{Lot, Lots};
use super::market::{Market, Offer, twins};
use super::parts::{Part, parts};
use super::prices::dual_prices;

/// How a mixture is put together.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// The first node in the order of preference that gives almost as much for its price as any could, by this share, is
    /// taken.
    almost: f64,
    /// Whether small nodes are preferred, since a seat costs the least there; else large ones are, since the less is lost at
    /// their edges. Where nothing is said, small ones are if seats are short.
    small_first: Option<bool>,
    /// At most this part of the nodes that a filling could be used for gets it, so that no lot is used up before the others.
    part_at_once: u32,
}

/// The manner that is best for most demands, for which it is enough to try one.
const FIRST_MANNER: Manner = Manner { almost: 0.0005, small_first: None, part_at_once: 2 };

/// Where seats are short, small nodes may give a little less.
const ALMOST_WITH_SEATS: f64 = 0.02;

/// Others that are tried, the sooner the more they promise.
const OTHER_MANNERS: [Manner; 15] = {
    const fn manner(almost: f64, small_first: Option<bool>, part_at_once: u32) -> Manner {
        Manner { almost, small_first, part_at_once }
    }
    [
        manner(0.005, None, 4),
        manner(0.05, None, 4),
        manner(0.03, None, 3),
        manner(0.001, None, 8),
        manner(0.05, Some(true), 2),
        manner(0.1, Some(false), 2),
        manner(0.2, Some(true), 1),
        manner(0.2, Some(false), 1),
        manner(0.0, Some(true), 1),
        manner(0.0, Some(false), 1),
        manner(0.4, Some(true), 1),
        manner(0.4, Some(false), 1),
        manner(0.3, Some(true), 4),
        manner(0.3, Some(false), 4),
        manner(0.6, Some(true), 1),
    ]
};

/// So many nodes, the last ones, are tried to be merged: what is bought last is the least full.
const MOST_MERGED: usize = 24;

/// The first manner alone serves more pods than this; below, as many as take no longer than that.
const PODS_FOR_ONE_MANNER: usize = 5_000;

/// Where fewer nodes are bought, what is left over on the last ones may be some percent of all, and a second manner is tried
/// however many pods there are.
const NODES_FOR_ONE_MANNER: u32 = 60;

/// What a plan is to keep to, beside being cheap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// No node gets more pods.
    pub(super) most_pods: usize,
    /// Each zone gets so many nodes before any gets more.
    pub(super) nodes_per_zone: usize,
}

/// Equal nodes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Position among the market's offers.
    pub(super) offer: usize,
    pub(super) filling: Filling,
    pub(super) nodes: u32,
}

/// What there is to buy for one part of the pods.
#[derive(Clone, Copy)]
struct Supply<'m, 'a> {
    market: &'m Market<'a>,
    offers: &'m [&'m Offer<'a>],
    /// By offer, the same node in all areas.
    twins: &'m [Arc<[usize]>],
    /// Those that there are offers in.
    areas: &'m [usize],
}

/// What is left to do.
#[derive(Clone)]
struct Remainder<'m, 'a> {
    market: &'m Market<'a>,
    /// Those of the part; all numbers of offers are positions among them.
    offers: &'m [&'m Offer<'a>],
    /// By offer, those of the same node in all areas.
    twins: &'m [Arc<[usize]>],
    filler: Filler<'m>,
    /// By lot.
    left: Vec<u32>,
    /// By offer, the lots that it may hold and that are left.
    lots_of: Vec<Vec<usize>>,
    /// By offer, what it has of each priced resource, and one seat.
    offered: Arc<[Vec<f64>]>,
    /// By offer and first pod, the filling, while its pods are left.
    fillings: Vec<BTreeMap<Option<usize>, Filling>>,
    /// What is left to place, by priced resource.
    demand: Vec<f64>,
    /// How many pods are left for each seat.
    waiting_for: Vec<u32>,
    /// Areas that have offers.
    areas: &'m [usize],
    bought: Bought,
    nodes_per_zone: usize,
    /// What has been looked at, as [`Effort`] counts it.
    steps: usize,
}

/// What has been bought, for all parts of the market.
#[derive(Clone)]
struct Bought {
    /// By area, for how much.
    in_area: Vec<f64>,
    /// By zone, how many nodes.
    nodes_in_zone: Vec<usize>,
}

/// What things are worth now.
struct Worth {
    of_lot: Vec<f64>,
    /// The most that each offer could give for its price.
    most_of_offer: Vec<f64>,
    /// The seat of which more nodes are needed than of any other, if that is worth anything.
    short_seat: Option<usize>,
}

impl Worth {
    fn of(&self, filling: &Filling) -> f64 {
        filling.iter().map(|(lot, count)| self.of_lot[*lot] * f64::from(*count)).sum()
    }
}

/// Nodes for the lots. Lots that no offer may hold are left out.
///
/// The parts of the market are served one after the other, so that what many of them cost is the sum of what each costs by
/// itself; what has been bought for one counts where the next spreads its nodes over areas.
pub(super) fn cheapest_mixture(market: &Market<'_>, lots: &Lots, terms: Terms, effort: &Effort) -> Vec<Batch> {
    let pods: usize = lots.all.iter().map(|lot| lot.pods.len()).sum();
    let others = (PODS_FOR_ONE_MANNER / pods.max(1)).saturating_sub(1).min(OTHER_MANNERS.len());
    let mut bought = Bought { in_area: vec![0.0; market.area_count()], nodes_in_zone: vec![0; market.zone_count] };
    let mut batches = Vec::new();
    for part in parts(market, lots) {
        for batch in cheapest_of_part(market, &part, (terms, others), &bought, effort) {
            let batch = part.in_market(batch);
            bought.add(&market.offers[batch.offer], batch.nodes, market);
            batches.push(batch);
        }
    }
    batches
}

/// Several manners of putting a mixture together are tried, the fewer the more pods there are, and the cheapest is kept. When
/// the effort is spent, no other is tried.
fn cheapest_of_part(
    market: &Market<'_>,
    part: &Part<'_>,
    (terms, others): (Terms, usize),
    bought: &Bought,
    effort: &Effort,
) -> Vec<Batch> {
    let offers: Vec<&Offer<'_>> = part.offers.iter().map(|offer| &market.offers[*offer]).collect();
    let twins = twins(&offers);
    let mut areas: Vec<usize> = offers.iter().map(|offer| offer.area).collect();
    areas.dedup();
    let start = Remainder::new(
        Supply { market, offers: &offers, twins: &twins, areas: &areas },
        &part.lots,
        terms,
        bought.clone(),
    );
    let first = mixture(start.clone(), FIRST_MANNER, effort);
    let are_few = first.iter().map(|batch| batch.nodes).sum::<u32>() < NODES_FOR_ONE_MANNER;
    let others = OTHER_MANNERS[..others.max(usize::from(are_few))].iter().take_while(|_| !effort.is_spent());
    let mixtures = std::iter::once(first).chain(others.map(|manner| mixture(start.clone(), *manner, effort)));
    let price = |batches: &Vec<Batch>| -> f64 {
        batches.iter().map(|batch| offers[batch.offer].price * f64::from(batch.nodes)).sum()
    };
    let cheapest = mixtures.min_by(|left, right| price(left).total_cmp(&price(right))).unwrap_or_default();
    if terms.nodes_per_zone > 0 { cheapest } else { start.merged(cheapest) }
}

impl Bought {
    fn add(&mut self, offer: &Offer<'_>, nodes: u32, market: &Market<'_>) {
        self.in_area[offer.area] += offer.price * f64::from(nodes);
        self.nodes_in_zone[market.zone_of_area[offer.area]] += nodes as usize;
    }
}

/// Whether an empty node of the offer may hold a pod of the lot.
pub(super) fn may_hold(offer: &Offer<'_>, lot: &Lot) -> bool {
    lot.needs.iter().all(|needs| offer.meets.contains(*needs))
        && lot.area.is_none_or(|area| area == offer.area)
        && lot.requests.iter().zip(&offer.room).all(|(asked, room)| asked <= room)
}

/// Each step costs O(offers × rows) for prices, and O(pods of a node × lots) for each filling that can not be used again;
/// there are O(lots × log pods) steps.
fn mixture(mut rest: Remainder<'_, '_>, manner: Manner, effort: &Effort) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(batch) = rest.step(manner) {
        for batch in rest.over_areas(batch) {
            rest.use_up(&batch);
            batches.push(batch);
        }
    }
    effort.spend(rest.steps as u64);
    batches
}

#[expect(clippy::cast_precision_loss, reason = "prices are a guide; what fits is counted in whole numbers")]
impl<'m, 'a> Remainder<'m, 'a> {
    fn new(
        Supply { market, offers, twins, areas }: Supply<'m, 'a>,
        Lots { all: lots, seats }: &'m Lots,
        terms: Terms,
        bought: Bought,
    ) -> Self {
        let held = |offer: &&Offer<'_>| (0..lots.len()).filter(|lot| may_hold(offer, &lots[*lot])).collect();
        let lots_of: Vec<Vec<usize>> = offers.iter().map(held).collect();
        let mut left = vec![0; lots.len()];
        for lot in lots_of.iter().flatten() {
            left[*lot] = u32::try_from(lots[*lot].pods.len()).unwrap_or(u32::MAX);
        }
        let asked = |resource: usize| lots.iter().zip(&left).any(|(lot, left)| *left > 0 && lot.requests[resource] > 0);
        let all = 0..lots.first().map_or(0, |lot| lot.requests.len());
        let resources: Vec<usize> = all.filter(|each| asked(*each)).collect();
        let offered = offers.iter().map(|offer| {
            let most =
                |resource: usize| if resource == market.pod_slots { terms.most_pods as f64 } else { f64::INFINITY };
            let amounts = resources.iter().map(|resource| (offer.room[*resource].max(0) as f64).min(most(*resource)));
            amounts.chain([1.0]).collect()
        });
        let mut rest = Self {
            market,
            offers,
            twins,
            offered: offered.collect(),
            fillings: vec![BTreeMap::new(); offers.len()],
            demand: vec![0.0; resources.len()],
            waiting_for: vec![0; seats.len()],
            areas,
            bought,
            nodes_per_zone: terms.nodes_per_zone,
            filler: Filler::new(lots, seats, resources),
            steps: 0,
            left,
            lots_of,
        };
        rest.lots_of.iter_mut().for_each(|lots| rest.filler.sort(lots));
        for lot in 0..lots.len() {
            rest.count(lot, i64::from(rest.left[lot]));
        }
        rest
    }

    /// So many pods of a lot more, or fewer, are left.
    fn count(&mut self, lot: usize, change: i64) {
        for (demand, asked) in self.demand.iter_mut().zip(self.filler.requests(lot)) {
            *demand += change as f64 * asked;
        }
        for seat in &self.filler.lots[lot].seats {
            let waiting = i64::from(self.waiting_for[*seat]) + change;
            self.waiting_for[*seat] = u32::try_from(waiting).unwrap_or(0);
        }
    }

    fn worth(&self) -> Worth {
        let hosts = |seat: &usize| self.waiting_for[*seat].div_ceil(self.filler.seats[*seat].max(1));
        let scarcest = (0..self.waiting_for.len()).max_by_key(|seat| (hosts(seat), usize::MAX - seat));
        let nodes_needed = scarcest.map_or(0, |seat| hosts(&seat));
        let demand: Vec<f64> = self.demand.iter().copied().chain([f64::from(nodes_needed)]).collect();
        let offers = || self.offered.iter().zip(self.offers);
        let held = offers().zip(&self.lots_of).filter(|(_, lots)| !lots.is_empty());
        let prices = dual_prices(held.map(|((offered, offer), _)| (offered.as_slice(), offer.price)), &demand);
        let sum = |amounts: &[f64]| -> f64 { amounts.iter().zip(&prices).map(|(amount, price)| amount * price).sum() };
        let of_seat = prices.last().copied().unwrap_or(0.0);
        let short_seat = scarcest.filter(|_| of_seat > 0.0);
        let worth = |(number, lot): (usize, &Lot)| {
            let seat = short_seat.filter(|seat| lot.seats.contains(seat));
            sum(self.filler.requests(number)) + seat.map_or(0.0, |seat| of_seat / f64::from(self.filler.seats[seat]))
        };
        Worth {
            of_lot: self.filler.lots.iter().enumerate().map(worth).collect(),
            most_of_offer: offers().map(|(offered, offer)| sum(offered) / offer.price.max(f64::MIN_POSITIVE)).collect(),
            short_seat,
        }
    }

    /// The next nodes; none where nothing is left that a node may hold.
    fn step(&mut self, manner: Manner) -> Option<Batch> {
        if self.left.iter().all(|left| *left == 0) {
            return None;
        }
        let worth = self.worth();
        self.steps += self.offers.len() + self.left.len();
        let batch = self.areas(&worth).into_iter().find_map(|area| self.best(area, &worth, manner));
        batch.map(|(offer, filling)| {
            let possible = filling.iter().map(|(lot, count)| self.left[*lot] / count).min().unwrap_or(1);
            let nodes = if self.lacks_nodes(self.offers[offer].area) { 1 } else { possible / manner.part_at_once };
            Batch { offer, filling, nodes: nodes.max(1) }
        })
    }

    /// The same nodes, evenly in all areas where they may be, those with the least first.
    fn over_areas(&self, batch: Batch) -> Vec<Batch> {
        if self.lacks_nodes(self.offers[batch.offer].area) {
            return vec![batch];
        }
        let Batch { offer, filling, nodes } = batch;
        let holds_all =
            |other: &usize| filling.iter().all(|(lot, _)| may_hold(self.offers[*other], &self.filler.lots[*lot]));
        let mut offers: Vec<usize> = self.twins[offer].iter().copied().filter(holds_all).collect();
        offers.sort_by(|left, right| {
            let bought = |offer: usize| self.bought.in_area[self.offers[offer].area];
            bought(*left).total_cmp(&bought(*right))
        });
        let count = u32::try_from(offers.len()).unwrap_or(1).max(1);
        let share = |number: u32| nodes / count + u32::from(number < nodes % count);
        let batch = |(number, offer)| Batch { offer, filling: filling.clone(), nodes: share(number) };
        (0..).zip(offers).map(batch).filter(|batch| batch.nodes > 0).collect()
    }

    /// Whether the zone of an area has fewer nodes than it should.
    fn lacks_nodes(&self, area: usize) -> bool {
        self.bought.nodes_in_zone[self.market.zone_of_area[area]] < self.nodes_per_zone
    }

    /// Areas in the order in which they need nodes: first where some lack, then where most must go, then where least has come.
    fn areas(&self, worth: &Worth) -> Vec<usize> {
        let mut must_go = vec![0.0; self.bought.in_area.len()];
        for ((lot, left), worth) in self.filler.lots.iter().zip(&self.left).zip(&worth.of_lot) {
            if let Some(area) = lot.area {
                must_go[area] += f64::from(*left) * worth;
            }
        }
        let mut areas = self.areas.to_vec();
        areas.sort_by(|left, right| {
            let lacks = self.lacks_nodes(*right).cmp(&self.lacks_nodes(*left));
            let more = lacks.then_with(|| must_go[*right].total_cmp(&must_go[*left]));
            more.then_with(|| self.bought.in_area[*left].total_cmp(&self.bought.in_area[*right]))
        });
        areas
    }

    /// The offer of an area that gives most for its price, or almost, with its filling.
    fn best(&mut self, area: usize, worth: &Worth, manner: Manner) -> Option<(usize, Filling)> {
        let is_here = |offer: &usize| self.offers[*offer].area == area && !self.lots_of[*offer].is_empty();
        let here = (0..self.offers.len()).filter(is_here);
        let mut here: Vec<usize> = here.collect();
        let most = here.iter().map(|offer| worth.most_of_offer[*offer]).max_by(f64::total_cmp)?;
        let seats_are_short = worth.short_seat.is_some();
        let almost = if seats_are_short { manner.almost.max(ALMOST_WITH_SEATS) } else { manner.almost };
        let good = most * (1.0 - almost);
        // Offers are in the order of their price.
        if !manner.small_first.unwrap_or(seats_are_short) {
            here.reverse();
        }
        let (promising, others): (Vec<usize>, Vec<usize>) =
            here.into_iter().partition(|offer| worth.most_of_offer[*offer] >= good);
        let mut best: Option<(f64, usize, Filling)> = None;
        for offer in promising.into_iter().chain(others) {
            let least = best.as_ref().map_or(0.0, |(ratio, ..)| *ratio);
            if worth.most_of_offer[offer] <= least {
                continue;
            }
            let Some((ratio, filling)) = self.filling(offer, worth) else { continue };
            if ratio > least {
                best = Some((ratio, offer, filling));
            }
            if ratio >= good {
                break;
            }
        }
        best.map(|(_, offer, filling)| (offer, filling))
    }

    /// The filling of an offer that gives most for its price, and how much that is. A node that is small is tried with each
    /// pod that takes the seat which is short.
    fn filling(&mut self, offer: usize, worth: &Worth) -> Option<(f64, Filling)> {
        let Self { filler, left, lots_of, offered, fillings, demand, offers, steps, .. } = self;
        let lots = &mut lots_of[offer];
        lots.retain(|lot| left[*lot] > 0);
        let takes_short_seat =
            |lot: &usize| worth.short_seat.is_some_and(|seat| filler.lots[*lot].seats.contains(&seat));
        let room = &offered[offer][..demand.len()];
        let pods: f64 = left.iter().map(|left| f64::from(*left)).sum();
        let average: Vec<f64> = demand.iter().map(|demand| demand / pods.max(1.0)).collect();
        let tried = if Filler::is_small(room, &average) { usize::MAX } else { 1 };
        let firsts = lots.iter().copied().filter(takes_short_seat).take(tried).map(Some);
        let mut firsts: Vec<Option<usize>> = firsts.collect();
        if firsts.is_empty() {
            firsts.push(None);
        }
        let known = &mut fillings[offer];
        let mut best: Option<(f64, Option<usize>)> = None;
        for first in firsts {
            let usable = |filling: &Filling| filling.iter().all(|(lot, count)| *count <= left[*lot]);
            if !known.get(&first).is_some_and(usable) {
                let filling = filler.fill(room, lots, left, first);
                *steps += filler.steps(lots, &filling);
                known.insert(first, filling);
            }
            let value = known.get(&first).map_or(0.0, |filling| worth.of(filling));
            if best.is_none_or(|(most, _)| value > most) {
                best = Some((value, first));
            }
        }
        let (value, first) = best?;
        let filling = known.get(&first).filter(|filling| !filling.is_empty())?;
        Some((value / offers[offer].price.max(f64::MIN_POSITIVE), filling.clone()))
    }

    /// Nodes bought last are merged, two at a time, as long as one node holds the pods of both and costs less: always those
    /// that save the most.
    ///
    /// O(nodes³ × offers) for the few nodes that are looked at.
    fn merged(&self, mut batches: Vec<Batch>) -> Vec<Batch> {
        let mut last: Vec<(usize, Filling)> = Vec::new();
        while let Some(batch) = batches.pop() {
            if last.len() + batch.nodes as usize > MOST_MERGED {
                batches.push(batch);
                break;
            }
            last.extend((0..batch.nodes).map(|_| (batch.offer, batch.filling.clone())));
        }
        last.reverse();
        while let Some((_, left, right, (offer, filling))) = self.best_merge(&last) {
            last.remove(right);
            last[left] = (offer, filling);
        }
        batches.extend(last.into_iter().map(|(offer, filling)| Batch { offer, filling, nodes: 1 }));
        batches
    }

    /// Which two nodes to merge, what that saves, and the node that holds the pods of both.
    fn best_merge(&self, nodes: &[(usize, Filling)]) -> Option<(f64, usize, usize, (usize, Filling))> {
        let price = |offer: usize| self.offers[offer].price;
        let mut best: Option<(f64, usize, usize, (usize, Filling))> = None;
        for right in 1..nodes.len() {
            for left in 0..right {
                let now = price(nodes[left].0) + price(nodes[right].0);
                let least = best.as_ref().map_or(now * 1e-9, |(saving, ..)| *saving);
                let Some(merged) = self.holding_both(&nodes[left].1, &nodes[right].1, now - least) else { continue };
                best = Some((now - price(merged.0), left, right, merged));
            }
        }
        best
    }

    /// The cheapest node that holds two fillings and costs less than this.
    fn holding_both(&self, left: &Filling, right: &Filling, less_than: f64) -> Option<(usize, Filling)> {
        let mut both: BTreeMap<usize, u32> = left.iter().copied().collect();
        for (lot, count) in right {
            *both.entry(*lot).or_default() += count;
        }
        let mut asked = vec![0.0; self.demand.len()];
        let mut taken = vec![0; self.filler.seats.len()];
        for (lot, count) in &both {
            for (asked, request) in asked.iter_mut().zip(self.filler.requests(*lot)) {
                *asked += request * f64::from(*count);
            }
            self.filler.lots[*lot].seats.iter().for_each(|seat| taken[*seat] += count);
        }
        if taken.iter().zip(self.filler.seats).any(|(taken, limit)| taken > limit) {
            return None;
        }
        let fits = |offer: &usize| {
            asked.iter().zip(&self.offered[*offer]).all(|(asked, room)| asked <= room)
                && both.keys().all(|lot| may_hold(self.offers[*offer], &self.filler.lots[*lot]))
        };
        let price = |offer: &usize| self.offers[*offer].price;
        let cheaper = (0..self.offers.len()).filter(|offer| price(offer) < less_than);
        let cheapest = cheaper.filter(fits).min_by(|one, other| price(one).total_cmp(&price(other)))?;
        Some((cheapest, both.into_iter().collect()))
    }

    fn use_up(&mut self, batch: &Batch) {
        for (lot, count) in &batch.filling {
            let used = count * batch.nodes;
            self.left[*lot] -= used;
            self.count(*lot, -i64::from(used));
        }
        self.bought.add(self.offers[batch.offer], batch.nodes, self.market);
    }
}
