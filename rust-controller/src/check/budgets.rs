//! `PodDisruptionBudget`s: which pods may be evicted.
//!
//! Source of the rules: the eviction API of Kubernetes 1.36.

use std::collections::BTreeMap;

use super::Violation;
use crate::feasibility::selects;
use crate::model::{Budget, Phase, Pod};
use crate::snapshot::Snapshot;

/// Evictions under a budget.
#[derive(Clone, Copy, Debug, Default)]
struct Evicted {
    of_wave: u32,
    of_node: u32,
}

/// The budgets of a snapshot, with what was taken of them since.
#[derive(Debug)]
pub(super) struct Budgets<'a> {
    /// By namespace; with how many pods were evicted in this wave, and off how many nodes.
    of_namespace: BTreeMap<&'a str, Vec<(&'a Budget, Evicted)>>,
    wave: u32,
    /// Nobody could read them.
    pub(super) unread: bool,
}

impl<'a> Budgets<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let budgets = snapshot.extras().budgets.as_ref();
        let mut of_namespace: BTreeMap<&str, Vec<(&Budget, Evicted)>> = BTreeMap::new();
        for (name, budget) in budgets.into_iter().flatten() {
            of_namespace.entry(&name.namespace).or_default().push((budget, Evicted::default()));
        }
        Self { of_namespace, wave: 1, unread: budgets.is_none() }
    }

    /// A node goes in this wave, and its pods will be evicted. Whether the wave is this one or the next.
    pub(super) fn begin(&mut self, wave: u32) -> bool {
        let next = wave == self.wave + 1;
        for (_, evicted) in self.of_namespace.values_mut().flatten() {
            *evicted = if next { Evicted::default() } else { Evicted { of_node: 0, ..*evicted } };
        }
        let in_order = next || wave == self.wave;
        self.wave = wave;
        in_order
    }

    /// A pod is evicted. Only one that runs needs a budget for it, and only one may be over it.
    pub(super) fn evict(&mut self, pod: &Pod) -> Vec<Violation> {
        if pod.phase != Phase::Running {
            return Vec::new();
        }
        let all = self.of_namespace.get_mut(pod.name.namespace.as_str()).into_iter().flatten();
        let mut over: Vec<&mut (&Budget, Evicted)> =
            all.filter(|(budget, _)| selects(&budget.selector, &pod.labels)).collect();
        if let [(budget, _)] = over.as_slice()
            && budget.lets_unready_go
            && pod.eviction.unready
        {
            return Vec::new();
        }
        let mut violations = Vec::new();
        if let [(first, _), (second, _), ..] = over.as_slice() {
            let budgets = format!("{} and {}", first.name, second.name);
            violations.push(Violation::new(&pod.name, format_args!("is evicted, and under two budgets: {budgets}")));
        }
        for (budget, evicted) in &mut over {
            evicted.of_wave += 1;
            evicted.of_node += 1;
            // One node alone may hold more pods than can go at once: its drain waits.
            let waits = evicted.of_node == evicted.of_wave && budget.disruptions_allowed > 0;
            if evicted.of_wave > budget.disruptions_allowed && !waits {
                let Budget { name, disruptions_allowed, .. } = budget;
                let number = evicted.of_wave;
                let more = format!("budget {name} allows {disruptions_allowed} evictions, and this is number {number}");
                violations.push(Violation::new(&pod.name, more));
            }
        }
        violations
    }
}
