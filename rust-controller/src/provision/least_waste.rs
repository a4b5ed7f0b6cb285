//! The node type that fits one pod with the least waste.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map::Entry};

use super::launch::{Daemons, Launch};
use super::shape::Shape;
use crate::feasibility::{Refusal, placement_refusal, resource_refusal};
use crate::model::{Labels, Offering, Placement, PodName, Resources};
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
    /// How many node types each rule refuses, by rule.
    pub refused_types: BTreeMap<&'static str, usize>,
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
    /// The node as it would have to be.
    pub shape: Shape,
    /// Labels by which the node is known.
    pub type_labels: Labels,
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
    /// How many node types each rule refuses, by rule.
    pub refused_types: BTreeMap<&'static str, usize>,
}

/// Finds the best node type over all shapes, or the nearest miss. `None` where there is nothing to choose from.
///
/// Linear in shapes × launches.
pub(super) fn choose(
    requests: &Resources,
    shapes: &[(Shape, Placement)],
    launches: &[Launch<'_>],
    daemons: &Daemons,
) -> Result<Choice, Option<NearestMiss>> {
    let mut fits: BTreeMap<&str, Candidate<'_>> = BTreeMap::new();
    let mut misses: BTreeMap<&str, Miss> = BTreeMap::new();
    for (shape, placement) in shapes {
        for launch in launches {
            let name = launch.kind.name.as_str();
            let target = launch.target(&shape.template_labels);
            let usable = launch.kind.allocatable.less(&daemons.requests_on(launch, shape));
            let refusal = placement_refusal(placement, &target).or_else(|| resource_refusal(requests, &usable));
            match refusal {
                Some(refusal) => keep_least(&mut misses, name, Miss::of(refusal, requests, launch)),
                None => {
                    keep_least(&mut fits, name, Candidate { score: score(requests, &usable, launch), launch, shape });
                }
            }
        }
    }
    misses.retain(|name, _| !fits.contains_key(name));
    let mut refused_types = BTreeMap::new();
    for miss in misses.values() {
        *refused_types.entry(miss.refusal.rule()).or_default() += 1;
    }
    let mut ranked: Vec<Candidate<'_>> = fits.into_values().collect();
    ranked.sort();
    let mut ranked = ranked.into_iter().map(|candidate| candidate.fit(daemons));
    match ranked.next() {
        Some(best) => Ok(Choice { best, runners_up: ranked.take(RUNNERS_UP).collect(), refused_types }),
        None => Err(misses.into_values().min().map(|miss| miss.nearest(refused_types))),
    }
}

fn keep_least<'a, T: Ord>(best: &mut BTreeMap<&'a str, T>, name: &'a str, candidate: T) {
    match best.entry(name) {
        Entry::Vacant(entry) => drop(entry.insert(candidate)),
        Entry::Occupied(mut entry) if candidate < *entry.get() => drop(entry.insert(candidate)),
        Entry::Occupied(_) => {}
    }
}

fn score(requests: &Resources, usable: &Resources, launch: &Launch<'_>) -> Score {
    let left = usable.less(requests);
    let allocatable = &launch.kind.allocatable;
    let counted =
        allocatable.amounts().filter(|(name, amount)| *amount > 0 && !matches!(*name, "pods" | "ephemeral-storage"));
    let (mut sum, mut count) = (0_u128, 0_u128);
    for (name, amount) in counted {
        sum += u128::from(left.amount(name)) * 1_000_000 / u128::from(amount);
        count += 1;
    }
    Score {
        waste_millionths: u64::try_from(sum / count.max(1)).unwrap_or(u64::MAX),
        price_per_hour: launch.offering.price_per_hour.map_or(Price::Unknown, Price::Known),
    }
}

/// A node type that fits, in one of its offerings. The smallest is the best; alternatives of a pod's affinity that are
/// equal in everything else are in the order of their shape.
struct Candidate<'a> {
    score: Score,
    launch: &'a Launch<'a>,
    shape: &'a Shape,
}

impl Candidate<'_> {
    fn order(&self) -> (Score, &str, &str, &str, &Shape) {
        let Offering { zone, capacity_type, .. } = self.launch.offering;
        (self.score, &self.launch.kind.name, zone, capacity_type, self.shape)
    }

    fn fit(self, daemons: &Daemons) -> Fit {
        let Self { score, launch, shape } = self;
        let target = launch.target(&shape.template_labels);
        Fit {
            instance_type: launch.kind.name.clone(),
            zone: launch.offering.zone.clone(),
            capacity_type: launch.offering.capacity_type.clone(),
            allocatable: launch.kind.allocatable.clone(),
            daemon_requests: daemons.requests_on(launch, shape).into_owned(),
            daemon_sets: daemons.names_on(&target),
            score,
            shape: shape.clone(),
            type_labels: launch.kind.labels.clone(),
        }
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
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

/// A type that does not fit. The nearest is one whose labels suit and whose room is short by the smallest share; then
/// one that is refused for its labels.
struct Miss {
    refused_by_labels: bool,
    /// The largest share of a request that is missing, in millionths of the request.
    short_millionths: u128,
    instance_type: String,
    zone: String,
    refusal: Refusal,
}

impl Miss {
    fn order(&self) -> (bool, u128, &str, &str) {
        (self.refused_by_labels, self.short_millionths, &self.instance_type, &self.zone)
    }

    fn of(refusal: Refusal, requests: &Resources, launch: &Launch<'_>) -> Self {
        let (refused_by_labels, missing): (bool, Vec<_>) = match &refusal {
            Refusal::TooSmall(short) => (false, short.clone()),
            _ => (true, requests.shortfalls(&launch.kind.allocatable).collect()),
        };
        let share = |needed: u64, free: u64| u128::from(needed - free) * 1_000_000 / u128::from(needed.max(1));
        Self {
            refused_by_labels,
            short_millionths: missing.iter().map(|short| share(short.needed, short.free)).max().unwrap_or(0),
            instance_type: launch.kind.name.clone(),
            zone: launch.offering.zone.clone(),
            refusal,
        }
    }

    fn nearest(self, refused_types: BTreeMap<&'static str, usize>) -> NearestMiss {
        let Self { instance_type, zone, refusal, .. } = self;
        NearestMiss { instance_type, zone, refusal, refused_types }
    }
}

impl PartialEq for Miss {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Miss {}

impl PartialOrd for Miss {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Miss {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}
