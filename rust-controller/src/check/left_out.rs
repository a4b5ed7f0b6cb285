//! Pods that get no node, though there is one for them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::daemons;
use super::planned_node::LaunchId;
use super::pool_labels::{Alternative, alternatives, type_keys};
use super::site::Site;
use crate::feasibility::{Target, placement_admits};
use crate::model::{
    AttachCounts, Catalog, HostPort, Labels, Neighbours, NodeType, Offering, Placement, Pod, Resources, key,
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
    attach_limits: Arc<AttachCounts>,
    /// Positions of its daemon pods.
    pub(super) daemons: Vec<usize>,
    launch: LaunchId,
}

/// A pod that gets no node, with new nodes that are large enough and that it asks for.
#[derive(Debug)]
pub(super) struct LeftOut<'a> {
    pub(super) pod: &'a Pod,
    /// What it asks of a new node.
    alternatives: Rc<[Alternative]>,
    pub(super) probes: Vec<Probe>,
}

impl Probe {
    pub(super) fn site(&self) -> Site<'_> {
        let Self { labels, allocatable, attach_limits, launch, .. } = self;
        let attach_limits = Some(&**attach_limits);
        Site {
            name: NAME,
            labels,
            taints: &[],
            unschedulable: false,
            allocatable,
            attach_limits,
            launch: Some(*launch),
        }
    }
}

impl LeftOut<'_> {
    pub(super) fn is_spread_over_hosts(&self) -> bool {
        self.pod.neighbours.spread.iter().any(|constraint| constraint.topology_key == key::HOSTNAME)
    }

    /// Whether the labels of a planned node are what the pod asks for, be it by default; those that a `NodePool` adds for the
    /// sake of others are not.
    pub(super) fn asks_for(&self, site: &Site<'_>, pool_labels: &Labels) -> bool {
        self.alternatives.iter().any(|Alternative { placement, labels }| {
            pool_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
                && placement_admits(placement, &site.target())
        })
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
    let asked: Vec<&Pod> = pods.filter(|pod| known.insert(traits(pod))).take(MOST_ASKED).collect();
    let type_keys = type_keys(catalog);
    let placements: BTreeSet<&Placement> = asked.iter().map(|pod| &pod.placement).collect();
    let of_placement = |placement| (placement, alternatives(placement, &type_keys, &defaults).into());
    let asking: Asking<'_> = placements.into_iter().map(of_placement).collect();
    let found = probes(&asked, &asking, daemons, &wares);
    let mut probes_before = 0;
    let of_pod = |pod: &'a Pod| {
        let mut probes = found[&(&pod.placement, &pod.requests)].clone();
        for probe in &mut probes {
            // Far above those of the plan.
            probe.launch = LaunchId::MAX - probes_before;
            probes_before += 1;
        }
        LeftOut { pod, alternatives: Rc::clone(&asking[&pod.placement]), probes }
    };
    asked.into_iter().map(of_pod).collect()
}

fn traits(pod: &Pod) -> Traits<'_> {
    let Pod { name, labels, requests, placement, neighbours, host_ports, volumes, .. } = pod;
    let by_name = (!volumes.is_empty()).then_some(name.name.as_str());
    (&name.namespace, labels, requests, placement, neighbours, host_ports, by_name)
}

/// What placements ask of a new node.
type Asking<'a> = BTreeMap<&'a Placement, Rc<[Alternative]>>;

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

/// For each placement and what is requested with it, in each zone, of each capacity type, of those that can attach as many
/// volumes, and with each set of labels that a pool may add, the first node that it asks for and that has room for it beside its
/// daemon pods.
///
/// What a placement asks for is found once, since pods of one placement may differ by the thousand in what they request.
fn probes<'a>(
    pods: &[&'a Pod],
    asking: &Asking<'_>,
    daemons: &[Pod],
    wares: &[Ware<'_>],
) -> BTreeMap<(&'a Placement, &'a Resources), Vec<Probe>> {
    let mut by_placement: BTreeMap<&Placement, BTreeSet<&Resources>> = BTreeMap::new();
    for pod in pods {
        by_placement.entry(&pod.placement).or_default().insert(&pod.requests);
    }
    let of_placement = |(placement, all_requests): (&'a Placement, BTreeSet<&'a Resources>)| {
        let large_enough = |ware: &&Ware<'_>| all_requests.iter().any(|requests| fits(requests, &ware.allocatable));
        let wares: Vec<&Ware<'_>> = wares.iter().filter(large_enough).collect();
        let suiting: Vec<Suiting<'_>> =
            asking[placement].iter().flat_map(|alternative| suiting(alternative, daemons, &wares)).collect();
        let found: Vec<Vec<Probe>> = all_requests.iter().map(|requests| first_fitting(requests, &suiting)).collect();
        all_requests.into_iter().map(move |requests| (placement, requests)).zip(found)
    };
    by_placement.into_iter().flat_map(of_placement).collect()
}

/// A node that a placement asks for.
struct Suiting<'w> {
    ware: &'w Ware<'w>,
    /// Labels that its pool adds.
    template_labels: &'w Labels,
    /// Positions of its daemon pods.
    daemons: Vec<usize>,
    /// What these leave.
    room: Resources,
}

fn suiting<'w>(
    Alternative { placement, labels: template_labels }: &'w Alternative,
    daemons: &[Pod],
    wares: &[&'w Ware<'w>],
) -> Vec<Suiting<'w>> {
    let suiting = |ware: &&'w Ware<'w>| {
        let Ware { kind, labels, allocatable, .. } = ware;
        let target = Target { template_labels, ..Target::new(labels) };
        if !placement_admits(placement, &target) {
            return None;
        }
        let there = daemons::running(daemons, &target, &kind.allocatable);
        let taken = Resources::sum(there.iter().map(|position| &daemons[*position].requests));
        Some(Suiting { ware, daemons: there, room: allocatable.less(&taken), template_labels })
    };
    wares.iter().filter_map(suiting).collect()
}

fn fits(requests: &Resources, room: &Resources) -> bool {
    requests.amounts().all(|(resource, amount)| amount <= room.amount(resource))
}

fn first_fitting(requests: &Resources, suiting: &[Suiting<'_>]) -> Vec<Probe> {
    let mut found: BTreeMap<(&Labels, &str, &str, &AttachCounts), Probe> = BTreeMap::new();
    for suiting in suiting.iter().filter(|suiting| fits(requests, &suiting.room)) {
        let Offering { zone, capacity_type, .. } = suiting.ware.offering;
        let alike = (suiting.template_labels, zone.as_str(), capacity_type.as_str(), &*suiting.ware.kind.attach_limits);
        found.entry(alike).or_insert_with(|| suiting.probe());
    }
    found.into_values().collect()
}

impl Suiting<'_> {
    fn probe(&self) -> Probe {
        let Ware { kind, offering, labels, allocatable } = self.ware;
        let mut labels = labels.clone();
        labels.extend(self.template_labels.clone());
        let name = format!("a new {} in {}", kind.name, offering.zone);
        let (allocatable, daemons) = (allocatable.clone(), self.daemons.clone());
        Probe { name, labels, allocatable, attach_limits: Arc::clone(&kind.attach_limits), daemons, launch: 0 }
    }
}
