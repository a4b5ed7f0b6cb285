//! What pods are worth: the least that their requests cost on nodes of the catalog.

use std::sync::Arc;

use super::super::Millionths;
use super::Inputs;
use crate::model::{Pod, Resources, in_units};
use crate::provision::dual_prices;
use crate::units::Money;

/// Price of a unit of each resource: the dual of the cheapest mixture of nodes that may be planned.
pub(super) struct Worth {
    per_resource: Vec<(String, f64)>,
}

impl Worth {
    /// For all pods that could come to new nodes. O(pods + launches).
    pub(super) fn of<'p>(pods: impl Iterator<Item = &'p &'p Arc<Pod>>, inputs: &Inputs<'_>) -> Self {
        let demand = Resources::sum(pods.map(|pod| &pod.requests));
        let names: Vec<String> =
            demand.amounts().filter(|(_, amount)| *amount > 0).map(|(name, _)| name.to_owned()).collect();
        let amounts = |resources: &Resources| -> Vec<f64> {
            names.iter().map(|name| in_units(name, resources.amount(name))).collect()
        };
        let offers: Vec<(Vec<f64>, f64)> = inputs
            .provisioning
            .allowed(inputs.catalog)
            .filter_map(|(kind, offering)| {
                let price = offering.price_per_hour?.units();
                Some((amounts(&inputs.provisioning.usable(&kind.allocatable)), price))
            })
            .collect();
        let limits = offers.iter().map(|(room, price)| (room.as_slice(), *price));
        let prices = dual_prices(limits, &amounts(&demand));
        Self { per_resource: names.into_iter().zip(prices).collect() }
    }

    /// Per hour.
    pub(super) fn of_pod(&self, pod: &Pod) -> f64 {
        let value = |(name, price): &(String, f64)| price * in_units(name, pod.requests.amount(name));
        self.per_resource.iter().map(value).sum()
    }
}

/// What may be spent of a price where so much of it is to be saved.
#[expect(clippy::cast_precision_loss, reason = "a guide; what is saved is counted in whole numbers")]
pub(super) fn share_of(price: Money, saved: Millionths) -> f64 {
    price.units() * (1.0 - saved as f64 / 1e6)
}
