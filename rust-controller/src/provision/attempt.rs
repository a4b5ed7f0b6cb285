//! Whole plans, tried one after the other where pods are left out that other waiting pods keep from their place.
//!
//! Who comes first takes what others may need more. Nobody can tell beforehand for whom it is the only place; but who was
//! left out says so. Those come first in the next plan, whatever their priority, and the better plan is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::effort::Effort;
use super::existing::{OnExisting, Waiting, place_urgent_first, take_back, usable_nodes};
use super::launch::Launches;
use super::least_waste::Ranking;
use super::market::Market;
use super::pack::{Company, Packed, pack};
use super::singles::join;
use super::{LowerBound, Options, Unplaceable};
use crate::feasibility::{ClassId, NodeId, Obstacles, Simulation};
use crate::model::{Pod, key};
use crate::snapshot::Snapshot;
use crate::units::Money;

/// How often pods that were left out come first.
const TRIES: usize = 6;

/// So many tries in a row that are no better are the last ones.
const VAIN_TRIES: usize = 2;

/// Where more pods wait than this, the first try that is no better is the last one, and tries share the effort that the search
/// for cheaper plans has.
const FEW_PODS: usize = 500;

/// What tries for fewer pods may take in any case: a hundred times what most of them do.
const EFFORT_FOR_FEW: Duration = Duration::from_secs(1);

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
    /// Which nodes would take those that are left out, if no other pod waited.
    places: BTreeMap<ClassId, Places>,
}

/// Which nodes would take a pod.
#[derive(Clone, Copy)]
struct Places {
    on_existing: bool,
    on_new: bool,
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
    pub(super) company: Company,
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

    /// The best plan that is found with those first that others keep from their place. Nothing goes into the search for cheaper
    /// tries; what is left of the effort goes into the one that is kept. The simulation is that without any of the pods.
    pub(super) fn better(&self, first: Attempt<'a>, simulation: &mut Simulation, effort: &Effort) -> Attempt<'a> {
        let few = first.rest.len() <= FEW_PODS;
        let mut urgent: Vec<usize> = Vec::new();
        let mut hindered = first.hindered.clone();
        let most_vain = if few { VAIN_TRIES } else { 1 };
        let of_few = effort.at_least(EFFORT_FOR_FEW);
        let for_tries = if few { &of_few } else { effort };
        let (mut best, mut is_first, mut vain) = (first, true, 0);
        if !for_tries.is_spent() {
            // Who is held together may find places one by one.
            let apart = Self { company: Company::Ignored, ..*self }.attempt(&[], for_tries, simulation);
            if apart.is_better_than(&best) {
                hindered.clone_from(&apart.hindered);
                (best, is_first) = (apart, false);
            }
        }
        for _ in 0..TRIES {
            hindered.truncate(MOST_URGENT);
            if vain == most_vain || hindered.is_empty() || hindered == urgent || for_tries.is_spent() {
                break;
            }
            urgent.retain(|position| !hindered.contains(position));
            urgent.splice(0..0, hindered.drain(..));
            let next = self.attempt(&urgent, for_tries, simulation);
            hindered.clone_from(&next.hindered);
            vain += 1;
            if next.is_better_than(&best) {
                (best, is_first, vain) = (next, false, 0);
            }
        }
        effort.is_cut_short_with(&of_few);
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
    fn attempt(&self, urgent: &[usize], effort: &Effort, simulation: &mut Simulation) -> Attempt<'a> {
        let reserve = |pods: &[Waiting<'a>], simulation: &mut Simulation| self.reserve(pods, simulation);
        let on_existing = place_urgent_first(self.snapshot, urgent, simulation, reserve);
        let own = Effort::none();
        let attempt = self.first(on_existing, &own, simulation);
        let reserved = urgent.len() * self.launches.series().len();
        effort.spend(own.spent().saturating_add(reserved as u64));
        attempt
    }

    fn pack(
        &self,
        (on_existing, with_fitting): (OnExisting<'a>, Simulation),
        effort: &Effort,
        simulation: &Simulation,
    ) -> Attempt<'a> {
        let OnExisting { fitting, rest } = on_existing;
        let mut with_all = with_fitting.clone();
        let packed = pack(&rest, self.launches, (self.options, self.company, effort), &mut with_all);
        let mut attempt = Attempt {
            fitting,
            rest,
            packed,
            launches: self.launches,
            on_existing: with_fitting,
            simulation: with_all,
            hindered: Vec::new(),
            places: BTreeMap::new(),
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
    /// urgency. The simulation is that without any of them.
    fn hindered(&self, attempt: &mut Attempt<'a>, simulation: &Simulation) -> Vec<usize> {
        let Attempt { fitting, rest, packed, places, .. } = attempt;
        if packed.left_out.is_empty() {
            return Vec::new();
        }
        let usable = usable_nodes(self.snapshot, simulation);
        let may_be_on_existing = |class: ClassId| {
            simulation.unchecked_rules(class).is_empty() && usable.iter().any(|node| simulation.may_run(class, *node))
        };
        let classes: BTreeSet<ClassId> =
            fitting.iter().map(|(waiting, _)| waiting).chain(&*rest).map(|waiting| waiting.class).collect();
        let mut hindered = Vec::new();
        for waiting in packed.left_out.iter().map(|pod| &rest[*pod]) {
            let Places { on_existing, on_new } = places.entry(waiting.class).or_insert_with(|| Places {
                on_existing: may_be_on_existing(waiting.class),
                on_new: self.may_be_on_new(waiting, &classes, simulation),
            });
            if *on_existing || *on_new {
                hindered.push(waiting.position);
            }
        }
        hindered
    }

    /// Whether some new node would take the pod, if no other waited, or only those waited that it must be near.
    fn may_be_on_new(&self, waiting: &Waiting<'_>, others: &BTreeSet<ClassId>, simulation: &Simulation) -> bool {
        let ranking = if waiting.pod.claims_devices { None } else { self.ranking(waiting, simulation) };
        ranking.is_some_and(|ranking| {
            ranking.admits(simulation)
                || ranking.suits(simulation) && others.iter().any(|other| simulation.awaits(waiting.class, *other))
        })
    }
}

impl<'a> Attempt<'a> {
    /// Whether a pod is left out for the sake of others that wait.
    pub(super) fn hinders_somebody(&self) -> bool {
        !self.hindered.is_empty()
    }

    /// Zones that would do for all pods, if some that are spread over zones find no place as long as every zone counts where a
    /// node could come. Zones of nodes that are there count in any case.
    pub(super) fn fewer_zones(&self, snapshot: &'a Snapshot) -> Option<BTreeSet<&'a str>> {
        let mut zones = self.packed.fewer_zones.clone()?;
        zones.extend(snapshot.nodes().iter().filter_map(|node| node.labels.get(key::ZONE)).map(String::as_str));
        Some(zones)
    }

    /// Whether it leaves out fewer pods, or less urgent ones, or costs less.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.badness() < other.badness()
    }

    /// The bound is that of all these launches, of which the plan has used only some.
    pub(super) fn bound_by(&mut self, launches: &Launches<'_>, simulation: &Simulation) {
        let classes: BTreeMap<ClassId, &Pod> =
            self.rest.iter().map(|waiting| (waiting.class, &**waiting.pod)).collect();
        let market = Market::of(&classes, launches, simulation);
        let placed: Vec<&Waiting<'_>> = self.packed.order.iter().map(|pod| &self.rest[*pod]).collect();
        self.packed.bound = LowerBound::of(&placed, &market, simulation);
    }

    /// Whether some pod gets no node.
    pub(super) fn leaves_somebody_out(&self) -> bool {
        !self.packed.left_out.is_empty()
    }

    /// Why each pod is left out that is, by position among the rest.
    pub(super) fn why(&self) -> Vec<(usize, Arc<Unplaceable>)> {
        let left_out = &self.packed.left_out;
        let mut of_class = self.packed.singles.why(left_out.iter().map(|pod| self.rest[*pod].class), &self.simulation);
        for (class, why) in &mut of_class {
            if let Unplaceable::NoType(miss) = &**why
                && let Some(Places { on_existing, on_new }) = self.places.get(class)
            {
                let of_others = match (on_existing, on_new) {
                    (false, false) => continue,
                    (true, false) => Unplaceable::Outrun,
                    (false, true) if self.is_crowded(*class) => Unplaceable::Crowded,
                    (_, true) => Unplaceable::Hindered,
                };
                *why = Arc::new(of_others(miss.clone()));
            }
        }
        left_out.iter().filter_map(|pod| Some((*pod, Arc::clone(of_class.get(&self.rest[*pod].class)?)))).collect()
    }

    /// Whether pods of a class must share the host of others, and nothing but room keeps them from doing so on a node.
    fn is_crowded(&self, class: ClassId) -> bool {
        let planned = self.packed.bins.iter().map(|bin| bin.node);
        let lacks_room_only = |node: NodeId| self.simulation.obstacles(class, node) == Obstacles::default();
        self.simulation.host_group(class).is_some()
            && self.simulation.existing_nodes().chain(planned).any(lacks_room_only)
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
        let left_out = self.packed.left_out.iter().map(|pod| self.rest[*pod].pod.priority);
        let mut left_out: Vec<i32> = left_out.collect();
        left_out.sort_unstable_by_key(|priority| Reverse(*priority));
        let prices = || self.packed.bins.iter().map(|bin| bin.launch.offering.price_per_hour);
        (left_out, prices().filter(Option::is_none).count(), prices().flatten().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::super::existing::place_on_existing;
    use super::super::{Shaper, default_requirements, demands};
    use super::*;
    use crate::{catalog, lower};

    /// So many pods of a workload may be in each zone as there are zones, and none more: most are left out for the sake of others.
    fn crowd(pods: usize) -> Snapshot {
        let pod = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}, labels: {{app: a}}}}\nspec: {{topologySpreadConstraints: \
                 [{{maxSkew: 1, minDomains: 9, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, \
                 labelSelector: {{matchLabels: {{app: a}}}}}}], containers: [{{name: c}}]}}\nstatus: {{phase: Pending, \
                 conditions: [{{type: PodScheduled, status: 'False', reason: Unschedulable}}]}}\n"
            )
        };
        lower::parse_manifest(&(0..pods).map(pod).collect::<String>()).unwrap().into_snapshot()
    }

    /// How much tries have spent of an effort beside what the first plan has, and whether somebody had more to try.
    fn spent_on_tries(pods: usize, effort: &Effort) -> (u64, bool) {
        let (snapshot, options) = (crowd(pods), Options::default());
        let catalog = catalog::builtin("generic").unwrap();
        let shaper = Shaper::new(&catalog, default_requirements(&options, &snapshot));
        let (mut simulation, demands) = demands::simulate(&snapshot, &shaper, snapshot.nodes());
        let on_existing = place_on_existing(&snapshot, &mut simulation);
        let pods = snapshot.pods().iter().map(|pod| &**pod);
        let launches = demands.launches(pods, (&catalog, &options, None), &mut simulation);
        let attempts =
            Attempts { snapshot: &snapshot, launches: &launches, options: &options, company: Company::Sought };
        let first = attempts.first(on_existing, effort, &mut simulation);
        assert!(first.hinders_somebody());
        let before = effort.spent();
        attempts.better(first, &mut simulation, effort);
        (effort.spent() - before, effort.was_cut_short())
    }

    #[test]
    fn tries_take_their_share_of_the_effort() {
        let (spent, cut_short) = spent_on_tries(FEW_PODS + 1, &Effort::of(Duration::from_secs(9)));
        assert!(spent > FEW_PODS as u64 && !cut_short, "{spent} steps");
        assert_eq!(spent_on_tries(FEW_PODS + 1, &Effort::none()), (0, true), "nothing is tried without any");
        assert_eq!(spent_on_tries(20, &Effort::of(Duration::from_secs(9))), (0, false), "few pods have their own");
    }
}
