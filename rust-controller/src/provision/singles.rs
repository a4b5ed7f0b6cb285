//! Pods one by one, where rules about other pods left no place in the joint plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Unplaceable;
use super::bins::Bins;
use super::existing::Waiting;
use super::launch::{Launch, Launches};
use super::least_waste::{Ranking, Standings};
use super::market::Market;
use crate::feasibility::{ClassId, NodeId, Refusal, Simulation};
use crate::model::Pod;

/// What is known of the classes whose pods are placed one by one.
pub(super) struct Singles<'a> {
    launches: &'a Launches<'a>,
    rankings: BTreeMap<ClassId, Result<Ranking<'a>, Arc<Unplaceable>>>,
    /// When a class was refused everywhere, and the new node that its own daemon pods close again, if there is one.
    refused: BTreeMap<ClassId, (u64, Option<Closed<'a>>)>,
    opens: Opens,
}

/// A launch that admits a class as long as its daemon pods are not there, and what refuses then.
type Closed<'a> = (Launch<'a>, Refusal);

/// Which nodes may be opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    Any,
    /// Only where there are some already, as far as pods are spread over it.
    InKnownDomains,
    /// None, unless there is none.
    TheFirst,
}

impl<'a> Singles<'a> {
    pub(super) fn new(launches: &'a Launches<'a>) -> Self {
        Self { launches, rankings: BTreeMap::new(), refused: BTreeMap::new(), opens: Opens::Any }
    }

    /// From now on no node opens a domain that pods are spread over.
    pub(super) fn open_no_domain(&mut self) {
        self.opens = Opens::InKnownDomains;
        self.refused.clear();
    }

    /// From now on no node is opened beside others.
    pub(super) fn open_no_host(&mut self) {
        self.opens = Opens::TheFirst;
        self.refused.clear();
    }

    /// Why no pod of these classes can be placed. It is asked in the end, when all others have their places: O(series) for each,
    /// and O(launches) for each that stands to them as no other does.
    pub(super) fn why(
        &self,
        classes: impl IntoIterator<Item = ClassId>,
        simulation: &Simulation,
    ) -> BTreeMap<ClassId, Arc<Unplaceable>> {
        let mut known = Standings::default();
        let of_class = |class: ClassId| {
            let (_, closed) = self.refused.get(&class)?;
            let why = match self.rankings.get(&class)? {
                Err(why) => Arc::clone(why),
                Ok(ranking) => {
                    let miss = ranking.nearest_miss(closed.clone(), &mut known, simulation);
                    Arc::new(miss.map_or(Unplaceable::NoTypes, Unplaceable::NoType))
                }
            };
            Some((class, why))
        };
        let classes: BTreeSet<ClassId> = classes.into_iter().collect();
        classes.into_iter().filter_map(of_class).collect()
    }

    /// Puts a pod on a planned node that may run it, or on a new one.
    pub(super) fn place(
        &mut self,
        position: usize,
        waiting: &Waiting<'_>,
        (bins, market): (&mut Bins<'a>, &Market<'a>),
        simulation: &mut Simulation,
    ) -> bool {
        let Waiting { pod, class, .. } = *waiting;
        let now = simulation.changed(class);
        if self.refused.get(&class).is_some_and(|(then, _)| *then == now) {
            return false;
        }
        if bins.place_anywhere(position, class, market, simulation) {
            return true;
        }
        let ranking = self.rankings.remove(&class).unwrap_or_else(|| self.ranking(class, pod, simulation));
        let opened = match &ranking {
            Ok(ranking) => self.open(position, class, ranking, bins, simulation),
            Err(_) => Err(None),
        };
        self.rankings.insert(class, ranking);
        match opened {
            Ok(()) => true,
            Err(closed) => {
                self.refused.insert(class, (now, closed));
                false
            }
        }
    }

    fn ranking(&self, class: ClassId, pod: &Pod, simulation: &Simulation) -> Result<Ranking<'a>, Arc<Unplaceable>> {
        let rank = |class, shapes| Ranking::of(class, &pod.requests, shapes, self.launches, simulation);
        if pod.claims_devices {
            return Err(Arc::new(Unplaceable::Devices));
        }
        self.launches.shapes(pod).map(|shapes| rank(class, shapes)).map_err(|error| {
            // What would do, were it not for the label that no new node can have.
            let nearest = self
                .launches
                .without_labels(pod)
                .and_then(|(shape, class)| rank(class, std::slice::from_ref(shape)).nearest_type(simulation));
            Arc::new(Unplaceable::Shape { error: error.clone(), nearest })
        })
    }

    /// A new node of the cheapest launch that admits the pod.
    fn open(
        &self,
        position: usize,
        class: ClassId,
        ranking: &Ranking<'a>,
        bins: &mut Bins<'a>,
        simulation: &mut Simulation,
    ) -> Result<(), Option<Closed<'a>>> {
        bins.asked += self.launches.series().len();
        let mut closed = None;
        for launch in ranking.cheapest_admitting(simulation) {
            let may_open = match self.opens {
                Opens::Any => true,
                Opens::InKnownDomains => !simulation.opens_domain(launch.node()),
                Opens::TheFirst => bins.all.is_empty(),
            };
            if !may_open {
                continue;
            }
            match join(launch, class, simulation) {
                Ok(node) => {
                    let bin = bins.add(launch, node);
                    bins.place(position, class, bin, simulation);
                    return Ok(());
                }
                Err(refusal) => drop(closed.get_or_insert((launch, refusal))),
            }
        }
        Err(closed)
    }
}

/// A new node for a pod of the class. One that its own daemon pods close again is given up, and why is told.
pub(super) fn join(launch: Launch<'_>, class: ClassId, simulation: &mut Simulation) -> Result<NodeId, Refusal> {
    let joined = launch.join(simulation);
    simulation.wake(joined);
    match simulation.refusal(class, joined) {
        None => Ok(joined),
        Some(refusal) => {
            simulation.remove_joined(joined);
            Err(refusal)
        }
    }
}
