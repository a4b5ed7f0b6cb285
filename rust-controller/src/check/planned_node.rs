//! Planned nodes by themselves: that they are for sale, and what they say of themselves.

use std::collections::BTreeMap;

use super::Violation;
use super::daemons;
use super::site::Site;
use crate::feasibility::{Target, requirement_matches};
use crate::model::{Catalog, Labels, NodeType, Offering, Pod, Resources};
use crate::provision::{Options, PlannedNode, Pool};

/// What may be planned, by node type, zone and capacity type.
pub(super) struct ForSale<'a>(BTreeMap<(&'a str, &'a str, &'a str), (&'a NodeType, &'a Offering)>);

impl<'a> ForSale<'a> {
    pub(super) fn allowed(catalog: &'a Catalog, options: &'a Options) -> Self {
        let key = |kind: &'a NodeType, offering: &'a Offering| (&*kind.name, &*offering.zone, &*offering.capacity_type);
        Self(options.allowed(catalog).map(|(kind, offering)| (key(kind, offering), (kind, offering))).collect())
    }

    /// The node type and offering that a planned node claims to be.
    fn of(&self, node: &PlannedNode) -> Result<(&'a NodeType, &'a Offering), String> {
        let PlannedNode { instance_type, zone, capacity_type, price_per_hour, .. } = node;
        let (kind, offering) = self
            .0
            .get(&(instance_type.as_str(), zone.as_str(), capacity_type.as_str()))
            .ok_or_else(|| format!("no {capacity_type} {instance_type} in {zone} may be planned"))?;
        if offering.price_per_hour != *price_per_hour {
            return Err(format!("has not the price of {instance_type}"));
        }
        if kind.allocatable != node.allocatable {
            return Err(format!("has not the allocatable of {instance_type}"));
        }
        Ok((kind, offering))
    }
}

/// A planned node that can be had, as it will be.
pub(super) struct Launched<'a> {
    pub(super) node: &'a PlannedNode,
    labels: Labels,
    allocatable: &'a Resources,
    /// Its daemon pods.
    pub(super) daemons: Vec<&'a Pod>,
}

impl<'a> Launched<'a> {
    /// # Errors
    /// Where no such node can be had, or nobody makes it.
    pub(super) fn new(
        node: &'a PlannedNode,
        for_sale: &ForSale<'a>,
        pool: Option<&Pool>,
        daemons: &'a [Pod],
    ) -> Result<Self, Violation> {
        let (kind, offering) = for_sale.of(node).map_err(|problem| Violation::new(&node.name, problem))?;
        let pool = pool.ok_or_else(|| Violation::new(&node.name, "is of a pool that the plan does not have"))?;
        let mut labels = kind.labels_as(offering);
        labels.extend(pool.labels.clone());
        let mut launched = Self { node, labels, allocatable: &kind.allocatable, daemons: Vec::new() };
        launched.daemons = daemons::running(daemons, &launched.site().target());
        Ok(launched)
    }

    pub(super) fn site(&self) -> Site<'_> {
        Site {
            name: &self.node.name,
            labels: &self.labels,
            taints: &[],
            unschedulable: false,
            allocatable: self.allocatable,
            planned: true,
        }
    }

    /// Its pool makes such a node, and it sets aside what its daemon pods request.
    pub(super) fn violations(&self, pool: &Pool) -> Vec<Violation> {
        let Self { node, daemons, .. } = self;
        let site = self.site();
        let target: Target<'_> = site.target();
        let unmet = pool.requirements.iter().filter(|each| !requirement_matches(each, target.label(&each.key)));
        let mut violations: Vec<Violation> =
            unmet.map(|each| Violation::new(&node.name, format_args!("its pool asks for {each}"))).collect();
        if node.daemon_requests != Resources::sum(daemons.iter().map(|daemon| &daemon.requests)) {
            violations.push(Violation::new(&node.name, "does not set aside what its daemon pods request"));
        }
        violations
    }
}
