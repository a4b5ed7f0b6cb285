//! The nodes that could be bought, and whom they could hold.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bins::Bin;
use super::existing::Waiting;
use super::launch::{Launch, Launches, Series};
use super::need_set::NeedSet;
use super::needs::{Met, Needs};
use crate::feasibility::{Area, ClassId, NodeId, Simulation};
use crate::model::{Labels, Pod};
use crate::units::Money;

/// What stands for the price of a node whose price nobody knows, per share of the largest: far above all others, so that it
/// comes last.
const UNKNOWN_PRICE: f64 = 1e6;

/// An area, and its zone: nodes in several zones are in several areas, whether rules speak of zones or not, so that they are
/// evenly spread over them.
type Place<'a> = (Area, &'a str);

/// Where the launches of a series are.
fn place<'a>(launches: &'a Launches<'a>, series: &Series, simulation: &Simulation) -> Place<'a> {
    let zone = launches.of_series(series).next().map_or("", |launch| launch.offering.zone.as_str());
    (simulation.area(series.node), zone)
}

/// Offers that are held against each other: those of an area, and where it matters of a `NodePool`'s labels, by number, which
/// few pods ask for beside others.
type Stall = (usize, Option<usize>);

/// A node that could be bought, in one area.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    pub(super) launch: Launch<'a>,
    /// Number of the area.
    pub(super) area: usize,
    /// By number of the resource, less what daemon pods take.
    pub(super) room: Vec<i64>,
    /// Per hour.
    pub(super) price: f64,
    /// The needs that it meets.
    pub(super) meets: Arc<NeedSet>,
}

/// What there is to buy, and for whom.
#[derive(Debug)]
pub(super) struct Market<'a> {
    /// Offers that no other beats in everything; by area, then price.
    pub(super) offers: Vec<Offer<'a>>,
    /// The same as if all areas were one and volumes and ports no matter, and each type could be had in all its offerings by
    /// those who may have it in one: what a lower bound looks at.
    pub(super) of_types: Vec<Offer<'a>>,
    /// Number of the resource that counts pods.
    pub(super) pod_slots: usize,
    /// By area, the number of its zone.
    pub(super) zone_of_area: Vec<usize>,
    /// In how many zones there are offers.
    pub(super) zone_count: usize,
    parts: Parts,
    shared_label_sets: Vec<usize>,
    /// By class, the number of what it needs of a node beside room.
    needs: BTreeMap<ClassId, usize>,
    /// By number, that of the same for pods that share their node with others: its labels may be more than they ask for.
    in_company: Vec<usize>,
    areas: Vec<Place<'a>>,
    launches: &'a Launches<'a>,
    /// By series, the number of its area.
    area_of: Vec<usize>,
    /// By needs, numbers of the series that meet them.
    suiting: Vec<Vec<usize>>,
    /// By node type, the needs for which it has the right labels in one of its offerings.
    types: BTreeMap<&'a str, Arc<NeedSet>>,
    /// Node types that have no price in one of their offerings.
    unpriced_types: BTreeSet<&'a str>,
    /// By series.
    met: Vec<Met>,
}

impl<'a> Market<'a> {
    /// Asks every series about what each class needs of a node: O(series × needs).
    pub(super) fn of(classes: &BTreeMap<ClassId, &Pod>, launches: &'a Launches<'a>, simulation: &Simulation) -> Self {
        let all = launches.series();
        let of_series: Vec<Place<'a>> = all.iter().map(|series| place(launches, series, simulation)).collect();
        let mut areas = of_series.clone();
        areas.sort();
        areas.dedup();
        let area_of: Vec<usize> =
            of_series.iter().map(|place| areas.binary_search(place).unwrap_or_default()).collect();
        let Needs { of_class: needs, examples, in_company, met } = Needs::of(classes, launches, simulation);
        let mut suiting = vec![Vec::new(); examples.len()];
        for (number, met) in met.iter().enumerate() {
            met.all.numbers().filter(|needs| *needs < examples.len()).for_each(|needs| suiting[needs].push(number));
        }
        let types = types(&met, launches);
        let in_areas = all.iter().zip(&met).flat_map(|(series, met)| {
            let stall = (area_of[series.number], Some(launches.number_of_labels(series)));
            launches.worthwhile(series).map(move |launch| (stall, launch, Arc::clone(&met.all)))
        });
        let by_type = different(launches)
            .into_iter()
            .map(|launch| ((0, None), launch, Arc::clone(&types[launch.kind.name.as_str()])));
        let zones: BTreeSet<&str> = areas.iter().map(|(_, zone)| *zone).collect();
        let number = |zone: &str| zones.iter().take_while(|other| **other < zone).count();
        let offers_in_areas = offers(in_areas);
        let is_shared =
            |labels: &usize| launches.with_label_set(*labels).iter().all(|series| met[series.number].labels.is_empty());
        Self {
            shared_label_sets: (0..launches.label_sets()).filter(is_shared).collect(),
            parts: Parts::of(&offers_in_areas, &examples, launches),
            offers: offers_in_areas,
            of_types: offers(by_type),
            pod_slots: simulation.resources().iter().position(|name| name == "pods").unwrap_or(usize::MAX),
            zone_of_area: areas.iter().map(|(_, zone)| number(zone)).collect(),
            zone_count: zones.len(),
            needs,
            in_company,
            areas,
            launches,
            area_of,
            suiting,
            unpriced_types: unpriced_types(launches),
            types,
            met,
        }
    }

    /// Whether a series makes what a pod of the class asks for, and what is asked for it where it says nothing of that.
    pub(super) fn makes(&self, series: &Series, class: ClassId) -> bool {
        self.needs(class).is_some_and(|needs| self.met[series.number].labels.contains(needs))
    }

    /// Whether a pod of the class may come to a node of a series for the sake of others, as far as labels go.
    pub(super) fn may_join(&self, series: &Series, class: ClassId) -> bool {
        let meets = |needs: usize| self.met[series.number].all.contains(self.in_company(needs));
        self.makes(series, class) || self.needs(class).is_some_and(meets)
    }

    /// The number of the same needs for pods that share their node with others.
    pub(super) fn in_company(&self, needs: usize) -> usize {
        self.in_company.get(needs).copied().unwrap_or(needs)
    }

    /// Numbers of what pods of these classes need together of one node. Where they need different things, the node may have
    /// labels that only some of them ask for.
    pub(super) fn needs_together(&self, classes: &[ClassId]) -> Vec<usize> {
        let own = |class: &ClassId| self.needs(*class).unwrap_or(usize::MAX);
        let equal = classes.windows(2).all(|pair| own(&pair[0]) == own(&pair[1]));
        let of_class = |class: &ClassId| if equal { own(class) } else { self.in_company(own(class)) };
        let mut needs: Vec<usize> = classes.iter().map(of_class).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Whether some node that meets these needs has room for so much.
    pub(super) fn may_hold(&self, needs: &[usize], requests: &[i64]) -> bool {
        let holds = |offer: &Offer<'_>| {
            needs.iter().all(|needs| offer.meets.contains(*needs))
                && requests.iter().zip(&offer.room).all(|(asked, room)| *asked == 0 || asked <= room)
        };
        self.offers.iter().any(holds)
    }

    /// The number of what a class needs of a node beside room.
    pub(super) fn needs(&self, class: ClassId) -> Option<usize> {
        self.needs.get(&class).copied()
    }

    /// Node types that meet one of these needs and that no other beats, each in the offerings that differ.
    pub(super) fn offers_to(&self, needs: &BTreeSet<usize>) -> impl Iterator<Item = &Offer<'a>> {
        self.of_types.iter().filter(|offer| needs.iter().any(|needs| offer.meets.contains(*needs)))
    }

    /// Whether the price of a node that meets one of these needs is not known.
    pub(super) fn has_unpriced(&self, needs: &BTreeSet<usize>) -> bool {
        self.types(needs).iter().any(|name| self.unpriced_types.contains(name.as_str()))
    }

    /// The node types with the right labels for one of these needs.
    pub(super) fn types(&self, needs: &BTreeSet<usize>) -> BTreeSet<String> {
        let meet = |meets: &NeedSet| needs.iter().any(|needs| meets.contains(*needs));
        self.types.iter().filter(|(_, meets)| meet(meets)).map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The offers of the same node in all areas, this one included.
    pub(super) fn twins(&self, offer: usize) -> impl Iterator<Item = usize> {
        let own = &self.offers[offer];
        (0..self.offers.len()).filter(move |other| twin_key(&self.offers[*other]) == twin_key(own))
    }

    /// The parts of the market where all of these needs are met: one part for what pods of one class need.
    pub(super) fn parts_of(&self, needs: &[usize]) -> BTreeSet<usize> {
        let own = |needs: &usize| self.parts.of_needs.get(*needs).copied();
        if let [needs] = needs
            && let Some(part) = own(needs)
        {
            return BTreeSet::from([part]);
        }
        let holds = |offer: &&usize| needs.iter().all(|needs| self.offers[**offer].meets.contains(*needs));
        let holding = self.parts.offers.iter().map(|offers| offers.iter().any(|offer| holds(&offer)));
        holding.enumerate().filter(|(_, holds)| *holds).map(|(part, _)| part).collect()
    }

    /// How many parts there are.
    pub(super) fn part_count(&self) -> usize {
        self.parts.offers.len()
    }

    /// Positions of a part's offers, in their order. Whatever they may hold, no other offer may, but for pods that must share
    /// their host and need different things.
    pub(super) fn offers_of_part(&self, part: usize) -> &[usize] {
        &self.parts.offers[part]
    }

    /// The number of an offer's set of labels.
    pub(super) fn label_set(&self, offer: usize) -> usize {
        self.launches.number_of_labels(self.offers[offer].launch.series)
    }

    /// Numbers of the sets of labels that are there only for nodes which pods share that ask for different ones.
    pub(super) fn shared_label_sets(&self) -> &[usize] {
        &self.shared_label_sets
    }

    /// How many areas there are.
    pub(super) fn area_count(&self) -> usize {
        self.areas.len()
    }

    /// In each area, by number, a node that would suit a class; none where there is no such node.
    pub(super) fn suiting_by_area(&self, class: ClassId, simulation: &Simulation) -> Vec<Option<NodeId>> {
        let mut by_area = vec![None; self.areas.len()];
        let Some(needs) = self.needs.get(&class) else { return by_area };
        let requests = simulation.requests(class);
        for series in self.suiting[*needs].iter().map(|number| &self.launches.series()[*number]) {
            let found = &mut by_area[self.area_of[series.number]];
            if found.is_none() && self.launches.worthwhile(series).any(|launch| launch.fits(requests)) {
                *found = Some(series.node);
            }
        }
        by_area
    }
}

impl<'a> Market<'a> {
    /// The zones where some node would suit a class.
    pub(super) fn zones_suiting(&self, class: ClassId, simulation: &Simulation) -> BTreeSet<&'a str> {
        let by_area = self.suiting_by_area(class, simulation);
        self.areas.iter().zip(by_area).filter(|(_, suiting)| suiting.is_some()).map(|((_, zone), _)| *zone).collect()
    }

    /// The cheapest launch of a node's area that is cheaper than the node, and holds its pods.
    pub(super) fn cheaper(&self, bin: &Bin<'a>, pods: &[Waiting<'_>], simulation: &Simulation) -> Option<Launch<'a>> {
        let area = self.area_of[bin.launch.series.number];
        let mut requests = vec![0; simulation.dimensions()];
        for pod in &bin.pods {
            for (resource, amount) in simulation.requests(pods[*pod].class) {
                requests[*resource] += amount;
            }
        }
        let price = bin.launch.offering.price_per_hour;
        let cheaper = |offer: &&Offer<'a>| {
            let offered = offer.launch.offering.price_per_hour;
            offered.is_some() && price.is_none_or(|price| offered < Some(price))
        };
        let alike = |offer: &&Offer<'a>| {
            let (one, other) = (bin.launch.node(), offer.launch.node());
            simulation.eligible_alike(one, other)
                && simulation.hold_alike(one, other)
                && simulation.can_attach_all(&offer.launch.kind.attach_limits, bin.node)
        };
        let holds = |offer: &&Offer<'a>| requests.iter().zip(&offer.room).all(|(asked, room)| asked <= room);
        let part = self.parts.of_labels[self.launches.number_of_labels(bin.launch.series)]?;
        let in_part = self.parts.offers[part].iter().map(|offer| &self.offers[*offer]);
        let in_area = in_part.filter(|offer| offer.area == area);
        let suits = |offer: &&Offer<'a>| bin.pods.iter().all(|pod| self.meets(offer, pods[*pod].class));
        in_area.filter(cheaper).filter(holds).filter(alike).find(suits).map(|offer| offer.launch)
    }

    fn meets(&self, offer: &Offer<'_>, class: ClassId) -> bool {
        self.needs(class).is_some_and(|needs| offer.meets.contains(self.in_company(needs)))
    }
}

/// What of the market has nothing to do with what else: offers whose sets of labels no pod would choose between.
#[derive(Debug)]
struct Parts {
    /// By needs.
    of_needs: Vec<usize>,
    /// By number of the labels; none where no offer has them.
    of_labels: Vec<Option<usize>>,
    /// By part, positions of the offers.
    offers: Vec<Vec<usize>>,
}

impl Parts {
    fn of(offers: &[Offer<'_>], examples: &[&Pod], launches: &Launches<'_>) -> Self {
        let mut groups = Groups::default();
        let mut of_labels: Vec<Option<usize>> = vec![None; launches.label_sets()];
        let mut of_needs = Vec::with_capacity(examples.len());
        for pod in examples {
            let own = groups.add();
            let shapes = launches.shapes(pod).unwrap_or_default().iter();
            for labels in shapes.filter_map(|shape| launches.number_of_shape(&shape.shape)) {
                let labels = *of_labels[labels].get_or_insert_with(|| groups.add());
                groups.join(labels, own);
            }
            of_needs.push(own);
        }
        // Labels for which nobody asks just so may be those of a node for several pods.
        let labels_of: Vec<usize> = offers.iter().map(|offer| launches.number_of_labels(offer.launch.series)).collect();
        for labels in &labels_of {
            of_labels[*labels].get_or_insert_with(|| groups.add());
        }
        let mut numbers = BTreeMap::new();
        let mut part_of = |group: usize| {
            let next = numbers.len();
            *numbers.entry(groups.first(group)).or_insert(next)
        };
        let of_needs: Vec<usize> = of_needs.into_iter().map(&mut part_of).collect();
        let of_labels: Vec<Option<usize>> = of_labels.into_iter().map(|group| group.map(&mut part_of)).collect();
        let mut parts = Self { offers: vec![Vec::new(); numbers.len()], of_needs, of_labels };
        for (position, labels) in labels_of.into_iter().enumerate() {
            if let Some(part) = parts.of_labels[labels] {
                parts.offers[part].push(position);
            }
        }
        parts
    }
}

/// Things that are joined to groups.
#[derive(Default)]
pub(super) struct Groups {
    /// Another of the same group that comes before, or the thing itself.
    before: Vec<usize>,
}

impl Groups {
    /// So many things, each by itself.
    pub(super) fn of(things: usize) -> Self {
        Self { before: (0..things).collect() }
    }

    fn add(&mut self) -> usize {
        self.before.push(self.before.len());
        self.before.len() - 1
    }

    pub(super) fn first(&mut self, mut thing: usize) -> usize {
        while self.before[thing] != thing {
            self.before[thing] = self.before[self.before[thing]];
            thing = self.before[thing];
        }
        thing
    }

    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.before[one.max(other)] = one.min(other);
    }
}

/// By offer, those of the same node in all areas, itself included.
pub(super) fn twins(offers: &[&Offer<'_>]) -> Vec<Arc<[usize]>> {
    let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (number, offer) in offers.iter().enumerate() {
        alike.entry(twin_key(offer)).or_default().push(number);
    }
    let alike: BTreeMap<_, Arc<[usize]>> = alike.into_iter().map(|(key, numbers)| (key, numbers.into())).collect();
    offers.iter().map(|offer| Arc::clone(&alike[&twin_key(offer)])).collect()
}

/// What the offers of one node in several areas have in common.
fn twin_key<'o>(offer: &'o Offer<'_>) -> (&'o str, &'o str, Option<Money>, &'o Labels) {
    let Launch { kind, offering, .. } = offer.launch;
    (&kind.name, &offering.capacity_type, offering.price_per_hour, offer.launch.template_labels())
}

fn unpriced_types<'a>(launches: &'a Launches<'a>) -> BTreeSet<&'a str> {
    let unpriced = launches.without_template_labels().filter(|launch| launch.offering.price_per_hour.is_none());
    unpriced.map(|launch| launch.kind.name.as_str()).collect()
}

/// The needs for which each type has the right labels in one of its launches. Most types have the same guises as many others.
fn types<'a>(met: &[Met], launches: &'a Launches<'a>) -> BTreeMap<&'a str, Arc<NeedSet>> {
    let mut in_guise: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); launches.guise_count()];
    for (series, met) in launches.series().iter().zip(met) {
        in_guise[launches.guise(series)].extend(met.labels.numbers());
    }
    let mut guises_of: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for launch in launches.without_template_labels() {
        guises_of.entry(&launch.kind.name).or_default().insert(launches.guise(launch.series));
    }
    let mut of_guises: BTreeMap<BTreeSet<usize>, Arc<NeedSet>> = BTreeMap::new();
    let mut needs = |guises: BTreeSet<usize>| {
        let found = of_guises.entry(guises).or_insert_with_key(|guises| {
            let all: BTreeSet<usize> = guises.iter().flat_map(|guise| &in_guise[*guise]).copied().collect();
            Arc::new(all.into_iter().collect())
        });
        Arc::clone(found)
    };
    guises_of.into_iter().map(|(name, guises)| (name, needs(guises))).collect()
}

/// Of launches of one type that cost the same and have the same room, the first: most differ in nothing but the labels that
/// their `NodePool` adds.
fn different<'a>(launches: &'a Launches<'a>) -> Vec<Launch<'a>> {
    let mut known = BTreeSet::new();
    let mut key =
        |launch: &Launch<'a>| known.insert((launch.kind.name.as_str(), launch.offering.price_per_hour, launch.room()));
    launches.with_rooms_of_their_own().filter(|launch| key(launch)).collect()
}

/// A launch is an offer if it meets the needs of somebody, and no other of its stall beats it.
fn offers<'a>(launches: impl Iterator<Item = (Stall, Launch<'a>, Arc<NeedSet>)>) -> Vec<Offer<'a>> {
    let mut by_stall: BTreeMap<Stall, Vec<Offer<'a>>> = BTreeMap::new();
    for (stall, launch, meets) in launches.filter(|(.., meets)| !meets.is_empty()) {
        let room = launch.room();
        let price = launch.offering.price_per_hour.map_or_else(|| unknown_price(&room), Money::units);
        by_stall.entry(stall).or_default().push(Offer { launch, area: stall.0, room, price, meets });
    }
    let mut offers: Vec<Offer<'a>> = by_stall.into_values().flat_map(unbeaten).collect();
    offers.sort_by(by_area_and_price);
    offers
}

/// Of two at one price, the larger one comes first, then the one with fewer labels, then the first of the launches.
fn by_area_and_price(left: &Offer<'_>, right: &Offer<'_>) -> Ordering {
    let by_price = left.price.total_cmp(&right.price).then_with(|| right.room.cmp(&left.room));
    let order = |offer: &Offer<'_>| (offer.launch.template_labels().len(), offer.launch.position);
    left.area.cmp(&right.area).then(by_price).then_with(|| order(left).cmp(&order(right)))
}

/// Larger nodes of unknown price are taken to cost more.
#[expect(clippy::cast_precision_loss, reason = "a stand-in for a price that is not known")]
fn unknown_price(room: &[i64]) -> f64 {
    UNKNOWN_PRICE * (1.0 + room.iter().take(2).zip([1e3, 1e9]).map(|(amount, unit)| *amount as f64 / unit).sum::<f64>())
}

/// Without those that another beats, by price: one beats another that costs no less, has no more room of anything, and meets
/// no other needs. O(offers²).
fn unbeaten(mut offers: Vec<Offer<'_>>) -> Vec<Offer<'_>> {
    offers.sort_by(by_area_and_price);
    let mut kept: Vec<Offer<'_>> = Vec::new();
    for offer in offers {
        let beats = |other: &Offer<'_>| {
            other.room.iter().zip(&offer.room).all(|(other, own)| other >= own) && other.meets.includes(&offer.meets)
        };
        // The one that beats it most often is the last one.
        if !kept.iter().rev().any(beats) {
            kept.push(offer);
        }
    }
    kept
}
