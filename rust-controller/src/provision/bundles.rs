//! Pods that must all run on one host.

use std::collections::{BTreeMap, BTreeSet};

use super::existing::Waiting;
use super::market::Market;
use crate::feasibility::{ClassId, Simulation};

/// Pods that must be together, by the first of them; the others follow it to its node.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    by_leader: BTreeMap<usize, Bundle>,
    /// By position, whether a pod is one of those that follow.
    follows: Vec<bool>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bundle {
    pub(super) followers: Vec<usize>,
    /// What all of them request together, by number of the resource.
    pub(super) requests: Vec<i64>,
    /// Numbers of what all of them need of their node by itself.
    pub(super) needs: Vec<usize>,
    /// Their classes, each once.
    classes: Vec<ClassId>,
}

/// So many pods that differ in something are tried as leaders of a class.
const MOST_LEADERS: usize = 8;

impl Bundles {
    /// Pods with an affinity to each other on their host, or to others that wait, of which none runs yet: as many of each
    /// group as one node may hold, in their order. Those beyond that may find a place beside others, or none.
    pub(super) fn of(waiting: &[usize], pods: &[Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Self {
        let mut bundles = Self { by_leader: BTreeMap::new(), follows: vec![false; pods.len()] };
        let leaders = Leaders::of(waiting, pods, simulation);
        let mut of_class: BTreeMap<ClassId, Vec<usize>> = BTreeMap::new();
        for pod in waiting {
            let class = pods[*pod].class;
            let Some((group, own)) = simulation.host_group(class) else { continue };
            let candidates =
                of_class.entry(class).or_insert_with(|| leaders.for_class(class, group, pods, market, simulation));
            if bundles.by_leader.contains_key(pod) {
                continue;
            }
            // Of pods that are all near their own kind, the first leads the others.
            for leader in candidates.iter().filter(|leader| !own || *leader < pod) {
                if !bundles.follows[*leader] && bundles.join(*leader, *pod, pods, market, simulation) {
                    break;
                }
            }
        }
        bundles
    }

    /// Lets a pod follow another, if one node may hold both and all who follow it already. Whether it does.
    fn join(
        &mut self,
        leader: usize,
        pod: usize,
        pods: &[Waiting<'_>],
        market: &Market<'_>,
        simulation: &Simulation,
    ) -> bool {
        let alone = || Bundle::default().with(pods[leader].class, market, simulation);
        let bundle = self.by_leader.get(&leader).map_or_else(alone, Bundle::clone);
        let class = pods[pod].class;
        if bundle.classes.iter().any(|other| !simulation.may_share_host(*other, class)) {
            return false;
        }
        let mut together = bundle.with(class, market, simulation);
        let may_be = market.may_hold(&together.needs, &together.requests);
        if may_be {
            together.followers.push(pod);
            self.by_leader.insert(leader, together);
            self.follows[pod] = true;
        }
        may_be
    }

    pub(super) fn led_by(&self, pod: usize) -> Option<&Bundle> {
        self.by_leader.get(&pod)
    }

    pub(super) fn follows(&self, pod: usize) -> bool {
        self.follows[pod]
    }
}

impl Bundle {
    /// The same with a pod of the class beside the others.
    fn with(mut self, class: ClassId, market: &Market<'_>, simulation: &Simulation) -> Self {
        self.requests.resize(simulation.resources().len(), 0);
        for (resource, amount) in simulation.requests(class) {
            self.requests[*resource] += amount;
        }
        if !self.classes.contains(&class) {
            self.classes.push(class);
            self.needs = market.needs_together(&self.classes);
        }
        self
    }
}

/// By affinity group, the first pod of each class that the group looks for. One that must itself be near others leads nobody
/// but its own kind.
struct Leaders(BTreeMap<usize, Vec<usize>>);

impl Leaders {
    fn of(waiting: &[usize], pods: &[Waiting<'_>], simulation: &Simulation) -> Self {
        let mut leaders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut asked: BTreeSet<ClassId> = BTreeSet::new();
        for pod in waiting.iter().filter(|pod| asked.insert(pods[**pod].class)) {
            let own = simulation.host_group(pods[*pod].class);
            for group in simulation.host_groups_finding(pods[*pod].class) {
                if own.is_none_or(|own| own == (group, true)) {
                    leaders.entry(group).or_default().push(*pod);
                }
            }
        }
        Self(leaders)
    }

    /// Those beside whom a pod of the class may run, on a node that meets the needs of both; those that need the same come
    /// first.
    fn for_class(
        &self,
        class: ClassId,
        group: usize,
        pods: &[Waiting<'_>],
        market: &Market<'_>,
        simulation: &Simulation,
    ) -> Vec<usize> {
        let beside = |leader: &usize| {
            let other = pods[*leader].class;
            other == class
                || simulation.may_share_host(other, class)
                    && market.may_hold(&market.needs_together(&[other, class]), &[])
        };
        let mut beside: Vec<usize> = self.0.get(&group).into_iter().flatten().copied().filter(beside).collect();
        beside.sort_by_key(|leader| market.needs(pods[*leader].class) != market.needs(class));
        beside.truncate(MOST_LEADERS);
        beside
    }
}
