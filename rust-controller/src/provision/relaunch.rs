//! Planned nodes are launched otherwise at the same price, where that meets more of the soft rules of all pods together.
//!
//! A node gets another zone, type or capacity type, and keeps its host and its pods. Only where no hard rule can tell: none
//! counts its pods otherwise there, nor its daemon pods ([`Simulation::counts_alike`]). That one zone has a node less, and
//! another a node more, matters to nobody as long as pods were placed with the domains of all launches in mind: where any of
//! those was empty, a pod was placed as if the emptiest domain had no pods, and where none was, all of them stay.

use std::collections::{BTreeMap, BTreeSet};

use super::bins::Bin;
use super::exchange::{Exchange, Likeness, PlannedSpot};
use super::existing::Waiting;
use super::launch::{Launch, Launches};
use crate::feasibility::{ClassId, NodeId, Noticed, Simulation, Watchers};
use crate::model::Pod;
use crate::units::Money;

/// How often all nodes are looked at, as long as that helps.
const ROUNDS: usize = 3;

/// How many pods may be moved, and soft rules be asked, for all nodes together.
const MOST_STEPS: usize = 200_000;

/// What else decides how a node may be launched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many nodes stay in each zone.
    pub(super) nodes_per_zone: usize,
    /// Whether the domains of all launches counted where pods were placed.
    pub(super) all_domains_counted: bool,
}

/// A pod of those on existing nodes: the pod, the number of its node in [`Wishes`](crate::feasibility::Wishes), and the node.
pub(super) type OnExisting<'a> = (Waiting<'a>, usize, NodeId);

/// A node with pods that have soft rules.
struct Place<'a> {
    /// Among the nodes of [`Wishes`](crate::feasibility::Wishes).
    number: usize,
    /// Whose labels and taints it has.
    like: Likeness<'a>,
    /// By number of their soft rules.
    caring: BTreeMap<usize, Caring<'a>>,
}

/// Pods on a node that have the same soft rules.
struct Caring<'a> {
    /// One of them.
    position: usize,
    pod: &'a Pod,
    pods: u32,
    /// What is unmet for each.
    weight: u32,
}

/// What soft rules weigh at a place: the place, their number, and the weight.
type Weighed = (usize, usize, u32);

/// How good a launch is, the least being the best: the change of what is unmet; whether it is of another capacity type, or
/// another type; how many nodes its zone has already; and its type, zone and capacity type by name.
type Rank<'a> = (i64, bool, bool, usize, [&'a str; 3]);

struct Relaunching<'r, 'e, 'a> {
    bins: &'r mut [Bin<'a>],
    /// Its spots are those of the bins.
    exchange: &'r mut Exchange<'e, 'a>,
    launches: &'a Launches<'a>,
    limits: Limits,
    /// By number of the labels of the `NodePool`, and price, as planned nodes have them.
    priced: BTreeMap<(usize, Money), Vec<Launch<'a>>>,
    watchers: Watchers,
    /// The planned nodes, then the existing ones.
    places: Vec<Place<'a>>,
    /// By number of the soft rules, the places of the pods that have them.
    of_wish: BTreeMap<usize, BTreeSet<usize>>,
    /// By zone, how many nodes are planned there.
    nodes_in: BTreeMap<&'a str, usize>,
    steps_left: usize,
}

/// Launches planned nodes otherwise. Whether any is.
///
/// Each time the weight of what is unmet for all pods gets less. O(nodes × launches of a price × (pods of a node + pods whose
/// soft rules look at them)), and no more than [`MOST_STEPS`].
pub(super) fn relaunch<'a>(
    bins: &mut [Bin<'a>],
    exchange: &mut Exchange<'_, 'a>,
    on_existing: &[OnExisting<'a>],
    launches: &'a Launches<'a>,
    limits: Limits,
) -> bool {
    let mut relaunching = Relaunching::new(bins, exchange, on_existing, launches, limits);
    if !(0..relaunching.bins.len()).any(|at| relaunching.is_unmet_on(at)) {
        return false;
    }
    let key = |launch: Launch<'a>| Some((launches.number_of_labels(launch.series), launch.offering.price_per_hour?));
    relaunching.priced = relaunching.bins.iter().filter_map(|bin| Some((key(bin.launch)?, Vec::new()))).collect();
    for launch in launches.all() {
        if let Some(priced) = key(launch).and_then(|key| relaunching.priced.get_mut(&key)) {
            priced.push(launch);
        }
    }
    let rounds = (0..ROUNDS).take_while(|_| relaunching.round());
    rounds.count() > 0
}

impl<'r, 'e, 'a> Relaunching<'r, 'e, 'a> {
    fn new(
        bins: &'r mut [Bin<'a>],
        exchange: &'r mut Exchange<'e, 'a>,
        on_existing: &[OnExisting<'a>],
        launches: &'a Launches<'a>,
        limits: Limits,
    ) -> Self {
        let mut nodes_in: BTreeMap<&'a str, usize> = BTreeMap::new();
        for bin in bins.iter() {
            *nodes_in.entry(&bin.launch.offering.zone).or_default() += 1;
        }
        let places = places(exchange, on_existing);
        let mut of_wish: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (at, place) in places.iter().enumerate() {
            for wish in place.caring.keys() {
                of_wish.entry(*wish).or_default().insert(at);
            }
        }
        let watchers = exchange.wishes.watchers();
        let mut relaunching = Self {
            bins,
            exchange,
            launches,
            limits,
            priced: BTreeMap::new(),
            watchers,
            places,
            of_wish,
            nodes_in,
            steps_left: MOST_STEPS,
        };
        let everything: Vec<(usize, usize)> =
            relaunching.of_wish.iter().flat_map(|(wish, places)| places.iter().map(|at| (*at, *wish))).collect();
        let weighed = relaunching.weigh(everything);
        relaunching.note(&weighed);
        relaunching
    }

    /// Looks at every node once. Whether any is launched otherwise.
    fn round(&mut self) -> bool {
        let mut improved = false;
        for at in 0..self.bins.len() {
            if self.is_unmet_on(at)
                && let Some(launch) = self.best(at)
            {
                self.launch(at, launch);
                improved = true;
            }
        }
        improved
    }

    fn is_unmet_on(&self, at: usize) -> bool {
        self.places[at].caring.values().any(|caring| caring.weight > 0)
    }

    /// The launch at the node's price by which most is won, if anything is.
    fn best(&mut self, at: usize) -> Option<Launch<'a>> {
        let now = self.bins[at].launch;
        let labels = self.launches.number_of_labels(now.series);
        let same_price = self.priced.get(&(labels, now.offering.price_per_hour?))?;
        let possible: Vec<Launch<'a>> =
            same_price.iter().copied().filter(|launch| self.may_be_launched(at, *launch)).collect();
        let mut best: Option<(Rank<'a>, Launch<'a>)> = None;
        for launch in possible {
            let change = self.change(at, launch);
            let rank = self.rank(change, launch, now);
            if change < 0 && best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, launch));
            }
        }
        best.map(|(_, launch)| launch)
    }

    fn rank(&self, change: i64, launch: Launch<'a>, now: Launch<'_>) -> Rank<'a> {
        let names = [&launch.kind.name, &launch.offering.zone, &launch.offering.capacity_type].map(String::as_str);
        let other_capacity_type = launch.offering.capacity_type != now.offering.capacity_type;
        let nodes = self.nodes_in.get(launch.offering.zone.as_str()).copied().unwrap_or(0);
        (change, other_capacity_type, launch.kind.name != now.kind.name, nodes, names)
    }

    /// Whether a node could be launched like this with all its pods, and no hard rule would tell.
    fn may_be_launched(&self, at: usize, launch: Launch<'_>) -> bool {
        let now = self.bins[at].launch;
        let simulation: &Simulation = self.exchange.simulation;
        let (one, other) = (now.node(), launch.node());
        launch.position != now.position
            && self.may_leave_zone(now, launch)
            && self.has_room(at, launch)
            && (self.limits.all_domains_counted || simulation.in_same_domains(one, other))
            && simulation.held_count_alike(one, other)
            && self.one_of_each_class(at).values().all(|waiting| {
                !simulation.carries_more_than_room(waiting.class)
                    && simulation.counts_alike(waiting.class, one, other)
                    && self.launches.suits(waiting, other, simulation)
            })
    }

    fn may_leave_zone(&self, now: Launch<'_>, launch: Launch<'_>) -> bool {
        let zone = now.offering.zone.as_str();
        zone == launch.offering.zone || self.nodes_in.get(zone).is_some_and(|nodes| *nodes > self.limits.nodes_per_zone)
    }

    /// What is left of the node now counts the pods that are there.
    fn has_room(&self, at: usize, launch: Launch<'_>) -> bool {
        let Some(PlannedSpot { launch: now, left }) = &self.exchange.spots[at].planned else { return false };
        let rooms = now.room().into_iter().zip(launch.room());
        left.iter().zip(rooms).all(|(left, (now, then))| now - left <= then || now == *left)
    }

    fn one_of_each_class(&self, at: usize) -> BTreeMap<ClassId, &Waiting<'a>> {
        let pods = self.exchange.spots[at].pods.iter().map(|pod| &self.exchange.pods[*pod]);
        pods.map(|waiting| (waiting.class, waiting)).collect()
    }

    /// By how much more is unmet if a node is launched like this; 0 where its own pods win nothing by that, or where enough
    /// has been tried.
    fn change(&mut self, at: usize, launch: Launch<'a>) -> i64 {
        if self.steps_left == 0 {
            return 0;
        }
        let now = self.bins[at].launch;
        let noticed = self.relabel(at, now, launch);
        let own = self.weigh(self.own(at));
        let mut change = self.sum(&own);
        if change < 0 {
            let others = self.weigh(self.others(at, now, launch, &noticed));
            change += self.sum(&others);
        }
        self.relabel(at, launch, now);
        change
    }

    /// Launches a node like this.
    fn launch(&mut self, at: usize, launch: Launch<'a>) {
        let now = std::mem::replace(&mut self.bins[at].launch, launch);
        let noticed = self.relabel(at, now, launch);
        let concerned = [self.own(at), self.others(at, now, launch, &noticed)].concat();
        let weighed = self.weigh(concerned);
        self.note(&weighed);
        *self.nodes_in.entry(&now.offering.zone).or_default() -= 1;
        *self.nodes_in.entry(&launch.offering.zone).or_default() += 1;
        if let Some(PlannedSpot { launch: planned, left }) = &mut self.exchange.spots[at].planned {
            let rooms = planned.room().into_iter().zip(launch.room());
            left.iter_mut().zip(rooms).for_each(|(left, (now, then))| *left += then - now);
            *planned = launch;
        }
    }

    /// A node has the labels of another launch, and its daemon pods, as far as soft rules see.
    fn relabel(&mut self, at: usize, now: Launch<'_>, launch: Launch<'a>) -> Noticed {
        let Exchange { wishes, spots, pods, .. } = &mut *self.exchange;
        let number = spots[at].number;
        let on_node = || spots[at].pods.iter().map(|pod| pods[*pod].position);
        let (leaving, coming) = (wishes.of_more(&now.series.daemons), wishes.of_more(&launch.series.daemons));
        on_node().chain(leaving).for_each(|position| wishes.take(position, number));
        let noticed = wishes.relabel(number, &launch.target());
        on_node().chain(coming).for_each(|position| wishes.place(position, number));
        self.places[at].like = Likeness::Planned(launch);
        self.steps_left = self.steps_left.saturating_sub(spots[at].pods.len());
        noticed
    }

    /// The soft rules of a node's pods, with its place.
    fn own(&self, at: usize) -> Vec<(usize, usize)> {
        self.places[at].caring.keys().map(|wish| (at, *wish)).collect()
    }

    /// The soft rules of pods elsewhere that may find something else, each with the places of those pods.
    fn others(&self, at: usize, now: Launch<'_>, launch: Launch<'_>, noticed: &Noticed) -> Vec<(usize, usize)> {
        let Exchange { wishes, spots, pods, .. } = &*self.exchange;
        let on_node = spots[at].pods.iter().map(|pod| pods[*pod].position);
        let daemons =
            [&now.series.daemons, &launch.series.daemons].into_iter().flat_map(|daemons| wishes.of_more(daemons));
        let watching = wishes.watching(&self.watchers, on_node.chain(daemons), noticed);
        let of_wish = |wish: usize| {
            let places = self.of_wish.get(&wish).into_iter().flatten().filter(|place| **place != at);
            places.map(move |place| (*place, wish))
        };
        watching.into_iter().flat_map(of_wish).collect()
    }

    /// What these soft rules weigh at these places now.
    fn weigh(&mut self, asked: Vec<(usize, usize)>) -> Vec<Weighed> {
        self.steps_left = self.steps_left.saturating_sub(asked.len());
        let Exchange { wishes, simulation, .. } = &*self.exchange;
        let weigh = |(at, wish): (usize, usize)| {
            let Place { number, like, caring } = &self.places[at];
            let Caring { position, pod, .. } = caring.get(&wish)?;
            let unmet = wishes.unmet_there(*position, pod, *number, &like.target(simulation));
            Some((at, wish, unmet.weight))
        };
        asked.into_iter().filter_map(weigh).collect()
    }

    /// By how much more is unmet than before.
    fn sum(&self, weighed: &[Weighed]) -> i64 {
        let more = |(at, wish, weight): &Weighed| {
            let before = self.places[*at].caring.get(wish)?;
            Some((i64::from(*weight) - i64::from(before.weight)) * i64::from(before.pods))
        };
        weighed.iter().filter_map(more).sum()
    }

    fn note(&mut self, weighed: &[Weighed]) {
        for (at, wish, weight) in weighed {
            if let Some(caring) = self.places[*at].caring.get_mut(wish) {
                caring.weight = *weight;
            }
        }
    }
}

/// The planned nodes, then the existing ones that pods fit; nothing is weighed yet.
fn places<'a>(exchange: &Exchange<'_, 'a>, on_existing: &[OnExisting<'a>]) -> Vec<Place<'a>> {
    let Exchange { spots, pods, wishes, .. } = exchange;
    let place = |number: usize, like: Likeness<'a>| Place { number, like, caring: BTreeMap::new() };
    let mut places: Vec<Place<'a>> = spots.iter().map(|spot| place(spot.number, spot.likeness())).collect();
    let add = |place: &mut Place<'a>, Waiting { position, pod, .. }: &Waiting<'a>| {
        if let Some(wish) = wishes.number(*position) {
            let none = Caring { position: *position, pod, pods: 0, weight: 0 };
            place.caring.entry(wish).or_insert(none).pods += 1;
        }
    };
    for (spot, at) in spots.iter().zip(&mut places) {
        spot.pods.iter().for_each(|pod| add(at, &pods[*pod]));
    }
    let mut existing: BTreeMap<usize, Place<'a>> = BTreeMap::new();
    for (waiting, number, node) in on_existing {
        add(existing.entry(*number).or_insert_with(|| place(*number, Likeness::Existing(*node))), waiting);
    }
    places.extend(existing.into_values());
    places
}
