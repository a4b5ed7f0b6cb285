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

use std::collections::{BTreeMap, BTreeSet};

use super::existing::Waiting;
use super::market::{Market, Offer};
use super::prices::safe_prices;
use crate::feasibility::{ClassId, Seat, Simulation};
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
    /// How many nodes any plan needs at least; 1 where nothing keeps pods apart.
    pub fewest_nodes: u64,
    /// Why: one of the pods that keep each other off their host, of which there are so many.
    pub apart_like: Option<PodName>,
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
    /// How many there are.
    pub pods: u64,
    /// Price of each, per hour.
    pub per_pod: f64,
}

/// At most so many sizes of each resource are looked at.
const SIZES: usize = 12;

/// One row of the program: what a node offers of something, and how much of it there is to hold.
struct Row {
    kind: RowKind,
    demand: f64,
}

/// What a row counts.
enum RowKind {
    /// A resource, by number.
    Resource(usize),
    /// Nodes for pods that keep apart.
    Nodes { nodes: u64, like: Option<PodName> },
    /// Pods that request at least so much of some resources, by number.
    Large { at_least: Vec<(usize, i64)>, pods: u64, apart: Option<PodName> },
}

/// The pods that a plan puts on new nodes, by class.
type Held<'p> = BTreeMap<ClassId, Vec<&'p Waiting<'p>>>;

impl LowerBound {
    /// The bound for these pods; `None` where there are none, or a node type that may hold one has no price, or nothing that
    /// they request is for sale.
    pub(super) fn of(pods: &[&Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Option<Self> {
        let mut held: Held<'_> = BTreeMap::new();
        for waiting in pods {
            held.entry(waiting.class).or_default().push(waiting);
        }
        let needs: BTreeSet<usize> = held.keys().filter_map(|class| market.needs(*class)).collect();
        let usable = |offer: &&Offer<'_>| needs.iter().any(|needs| offer.meets.contains(*needs));
        let offers: Vec<&Offer<'_>> = market.of_types.iter().filter(usable).collect();
        if offers.is_empty() || market.has_unpriced(&needs) {
            return None;
        }
        let rows = rows(&held, simulation);
        let offered: Vec<Vec<f64>> =
            offers.iter().map(|offer| rows.iter().map(|row| row.kind.offered_by(offer)).collect()).collect();
        let demand: Vec<f64> = rows.iter().map(|row| row.demand).collect();
        let limits = offered.iter().zip(&offers).map(|(offered, offer)| (offered.as_slice(), offer.price));
        let (prices, per_hour) = safe_prices(limits, &demand);
        let certificate = Certificate { node_types: market.types(&needs), ..certificate(rows, &prices, simulation) };
        (per_hour > 0.0).then_some(Self { per_hour, certificate })
    }
}

/// Everything that could carry a price.
fn rows(held: &Held<'_>, simulation: &Simulation) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for resource in 0..simulation.resources().len() {
        let demand = total(held.iter().map(|(class, pods)| (amount_of(*class, resource, simulation), pods.len())));
        if demand > 0.0 {
            rows.push(Row { kind: RowKind::Resource(resource), demand });
            rows.extend(large(held, resource, None, simulation));
        }
    }
    let apart = Apart::most(held, simulation);
    rows.push(Row {
        demand: in_full(apart.nodes),
        kind: RowKind::Nodes { nodes: apart.nodes, like: apart.like.clone() },
    });
    if let Some(like) = apart.like {
        let of_group = held.iter().filter(|(class, _)| apart.classes.contains(class));
        let group: Held<'_> = of_group.map(|(class, pods)| (*class, pods.clone())).collect();
        for resource in 0..simulation.resources().len() {
            rows.extend(large(&group, resource, Some(&like), simulation));
        }
    }
    rows
}

/// Pods that need a host each.
struct Apart {
    classes: BTreeSet<ClassId>,
    nodes: u64,
    /// One of them; none where one node may hold all pods.
    like: Option<PodName>,
}

impl Apart {
    /// Those that need the most nodes. One node is needed in any case.
    fn most(held: &Held<'_>, simulation: &Simulation) -> Self {
        let mut groups: BTreeMap<Seat, BTreeSet<ClassId>> = BTreeMap::new();
        for class in held.keys() {
            // Pods that spread over hosts may share one where no other host counts.
            for (seat, _) in simulation.seats(*class).into_iter().filter(|(seat, _)| !matches!(seat, Seat::Spread(_))) {
                groups.entry(seat).or_default().insert(*class);
            }
        }
        let nothing = Self { classes: BTreeSet::new(), nodes: 1, like: None };
        groups.into_values().fold(nothing, |most, classes| {
            let members = || classes.iter().filter_map(|class| held.get(class)).flatten();
            let nodes = members().count() as u64;
            if nodes <= most.nodes {
                return most;
            }
            let like = members().map(|waiting| &waiting.pod.name).min().cloned();
            Self { classes, nodes, like }
        })
    }
}

/// A row for each of the largest sizes of a resource: the pods of at least this size, and the least that any of them requests
/// of everything.
fn large(
    held: &Held<'_>,
    resource: usize,
    apart: Option<&PodName>,
    simulation: &Simulation,
) -> impl Iterator<Item = Row> {
    let mut of_size: BTreeMap<i64, Large> = BTreeMap::new();
    for (class, pods) in held {
        let amount = amount_of(*class, resource, simulation);
        if amount > 1 {
            let alike = Large { pods: pods.len() as u64, at_least: simulation.requests(*class).to_vec() };
            let so_far = of_size.remove(&amount);
            of_size.insert(amount, Large::both(so_far, alike));
        }
    }
    let step = of_size.len().div_ceil(SIZES).max(1);
    let add = |larger: &mut Option<Large>, of_size: Large| {
        *larger = Some(Large::both(larger.take(), of_size));
        larger.clone()
    };
    let sizes: Vec<Large> = of_size.into_values().rev().scan(None, add).step_by(step).collect();
    let apart = apart.cloned();
    sizes.into_iter().map(move |Large { pods, at_least }| Row {
        kind: RowKind::Large { at_least, pods, apart: apart.clone() },
        demand: in_full(pods),
    })
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

fn total(amounts: impl Iterator<Item = (i64, usize)>) -> f64 {
    amounts.map(|(amount, pods)| in_full(amount.unsigned_abs()) * in_full(pods as u64)).sum()
}

#[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53; the bound is rounded to the safe side")]
fn in_full(amount: u64) -> f64 {
    amount as f64
}

impl RowKind {
    /// The most of it that a node holds.
    fn offered_by(&self, offer: &Offer<'_>) -> f64 {
        let room = |resource: usize| offer.room[resource].max(0);
        match self {
            Self::Resource(resource) => in_full(room(*resource).unsigned_abs()),
            Self::Nodes { .. } => 1.0,
            Self::Large { at_least, apart, .. } => {
                let fitting = at_least.iter().map(|(resource, least)| room(*resource) / least).min().unwrap_or(0);
                in_full(if apart.is_some() { fitting.min(1) } else { fitting }.unsigned_abs())
            }
        }
    }
}

fn certificate(rows: Vec<Row>, prices: &[f64], simulation: &Simulation) -> Certificate {
    let mut certificate = Certificate { fewest_nodes: 1, ..Certificate::default() };
    let name = |resource: usize| simulation.resources()[resource].clone();
    for (row, price) in rows.into_iter().zip(prices.iter().copied()).filter(|(_, price)| *price > 0.0) {
        match row.kind {
            RowKind::Resource(resource) => {
                // Cores, where the rows count thousandths.
                let unit = if name(resource) == "cpu" { 1000.0 } else { 1.0 };
                certificate.per_resource.insert(name(resource), price * unit);
            }
            RowKind::Nodes { nodes, like } => {
                certificate.per_node = price;
                certificate.fewest_nodes = nodes;
                certificate.apart_like = like;
            }
            RowKind::Large { at_least, pods, apart } => certificate.surcharges.push(Surcharge {
                at_least: at_least.into_iter().map(|(each, least)| (name(each), least.unsigned_abs())).collect(),
                apart_like: apart,
                pods,
                per_pod: price,
            }),
        }
    }
    certificate
}
