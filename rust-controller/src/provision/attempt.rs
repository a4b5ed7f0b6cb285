//! Whole plans, tried one after the other where pods are left out that other waiting pods keep from their place.
//!
//! Who comes first takes what others may need more. Nobody can tell beforehand for whom it is the only place; but who was
//! left out says so. Those come first in the next plan, whatever their priority, and the better plan is kept.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::effort::Effort;
use super::existing::{OnExisting, Waiting, place_urgent_first, take_back, usable_nodes};
use super::launch::Launches;
use super::least_waste::Ranking;
use super::pack::{Packed, pack};
use super::singles::join;
use super::{Options, Unplaceable};
use crate::feasibility::{ClassId, NodeId, Simulation};
use crate::snapshot::Snapshot;
use crate::units::Money;

/// How often pods that were left out come first.
const TRIES: usize = 6;

/// So many tries in a row that are no better are the last ones.
const VAIN_TRIES: usize = 2;

/// Where more pods wait than this, the first try that is no better is the last one, and none begins without effort.
const FEW_PODS: usize = 500;

/// So many pods at most come first.
const MOST_URGENT: usize = 1_000;

/// A plan for all pods that need a node.
pub(super) struct Attempt<'a> {
    pub(super) fitting: Vec<(Waiting<'a>, String)>,
    pub(super) rest: Vec<Waiting<'a>>,
    pub(super) packed: Packed<'a>,
    /// What its nodes are chosen from.
    pub(super) launches: &'a Launches<'a>,
    /// With those on existing nodes alone.
    pub(super) on_existing: Simulation,
    /// With all pods where they are to be.
    pub(super) simulation: Simulation,
    /// Positions of the pods that are left out and that only other pods that wait keep from their place, in the order of
    /// urgency.
    hindered: Vec<usize>,
}

/// How bad a plan is: the priorities of those that it leaves out, the highest first; then how many nodes have a price that
/// nobody knows, and what the others cost.
type Badness = (Vec<i32>, usize, Money);

/// What plans are made from.
#[derive(Clone, Copy)]
pub(super) struct Attempts<'a, 'o> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) launches: &'a Launches<'a>,
    pub(super) options: &'o Options,
}

impl<'a> Attempts<'a, '_> {
    /// The plan in which pods come in the usual order, and fit existing nodes so. The simulation is without any of them when
    /// this returns.
    pub(super) fn first(
        &self,
        on_existing: OnExisting<'a>,
        effort: &Effort,
        simulation: &mut Simulation,
    ) -> Attempt<'a> {
        let with_fitting = simulation.clone();
        take_back(&on_existing.fitting, simulation);
        self.pack((on_existing, with_fitting), effort, simulation)
    }

    /// The best plan that is found with those first that others keep from their place. Tries are made without effort; what
    /// there is goes into the one that is kept. The simulation is that without any of the pods.
    pub(super) fn better(&self, first: Attempt<'a>, simulation: &mut Simulation, effort: &Effort) -> Attempt<'a> {
        let few = first.rest.len() <= FEW_PODS;
        let mut urgent: Vec<usize> = Vec::new();
        let mut hindered = first.hindered.clone();
        let most_vain = if few { VAIN_TRIES } else { 1 };
        let (mut best, mut is_first, mut vain) = (first, true, 0);
        for _ in 0..TRIES {
            hindered.truncate(MOST_URGENT);
            if vain == most_vain || hindered.is_empty() || hindered == urgent || (!few && effort.is_spent()) {
                break;
            }
            urgent.retain(|position| !hindered.contains(position));
            urgent.splice(0..0, hindered.drain(..));
            let next = self.attempt(&urgent, simulation);
            hindered.clone_from(&next.hindered);
            vain += 1;
            if next.badness() < best.badness() {
                (best, is_first, vain) = (next, false, 0);
            }
        }
        if is_first { best } else { self.longer(best, simulation, effort) }
    }

    /// The same pods on the same existing nodes, with as much effort as there is, if that is no worse.
    fn longer(&self, best: Attempt<'a>, simulation: &Simulation, effort: &Effort) -> Attempt<'a> {
        if effort.is_spent() {
            return best;
        }
        let longer = self.pack(best.ground(), effort, simulation);
        if longer.badness() <= best.badness() { longer } else { best }
    }

    /// A plan in which some pods, by their position in the snapshot, come first.
    fn attempt(&self, urgent: &[usize], simulation: &mut Simulation) -> Attempt<'a> {
        let reserve = |pods: &[Waiting<'a>], simulation: &mut Simulation| self.reserve(pods, simulation);
        let on_existing = place_urgent_first(self.snapshot, urgent, simulation, reserve);
        self.first(on_existing, &Effort::none(), simulation)
    }

    fn pack(
        &self,
        (on_existing, with_fitting): (OnExisting<'a>, Simulation),
        effort: &Effort,
        simulation: &Simulation,
    ) -> Attempt<'a> {
        let OnExisting { fitting, rest } = on_existing;
        let mut with_all = with_fitting.clone();
        let packed = pack(&rest, self.launches, (self.options, effort), &mut with_all);
        let mut attempt = Attempt {
            fitting,
            rest,
            packed,
            launches: self.launches,
            on_existing: with_fitting,
            simulation: with_all,
            hindered: Vec::new(),
        };
        attempt.hindered = self.hindered(&mut attempt, simulation);
        attempt
    }

    /// New nodes for pods that fit no existing one, as long as the others are placed there: each pod with its node.
    fn reserve(&self, pods: &[Waiting<'a>], simulation: &mut Simulation) -> Vec<(ClassId, NodeId)> {
        let mut rankings: BTreeMap<ClassId, Option<Ranking<'a>>> = BTreeMap::new();
        let mut reserved = Vec::new();
        for waiting in pods {
            let ranking = rankings.entry(waiting.class).or_insert_with(|| self.ranking(waiting, simulation));
            let Some(ranking) = ranking else { continue };
            let admitting = ranking.cheapest_admitting(simulation);
            let node = admitting.into_iter().find_map(|launch| join(launch, waiting.class, simulation).ok());
            if let Some(node) = node {
                simulation.place(waiting.class, node);
                reserved.push((waiting.class, node));
            }
        }
        reserved
    }

    fn ranking(&self, waiting: &Waiting<'_>, simulation: &Simulation) -> Option<Ranking<'a>> {
        let shapes = self.launches.shapes(waiting.pod).ok()?;
        Some(Ranking::of(waiting.class, &waiting.pod.requests, shapes, self.launches, simulation))
    }

    /// Positions of the pods that are left out and that only other pods that wait keep from their place, in the order of
    /// urgency; the plan says so of them from then on. The simulation is that without any of them.
    fn hindered(&self, attempt: &mut Attempt<'a>, simulation: &Simulation) -> Vec<usize> {
        let Attempt { fitting, rest, packed, .. } = attempt;
        if packed.unplaceable.is_empty() {
            return Vec::new();
        }
        let usable = usable_nodes(self.snapshot, simulation);
        let may_be_on_existing = |class: ClassId| {
            simulation.unchecked_rules(class).is_empty() && usable.iter().any(|node| simulation.may_run(class, *node))
        };
        let mut of_class: BTreeMap<ClassId, (bool, bool)> = BTreeMap::new();
        let mut hindered = Vec::new();
        for (pod, why) in &mut packed.unplaceable {
            let waiting = &rest[*pod];
            let others = || fitting.iter().map(|(waiting, _)| waiting).chain(&*rest).map(|waiting| waiting.class);
            let (on_new, on_existing) = *of_class.entry(waiting.class).or_insert_with(|| {
                (self.may_be_on_new(waiting, others(), simulation), may_be_on_existing(waiting.class))
            });
            if let Unplaceable::NoType(miss) = &**why
                && on_new
            {
                *why = Arc::new(Unplaceable::Hindered(miss.clone()));
            }
            if on_new || on_existing {
                hindered.push(waiting.position);
            }
        }
        hindered
    }

    /// Whether some new node would take the pod, if no other waited, or only those waited that it must be near.
    fn may_be_on_new(
        &self,
        waiting: &Waiting<'_>,
        mut others: impl Iterator<Item = ClassId>,
        simulation: &Simulation,
    ) -> bool {
        let ranking = if waiting.pod.claims_devices { None } else { self.ranking(waiting, simulation) };
        ranking.is_some_and(|ranking| {
            ranking.admits(simulation)
                || ranking.suits(simulation) && others.any(|other| simulation.awaits(waiting.class, other))
        })
    }
}

impl<'a> Attempt<'a> {
    /// Whether a pod is left out for the sake of others that wait.
    pub(super) fn hinders_somebody(&self) -> bool {
        !self.hindered.is_empty()
    }

    /// All that need a node.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Waiting<'a>> {
        self.fitting.iter().map(|(waiting, _)| waiting).chain(&self.rest)
    }

    /// What is there before any node is planned.
    fn ground(&self) -> (OnExisting<'a>, Simulation) {
        let on_existing = OnExisting { fitting: self.fitting.clone(), rest: self.rest.clone() };
        (on_existing, self.on_existing.clone())
    }

    fn badness(&self) -> Badness {
        let left_out = self.packed.unplaceable.iter().map(|(pod, _)| self.rest[*pod].pod.priority);
        let mut left_out: Vec<i32> = left_out.collect();
        left_out.sort_unstable_by_key(|priority| Reverse(*priority));
        let prices = || self.packed.bins.iter().map(|bin| bin.launch.offering.price_per_hour);
        (left_out, prices().filter(Option::is_none).count(), prices().flatten().sum())
    }
}
