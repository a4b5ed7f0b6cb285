//! The least that any plan could cost, with prices by which anybody can verify it.
//!
//! Give each unit of a resource a price, each node, and each pod of some groups of which a node holds few, so that no node
//! offers more, at these prices, than it costs:
//!
//! `Σ perResource[r]·room[t][r] + perNode + Σ perPod[g]·most[t][g] ≤ price[t]` for each type `t` that may hold one of the
//! pods, where `most[t][g]` is how many pods of the group `g` such a node holds at most. Whatever nodes hold the pods, what
//! they hold is then worth no more than they cost, and all pods together are worth
//!
//! `Σ perResource[r]·demand[r] + perNode·fewestNodes + Σ perPod[g]·pods[g]`,
//!
//! so no nodes for these pods cost less. The prices are those of [`dual_prices`](super::dual_prices), rounded to the safe side.
//! What nodes could hold that cost nothing is left out of that: their room of `demand[r]`, one each of `fewestNodes`, and
//! `most[t][g]` of `pods[g]`. And of nodes that are there, of which there is one each, what they offer beyond their price may be
//! more than nothing, and is taken from what the pods are worth.

use std::collections::{BTreeMap, BTreeSet};

use super::apart::{Apart, WhyApart, most_values};
use super::existing::Waiting;
use super::market::{Market, Offer};
use super::prices::{Limit, safe_prices};
use crate::feasibility::{ClassId, Simulation};
use crate::model::PodName;

/// A lower bound on the cost per hour of nodes for the planned pods.
#[derive(Clone, Debug, PartialEq)]
pub struct LowerBound {
    /// In the catalog's currency.
    pub per_hour: f64,
    /// Why it holds.
    pub certificate: Certificate,
}

/// Prices in dual form, per core, byte, pod slot or whole unit, per node, and per pod of some groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certificate {
    /// Node types that may hold one of the pods. No plan needs others.
    pub node_types: BTreeSet<String>,
    /// By resource name; a resource that is not named has the price 0.
    pub per_resource: BTreeMap<String, f64>,
    /// Per node, whatever its type.
    pub per_node: f64,
    /// How many nodes any plan needs at least; 1 where nothing keeps pods apart, 0 where nodes that cost nothing may hold all.
    pub fewest_nodes: u64,
    /// Why, where pods keep each other off their host, of which there are so many: one of them.
    pub apart_like: Option<PodName>,
    /// Why, where pods ask for so many values of one node label: its key.
    pub apart_by: Option<String>,
    /// On top of the resources that the pods request.
    pub surcharges: Vec<Surcharge>,
}

/// Pods of which a node holds few.
#[derive(Clone, Debug, PartialEq)]
pub struct Surcharge {
    /// They request at least so much of each of these resources, in the units of
    /// [`Resources::amount`](crate::model::Resources::amount). A node holds no more of them than its room holds so much.
    pub at_least: BTreeMap<String, u64>,
    /// Only those that keep off the same host as this pod; a node holds one of them.
    pub apart_like: Option<PodName>,
    /// How many there are, beyond those that nodes which cost nothing could hold.
    pub pods: u64,
    /// Price of each, per hour.
    pub per_pod: f64,
}

/// At most so many sizes of each resource are looked at.
const SIZES: usize = 12;

/// Pods that need a place, by class.
pub(super) type Held<'p> = BTreeMap<ClassId, Vec<&'p Waiting<'p>>>;

/// Nodes that may hold some of the pods.
pub(super) struct Offered<'r> {
    /// By number of the resource.
    pub(super) room: &'r [i64],
    pub(super) price: f64,
    /// How many of them there are; infinity for any number.
    pub(super) supply: f64,
}

impl<'r> Offered<'r> {
    pub(super) fn for_sale(offer: &'r Offer<'_>) -> Self {
        Self { room: &offer.room, price: offer.price, supply: f64::INFINITY }
    }
}

/// One row of the program: what a node offers of something, and how much of it there is to hold.
struct Row {
    what: Counted,
    demand: u64,
}

/// What a row counts.
enum Counted {
    /// A resource, by number.
    Resource(usize),
    /// Nodes, for pods that need so many.
    Nodes { why: Option<WhyApart> },
    /// Pods that request at least so much of some resources, by number.
    Large { at_least: Vec<(usize, i64)>, apart: Option<PodName> },
}

impl LowerBound {
    /// The bound for these pods; `None` where there are none, or a node type that may hold one has no price, or nothing that
    /// they request is for sale.
    pub(super) fn of(pods: &[&Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Option<Self> {
        let needs: BTreeSet<usize> = pods.iter().filter_map(|waiting| market.needs(waiting.class)).collect();
        let offers: Vec<Offered<'_>> = market.offers_to(&needs).map(Offered::for_sale).collect();
        if offers.is_empty() || market.has_unpriced(&needs) {
            return None;
        }
        let (per_hour, certificate) = certified(pods.iter().copied(), &offers, &[], simulation)?;
        Some(Self { per_hour, certificate: Certificate { node_types: market.types(&needs), ..certificate } })
    }
}

/// The least that these offers cost that would hold all pods which nodes that cost nothing, given by their free room, do not,
/// and why; `None` where that is nothing.
pub(super) fn certified<'p>(
    pods: impl Iterator<Item = &'p Waiting<'p>>,
    offers: &[Offered<'_>],
    free: &[Vec<i64>],
    simulation: &Simulation,
) -> Option<(f64, Certificate)> {
    let mut held = Held::new();
    for waiting in pods {
        held.entry(waiting.class).or_default().push(waiting);
    }
    let rows = rows(&held, free, simulation);
    let offered: Vec<Vec<f64>> =
        offers.iter().map(|offer| rows.iter().map(|row| in_full(row.what.offered_by(offer.room))).collect()).collect();
    let demand: Vec<f64> = rows.iter().map(|row| in_full(row.demand)).collect();
    let limits: Vec<Limit<'_>> = offered
        .iter()
        .zip(offers)
        .map(|(amounts, Offered { price, supply, .. })| Limit { amounts, price: *price, supply: *supply })
        .collect();
    let (prices, least) = safe_prices(&limits, &demand);
    (least > 0.0).then(|| (least, certificate(rows, &prices, simulation)))
}

/// Everything that could carry a price.
fn rows(held: &Held<'_>, free: &[Vec<i64>], simulation: &Simulation) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut one_is_needed = false;
    for resource in 0..simulation.resources().len() {
        let row = Row::of(Counted::Resource(resource), total(held, resource, simulation), free);
        one_is_needed |= row.is_some();
        rows.extend(row);
        rows.extend(large(held, resource, None, free, simulation));
    }
    let is_on_a_node = |waiting: &Waiting<'_>| waiting.pod.occupied_node().is_some();
    let all_are_new = free.is_empty() && !held.values().flatten().any(|waiting| is_on_a_node(waiting));
    let apart = Apart::most(held, all_are_new, simulation);
    let by_host = apart.as_ref().map(|Apart { like, nodes, .. }| (WhyApart::Like((*like).clone()), *nodes));
    let by_label = most_values(held, simulation).map(|(key, values)| (WhyApart::By(key), values));
    let most = by_host.into_iter().chain(by_label).reduce(|most, other| if other.1 > most.1 { other } else { most });
    let several = most.and_then(|(why, nodes)| Row::of(Counted::Nodes { why: Some(why) }, nodes, free));
    let one = || one_is_needed.then_some(Row { what: Counted::Nodes { why: None }, demand: 1 });
    rows.extend(several.filter(|row| row.demand > u64::from(one_is_needed)).or_else(one));
    if let Some(Apart { held, like, .. }) = &apart {
        let resources = 0..simulation.resources().len();
        rows.extend(resources.flat_map(|resource| large(held, resource, Some(like), free, simulation)));
    }
    rows
}

/// A row for each of the largest sizes of a resource: the pods of at least this size, and the least that any of them requests
/// of everything.
fn large(
    held: &Held<'_>,
    resource: usize,
    apart: Option<&PodName>,
    free: &[Vec<i64>],
    simulation: &Simulation,
) -> Vec<Row> {
    let mut of_size: BTreeMap<i64, Large> = BTreeMap::new();
    for (class, pods) in held {
        let amount = amount_of(*class, resource, simulation);
        if amount > 1 && !pods.is_empty() {
            // Slots for volumes carry no price.
            let requests =
                simulation.requests(*class).iter().filter(|(number, _)| *number < simulation.resources().len());
            let alike = Large { pods: pods.len() as u64, at_least: requests.copied().collect() };
            let so_far = of_size.remove(&amount);
            of_size.insert(amount, Large::both(so_far, alike));
        }
    }
    let step = of_size.len().div_ceil(SIZES).max(1);
    let add = |larger: &mut Option<Large>, of_size: Large| {
        *larger = Some(Large::both(larger.take(), of_size));
        larger.clone()
    };
    let sizes = of_size.into_values().rev().scan(None, add).step_by(step);
    let row = |Large { pods, at_least }| Row::of(Counted::Large { at_least, apart: apart.cloned() }, pods, free);
    sizes.filter_map(row).collect()
}

/// Pods, and the least that any of them requests.
#[derive(Clone)]
struct Large {
    pods: u64,
    at_least: Vec<(usize, i64)>,
}

impl Large {
    fn both(one: Option<Self>, other: Self) -> Self {
        let Some(one) = one else { return other };
        let requested = |resource: usize| other.at_least.iter().find(|(name, _)| *name == resource);
        let least = |(resource, amount): (usize, i64)| Some((resource, requested(resource)?.1.min(amount)));
        Self { pods: one.pods + other.pods, at_least: one.at_least.into_iter().filter_map(least).collect() }
    }
}

fn amount_of(class: ClassId, resource: usize, simulation: &Simulation) -> i64 {
    simulation.requests(class).iter().find(|(other, _)| *other == resource).map_or(0, |(_, amount)| *amount)
}

fn total(held: &Held<'_>, resource: usize, simulation: &Simulation) -> u64 {
    let amounts = held.iter().map(|(class, pods)| {
        amount_of(*class, resource, simulation).max(0).unsigned_abs().saturating_mul(pods.len() as u64)
    });
    amounts.fold(0, u64::saturating_add)
}

#[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53; the bound is rounded to the safe side")]
fn in_full(amount: u64) -> f64 {
    amount as f64
}

impl Row {
    /// For so much of something; `None` where nodes that cost nothing have room for it.
    fn of(what: Counted, amount: u64, free: &[Vec<i64>]) -> Option<Self> {
        let held = free.iter().map(|room| what.offered_by(room)).fold(0, u64::saturating_add);
        let demand = amount.saturating_sub(held);
        (demand > 0).then_some(Self { what, demand })
    }
}

impl Counted {
    /// The most of it that a node with so much room holds.
    fn offered_by(&self, room: &[i64]) -> u64 {
        let room = |resource: usize| room[resource].max(0);
        match self {
            Self::Resource(resource) => room(*resource).unsigned_abs(),
            Self::Nodes { .. } => 1,
            Self::Large { at_least, apart } => {
                let fitting = at_least.iter().map(|(resource, least)| room(*resource) / least).min().unwrap_or(0);
                if apart.is_some() { fitting.min(1) } else { fitting }.unsigned_abs()
            }
        }
    }
}

fn certificate(rows: Vec<Row>, prices: &[f64], simulation: &Simulation) -> Certificate {
    // Whatever keeps pods apart is said only where it has a price; that one node is needed follows from what is requested.
    let is_requested = |row: &Row| matches!(row.what, Counted::Resource(_));
    let mut certificate =
        Certificate { fewest_nodes: u64::from(rows.iter().any(is_requested)), ..Certificate::default() };
    let name = |resource: usize| simulation.resources()[resource].clone();
    for (row, price) in rows.into_iter().zip(prices.iter().copied()).filter(|(_, price)| *price > 0.0) {
        match row.what {
            Counted::Resource(resource) => {
                // Cores, where the rows count thousandths.
                let unit = if name(resource) == "cpu" { 1000.0 } else { 1.0 };
                certificate.per_resource.insert(name(resource), price * unit);
            }
            Counted::Nodes { why } => {
                certificate.per_node = price;
                certificate.fewest_nodes = row.demand;
                match why {
                    Some(WhyApart::Like(pod)) => certificate.apart_like = Some(pod),
                    Some(WhyApart::By(key)) => certificate.apart_by = Some(key),
                    None => {}
                }
            }
            Counted::Large { at_least, apart } => certificate.surcharges.push(Surcharge {
                at_least: at_least.into_iter().map(|(each, least)| (name(each), least.unsigned_abs())).collect(),
                apart_like: apart,
                pods: row.demand,
                per_pod: price,
            }),
        }
    }
    certificate
}
