//! `PodDisruptionBudget`s: which pods may be evicted.
//!
//! Source of the rules: the eviction API of Kubernetes 1.36. A pod under two budgets cannot be evicted at all; a budget
//! allows so many evictions until its controller has seen the pods run elsewhere.

use std::collections::BTreeMap;

use super::{BlockReason, Turns};
use crate::feasibility::selects;
use crate::model::{Budget, ObjectName, Phase, Pod};
use crate::snapshot::Snapshot;

/// What the budgets still allow.
pub(super) struct Budgets<'a> {
    of_namespace: BTreeMap<&'a str, Vec<&'a Budget>>,
    unread: bool,
}

impl<'a> Budgets<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let budgets = snapshot.extras().budgets.as_ref();
        let mut of_namespace: BTreeMap<&str, Vec<&Budget>> = BTreeMap::new();
        for (name, budget) in budgets.into_iter().flatten() {
            of_namespace.entry(&name.namespace).or_default().push(budget);
        }
        // One that could not be read may protect any pod of its namespace.
        Self { of_namespace, unread: snapshot.unread_kinds().contains(&"PodDisruptionBudget") }
    }

    /// Whether nobody could read them.
    pub(super) fn are_unread(&self) -> bool {
        self.unread
    }

    /// Why a pod cannot be evicted, however long one waits for its budget.
    pub(super) fn forbidding(&self, pod: &Pod) -> Option<BlockReason> {
        match self.over(pod).as_slice() {
            [] => None,
            [budget] if budget.is_stale => Some(BlockReason::StaleBudget(budget.name.clone())),
            [budget] => (budget.disruptions_allowed == 0).then(|| BlockReason::Budget(budget.name.clone())),
            several => Some(BlockReason::SeveralBudgets(several.iter().map(|budget| budget.name.clone()).collect())),
        }
    }

    /// Counts waves, from the first.
    pub(super) fn waves(&self) -> Waves<'_> {
        Waves { budgets: self, wave: 1, used: BTreeMap::new() }
    }

    /// The budgets over a pod.
    fn over(&self, pod: &Pod) -> Vec<&'a Budget> {
        if !counts(pod) {
            return Vec::new();
        }
        let here = self.of_namespace.get(pod.name.namespace.as_str()).into_iter().flatten();
        let over: Vec<&'a Budget> = here.filter(|budget| selects(&budget.selector, &pod.labels)).copied().collect();
        match over.as_slice() {
            [budget] if pod.eviction.unready && budget.lets_unready_go => Vec::new(),
            _ => over,
        }
    }
}

/// Evictions in order, cut where a budget is used up: the next wave comes when the pods of the last one run elsewhere, and the
/// budgets allow as much again.
pub(super) struct Waves<'a> {
    budgets: &'a Budgets<'a>,
    wave: u32,
    /// What this wave has taken of each budget.
    used: BTreeMap<&'a ObjectName, u32>,
}

impl<'a> Waves<'a> {
    /// Pods that are evicted whatever is decided: the first wave has what they leave of the budgets.
    pub(super) fn spend<'p>(&mut self, pods: impl Iterator<Item = &'p Pod>) {
        for budget in pods.flat_map(|pod| self.budgets.over(pod)) {
            *self.used.entry(&budget.name).or_default() += 1;
        }
    }

    /// The wave in which these pods of a node are evicted, all together. Where there are more of them under a budget than that
    /// allows at once, they have a wave for themselves as far as it goes, and the drain waits in between.
    pub(super) fn next<'p>(&mut self, pods: impl Iterator<Item = &'p Pod>) -> (u32, Vec<Turns>) {
        let mut needed: BTreeMap<&'a ObjectName, (u32, u32)> = BTreeMap::new();
        for budget in pods.flat_map(|pod| self.budgets.over(pod)) {
            needed.entry(&budget.name).or_insert((0, budget.disruptions_allowed)).0 += 1;
        }
        let used = |name: &ObjectName| self.used.get(name).copied().unwrap_or(0);
        let over =
            |(name, (needed, allowed)): (&&ObjectName, &(u32, u32))| used(name) > 0 && used(name) + needed > *allowed;
        if needed.iter().any(over) {
            self.wave += 1;
            self.used.clear();
        }
        let mut in_turns = Vec::new();
        for (name, (pods, allowed)) in needed {
            *self.used.entry(name).or_default() += pods;
            if pods > allowed {
                in_turns.push(Turns { budget: name.clone(), pods, allowed });
            }
        }
        (self.wave, in_turns)
    }
}

/// A pod that does not run yet may always be evicted.
fn counts(pod: &Pod) -> bool {
    pod.phase == Phase::Running
}
