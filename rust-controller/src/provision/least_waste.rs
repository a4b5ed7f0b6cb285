//! The node type that fits one pod with the least waste.

use std::collections::{BTreeMap, BTreeSet};

use super::launch::{Launch, Launches, ShapeClass};
use super::shape::Shape;
use crate::feasibility::{ClassId, Miss, NodeId, Refusal, Rule, Simulation};
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
    /// The launches that suit the class, whatever the pods elsewhere; the best first.
    suiting: Vec<Candidate<'a>>,
    /// The others.
    unsuited: Vec<(&'a Launch<'a>, &'a ShapeClass)>,
}

/// A launch that suits a class.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    score: Score,
    launch: &'a Launch<'a>,
    shape: &'a ShapeClass,
}

/// A launch that a class was refused.
#[derive(Clone, Copy)]
struct Missed<'a> {
    miss: Miss,
    launch: &'a Launch<'a>,
    shape: &'a ShapeClass,
}

/// How the node types stand to a class, beside the pods that are there.
struct Standing<'a> {
    fitting_types: usize,
    refused_types: BTreeMap<Rule, usize>,
    /// The launch that comes nearest among those of refused types.
    nearest: Option<Missed<'a>>,
}

impl<'a> Missed<'a> {
    /// Among launches of one type, the smallest is the nearest.
    fn order(&self) -> (Miss, &'a str, NodeId) {
        (self.miss, &self.launch.offering.zone, self.launch.node)
    }

    /// Among those of all types.
    fn nearness(&self) -> (Miss, &'a str, &'a str) {
        (self.miss, &self.launch.kind.name, &self.launch.offering.zone)
    }
}

impl<'a> Ranking<'a> {
    /// Ranks every launch in every shape: O(l·log l) for `l` shapes × launches.
    pub(super) fn of(
        class: ClassId,
        requests: &Resources,
        shapes: &'a [ShapeClass],
        launches: &'a Launches<'a>,
        simulation: &Simulation,
    ) -> Self {
        let mut suiting = Vec::new();
        let mut unsuited = Vec::new();
        for shape in shapes {
            for launch in launches.of(&shape.shape) {
                if shape.is_of(simulation, launch.node) && simulation.suits(class, launch.node) {
                    suiting.push(Candidate { score: score(requests, launch, simulation), launch, shape });
                } else {
                    unsuited.push((launch, shape));
                }
            }
        }
        suiting.sort_by(|left, right| left.order().cmp(&right.order()));
        Self { class, suiting, unsuited }
    }

    /// Positions of the launches that admit a pod of the class now, the best first.
    fn admitting(&self, simulation: &Simulation) -> impl Iterator<Item = usize> {
        let admits = |candidate: &Candidate<'_>| simulation.may_run_beside_held(self.class, candidate.launch.node);
        self.suiting.iter().enumerate().filter(move |(_, candidate)| admits(candidate)).map(|(position, _)| position)
    }

    /// Whether some launch suits the class, whatever the pods elsewhere.
    pub(super) fn suits(&self) -> bool {
        !self.suiting.is_empty()
    }

    /// Whether some launch admits a pod of the class now.
    pub(super) fn admits(&self, simulation: &Simulation) -> bool {
        self.admitting(simulation).next().is_some()
    }

    /// Positions of the launches that admit a pod of the class now, the cheapest first; among those that cost the same, the
    /// one with the least waste.
    pub(super) fn cheapest_admitting(&self, simulation: &Simulation) -> Vec<usize> {
        let mut positions: Vec<usize> = self.admitting(simulation).collect();
        positions.sort_by_key(|position| (self.suiting[*position].score.price_per_hour, *position));
        positions
    }

    /// The launch at a position of the ranking.
    pub(super) fn launch(&self, position: usize) -> &'a Launch<'a> {
        self.suiting[position].launch
    }

    /// The best launch, with the next best types beside it.
    pub(super) fn best(&self, launches: &Launches<'_>, simulation: &Simulation) -> Option<Choice> {
        let best = &self.suiting[self.admitting(simulation).next()?];
        let mut types = BTreeSet::from([best.launch.kind.name.as_str()]);
        let admitting = self.admitting(simulation).map(|position| &self.suiting[position]);
        let next_types = admitting.filter(|candidate| types.insert(&candidate.launch.kind.name));
        let runners_up = next_types.take(RUNNERS_UP).map(|candidate| candidate.fit(launches)).collect();
        let Standing { fitting_types, refused_types, .. } = self.standing(simulation);
        Some(Choice { best: best.fit(launches), runners_up, fitting_types, refused_types })
    }

    /// The best type, or the one that comes nearest.
    pub(super) fn nearest_type(&self, simulation: &Simulation) -> Option<String> {
        let best = self.admitting(simulation).next().map(|position| self.suiting[position].launch);
        let nearest = || self.standing(simulation).nearest.map(|missed| missed.launch);
        best.or_else(nearest).map(|launch| launch.kind.name.clone())
    }

    /// Why no launch fits, where none does: its own refusal, or what closes the node once its daemon pods have come.
    /// `None` where there is nothing to choose from.
    pub(super) fn nearest_miss(
        &self,
        closed: Option<(usize, Refusal)>,
        simulation: &Simulation,
    ) -> Option<NearestMiss> {
        let Standing { fitting_types, mut refused_types, nearest } = self.standing(simulation);
        let (launch, refusal) = match (closed, nearest) {
            (Some((position, refusal)), _) => {
                *refused_types.entry(refusal.rule()).or_default() += fitting_types;
                (self.suiting[position].launch, refusal)
            }
            (None, Some(Missed { launch, shape, .. })) => {
                let of_shape = shape.refusal(simulation, launch.node);
                (launch, of_shape.or_else(|| simulation.refusal(self.class, launch.node))?)
            }
            (None, None) => return None,
        };
        let (instance_type, zone) = (launch.kind.name.clone(), launch.offering.zone.clone());
        Some(NearestMiss { instance_type, zone, refusal, refused_types })
    }

    /// Asks every launch once more, now that pods have come.
    fn standing(&self, simulation: &Simulation) -> Standing<'a> {
        let mut fitting = BTreeSet::new();
        let mut refused = BTreeMap::new();
        for (launch, shape) in &self.unsuited {
            if let Some(miss) = miss(self.class, shape, launch, simulation) {
                keep_nearest(&mut refused, Missed { miss, launch, shape });
            }
        }
        for Candidate { launch, shape, .. } in &self.suiting {
            match simulation.miss(self.class, launch.node) {
                None => drop(fitting.insert(launch.kind.name.as_str())),
                Some(miss) => keep_nearest(&mut refused, Missed { miss, launch, shape }),
            }
        }
        refused.retain(|name, _| !fitting.contains(name));
        let mut refused_types = BTreeMap::new();
        for missed in refused.values() {
            *refused_types.entry(missed.miss.rule()).or_default() += 1;
        }
        let nearest = refused.into_values().min_by_key(Missed::nearness);
        Standing { fitting_types: fitting.len(), refused_types, nearest }
    }
}

fn keep_nearest<'a>(misses: &mut BTreeMap<&'a str, Missed<'a>>, here: Missed<'a>) {
    let nearest = misses.entry(&here.launch.kind.name).or_insert(here);
    if here.order() < nearest.order() {
        *nearest = here;
    }
}

/// How far a launch is from taking a pod of the class on a node of the shape.
fn miss(class: ClassId, shape: &ShapeClass, launch: &Launch<'_>, simulation: &Simulation) -> Option<Miss> {
    if shape.is_of(simulation, launch.node) {
        return simulation.miss(class, launch.node);
    }
    Some(Miss::beyond_room(Rule::NodeAffinity, simulation.short_millionths(class, launch.node)))
}

fn score(requests: &Resources, launch: &Launch<'_>, simulation: &Simulation) -> Score {
    let allocatable = &launch.kind.allocatable;
    let counted =
        allocatable.amounts().filter(|(name, amount)| *amount > 0 && !matches!(*name, "pods" | "ephemeral-storage"));
    let (mut sum, mut count) = (0_u128, 0_u128);
    for (name, amount) in counted {
        // A resource that nobody requests is all left.
        let free = simulation.free(launch.node, name).map_or(amount, |free| u64::try_from(free).unwrap_or(0));
        let left = free.saturating_sub(requests.amount(name));
        sum += u128::from(left) * 1_000_000 / u128::from(amount);
        count += 1;
    }
    Score {
        waste_millionths: u64::try_from(sum / count.max(1)).unwrap_or(u64::MAX),
        price_per_hour: launch.offering.price_per_hour.map_or(Price::Unknown, Price::Known),
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
