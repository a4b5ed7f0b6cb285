//! The least that any nodes for the pods of a fleet would cost, with prices by which anybody can verify it.
//!
//! Give each unit of a resource a price, so that no node offers more, at these prices, than it costs: neither one that is
//! there, less the pods that come with it, nor any type of the catalog. What nodes hold is then worth no more than they cost.
//! All pods of the fleet together are worth `Σ price[r]·demand[r]`, and of that at most `Σ price[r]·free[r]` may find room
//! on nodes that are not counted, such as those of the control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Keep, NodePlan, Verdict};
use crate::model::{Catalog, Node, Pod, Resources, in_units, key};
use crate::provision::safe_prices;
use crate::snapshot::PodsByNode;
use crate::units::Money;

/// A lower bound on the cost per hour of nodes for the pods of those that count.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetBound {
    /// In the catalog's currency.
    pub per_hour: f64,
    /// Price of each core, byte, pod slot or whole unit; a resource that is not named has the price 0.
    pub per_resource: BTreeMap<String, f64>,
}

/// Something that holds pods.
struct Offer {
    room: Resources,
    price: f64,
}

impl FleetBound {
    /// The bound; `None` where a node that counts has no price, or none has pods that need one.
    pub(super) fn of(plans: &[NodePlan], pods_by_node: &PodsByNode<'_>, catalog: &Catalog) -> Option<Self> {
        let mut demand = Resources::default();
        let mut elsewhere = Resources::default();
        let mut offers = Vec::new();
        let mut capacity_types: BTreeSet<&str> = BTreeSet::new();
        for plan in plans {
            let node = &plan.node;
            let pods = pods_by_node.get(node.name.as_str()).map_or(&[][..], Vec::as_slice);
            let staying = pods.iter().filter(|pod| !pod.deleting);
            let (local, others): (Vec<_>, Vec<_>) = staying.partition(|pod| pod.ends_with_its_node());
            let sum = |pods: Vec<&&Arc<Pod>>| Resources::sum(pods.into_iter().map(|pod| &pod.requests));
            let (local, others) = (sum(local), sum(others));
            let room = node.allocatable.less(&local);
            if !plan.counts() {
                elsewhere.add(&room.less(&others));
                continue;
            }
            demand.add(&others);
            offers.push(Offer { room, price: plan.price_per_hour.map(Money::units)? });
            capacity_types.insert(capacity_type(node));
        }
        offers.extend(for_sale(catalog, &capacity_types));
        let names: Vec<String> =
            demand.amounts().filter(|(_, amount)| *amount > 0).map(|(name, _)| name.to_owned()).collect();
        let amounts = |resources: &Resources| -> Vec<f64> {
            names.iter().map(|name| in_units(name, resources.amount(name))).collect()
        };
        let offered: Vec<Vec<f64>> = offers.iter().map(|offer| amounts(&offer.room)).collect();
        let needed: Vec<f64> =
            amounts(&demand).iter().zip(amounts(&elsewhere)).map(|(demand, free)| (demand - free).max(0.0)).collect();
        let limits = offered.iter().zip(&offers).map(|(room, offer)| (room.as_slice(), offer.price));
        let (prices, per_hour) = safe_prices(limits, &needed);
        (per_hour > 0.0).then(|| Self {
            per_hour,
            per_resource: names.into_iter().zip(prices).filter(|(_, price)| *price > 0.0).collect(),
        })
    }
}

/// How a node was bought, as far as its labels say so.
pub(super) fn capacity_type(node: &Node) -> &str {
    node.labels.get(key::CAPACITY_TYPE).map_or("on-demand", String::as_str)
}

/// The types of a catalog, as they can be had in one of these ways.
fn for_sale<'c>(catalog: &'c Catalog, capacity_types: &BTreeSet<&str>) -> impl Iterator<Item = Offer> + use<'c> {
    let wanted: BTreeSet<String> = capacity_types.iter().map(|each| (*each).to_owned()).collect();
    catalog.types.iter().filter_map(move |kind| {
        let offered = kind.offerings.iter().filter(|offering| wanted.contains(&offering.capacity_type));
        let price = offered.filter_map(|offering| offering.price_per_hour).min()?;
        Some(Offer { room: kind.allocatable.clone(), price: price.units() })
    })
}

impl NodePlan {
    /// Whether its price would be saved if it went: whatever becomes of it, it is no node of the control plane, nor one that
    /// is going already, or of which nobody knows what it holds.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(
            self.verdict,
            Verdict::Keep(
                Keep::ControlPlane
                    | Keep::NotReady
                    | Keep::Deleting
                    | Keep::Cordoned
                    | Keep::NoAllocatable
                    | Keep::UnreadablePod
            )
        )
    }
}
