//! Pods that get no node, though there is one for them.

use std::collections::{BTreeMap, BTreeSet};

use super::certificate::with_defaults;
use super::daemons;
use super::planned_node::LaunchId;
use super::site::Site;
use crate::feasibility::{Target, placement_admits};
use crate::model::{
    Catalog, HostPort, Labels, Neighbours, NodeType, Offering, Operator, Placement, Pod, Requirement, Resources, key,
};
use crate::provision::{Options, default_requirements};
use crate::snapshot::Snapshot;

/// What a new node is called that nobody plans. It is there only as long as a pod is asked about it.
const NAME: &str = "a new node";

/// A node that could be bought for a pod that gets none.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    /// What it is, for messages.
    pub(super) name: String,
    labels: Labels,
    allocatable: Resources,
    /// Positions of its daemon pods.
    pub(super) daemons: Vec<usize>,
    launch: LaunchId,
}

/// A pod that gets no node, with new nodes that are large enough and that it asks for.
#[derive(Debug)]
pub(super) struct LeftOut<'a> {
    pub(super) pod: &'a Pod,
    /// What it asks of a new node, with what is asked for it where it says nothing of that.
    placement: Placement,
    pub(super) probes: Vec<Probe>,
}

impl Probe {
    pub(super) fn site(&self) -> Site<'_> {
        let Self { labels, allocatable, launch, .. } = self;
        Site { name: NAME, labels, taints: &[], unschedulable: false, allocatable, launch: Some(*launch) }
    }
}

impl LeftOut<'_> {
    pub(super) fn is_spread_over_hosts(&self) -> bool {
        self.pod.neighbours.spread.iter().any(|constraint| constraint.topology_key == key::HOSTNAME)
    }

    /// Whether the labels of a planned node are what the pod asks for, be it by default; those that a `NodePool` adds for the
    /// sake of others are not.
    pub(super) fn asks_for(&self, site: &Site<'_>, pool_labels: &Labels) -> bool {
        let own = asked_labels(self.pod);
        pool_labels.iter().all(|(key, value)| own.get(key) == Some(value))
            && placement_admits(&self.placement, &site.target())
    }
}

/// So many pods at most are asked about.
const MOST_ASKED: usize = 1_000;

/// All that rules look at; volumes by the name of their pod.
type Traits<'a> = (&'a str, &'a Labels, &'a Resources, &'a Placement, &'a Neighbours, &'a [HostPort], Option<&'a str>);

/// Those of these pods that get no node which differ in something.
pub(super) fn left_out<'a>(
    pods: impl Iterator<Item = &'a Pod>,
    daemons: &[Pod],
    snapshot: &Snapshot,
    (catalog, options): (&Catalog, &Options),
) -> Vec<LeftOut<'a>> {
    let defaults = default_requirements(options, snapshot);
    let wares: Vec<Ware<'_>> =
        options.allowed(catalog).map(|(kind, offering)| Ware::of(kind, offering, options)).collect();
    let mut known: BTreeSet<Traits<'_>> = BTreeSet::new();
    let mut found: BTreeMap<(&Placement, &Resources), Vec<Probe>> = BTreeMap::new();
    let mut probes_before = 0;
    let of_pod = |pod: &'a Pod| {
        let placement = with_defaults(&pod.placement, &defaults);
        let alike = found.entry((&pod.placement, &pod.requests));
        let mut probes = alike.or_insert_with(|| probes(pod, &placement, daemons, &wares)).clone();
        for probe in &mut probes {
            // Far above those of the plan.
            probe.launch = LaunchId::MAX - probes_before;
            probes_before += 1;
        }
        LeftOut { pod, placement, probes }
    };
    pods.filter(|pod| known.insert(traits(pod))).take(MOST_ASKED).map(of_pod).collect()
}

fn traits(pod: &Pod) -> Traits<'_> {
    let Pod { name, labels, requests, placement, neighbours, host_ports, volumes, .. } = pod;
    let by_name = (!volumes.is_empty()).then_some(name.name.as_str());
    (&name.namespace, labels, requests, placement, neighbours, host_ports, by_name)
}

/// A node type in one of its offerings.
struct Ware<'a> {
    kind: &'a NodeType,
    offering: &'a Offering,
    labels: Labels,
    allocatable: Resources,
}

impl<'a> Ware<'a> {
    fn of(kind: &'a NodeType, offering: &'a Offering, options: &Options) -> Self {
        Self { kind, offering, labels: kind.labels_as(offering), allocatable: options.usable(&kind.allocatable) }
    }
}

/// In each zone and of each capacity type, the first node that a pod asks for and that has room for it beside its daemon
/// pods.
fn probes(pod: &Pod, placement: &Placement, daemons: &[Pod], wares: &[Ware<'_>]) -> Vec<Probe> {
    let template_labels = asked_labels(pod);
    let mut found: BTreeMap<(&str, &str), Probe> = BTreeMap::new();
    for ware in wares {
        let place = (ware.offering.zone.as_str(), ware.offering.capacity_type.as_str());
        if !found.contains_key(&place)
            && let Some(probe) = probe(pod, placement, daemons, (ware, &template_labels))
        {
            found.insert(place, probe);
        }
    }
    found.into_values().collect()
}

fn probe(
    pod: &Pod,
    placement: &Placement,
    daemons: &[Pod],
    (Ware { kind, offering, labels, allocatable }, template_labels): (&Ware<'_>, &Labels),
) -> Option<Probe> {
    let fits = |room: &Resources| pod.requests.amounts().all(|(resource, amount)| amount <= room.amount(resource));
    if !fits(allocatable) {
        return None;
    }
    let mut labels = labels.clone();
    for (key, value) in template_labels {
        labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let target = Target::new(&labels);
    if !placement_admits(placement, &target) {
        return None;
    }
    let daemons_there = daemons::running(daemons, &target, &kind.allocatable);
    let taken = Resources::sum(daemons_there.iter().map(|position| &daemons[*position].requests));
    let name = format!("a new {} in {}", kind.name, offering.zone);
    let probe = || Probe { name, labels, allocatable: allocatable.clone(), daemons: daemons_there, launch: 0 };
    fits(&allocatable.less(&taken)).then(probe)
}

/// Labels that a `NodePool` may add beyond doubt, of those that a pod asks for: on keys without a domain, with the first value
/// that will do.
fn asked_labels(pod: &Pod) -> Labels {
    let Placement { node_selector, node_affinity, .. } = &pod.placement;
    let in_terms = node_affinity.iter().flatten().flat_map(|term| &term.labels);
    let asked = in_terms.filter(|asked| asked.operator == Operator::In);
    let asked = asked.filter_map(|Requirement { key, values, .. }| Some((key, values.first()?)));
    let all = asked.chain(node_selector).filter(|(key, _)| !key.contains('/'));
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}
