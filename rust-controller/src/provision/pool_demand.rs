//! What planned nodes and their pods ask of the `NodePool`s that Karpenter may give them.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::bins::Bin;
use super::choices::takes_architecture;
use super::existing::Waiting;
use super::{Options, default_requirements};
use crate::feasibility::{ClassId, Simulation};
use crate::model::{Pod, key};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// What there must be room for.
#[derive(Clone, Debug, Default)]
pub(super) struct Demand<'a> {
    /// Cores of the planned nodes.
    pub(super) cores: u64,
    /// Nodes with pods of which a host takes few.
    apart: u64,
    /// Zones of nodes with pods that spread over zones.
    zones: BTreeSet<&'a str>,
    /// Architectures of planned nodes that one of the pods takes, be it on one of these nodes or not.
    pub(super) architectures: BTreeSet<&'a str>,
}

impl<'a> Demand<'a> {
    pub(super) fn add(&mut self, other: &Self) {
        self.cores += other.cores;
        self.apart += other.apart;
        self.zones.extend(&other.zones);
        self.architectures.extend(&other.architectures);
    }

    pub(super) fn sum<'d>(each: impl IntoIterator<Item = &'d Self>) -> Self
    where
        'a: 'd,
    {
        let mut all = Self::default();
        each.into_iter().for_each(|demand| all.add(demand));
        all
    }

    /// So many nodes are needed, whatever their size, unless pods find others' hosts.
    pub(super) fn hosts(&self) -> u64 {
        self.apart.max(self.zones.len() as u64)
    }
}

/// What matters here of the pods of a class.
#[derive(Debug)]
struct Traits<'a> {
    /// They keep apart on hosts, spread over them, or take a port of theirs.
    apart: bool,
    over_zones: bool,
    architectures: BTreeSet<&'a str>,
}

/// The pods of a plan.
pub(super) struct Asking<'a, 'p> {
    pods: &'p [Waiting<'p>],
    simulation: &'p Simulation,
    /// Of planned nodes.
    architectures: BTreeSet<&'a str>,
    /// Those on which pods run that ask for none.
    by_default: BTreeSet<String>,
    of_class: FastMap<ClassId, Rc<Traits<'a>>>,
}

impl<'a, 'p> Asking<'a, 'p> {
    pub(super) fn new(
        bins: &[Bin<'a>],
        (pods, simulation): (&'p [Waiting<'p>], &'p Simulation),
        (snapshot, options): (&Snapshot, &Options),
    ) -> Self {
        let of_bin = |bin: &Bin<'a>| bin.launch.kind.labels.get(key::ARCH).map(String::as_str);
        let by_default = default_requirements(options, snapshot).into_iter().filter(|each| each.key == key::ARCH);
        Self {
            pods,
            simulation,
            architectures: bins.iter().filter_map(of_bin).collect(),
            by_default: by_default.flat_map(|each| each.values).collect(),
            of_class: FastMap::default(),
        }
    }

    /// Of one planned node of so many cores.
    pub(super) fn demand(&mut self, bin: &Bin<'a>, cores: u64) -> Demand<'a> {
        let mut demand = Demand { cores, ..Demand::default() };
        for waiting in bin.pods.iter().map(|pod| &self.pods[*pod]) {
            let traits = self.of_class.get(&waiting.class).cloned().unwrap_or_else(|| {
                let traits = Rc::new(self.traits(waiting.class, waiting.pod));
                self.of_class.insert(waiting.class, Rc::clone(&traits));
                traits
            });
            demand.apart |= u64::from(traits.apart);
            demand.zones.extend(traits.over_zones.then_some(bin.launch.offering.zone.as_str()));
            demand.architectures.extend(&traits.architectures);
        }
        demand
    }

    fn traits(&self, class: ClassId, pod: &Pod) -> Traits<'a> {
        let takes = |architecture: &&str| takes_architecture(pod, architecture, &self.by_default);
        Traits {
            apart: !self.simulation.seats(class).is_empty(),
            over_zones: pod.neighbours.spread.iter().any(|rule| rule.topology_key == key::ZONE),
            architectures: self.architectures.iter().copied().filter(takes).collect(),
        }
    }
}
