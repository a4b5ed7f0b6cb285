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

#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) followers: Vec<usize>,
    /// What all of them request together, by number of the resource.
    pub(super) requests: Vec<i64>,
}

impl Bundles {
    /// Pods with an affinity to each other on their host, of which none runs yet: as many of each group as one node may hold,
    /// in their order. Those beyond that can be nowhere.
    pub(super) fn of(waiting: &[usize], pods: &[Waiting<'_>], market: &Market<'_>, simulation: &Simulation) -> Self {
        let mut leaders: BTreeMap<(usize, Option<usize>), usize> = BTreeMap::new();
        let mut bundles = Self { by_leader: BTreeMap::new(), follows: vec![false; pods.len()] };
        for pod in waiting {
            let class = pods[*pod].class;
            let Some(group) = simulation.host_group(class) else { continue };
            let needs = market.needs(class);
            let leader = *leaders.entry((group, needs)).or_insert(*pod);
            let bundle = bundles
                .by_leader
                .entry(leader)
                .or_insert_with(|| Bundle { followers: Vec::new(), requests: vec![0; simulation.resources().len()] });
            let mut together = bundle.requests.clone();
            for (resource, amount) in simulation.requests(class) {
                together[*resource] += amount;
            }
            if *pod != leader && !market.may_hold(needs, &together) {
                continue;
            }
            bundle.requests = together;
            if *pod != leader {
                bundle.followers.push(*pod);
                bundles.follows[*pod] = true;
            }
        }
        bundles.by_leader.retain(|_, bundle| !bundle.followers.is_empty());
        bundles
    }

    pub(super) fn led_by(&self, pod: usize) -> Option<&Bundle> {
        self.by_leader.get(&pod)
    }

    pub(super) fn follows(&self, pod: usize) -> bool {
        self.follows[pod]
    }
}
