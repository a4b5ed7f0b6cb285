//! What is requested of a node, added up pod by pod.

use std::collections::BTreeMap;

use super::objection::Objection;
use crate::model::{Resources, printed_amount};

/// Requests by resource name.
#[derive(Clone, Debug, Default)]
pub(super) struct Room<'a> {
    requested: BTreeMap<&'a str, u128>,
}

impl<'a> Room<'a> {
    pub(super) fn add(&mut self, requests: &'a Resources) {
        for (resource, amount) in requests.amounts() {
            *self.requested.entry(resource).or_default() += u128::from(amount);
        }
    }

    /// The rule `NodeResourcesFit`: the node must hold what is requested already and now, of every resource that is
    /// requested now.
    pub(super) fn check(&self, requests: &Resources, allocatable: &Resources) -> Result<(), Objection> {
        for (resource, amount) in requests.amounts().filter(|(_, amount)| *amount > 0) {
            let sum = self.requested.get(resource).copied().unwrap_or(0) + u128::from(amount);
            if sum > u128::from(allocatable.amount(resource)) {
                let offered = printed_amount(resource, allocatable.amount(resource));
                let sum = printed_amount(resource, u64::try_from(sum).unwrap_or(u64::MAX));
                return Err(Objection::refused(format_args!("{sum} {resource} requested of {offered}")));
            }
        }
        Ok(())
    }
}
