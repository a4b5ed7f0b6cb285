//! Kinds of nodes: what one Karpenter `NodePool` makes.
//!
//! Karpenter packs the pods that wait by an order of its own, always onto the largest type that is left to choose, and
//! launches the cheapest that holds what came together. A `NodePool` for each planned type with a limit would get just the
//! planned nodes and leave pods out, since they come in another order; so what steers it is the list of types: none that
//! another beats, and none that is larger than nodes should be on average.

use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use super::bins::Bin;
use super::choices::Choices;
use super::launch::Launch;
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
    /// The most cores that all its nodes together may have, those that it has made already included.
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
    /// Cores of each planned type, and how many nodes.
    planned: BTreeMap<&'a str, (u64, u64)>,
    zones: BTreeSet<&'a str>,
}

/// The kinds of the planned nodes: for each set of template labels, and of architectures and capacity types that a pool may
/// have together, one, and another for the types that are larger than Karpenter should choose for all pods. Beside the planned
/// types, a kind may make those of `unbeaten` launches of its sizes. By name, and the name for each node.
pub(super) fn pools(
    bins: &[Bin<'_>],
    unbeaten: &[Launch<'_>],
    fewest_hosts: u64,
    (snapshot, catalog, options): (&Snapshot, &Catalog, &Options),
) -> (BTreeMap<String, Pool>, Vec<String>) {
    let (choices, prefix) = (Choices::of(snapshot, options), options.pool_prefix);
    let mut groups: BTreeMap<Kind<'_>, Group<'_>> = BTreeMap::new();
    for launch in bins.iter().map(|bin| bin.launch) {
        let group = groups.entry(Kind::of(launch, &choices)).or_default();
        group.planned.entry(&launch.kind.name).or_insert((cores(launch.kind), 0)).1 += 1;
        group.zones.insert(&launch.offering.zone);
    }
    let mut pools = BTreeMap::new();
    let mut largest_of: BTreeMap<Kind<'_>, u64> = BTreeMap::new();
    for (kind, group) in &groups {
        // What a type offers does not depend on what a pool adds.
        let (labels, taints) = (kind.labels, kind.taints);
        let others = unbeaten.iter().filter(|launch| Kind { labels, taints, ..Kind::of(**launch, &choices) } == *kind);
        let others = others.map(|launch| (launch.kind.name.as_str(), cores(launch.kind)));
        let types: BTreeMap<&str, u64> =
            group.planned.iter().map(|(name, (cores, _))| (*name, *cores)).chain(others).collect();
        let largest = group.largest(&types, fewest_hosts);
        largest_of.insert(kind.clone(), largest);
        for oversized in [false, true] {
            let of_size = |cores: u64| (cores > largest) == oversized;
            let planned: u64 =
                group.planned.values().filter(|(cores, _)| of_size(*cores)).map(|(cores, nodes)| cores * nodes).sum();
            let may_be = |name: &&str, cores: u64| of_size(cores) && (!oversized || group.planned.contains_key(*name));
            let types: Vec<String> = types
                .iter()
                .filter(|(name, cores)| may_be(name, **cores))
                .map(|(name, _)| (*name).to_owned())
                .collect();
            if types.is_empty() || (oversized && planned == 0) {
                continue;
            }
            let kind = Kind { oversized, ..kind.clone() };
            // Pods on larger nodes of the plan may come here.
            let cores = if oversized { planned } else { group.cores() };
            let name = kind.name(&catalog.node_class, prefix);
            pools.insert(name.clone(), kind.pool(name, types, &group.zones, cores, (snapshot, catalog)));
        }
    }
    weigh(pools.values_mut());
    allow_for_others(&mut pools, &options.arch);
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
        types: Vec<String>,
        zones: &BTreeSet<&str>,
        cores: u64,
        (snapshot, catalog): (&Snapshot, &Catalog),
    ) -> Pool {
        let made = snapshot.nodes().iter().filter(|node| node.labels.get(key::NODE_POOL) == Some(&name));
        let made: u64 = made.map(|node| node.allocatable.cpu.get().div_ceil(1000)).sum();
        let mut requirements = self.requirements();
        requirements.push(is_one_of(key::INSTANCE_TYPE, types));
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
            // Half as much again as is planned: it packs less tightly, and pods must not wait for that.
            most_cores: made + (cores * 3).div_ceil(2),
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
    /// Cores of all planned nodes.
    fn cores(&self) -> u64 {
        self.planned.values().map(|(cores, nodes)| cores * nodes).sum()
    }

    /// The most cores that a type should have: that of the largest planned one; but where so many nodes are needed in any
    /// case, as much as each of them has on average, since Karpenter would fill a few large ones first and then launch as many
    /// again for pods that keep apart.
    fn largest(&self, types: &BTreeMap<&str, u64>, fewest_hosts: u64) -> u64 {
        let largest = self.planned.values().map(|(cores, _)| *cores).max().unwrap_or(0);
        let on_average = self.cores().div_ceil(fewest_hosts.max(1));
        types.values().copied().filter(|cores| *cores >= on_average).min().map_or(largest, |least| least.min(largest))
    }
}

/// Gives the kinds of a plan their order: without labels first, those for whom more is planned, and large ones last.
fn weigh<'p>(pools: impl IntoIterator<Item = &'p mut Pool>) {
    let mut pools: Vec<&mut Pool> = pools.into_iter().collect();
    pools.sort_by_key(|pool| (pool.oversized, pool.labels.len(), u64::MAX - pool.most_cores, pool.name.clone()));
    for (rank, pool) in (0..).zip(pools) {
        pool.weight = FIRST_WEIGHT.saturating_sub(rank).max(1);
    }
}

/// Pods that Karpenter may place in several pools must not use up the limit of one before others come that can be nowhere
/// else: each allows for all that is planned in those whose labels it has, and whose pods neither its taints nor its architecture
/// keep off. One that no pod gets unasked shall not allow for those that ask for none.
fn allow_for_others(pools: &mut BTreeMap<String, Pool>, by_default: &BTreeSet<String>) {
    let small: Vec<Pool> = pools.values().filter(|pool| !pool.oversized).cloned().collect();
    for pool in pools.values_mut().filter(|pool| !pool.oversized) {
        let own = architectures(pool);
        let may_come = |other: &&Pool| {
            (pool.taints.is_empty() || pool.taints == other.taints)
                && (own == architectures(other) || own.iter().all(|each| by_default.contains(*each)))
                && other.labels.iter().all(|(key, value)| pool.labels.get(key) == Some(value))
        };
        let others = small.iter().filter(|other| other.name != pool.name).filter(may_come);
        let others: u64 = others.map(|other| other.most_cores).sum();
        pool.most_cores += others;
    }
}

fn architectures(pool: &Pool) -> Vec<&String> {
    pool.requirements.iter().filter(|each| each.key == key::ARCH).flat_map(|each| &each.values).collect()
}

fn is_one_of(key: &str, values: impl Into<Vec<String>>) -> Requirement {
    Requirement { key: key.to_owned(), operator: Operator::In, values: values.into() }
}
