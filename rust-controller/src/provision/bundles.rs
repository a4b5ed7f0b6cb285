//! Pods that must all run on one host.

use std::collections::BTreeMap;

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

/// So many classes are tried as leaders of a class.
const MOST_LEADERS: usize = 8;

impl Bundles {
    /// None, of so many pods.
    pub(super) fn none(pods: usize) -> Self {
        Self { by_leader: BTreeMap::new(), follows: vec![false; pods] }
    }

    /// Pods that must share a host with each other, or with others that wait, since none of those that run has room: as many
    /// of each group as one node may hold, in their order. Those beyond that may find a place beside others, or none.
    /// O(pods × classes that lead), as no leader is tried again once it is full.
    pub(super) fn of(waiting: &[usize], pods: &[Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Self {
        let mut bundles = Self::none(pods.len());
        let leaders = Leaders::of(waiting, pods, simulation);
        let mut of_class: BTreeMap<ClassId, Vec<Line<'_>>> = BTreeMap::new();
        for pod in waiting {
            let class = pods[*pod].class;
            let Some((group, own)) = simulation.host_group(class) else { continue };
            let lines = of_class.entry(class).or_insert_with(|| leaders.for_class(class, group, market, simulation));
            if bundles.by_leader.contains_key(pod) {
                continue;
            }
            for line in lines {
                // Of pods that are all near their own kind, the first leads the others.
                let leaders = if own { &line.pods[..1] } else { line.pods };
                let may_lead = |leader: usize| if own { leader < *pod } else { leader != *pod };
                if bundles.join_one_of(&mut line.full, leaders, (*pod, &may_lead), pods, market, simulation) {
                    break;
                }
            }
        }
        bundles
    }

    /// Lets a pod follow the first of some that may lead it and has room. Those that are found full are not asked again.
    fn join_one_of(
        &mut self,
        full: &mut usize,
        leaders: &[usize],
        (pod, may_lead): (usize, &dyn Fn(usize) -> bool),
        pods: &[Waiting<'_>],
        market: &Market<'_>,
        simulation: &Simulation,
    ) -> bool {
        let mut all_full = true;
        for leader in &leaders[*full..] {
            if !may_lead(*leader) {
                // Others may ask it still.
                all_full = false;
                continue;
            }
            if !self.follows[*leader] {
                let leads = self.by_leader.contains_key(leader);
                if self.join(*leader, pod, pods, market, simulation) {
                    return true;
                }
                if !leads {
                    return false;
                }
            }
            *full += usize::from(all_full);
        }
        false
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
        self.requests.resize(simulation.dimensions(), 0);
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

/// Pods of one class that may lead others of one class.
struct Line<'l> {
    pods: &'l [usize],
    /// How many of the first are full.
    full: usize,
}

/// By affinity group, the classes that the group looks for, and the pods of each. One that must itself be near others leads
/// nobody but its own kind.
struct Leaders {
    of_group: BTreeMap<usize, Vec<ClassId>>,
    pods: BTreeMap<ClassId, Vec<usize>>,
}

impl Leaders {
    fn of(waiting: &[usize], pods: &[Waiting<'_>], simulation: &Simulation) -> Self {
        let mut of_group: BTreeMap<usize, Vec<ClassId>> = BTreeMap::new();
        let mut of_class: BTreeMap<ClassId, Vec<usize>> = BTreeMap::new();
        for pod in waiting {
            let class = pods[*pod].class;
            let known = of_class.entry(class).or_default();
            known.push(*pod);
            if known.len() > 1 {
                continue;
            }
            let own = simulation.host_group(class);
            for group in simulation.host_groups_finding(class) {
                if own.is_none_or(|own| own == (group, true)) {
                    of_group.entry(group).or_default().push(class);
                }
            }
        }
        Self { of_group, pods: of_class }
    }

    /// Those beside whom a pod of the class may run, on a node that meets the needs of both; those that need the same come
    /// first.
    fn for_class(&self, class: ClassId, group: usize, market: &Market<'_>, simulation: &Simulation) -> Vec<Line<'_>> {
        let beside = |leader: &ClassId| {
            *leader == class
                || simulation.may_share_host(*leader, class)
                    && market.may_hold(&market.needs_together(&[*leader, class]), &[])
        };
        let mut beside: Vec<ClassId> =
            self.of_group.get(&group).into_iter().flatten().copied().filter(beside).collect();
        beside.sort_by_key(|leader| market.needs(*leader) != market.needs(class));
        beside.truncate(MOST_LEADERS);
        beside.iter().map(|leader| Line { pods: &self.pods[leader], full: 0 }).collect()
    }
}
