//! Planned nodes by themselves: that they are for sale, and what they say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Violation;
use super::daemons;
use super::site::Site;
use crate::feasibility::{Target, placement_refusal, requirement_matches};
use crate::model::{AttachCounts, Catalog, Labels, NodeType, Offering, Pod, Requirement, Resources, Taint};
use crate::provision::{Options, PlannedNode, Pool};
use crate::units::FastMap;

/// What may be planned, by node type, zone and capacity type.
struct ForSale<'a>(FastMap<(&'a str, &'a str, &'a str), (&'a NodeType, &'a Offering)>);

impl<'a> ForSale<'a> {
    fn allowed(catalog: &'a Catalog, options: &'a Options) -> Self {
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

/// Number of a launch.
pub(super) type LaunchId = usize;

/// A node type and offering with the labels of a pool: what planned nodes have in common that can be had, as they will
/// be.
struct Launch<'a> {
    labels: Labels,
    /// Those of its pool.
    taints: &'a [Taint],
    /// What may be requested of it: all but the headroom.
    allocatable: Resources,
    attach_limits: Arc<AttachCounts>,
    /// Positions of its daemon pods.
    daemons: Vec<usize>,
    daemon_requests: Resources,
    /// What its pool asks for and it has not.
    unmet: Vec<&'a Requirement>,
}

/// The launches that a plan makes. There are few of them for many nodes.
pub(super) struct Launches<'a> {
    for_sale: ForSale<'a>,
    options: &'a Options,
    pools: &'a BTreeMap<String, Pool>,
    daemons: &'a [Pod],
    all: Vec<Launch<'a>>,
    /// By node type, zone, capacity type and pool.
    numbers: FastMap<[&'a str; 4], LaunchId>,
}

impl<'a> Launches<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        options: &'a Options,
        pools: &'a BTreeMap<String, Pool>,
        daemons: &'a [Pod],
    ) -> Self {
        let for_sale = ForSale::allowed(catalog, options);
        Self { for_sale, options, pools, daemons, all: Vec::new(), numbers: FastMap::default() }
    }

    /// Those of the planned nodes that can be had, each with the launch that makes it; what is wrong with any is added.
    pub(super) fn obtainable(
        &mut self,
        nodes: &'a [PlannedNode],
        found: &mut Vec<Violation>,
    ) -> Vec<(&'a PlannedNode, LaunchId)> {
        let mut obtainable = Vec::new();
        for node in nodes {
            match self.of(node) {
                Ok(launch) => {
                    found.extend(self.violations(node, launch));
                    obtainable.push((node, launch));
                }
                Err(violation) => found.push(violation),
            }
        }
        obtainable
    }

    /// The launch that makes a planned node.
    ///
    /// # Errors
    /// Where no such node can be had, or nobody makes it.
    fn of(&mut self, node: &'a PlannedNode) -> Result<LaunchId, Violation> {
        let (kind, offering) = self.for_sale.of(node).map_err(|problem| Violation::new(&node.name, problem))?;
        let key = [&*kind.name, &*offering.zone, &*offering.capacity_type, &*node.pool];
        if let Some(known) = self.numbers.get(&key) {
            return Ok(*known);
        }
        let no_pool = || Violation::new(&node.name, "is of a pool that the plan does not have");
        let pool = self.pools.get(&node.pool).ok_or_else(no_pool)?;
        self.all.push(Launch::new(kind, offering, pool, self.daemons, self.options));
        self.numbers.insert(key, self.all.len() - 1);
        Ok(self.all.len() - 1)
    }

    pub(super) fn site<'s>(&'s self, node: &'s PlannedNode, launch: LaunchId) -> Site<'s> {
        let Launch { labels, taints, allocatable, attach_limits, .. } = &self.all[launch];
        let attach_limits = Some(&**attach_limits);
        Site {
            name: &node.name,
            labels,
            taints,
            unschedulable: false,
            allocatable,
            attach_limits,
            launch: Some(launch),
        }
    }

    /// Whether a node as it would be in a pool takes a pod, when nobody but its daemon pods is there.
    pub(super) fn would_take(&self, pod: &Pod, kind: &NodeType, offering: &Offering, pool: &Pool) -> bool {
        let Launch { labels, taints, allocatable, daemon_requests, .. } =
            Launch::new(kind, offering, pool, self.daemons, self.options);
        let room = allocatable.less(&daemon_requests);
        let site = Site {
            name: "",
            labels: &labels,
            taints,
            unschedulable: false,
            allocatable: &allocatable,
            attach_limits: None,
            launch: Some(LaunchId::MAX),
        };
        placement_refusal(&pod.placement, &site.target()).is_none()
            && pod.requests.amounts().all(|(resource, amount)| amount <= room.amount(resource))
    }

    /// Positions of the daemon pods of its nodes.
    pub(super) fn daemons(&self, launch: LaunchId) -> &[usize] {
        &self.all[launch].daemons
    }

    /// Its pool makes such a node, and it sets aside what its daemon pods request.
    fn violations(&self, node: &PlannedNode, launch: LaunchId) -> Vec<Violation> {
        let Launch { daemon_requests, unmet, .. } = &self.all[launch];
        let unmet = unmet.iter().map(|each| Violation::new(&node.name, format_args!("its pool asks for {each}")));
        let mut violations: Vec<Violation> = unmet.collect();
        if node.daemon_requests != *daemon_requests {
            violations.push(Violation::new(&node.name, "does not set aside what its daemon pods request"));
        }
        violations
    }
}

impl<'a> Launch<'a> {
    fn new(kind: &NodeType, offering: &Offering, pool: &'a Pool, daemons: &[Pod], options: &Options) -> Self {
        let mut labels = kind.labels_as(offering);
        labels.extend(pool.labels.clone());
        let taints = &pool.taints;
        let target = Target { taints, ..Target::new(&labels) };
        let unmet = pool.requirements.iter().filter(|each| !requirement_matches(each, target.label(&each.key)));
        let unmet = unmet.collect();
        let running = daemons::running(daemons, &target, &kind.allocatable);
        let daemon_requests = Resources::sum(running.iter().map(|position| &daemons[*position].requests));
        let allocatable = options.usable(&kind.allocatable);
        let attach_limits = Arc::clone(&kind.attach_limits);
        Self { labels, taints, allocatable, attach_limits, daemons: running, daemon_requests, unmet }
    }
}
