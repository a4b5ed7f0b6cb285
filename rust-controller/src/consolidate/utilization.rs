//! How much of what a node offers is requested. Requests, never use.

use super::{Millionths, NodePlan};
use crate::model::Resources;

/// Requests over allocatable.
#[derive(Clone, Copy, Debug)]
pub struct Utilization<'a> {
    /// What the pods request.
    pub requested: &'a Resources,
    /// What the node offers.
    pub allocatable: &'a Resources,
}

impl<'a> Utilization<'a> {
    /// The share of one resource that is requested; 0 of what the node does not offer.
    #[must_use]
    pub fn share(self, resource: &str) -> Millionths {
        share_of(self.requested.amount(resource), self.allocatable.amount(resource))
    }

    /// The shares of CPU and memory, and of each other resource that the node offers, by name, in a fixed order.
    pub fn shares(self) -> impl Iterator<Item = (&'a str, Millionths)> {
        let shown = |(name, amount): &(&str, u64)| *amount > 0 || matches!(*name, "cpu" | "memory");
        self.allocatable.amounts().filter(shown).map(move |(name, _)| (name, self.share(name)))
    }

    /// The larger one of the shares of CPU and memory: what the threshold is about.
    #[must_use]
    pub fn largest(self) -> Millionths {
        self.share("cpu").max(self.share("memory"))
    }
}

impl NodePlan {
    /// Of all pods that run on the node.
    #[must_use]
    pub fn utilization(&self) -> Utilization<'_> {
        Utilization { requested: &self.requested, allocatable: &self.node.allocatable }
    }

    /// Of those that would need another place.
    #[must_use]
    pub fn utilization_without_daemon_sets(&self) -> Utilization<'_> {
        Utilization { requested: &self.requested_without_daemon_sets, allocatable: &self.node.allocatable }
    }
}

/// A part of a whole, in millionths, rounded down; 0 of nothing.
#[must_use]
fn share_of(part: u64, whole: u64) -> Millionths {
    let share = (u128::from(part) * 1_000_000).checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Cpu, Memory};

    #[test]
    fn every_resource_that_is_offered_has_a_share_and_what_is_not_offered_has_none() {
        let gpus = |count| [("nvidia.com/gpu".to_owned(), count), ("x.com/fpga".to_owned(), 1)].into();
        let requested = Resources {
            cpu: Cpu::millicores(500),
            memory: Memory::bytes(7),
            pods: 3,
            extended: gpus(1),
            ..Resources::default()
        };
        let mut extended: std::collections::BTreeMap<String, u64> = gpus(8);
        extended.remove("x.com/fpga");
        let allocatable = Resources { cpu: Cpu::millicores(2000), pods: 110, extended, ..Resources::default() };
        let utilization = Utilization { requested: &requested, allocatable: &allocatable };
        let shares: Vec<_> = utilization.shares().collect();
        assert_eq!(shares, [("cpu", 250_000), ("memory", 0), ("pods", 27_272), ("nvidia.com/gpu", 125_000)]);
        assert_eq!(utilization.largest(), 250_000);
    }
}
