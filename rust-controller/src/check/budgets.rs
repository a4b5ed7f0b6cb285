//! `PodDisruptionBudget`s: which pods may be evicted, and when.
//!
//! Source of the rules: the eviction API of Kubernetes 1.36.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::consolidate::{NodePlan, Turns};
use crate::feasibility::selects;
use crate::model::{Budget, ObjectName, Phase, Pod};
use crate::snapshot::Snapshot;

/// The budgets of a snapshot, with what was taken of them since.
#[derive(Debug)]
pub(super) struct Budgets<'a> {
    of_namespace: BTreeMap<&'a str, Vec<&'a Budget>>,
    wave: u32,
    /// How many pods were evicted in this wave, by budget.
    evicted: BTreeMap<&'a ObjectName, u32>,
    /// Nobody could read them.
    pub(super) unread: bool,
}

/// How many pods under a budget leave a node, and how many evictions it allows.
type Leaving<'a> = BTreeMap<&'a ObjectName, (u32, u32)>;

impl<'a> Budgets<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let budgets = snapshot.extras().budgets.as_ref();
        let mut of_namespace: BTreeMap<&str, Vec<&Budget>> = BTreeMap::new();
        for (name, budget) in budgets.into_iter().flatten() {
            of_namespace.entry(&name.namespace).or_default().push(budget);
        }
        let mut budgets = Self { of_namespace, wave: 1, evicted: BTreeMap::new(), unread: budgets.is_none() };
        budgets.take_for_nodes_that_are_being_deleted(snapshot);
        budgets
    }

    /// Their pods are evicted now, whatever the plan says.
    fn take_for_nodes_that_are_being_deleted(&mut self, snapshot: &Snapshot) {
        let nodes = snapshot.nodes().iter().filter(|node| node.deleting);
        let nodes: BTreeSet<&str> = nodes.map(|node| node.name.as_str()).collect();
        let is_evicted = |pod: &Pod| {
            let is_there = pod.occupied_node().is_some_and(|node| nodes.contains(node));
            is_there && !pod.deleting && !pod.ends_with_its_node()
        };
        for pod in snapshot.pods().iter().filter(|pod| is_evicted(pod)) {
            for budget in self.over(pod) {
                *self.evicted.entry(&budget.name).or_default() += 1;
            }
        }
    }

    /// These pods leave a node, in the wave that the plan says.
    pub(super) fn evict<'p>(&mut self, plan: &NodePlan, pods: impl Iterator<Item = &'p Pod>) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut leaving = Leaving::new();
        for pod in pods {
            let over = self.over(pod);
            if let [first, second, ..] = over.as_slice() {
                let budgets = format!("{} and {}", first.name, second.name);
                found.push(Violation::new(&pod.name, format_args!("is evicted, and under two budgets: {budgets}")));
            }
            for budget in over {
                leaving.entry(&budget.name).or_insert((0, budget.disruptions_allowed)).0 += 1;
            }
        }
        found.extend(self.enter(plan, &leaving));
        for (name, (pods, allowed)) in &leaving {
            let evicted = self.evicted.entry(*name).or_default();
            let alone = *evicted == 0;
            *evicted += pods;
            // One node alone may hold more pods than can go at once: its drain waits.
            if *evicted > *allowed && !(alone && *allowed > 0) {
                let node = &plan.node.name;
                let more = format!("of budget {name}, which allows {allowed} evictions at once, it takes {evicted}");
                found.push(Violation::new(node, more));
            }
        }
        found.extend(wrong_turns(plan, &leaving));
        found
    }

    /// The budgets over a pod. Only one that runs needs a budget for it.
    fn over(&self, pod: &Pod) -> Vec<&'a Budget> {
        if pod.phase != Phase::Running {
            return Vec::new();
        }
        let here = self.of_namespace.get(pod.name.namespace.as_str()).into_iter().flatten();
        let over: Vec<&'a Budget> = here.filter(|budget| selects(&budget.selector, &pod.labels)).copied().collect();
        match over.as_slice() {
            [budget] if budget.lets_unready_go && pod.eviction.unready => Vec::new(),
            _ => over,
        }
    }

    /// The wave of a node. A new one begins where a budget of this one is used up, and only there.
    fn enter(&mut self, plan: &NodePlan, leaving: &Leaving<'a>) -> Option<Violation> {
        let used_up = leaving.iter().find(|(name, (pods, allowed))| {
            let evicted = self.evicted.get(*name).copied().unwrap_or(0);
            evicted > 0 && evicted + pods > *allowed
        });
        let expected = self.wave + u32::from(used_up.is_some());
        if plan.wave != self.wave {
            self.evicted.clear();
        }
        self.wave = plan.wave;
        let why = match used_up {
            _ if plan.wave == expected => return None,
            Some((name, _)) => format!("since budget {name} is used up"),
            None => "since no budget is used up".to_owned(),
        };
        Some(Violation::new(
            &plan.node.name,
            format_args!("goes in wave {}, out of order: wave {expected} is next, {why}", plan.wave),
        ))
    }
}

/// What a plan says of budgets that allow fewer evictions than a node has pods under them, where that is not so.
fn wrong_turns(plan: &NodePlan, leaving: &Leaving<'_>) -> Option<Violation> {
    let more = leaving.iter().filter(|(_, (pods, allowed))| pods > allowed);
    let turns = more.map(|(name, (pods, allowed))| (*name, *pods, *allowed));
    let said = plan.in_turns.iter().map(|Turns { budget, pods, allowed }| (budget, *pods, *allowed));
    (!turns.eq(said))
        .then(|| Violation::new(&plan.node.name, "does not say rightly where its drain waits for a budget"))
}
