//! Pods that must all run on one host.

use std::collections::BTreeMap;

use super::existing::Waiting;
use super::market::Market;
use crate::feasibility::Simulation;

/// Pods that must be together, by the first of them; the others follow it to its node.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    by_leader: BTreeMap<usize, Bundle>,
    /// By position, whether a pod is one of those that follow.
    follows: Vec<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Bundle {
    pub(super) followers: Vec<usize>,
    /// What all of them request together, by number of the resource.
    pub(super) requests: Vec<i64>,
}

impl Bundles {
    /// Pods with an affinity to each other on their host, or to others that wait, of which none runs yet: as many of each
    /// group as one node may hold, in their order. Those beyond that may find a place beside others, or none.
    pub(super) fn of(waiting: &[usize], pods: &[Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Self {
        let mut bundles = Self { by_leader: BTreeMap::new(), follows: vec![false; pods.len()] };
        let leaders = leaders(waiting, pods, market, simulation);
        for pod in waiting {
            let class = pods[*pod].class;
            let Some((group, _)) = simulation.host_group(class) else { continue };
            let needs = market.needs(class);
            let Some(leader) = leaders.get(&(group, needs)).filter(|leader| *leader != pod) else { continue };
            let leads = bundles.by_leader.contains_key(pod);
            if !leads && !bundles.follows[*leader] {
                bundles.join(*leader, *pod, pods, (needs, market), simulation);
            }
        }
        bundles
    }

    /// Lets a pod follow another, if one node may hold both and all who follow it already.
    fn join(
        &mut self,
        leader: usize,
        pod: usize,
        pods: &[Waiting<'_>],
        (needs, market): (Option<usize>, &Market<'_>),
        simulation: &Simulation,
    ) {
        let added = |mut sum: Vec<i64>, pod: usize| {
            for (resource, amount) in simulation.requests(pods[pod].class) {
                sum[*resource] += amount;
            }
            sum
        };
        let alone = || added(vec![0; simulation.resources().len()], leader);
        let together = added(self.by_leader.get(&leader).map_or_else(alone, |bundle| bundle.requests.clone()), pod);
        if market.may_hold(needs, &together) {
            let bundle = self.by_leader.entry(leader).or_default();
            bundle.requests = together;
            bundle.followers.push(pod);
            self.follows[pod] = true;
        }
    }

    pub(super) fn led_by(&self, pod: usize) -> Option<&Bundle> {
        self.by_leader.get(&pod)
    }

    pub(super) fn follows(&self, pod: usize) -> bool {
        self.follows[pod]
    }
}

/// By affinity group and needs, the first pod that the group looks for. One that must itself be near others leads nobody but
/// its own kind.
fn leaders(
    waiting: &[usize],
    pods: &[Waiting<'_>],
    market: &Market<'_>,
    simulation: &Simulation,
) -> BTreeMap<(usize, Option<usize>), usize> {
    let mut leaders = BTreeMap::new();
    for pod in waiting {
        let class = pods[*pod].class;
        let own = simulation.host_group(class);
        for group in simulation.host_groups_finding(class) {
            if own.is_none_or(|own| own == (group, true)) {
                leaders.entry((group, market.needs(class))).or_insert(*pod);
            }
        }
    }
    leaders
}
