//! What is requested of nodes, added up pod by pod.

use super::objection::Objection;
use super::site::{Site, SiteId};
use crate::model::{Resources, printed_amount};

/// The resources that pods request, each at its number.
#[derive(Debug, Default)]
pub(super) struct ResourceNames<'a> {
    names: Vec<&'a str>,
}

/// Number and amount of each resource that is requested at all.
pub(super) type Requests = Vec<(usize, u64)>;

impl<'a> ResourceNames<'a> {
    pub(super) fn requests(&mut self, requests: &'a Resources) -> Requests {
        let requested = requests.amounts().filter(|(_, amount)| *amount > 0);
        requested.map(|(resource, amount)| (self.number(resource), amount)).collect()
    }

    /// There are few of them.
    fn number(&mut self, resource: &'a str) -> usize {
        let known = self.names.iter().position(|name| *name == resource);
        known.unwrap_or_else(|| {
            self.names.push(resource);
            self.names.len() - 1
        })
    }
}

/// What is requested of each resource of each node.
#[derive(Debug)]
pub(super) struct Room<'a> {
    resources: Vec<&'a str>,
    /// By node and resource.
    requested: Vec<u128>,
}

impl<'a> Room<'a> {
    /// Of nodes that are all empty.
    pub(super) fn new(resources: ResourceNames<'a>, nodes: usize) -> Self {
        let ResourceNames { names } = resources;
        Self { requested: vec![0; nodes * names.len()], resources: names }
    }

    pub(super) fn add(&mut self, requests: &Requests, id: SiteId) {
        let first = id * self.resources.len();
        for (resource, amount) in requests {
            self.requested[first + resource] += u128::from(*amount);
        }
    }

    /// The rule `NodeResourcesFit`: the node must hold what is requested already and now, of every resource that is
    /// requested now.
    pub(super) fn check(&self, requests: &Requests, id: SiteId, site: &Site<'_>) -> Result<(), Objection> {
        let first = id * self.resources.len();
        for (number, amount) in requests {
            let resource = self.resources[*number];
            let allocatable = site.allocatable.amount(resource);
            let sum = self.requested[first + number] + u128::from(*amount);
            if sum > u128::from(allocatable) {
                let offered = printed_amount(resource, allocatable);
                let sum = printed_amount(resource, u64::try_from(sum).unwrap_or(u64::MAX));
                return Err(Objection::refused(format_args!("{sum} {resource} requested of {offered}")));
            }
        }
        Ok(())
    }
}
