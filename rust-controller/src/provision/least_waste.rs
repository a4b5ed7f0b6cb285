//! The node type that fits one pod with the least waste.

use std::collections::{BTreeMap, BTreeSet};

use super::demands::ShapeClass;
use super::launch::{Launch, Launches, Series};
use super::shape::Shape;
use crate::feasibility::{ClassId, Miss, Obstacles, Refusal, Rule, Simulation};
use crate::model::{Offering, PodName, Resources};
use crate::units::Money;

/// The formula, for documents.
pub const FORMULA: &str = "waste = mean over cpu, memory and each extended resource of the node type of \
                           (allocatable - daemon pods - requests) / allocatable; least waste first, then the lower \
                           price (a price that is not known comes last), then the name";

/// How many candidates after the best are worth showing.
const RUNNERS_UP: usize = 4;

/// The choice for one class of pods, and how it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The node type with the least waste.
    pub best: Fit,
    /// The next ones, in order.
    pub runners_up: Vec<Fit>,
    /// How many node types fit, the best included.
    pub fitting_types: usize,
    /// How many node types each rule refuses.
    pub refused_types: BTreeMap<Rule, usize>,
}

/// A node type that fits, in its best offering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Node type.
    pub instance_type: String,
    /// Zone of the offering.
    pub zone: String,
    /// Capacity type of the offering.
    pub capacity_type: String,
    /// What pods may request of the node.
    pub allocatable: Resources,
    /// What its daemon pods request.
    pub daemon_requests: Resources,
    /// Namespaces and names of their DaemonSets.
    pub daemon_sets: Vec<PodName>,
    /// Order of preference.
    pub score: Score,
}

/// Order of preference among fitting node types: the smallest is the best. Among equals the type's name has the last
/// word, then the zone's, then the capacity type's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// Waste in millionths of the node.
    pub waste_millionths: u64,
    /// Per hour; see [`Price`].
    pub price_per_hour: Price,
}

/// A price that sorts after every known one where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Price {
    /// Per hour.
    Known(Money),
    /// Not in the catalog.
    Unknown,
}

/// Why no node type fits: the one that comes nearest, and how many types each rule refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// Node type.
    pub instance_type: String,
    /// Zone of the offering.
    pub zone: String,
    /// Why it does not fit.
    pub refusal: Refusal,
    /// How many node types each rule refuses.
    pub refused_types: BTreeMap<Rule, usize>,
}

/// Every launch, from the view of one class of pods.
pub(super) struct Ranking<'a> {
    class: ClassId,
    requests: Resources,
    launches: &'a Launches<'a>,
    /// The series that suit the class in one of its shapes, room aside, whatever the pods elsewhere.
    suiting: Vec<Way<'a>>,
    /// The others.
    unsuited: Vec<Way<'a>>,
}

/// A series in a shape that a class asks for.
#[derive(Clone, Copy)]
struct Way<'a> {
    series: &'a Series,
    shape: &'a ShapeClass,
}

/// A launch that suits a class.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    score: Score,
    launch: Launch<'a>,
    shape: &'a ShapeClass,
}

/// A launch that a class was refused.
#[derive(Clone, Copy)]
struct Missed<'a> {
    miss: Miss,
    launch: Launch<'a>,
    /// Number of the way that leads there.
    way: usize,
}

/// How the node types stand to a class, beside the pods that are there.
#[derive(Clone)]
struct Standing<'a> {
    fitting_types: usize,
    refused_types: BTreeMap<Rule, usize>,
    /// The launch that comes nearest among those of refused types.
    nearest: Option<Missed<'a>>,
}

/// By series and shape that a class asks for, what stands in its way there; none where nodes are not of the shape.
type Position = Vec<(usize, Option<Obstacles>)>;

/// What a class requests, by number of the resource.
type Requests = Vec<(usize, i64)>;

/// Standings that are known. Classes in one position stand alike to all types but for what they request, and may be thousands.
#[derive(Default)]
pub(super) struct Standings<'a>(BTreeMap<Position, (Vec<Stand<'a>>, BTreeMap<Requests, Standing<'a>>)>);

/// What launches of one type with one room have in common for all classes in a position.
struct Stand<'a> {
    obstacles: Option<Obstacles>,
    /// The first of them by zone and position.
    launch: Launch<'a>,
    room: Vec<i64>,
    /// Number of the way that leads there.
    way: usize,
}

impl<'a> Missed<'a> {
    /// Among launches of one type, the smallest is the nearest.
    fn order(&self) -> (Miss, &'a str, usize, usize) {
        (self.miss, &self.launch.offering.zone, self.launch.position, self.way)
    }

    /// Among those of all types.
    fn nearness(&self) -> (Miss, &'a str, &'a str) {
        (self.miss, &self.launch.kind.name, &self.launch.offering.zone)
    }
}

impl<'a> Ranking<'a> {
    /// Asks every series in every shape: O(shapes × series).
    pub(super) fn of(
        class: ClassId,
        requests: &Resources,
        shapes: &'a [ShapeClass],
        launches: &'a Launches<'a>,
        simulation: &Simulation,
    ) -> Self {
        let of_shape =
            |shape: &'a ShapeClass| launches.with_labels(&shape.shape).iter().map(move |series| Way { series, shape });
        let suits = |Way { series, shape }: &Way<'_>| {
            shape.is_of(simulation, series.node) && simulation.meets_needs(class, series.node)
        };
        let (suiting, unsuited) = shapes.iter().flat_map(of_shape).partition(suits);
        Self { class, requests: requests.clone(), launches, suiting, unsuited }
    }

    /// The series that admit a pod of the class now, if there is room.
    fn open(&self, simulation: &Simulation) -> impl Iterator<Item = Way<'a>> {
        self.suiting.iter().copied().filter(|way| simulation.is_open_beside_held(self.class, way.series.node))
    }

    /// The launches of a series that no other beats, with room for a pod of the class.
    fn fitting(
        &self,
        Way { series, shape }: Way<'a>,
        simulation: &Simulation,
    ) -> impl Iterator<Item = (Launch<'a>, &'a ShapeClass)> {
        let requests = simulation.requests(self.class);
        let launches = self.launches.worthwhile(series).filter(|launch| launch.fits(requests));
        launches.map(move |launch| (launch, shape))
    }

    /// All launches that admit a pod of the class now.
    fn admitting(&self, simulation: &Simulation) -> impl Iterator<Item = Candidate<'a>> {
        let requests = simulation.requests(self.class);
        let of_series = move |Way { series, shape }: Way<'a>| {
            let launches = self.launches.of_series(series).filter(|launch| launch.fits(requests));
            launches.map(move |launch| (launch, shape))
        };
        candidates(&self.requests, self.open(simulation).flat_map(of_series))
    }

    /// Whether some launch suits the class, whatever the pods elsewhere.
    pub(super) fn suits(&self, simulation: &Simulation) -> bool {
        self.suiting.iter().any(|way| self.fitting(*way, simulation).next().is_some())
    }

    /// Whether some launch admits a pod of the class now.
    pub(super) fn admits(&self, simulation: &Simulation) -> bool {
        self.open(simulation).any(|way| self.fitting(way, simulation).next().is_some())
    }

    /// The launches that admit a pod of the class now, the cheapest first; among those that cost the same, the one with the
    /// least waste. Those that another of their series beats are left out.
    pub(super) fn cheapest_admitting(&self, simulation: &Simulation) -> impl Iterator<Item = Launch<'a>> + use<'a> {
        let price = |(launch, _): &(Launch<'a>, &'a ShapeClass)| Price::of(launch.offering);
        let mut admitting: Vec<(Launch<'a>, &'a ShapeClass)> =
            self.open(simulation).flat_map(|way| self.fitting(way, simulation)).collect();
        admitting.sort_by_key(price);
        let alike = admitting.chunk_by(|one, other| price(one) == price(other));
        let alike: Vec<Vec<(Launch<'a>, &'a ShapeClass)>> = alike.map(<[_]>::to_vec).collect();
        let requests = self.requests.clone();
        // The first one is taken as a rule, so that others need not be compared.
        alike
            .into_iter()
            .flat_map(move |alike| in_order(candidates(&requests, alike)))
            .map(|candidate| candidate.launch)
    }

    /// The best launch, with the next best types beside it.
    pub(super) fn best(&self, simulation: &Simulation) -> Option<Choice> {
        let ranked = in_order(self.admitting(simulation));
        let best = ranked.first()?;
        let mut types = BTreeSet::from([best.launch.kind.name.as_str()]);
        let next_types = ranked.iter().filter(|candidate| types.insert(&candidate.launch.kind.name));
        let runners_up = next_types.take(RUNNERS_UP).map(|candidate| candidate.fit(self.launches)).collect();
        let Standing { fitting_types, refused_types, .. } = self.standing(&mut Standings::default(), simulation);
        Some(Choice { best: best.fit(self.launches), runners_up, fitting_types, refused_types })
    }

    /// The best type, or the one that comes nearest.
    pub(super) fn nearest_type(&self, simulation: &Simulation) -> Option<String> {
        let best = self.admitting(simulation).min_by(|left, right| left.order().cmp(&right.order()));
        let best = best.map(|candidate| candidate.launch);
        let nearest = || self.standing(&mut Standings::default(), simulation).nearest.map(|missed| missed.launch);
        best.or_else(nearest).map(|launch| launch.kind.name.clone())
    }

    /// Why no launch fits, where none does: its own refusal, or what closes the node once its daemon pods have come.
    /// `None` where there is nothing to choose from.
    pub(super) fn nearest_miss(
        &self,
        closed: Option<(Launch<'a>, Refusal)>,
        known: &mut Standings<'a>,
        simulation: &Simulation,
    ) -> Option<NearestMiss> {
        let Standing { fitting_types, mut refused_types, nearest } = self.standing(known, simulation);
        let (launch, refusal) = match (closed, nearest) {
            (Some((launch, refusal)), _) => {
                *refused_types.entry(refusal.rule()).or_default() += fitting_types;
                (launch, refusal)
            }
            (None, Some(Missed { launch, way, .. })) => {
                let room = launch.room();
                let of_shape = self.ways().nth(way)?.shape.refusal(simulation, launch.in_guise(&room));
                (launch, of_shape.or_else(|| simulation.refusal_in(self.class, launch.in_guise(&room)))?)
            }
            (None, None) => return None,
        };
        let (instance_type, zone) = (launch.kind.name.clone(), launch.offering.zone.clone());
        Some(NearestMiss { instance_type, zone, refusal, refused_types })
    }

    /// In both kinds of ways.
    fn ways(&self) -> impl Iterator<Item = &Way<'a>> {
        self.unsuited.iter().chain(&self.suiting)
    }

    /// Asks every series once more, now that pods have come, and every type about room: O(series + types), and O(launches) once
    /// for all classes in one position.
    fn standing(&self, known: &mut Standings<'a>, simulation: &Simulation) -> Standing<'a> {
        let obstacles = |Way { series, shape }: &Way<'a>| {
            let is_of_shape = shape.is_of(simulation, series.node);
            (series.number, is_of_shape.then(|| simulation.obstacles(self.class, series.node)))
        };
        let position: Position = self.ways().map(obstacles).collect();
        let in_position =
            known.0.entry(position).or_insert_with_key(|position| (self.stands(position), BTreeMap::new()));
        let (stands, of_requests) = in_position;
        let requests = simulation.requests(self.class).to_vec();
        of_requests.entry(requests).or_insert_with(|| self.standing_on(stands, simulation)).clone()
    }

    /// One for each type, room and obstacles: whatever is requested, the nearest launch is among these.
    fn stands(&self, position: &Position) -> Vec<Stand<'a>> {
        let mut of_type: Vec<Vec<Stand<'a>>> = (0..self.launches.type_count()).map(|_| Vec::new()).collect();
        for (way, (Way { series, .. }, (_, obstacles))) in self.ways().zip(position).enumerate() {
            for launch in self.launches.of_series(series) {
                let stands = &mut of_type[launch.number_of_type()];
                let order = |launch: &Launch<'a>| (launch.offering.zone.as_str(), launch.position);
                let alike = |stand: &&mut Stand<'a>| stand.obstacles == *obstacles && launch.has_room(&stand.room);
                match stands.iter_mut().find(alike) {
                    Some(stand) if order(&launch) < order(&stand.launch) => (stand.launch, stand.way) = (launch, way),
                    Some(_) => {}
                    None => stands.push(Stand { obstacles: *obstacles, launch, room: launch.room(), way }),
                }
            }
        }
        of_type.into_iter().flatten().collect()
    }

    fn standing_on(&self, stands: &[Stand<'a>], simulation: &Simulation) -> Standing<'a> {
        let types = self.launches.type_count();
        let mut fits = vec![false; types];
        let mut refused: Vec<Option<Missed<'a>>> = vec![None; types];
        for Stand { obstacles, launch, room, way } in stands {
            let number = launch.number_of_type();
            match miss(self.class, *obstacles, room, simulation) {
                None => fits[number] = true,
                Some(miss) => keep_nearest(&mut refused[number], Missed { miss, launch: *launch, way: *way }),
            }
        }
        let refused = refused.into_iter().zip(&fits).filter(|(_, fits)| !**fits);
        let refused: Vec<Missed<'a>> = refused.filter_map(|(missed, _)| missed).collect();
        let mut refused_types = BTreeMap::new();
        for missed in &refused {
            *refused_types.entry(missed.miss.rule()).or_default() += 1;
        }
        let nearest = refused.into_iter().min_by_key(Missed::nearness);
        Standing { fitting_types: fits.into_iter().filter(|fits| *fits).count(), refused_types, nearest }
    }
}

fn candidates<'a>(
    requests: &Resources,
    launches: impl IntoIterator<Item = (Launch<'a>, &'a ShapeClass)>,
) -> impl Iterator<Item = Candidate<'a>> {
    launches.into_iter().map(|(launch, shape)| Candidate { score: score(requests, launch), launch, shape })
}

/// The best first.
fn in_order<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Vec<Candidate<'a>> {
    let mut ranked: Vec<Candidate<'a>> = candidates.collect();
    ranked.sort_by(|left, right| left.order().cmp(&right.order()));
    ranked
}

fn keep_nearest<'a>(nearest: &mut Option<Missed<'a>>, here: Missed<'a>) {
    if nearest.is_none_or(|nearest| here.order() < nearest.order()) {
        *nearest = Some(here);
    }
}

/// How far a launch with so much room is from taking a pod of the class.
fn miss(class: ClassId, obstacles: Option<Obstacles>, room: &[i64], simulation: &Simulation) -> Option<Miss> {
    match obstacles {
        Some(obstacles) => simulation.miss_in(class, obstacles, room),
        None => Some(Miss::beyond_room(Rule::NodeAffinity, simulation.short_millionths(class, room))),
    }
}

fn score(requests: &Resources, launch: Launch<'_>) -> Score {
    let (mut sum, mut count) = (0_u128, 0_u128);
    for (name, amount, free) in launch.shares() {
        let left = free.saturating_sub(requests.amount(name));
        sum += u128::from(left) * 1_000_000 / u128::from(amount);
        count += 1;
    }
    Score {
        waste_millionths: u64::try_from(sum / count.max(1)).unwrap_or(u64::MAX),
        price_per_hour: Price::of(launch.offering),
    }
}

impl Price {
    fn of(offering: &Offering) -> Self {
        offering.price_per_hour.map_or(Self::Unknown, Self::Known)
    }
}

impl Candidate<'_> {
    /// The smallest is the best. Alternatives of a pod's affinity that are equal in everything else are in the order of
    /// their shape.
    fn order(&self) -> (Score, &str, &Offering, &Shape) {
        (self.score, &self.launch.kind.name, self.launch.offering, &self.shape.shape)
    }

    fn fit(&self, launches: &Launches<'_>) -> Fit {
        let Launch { kind, offering, .. } = self.launch;
        Fit {
            instance_type: kind.name.clone(),
            zone: offering.zone.clone(),
            capacity_type: offering.capacity_type.clone(),
            allocatable: kind.allocatable.clone(),
            daemon_requests: launches.daemon_requests(self.launch),
            daemon_sets: launches.daemon_sets(self.launch),
            score: self.score,
        }
    }
}

impl Fit {
    /// Per hour, where it is known.
    #[must_use]
    pub fn price_per_hour(&self) -> Option<Money> {
        match self.score.price_per_hour {
            Price::Known(price) => Some(price),
            Price::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Shaper, default_requirements, demands};
    use super::*;
    use crate::{catalog, lower};

    /// What depends on the launches alone is found once for pods that differ in what they request, for there may be thousands.
    #[test]
    fn pods_that_request_different_amounts_stand_in_one_position() {
        let pod = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at:02}}}\nspec: {{containers: [{{name: c, resources: \
                 {{requests: {{cpu: {}}}}}}}]}}\nstatus: {{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', \
                 reason: Unschedulable}}]}}\n",
                500 + at
            )
        };
        let manifest = lower::parse_manifest(&(0..30).map(pod).collect::<String>()).unwrap();
        let (snapshot, options) = (manifest.into_snapshot(), Options::default());
        let catalog = catalog::builtin("generic").unwrap();
        let shaper = Shaper::new(&catalog, default_requirements(&options, &snapshot));
        let (mut simulation, demands) = demands::simulate(&snapshot, &shaper, snapshot.nodes());
        let pods = || snapshot.pods().iter().map(|pod| &**pod);
        let launches = demands.launches(pods(), (&catalog, &options, None), &mut simulation);
        let mut known = Standings::default();
        let mut lacking = BTreeSet::new();
        for pod in pods() {
            let class = simulation.class_of(&pod.name).unwrap();
            let ranking = Ranking::of(class, &pod.requests, launches.shapes(pod).unwrap(), &launches, &simulation);
            lacking.insert(ranking.nearest_miss(None, &mut known, &simulation).unwrap().refusal.to_string());
        }
        assert_eq!(known.0.len(), 1);
        let (stands, of_requests) = known.0.values().next().unwrap();
        assert_eq!(stands.len(), launches.type_count(), "one of each type, in whatever zone");
        assert_eq!((of_requests.len(), lacking.len()), (30, 30));
    }
}
