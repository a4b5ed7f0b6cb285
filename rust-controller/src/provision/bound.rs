//! The least that any plan could cost, with prices by which anybody can verify it.
//!
//! Let every unit of a resource have a price such that no node type offers more, at these prices, than it costs:
//! `Σ perResource[r]·usable[t][r] + perNode ≤ price[t]` for each type `t` that the options allow. Then the pods' demand
//! at these prices is no more than the cost of any set of nodes that holds them. Here one resource carries the whole
//! price; the resource that gives the largest bound is taken.

use std::collections::BTreeMap;

use super::{Options, Plan, Verdict};
use crate::model::{Catalog, Resources};

/// A lower bound on the cost per hour of nodes for the planned pods.
#[derive(Clone, Debug, PartialEq)]
pub struct LowerBound {
    /// In the catalog's currency.
    pub per_hour: f64,
    /// Why it holds.
    pub certificate: Certificate,
}

/// Prices in dual form, per core, byte, pod slot or whole unit, and per node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Certificate {
    /// By resource name; a resource that is not named has the price 0.
    pub per_resource: BTreeMap<String, f64>,
    /// Per node, whatever its type.
    pub per_node: f64,
}

/// Keeps every rounding on the safe side: far above the error of a handful of floating-point operations.
const SAFETY: f64 = 1.0 - 1e-9;

impl LowerBound {
    /// The bound for the pods that a plan puts on new nodes; `None` where there are none, or an allowed node type has
    /// no price, or nothing that they request is for sale.
    #[must_use]
    pub fn of(plan: &Plan, catalog: &Catalog, options: &Options) -> Option<Self> {
        let demand = demand(plan);
        let prices = cheapest_units(catalog, options)?;
        let bounds = prices.into_iter().map(|(resource, price)| {
            let price = price * SAFETY;
            (price * in_units(&resource, demand.amount(&resource)) * SAFETY, resource, price)
        });
        let (per_hour, resource, price) = bounds.max_by(|left, right| left.0.total_cmp(&right.0))?;
        let certificate = Certificate { per_resource: BTreeMap::from([(resource, price)]), per_node: 0.0 };
        (per_hour > 0.0).then_some(Self { per_hour, certificate })
    }
}

/// What the pods on planned nodes request together.
fn demand(plan: &Plan) -> Resources {
    let planned = plan.pods.iter().filter(|planned| matches!(planned.verdict, Verdict::Planned { .. }));
    Resources::sum(planned.map(|planned| &planned.pod.requests))
}

/// For each resource, the least that one unit costs if it carries a node's whole price. A type without daemon pods
/// offers the most, so that the bound holds whichever of them come.
fn cheapest_units(catalog: &Catalog, options: &Options) -> Option<BTreeMap<String, f64>> {
    let mut cheapest: BTreeMap<String, f64> = BTreeMap::new();
    for (kind, offering) in options.allowed(catalog) {
        let price = offering.price_per_hour?.units();
        for (resource, amount) in kind.allocatable.amounts().filter(|(_, amount)| *amount > 0) {
            let least = cheapest.entry(resource.to_owned()).or_insert(f64::INFINITY);
            *least = least.min(price / in_units(resource, amount));
        }
    }
    Some(cheapest)
}

/// An amount in cores, bytes, pod slots or whole units.
#[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53; the bound is rounded to the safe side")]
fn in_units(resource: &str, amount: u64) -> f64 {
    if resource == "cpu" { amount as f64 / 1000.0 } else { amount as f64 }
}
