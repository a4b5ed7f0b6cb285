//! `PodDisruptionBudget`s: which pods may be evicted.
//!
//! Source of the rules: the eviction API of Kubernetes 1.36.

use std::collections::BTreeMap;

use super::Violation;
use crate::feasibility::selects;
use crate::model::{Budget, Phase, Pod};
use crate::snapshot::Snapshot;

/// The budgets of a snapshot, with what was taken of them since.
#[derive(Debug)]
pub(super) struct Budgets<'a> {
    /// By namespace; with how many pods were evicted.
    of_namespace: BTreeMap<&'a str, Vec<(&'a Budget, u32)>>,
    /// Nobody could read them.
    pub(super) unread: bool,
}

impl<'a> Budgets<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let budgets = snapshot.extras().budgets.as_ref();
        let mut of_namespace: BTreeMap<&str, Vec<(&Budget, u32)>> = BTreeMap::new();
        for (name, budget) in budgets.into_iter().flatten() {
            of_namespace.entry(&name.namespace).or_default().push((budget, 0));
        }
        Self { of_namespace, unread: budgets.is_none() }
    }

    /// A pod is evicted. Only one that runs needs a budget for it, and only one may be over it.
    pub(super) fn evict(&mut self, pod: &Pod) -> Vec<Violation> {
        if pod.phase != Phase::Running {
            return Vec::new();
        }
        let all = self.of_namespace.get_mut(pod.name.namespace.as_str()).into_iter().flatten();
        let mut over: Vec<&mut (&Budget, u32)> =
            all.filter(|(budget, _)| selects(&budget.selector, &pod.labels)).collect();
        let mut violations = Vec::new();
        if let [(first, _), (second, _), ..] = over.as_slice() {
            let budgets = format!("{} and {}", first.name, second.name);
            violations.push(Violation::new(&pod.name, format_args!("is evicted, and under two budgets: {budgets}")));
        }
        for (budget, evicted) in &mut over {
            *evicted += 1;
            if *evicted > budget.disruptions_allowed {
                let Budget { name, disruptions_allowed, .. } = budget;
                let more =
                    format!("budget {name} allows {disruptions_allowed} evictions, and this is number {evicted}");
                violations.push(Violation::new(&pod.name, more));
            }
        }
        violations
    }
}
