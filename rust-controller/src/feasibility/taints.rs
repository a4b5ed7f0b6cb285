//! Taints that nodes have, and the tolerations that make a difference there.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::target::{cordon_taint, tolerates};
use crate::model::{Node, Placement, Taint, TaintEffect, Toleration};

/// The taints of nodes that can refuse pods, by key.
pub(super) struct Taints(BTreeMap<String, BTreeSet<Taint>>);

impl Taints {
    /// Those of nodes that are there, and those that nodes which join may have.
    pub(super) fn of<'n, 't>(
        nodes: impl IntoIterator<Item = &'n Node>,
        joining: impl IntoIterator<Item = &'t Taint>,
    ) -> Self {
        let mut by_key: BTreeMap<String, BTreeSet<Taint>> = BTreeMap::new();
        for taint in joining {
            by_key.entry(taint.key.clone()).or_default().insert(taint.clone());
        }
        for node in nodes {
            let hard = node.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
            for taint in hard.cloned().chain(node.unschedulable.then(cordon_taint)) {
                by_key.entry(taint.key.clone()).or_default().insert(taint);
            }
        }
        Self(by_key)
    }

    /// The same placement with only those tolerations that some taint needs: pods that differ in others fare alike.
    pub(super) fn tolerated<'p>(&self, placement: &'p Placement) -> Cow<'p, Placement> {
        if placement.tolerations.iter().all(|toleration| self.matter(toleration)) {
            return Cow::Borrowed(placement);
        }
        let tolerations = placement.tolerations.iter().filter(|toleration| self.matter(toleration));
        Cow::Owned(Placement { tolerations: tolerations.cloned().collect(), ..placement.clone() })
    }

    fn matter(&self, toleration: &Toleration) -> bool {
        let tolerated = |taint: &Taint| tolerates(std::slice::from_ref(toleration), taint);
        if toleration.key.is_empty() {
            return self.0.values().flatten().any(tolerated);
        }
        self.0.get(&toleration.key).into_iter().flatten().any(tolerated)
    }
}
