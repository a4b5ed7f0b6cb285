//! Kinds of nodes: what one Karpenter `NodePool` makes.
//!
//! Karpenter packs the pods that wait by an order of its own, always onto the largest type that is left to choose, and
//! launches the cheapest that holds what came together. A `NodePool` for each planned type with a limit would get just the
//! planned nodes and leave pods out, since they come in another order; so what steers it is the list of types: none that
//! another beats, and none that is larger than nodes should be on average.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use super::bins::Bin;
use super::choices::Choices;
use super::launch::Launch;
use super::pool_demand::{Asking, Demand};
use crate::model::{Catalog, Labels, NodeClassRef, NodeType, Operator, Requirement, Taint, key};
use crate::snapshot::Snapshot;
use crate::units::stable_hash;

/// One kind of node. Pods whose nodes are of one kind share it, so that applying its `NodePool` once serves them all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pool {
    /// Name of its document.
    pub name: String,
    /// Whether its nodes are larger than those of the plan on average.
    pub oversized: bool,
    /// The provider's node class.
    pub node_class: NodeClassRef,
    /// On well-known keys, sorted.
    pub requirements: Vec<Requirement>,
    /// Labels that its nodes get.
    pub labels: Labels,
    /// Taints that come with these labels on nodes that are there, sorted: they keep others off.
    pub taints: Vec<Taint>,
    /// The most cores that all its nodes together may have, those that it has made already included; a new one counts as the
    /// largest that it may become, until it is there.
    pub most_cores: u64,
    /// Which of a plan's kinds Karpenter shall try first: the one with the highest.
    pub weight: u32,
}

/// The weight of the kind that is tried first; the most that Karpenter takes.
const FIRST_WEIGHT: u32 = 100;

/// What tells the kinds of a plan apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    labels: &'a Labels,
    taints: &'a [Taint],
    /// Any of them, sorted, and the same for capacity types.
    architectures: Vec<&'a str>,
    capacity_types: Vec<&'a str>,
    os: Option<&'a str>,
    /// Nodes that are larger than those of a plan are on average come second.
    oversized: bool,
}

/// Planned nodes of one kind, but for their size.
#[derive(Default)]
struct Group<'a> {
    planned: BTreeMap<&'a str, OfType<'a>>,
    zones: BTreeSet<&'a str>,
}

/// Planned nodes of one type.
#[derive(Default)]
struct OfType<'a> {
    /// Of each.
    cores: u64,
    demand: Demand<'a>,
}

/// A pool without its place among the others.
struct Draft<'a> {
    pool: Pool,
    /// What it must have room for, in nodes that it has not made yet.
    demand: Demand<'a>,
    /// Cores of the largest node that it may make.
    largest: u64,
}

/// The kinds of the planned nodes: for each set of template labels, and of architectures and capacity types that a pool may
/// have together, one, and another for the types that are larger than Karpenter should choose for all pods. Beside the planned
/// types, a kind may make those of `unbeaten` launches of its sizes. By name, and the name for each node.
pub(super) fn pools<'a>(
    bins: &[Bin<'a>],
    unbeaten: &[Launch<'_>],
    mut asking: Asking<'a, '_>,
    (snapshot, catalog, options): (&Snapshot, &Catalog, &Options),
) -> (BTreeMap<String, Pool>, Vec<String>) {
    let (choices, prefix) = (Choices::of(snapshot, options), options.pool_prefix);
    let mut groups: BTreeMap<Kind<'_>, Group<'_>> = BTreeMap::new();
    // By labels and taints.
    let mut alike: BTreeMap<_, Demand<'_>> = BTreeMap::new();
    for bin in bins {
        let launch = bin.launch;
        let demand = asking.demand(bin, cores(launch.kind));
        alike.entry((launch.template_labels(), launch.taints())).or_default().add(&demand);
        let group = groups.entry(Kind::of(launch, &choices)).or_default();
        let of_type = group.planned.entry(&launch.kind.name).or_default();
        of_type.cores = cores(launch.kind);
        of_type.demand.add(&demand);
        group.zones.insert(&launch.offering.zone);
    }
    let unbeaten: Vec<(Kind<'_>, &NodeType)> =
        unbeaten.iter().map(|launch| (Kind::of(*launch, &choices), launch.kind)).collect();
    let mut drafts: BTreeMap<Kind<'_>, Draft<'_>> = BTreeMap::new();
    let mut largest_of: BTreeMap<Kind<'_>, u64> = BTreeMap::new();
    for (kind, group) in &groups {
        // What a type offers does not depend on what a pool adds.
        let others = unbeaten.iter().filter(|(other, _)| other.offer() == kind.offer());
        let others = others.map(|(_, other)| (other.name.as_str(), cores(other)));
        let planned = group.planned.iter().map(|(name, of_type)| (*name, of_type.cores));
        let types: BTreeMap<&str, u64> = planned.chain(others).collect();
        let largest = group.largest(&types, alike.get(&(kind.labels, kind.taints)).map_or(0, Demand::hosts));
        largest_of.insert(kind.clone(), largest);
        let (small, mut large): (BTreeMap<_, _>, BTreeMap<_, _>) =
            types.into_iter().partition(|(_, cores)| *cores <= largest);
        large.retain(|name, _| group.planned.contains_key(name));
        for (oversized, types) in [(false, small), (true, large)] {
            let Some(largest) = types.values().copied().max() else { continue };
            // Pods on larger nodes of the plan may come to the small ones.
            let planned = group.planned.iter().filter(|(name, _)| !oversized || types.contains_key(*name));
            let demand = Demand::sum(planned.map(|(_, of_type)| &of_type.demand));
            let kind = Kind { oversized, ..kind.clone() };
            let name = kind.name(&catalog.node_class, prefix);
            let pool = kind.pool(name, types.into_keys(), &group.zones, (snapshot, catalog));
            drafts.insert(kind, Draft { pool, demand, largest });
        }
    }
    let pools = limited(drafts);
    let name_of = |bin: &Bin<'_>| {
        let kind = Kind::of(bin.launch, &choices);
        let largest = largest_of.get(&kind).copied().unwrap_or(u64::MAX);
        Kind { oversized: cores(bin.launch.kind) > largest, ..kind }.name(&catalog.node_class, prefix)
    };
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let name = |bin: &Bin<'_>| names.entry(bin.launch.position).or_insert_with(|| name_of(bin)).clone();
    (pools, bins.iter().map(name).collect())
}

/// Cores of a machine: what is not allocatable of them is less than one.
fn cores(kind: &NodeType) -> u64 {
    kind.allocatable.cpu.get().div_ceil(1000)
}

impl<'a> Kind<'a> {
    /// One that is not oversized.
    fn of(launch: Launch<'a>, choices: &'a Choices) -> Self {
        let Launch { kind, offering, .. } = launch;
        let label = |key: &str| kind.labels.get(key).map(String::as_str);
        Self {
            labels: launch.template_labels(),
            taints: launch.taints(),
            architectures: label(key::ARCH).map(|own| choices.architectures(own)).unwrap_or_default(),
            capacity_types: choices.capacity_types(&offering.capacity_type),
            os: label(key::OS),
            oversized: false,
        }
    }

    fn pool(
        &self,
        name: String,
        types: impl Iterator<Item = &'a str>,
        zones: &BTreeSet<&str>,
        (snapshot, catalog): (&Snapshot, &Catalog),
    ) -> Pool {
        let made = snapshot.nodes().iter().filter(|node| node.labels.get(key::NODE_POOL) == Some(&name));
        let made: u64 = made.map(|node| node.allocatable.cpu.get().div_ceil(1000)).sum();
        let mut requirements = self.requirements();
        requirements.push(is_one_of(key::INSTANCE_TYPE, types.map(str::to_owned).collect::<Vec<_>>()));
        let named: Vec<String> = zones.iter().filter(|zone| !zone.is_empty()).map(|zone| (*zone).to_owned()).collect();
        if !named.is_empty() {
            requirements.push(is_one_of(key::ZONE, named));
        }
        requirements.sort();
        Pool {
            name,
            oversized: self.oversized,
            node_class: catalog.node_class.clone(),
            requirements,
            labels: self.labels.clone(),
            taints: self.taints.to_vec(),
            most_cores: made,
            weight: FIRST_WEIGHT,
        }
    }

    /// What all nodes of the kind have in common, whatever their type and zone.
    fn requirements(&self) -> Vec<Requirement> {
        let os: Vec<&str> = self.os.into_iter().collect();
        let common = [(key::ARCH, &self.architectures), (key::OS, &os), (key::CAPACITY_TYPE, &self.capacity_types)];
        let common = common.into_iter().filter(|(_, values)| !values.is_empty());
        common
            .map(|(key, values)| is_one_of(key, values.iter().map(|each| (*each).to_owned()).collect::<Vec<_>>()))
            .collect()
    }

    /// What its nodes are, whatever a pool adds to them and whatever their size.
    fn offer(&self) -> (&[&'a str], &[&'a str], Option<&'a str>) {
        (&self.architectures, &self.capacity_types, self.os)
    }

    /// Whether Karpenter may place pods here that are planned for another kind: then they must not use up the limit before
    /// others come that can be nowhere else. They ask for no label that this one lacks, and neither its taints nor its
    /// architectures keep them all off. What is said of small nodes of a kind counts the large ones of the plan already.
    fn may_take_from(&self, other: &Self, demand: &Demand<'_>) -> bool {
        let is_same = || (self.labels, self.taints, self.offer()) == (other.labels, other.taints, other.offer());
        let takes_some = || self.architectures.iter().any(|own| demand.architectures.contains(own));
        !other.oversized
            && other.labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
            && (self.taints.is_empty() || self.taints == other.taints)
            && (self.architectures.is_empty() || takes_some())
            && !is_same()
    }

    /// A name that is the same for the same kind of node, of whatever types and wherever its nodes are and however many, and
    /// fits a label value: `planned-on-demand-0a1b2c3d`.
    fn name(&self, node_class: &NodeClassRef, prefix: &str) -> String {
        let NodeClassRef { group, kind, name } = node_class;
        let requirements: Vec<String> = self.requirements().iter().map(Requirement::to_string).collect();
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        let taints: Vec<String> = self.taints.iter().map(|taint| format!(";{taint}")).collect();
        let identity =
            format!("{group}/{kind}/{name};{};{}{}", requirements.join(";"), labels.join(";"), taints.concat());
        let size = if self.oversized { "large-" } else { "" };
        format!("{prefix}-{size}{}-{:08x}", self.capacity_types.join("-"), stable_hash(identity.as_bytes()))
    }
}

impl Group<'_> {
    /// The most cores that a type should have: that of the largest planned one; but where pods need so many hosts in any case,
    /// as much as each of them has on average, since Karpenter would fill a few large ones first and then launch as many again
    /// for pods that keep apart. Of these hosts those of other architectures and capacity types may be some: pods that take
    /// several are on all of them.
    fn largest(&self, types: &BTreeMap<&str, u64>, hosts: u64) -> u64 {
        let largest = self.planned.values().map(|of_type| of_type.cores).max().unwrap_or(0);
        let cores: u64 = self.planned.values().map(|of_type| of_type.demand.cores).sum();
        let on_average = cores.div_ceil(hosts.max(1));
        types.values().copied().filter(|cores| *cores >= on_average).min().map_or(largest, |least| least.min(largest))
    }
}

/// The pools with their order and limits, by name. O(pools²).
///
/// A limit is half as much again as is planned, since Karpenter packs less tightly, and pods must not wait for that. Where
/// pods keep apart, each of the nodes that they need counts as the largest until it is there.
fn limited(drafts: BTreeMap<Kind<'_>, Draft<'_>>) -> BTreeMap<String, Pool> {
    let mut drafts: Vec<(Kind<'_>, Draft<'_>)> = drafts.into_iter().collect();
    // Those for pods that ask for no label first, those for whom more is planned, and large ones last.
    drafts.sort_by_key(|(kind, Draft { pool, demand, .. })| {
        (kind.oversized, kind.labels.len(), Reverse(demand.cores), pool.name.clone())
    });
    for (rank, (_, draft)) in (0..).zip(&mut drafts) {
        draft.pool.weight = FIRST_WEIGHT.saturating_sub(rank).max(1);
    }
    let limit = |(kind, Draft { pool, demand, largest }): &(Kind<'_>, Draft<'_>)| {
        let (mut cores, mut hosts) = (demand.cores, demand.hosts());
        for (_, other) in drafts.iter().filter(|(other, draft)| kind.may_take_from(other, &draft.demand)) {
            cores += other.demand.cores;
            // Those for whom another comes first open no node here: they fill those that are open.
            hosts += if other.pool.weight <= pool.weight { other.demand.hosts() } else { 0 };
        }
        let most_cores = pool.most_cores + (cores.max(hosts * largest) * 3).div_ceil(2);
        (pool.name.clone(), Pool { most_cores, ..pool.clone() })
    };
    drafts.iter().map(limit).collect()
}

fn is_one_of(key: &str, values: impl Into<Vec<String>>) -> Requirement {
    Requirement { key: key.to_owned(), operator: Operator::In, values: values.into() }
}
