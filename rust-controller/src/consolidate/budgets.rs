//! `PodDisruptionBudget`s: which pods may be evicted.
//!
//! Source of the rules: the eviction API of Kubernetes 1.36. A pod under two budgets cannot be evicted at all; a budget
//! allows so many evictions until its controller has seen the pods run elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BlockReason, Blocker};
use crate::feasibility::selects;
use crate::model::{Budget, ObjectName, Phase, Pod};
use crate::snapshot::Snapshot;

/// What the budgets still allow.
pub(super) struct Budgets<'a> {
    /// By namespace, with the evictions that are left.
    of_namespace: BTreeMap<&'a str, Vec<(&'a Budget, u32)>>,
    unread: bool,
}

impl<'a> Budgets<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let budgets = snapshot.extras().budgets.as_ref();
        let mut of_namespace: BTreeMap<&str, Vec<(&Budget, u32)>> = BTreeMap::new();
        for (name, budget) in budgets.into_iter().flatten() {
            of_namespace.entry(&name.namespace).or_default().push((budget, budget.disruptions_allowed));
        }
        // One that could not be read may protect any pod of its namespace.
        Self { of_namespace, unread: snapshot.unread_kinds().contains(&"PodDisruptionBudget") }
    }

    /// Whether nobody could read them.
    pub(super) fn are_unread(&self) -> bool {
        self.unread
    }

    /// The pods that could not be evicted all together, each with what protects it.
    pub(super) fn protecting(&self, pods: &[&Arc<Pod>]) -> Vec<Blocker> {
        let mut used: BTreeMap<&ObjectName, u32> = BTreeMap::new();
        let blocker = |pod: &&Arc<Pod>| {
            let reason = match self.over(pod).as_slice() {
                [] => return None,
                [(budget, left)] => {
                    let used = used.entry(&budget.name).or_default();
                    *used += 1;
                    if *used <= *left {
                        return None;
                    }
                    BlockReason::Budget { budget: budget.name.clone(), disruptions_allowed: budget.disruptions_allowed }
                }
                several => BlockReason::SeveralBudgets(several.iter().map(|(budget, _)| budget.name.clone()).collect()),
            };
            Some(Blocker { pod: pod.name.clone(), reason })
        };
        pods.iter().filter_map(blocker).collect()
    }

    /// These pods are evicted.
    pub(super) fn evict(&mut self, pods: &[&Arc<Pod>]) {
        for pod in pods.iter().filter(|pod| counts(pod)) {
            let Some(budgets) = self.of_namespace.get_mut(pod.name.namespace.as_str()) else { continue };
            for (budget, left) in budgets {
                if selects(&budget.selector, &pod.labels) {
                    *left = left.saturating_sub(1);
                }
            }
        }
    }

    /// The budgets over a pod.
    fn over(&self, pod: &Pod) -> Vec<(&'a Budget, u32)> {
        if !counts(pod) {
            return Vec::new();
        }
        let here = self.of_namespace.get(pod.name.namespace.as_str()).into_iter().flatten();
        here.filter(|(budget, _)| selects(&budget.selector, &pod.labels)).copied().collect()
    }
}

/// A pod that does not run yet may always be evicted.
fn counts(pod: &Pod) -> bool {
    pod.phase == Phase::Running
}
