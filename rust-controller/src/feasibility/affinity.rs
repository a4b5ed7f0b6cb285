//! Pod affinity and anti-affinity: pods counted in each domain.
//!
//! Source of the rules: the plugin `interpodaffinity` of kube-scheduler 1.36. A change costs O(1) for each term that the
//! pod matches or carries.

use super::domains::{Counts, Domains, NONE};

/// The pods of a term, by number of its selector and of its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) selector: usize,
    pub(super) namespaces: usize,
}

/// An anti-affinity term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AntiTerm {
    pub(super) who: Who,
    /// Topology key.
    pub(super) key: usize,
}

/// Who is where, for one anti-affinity term.
#[derive(Clone, Debug, Default)]
pub(super) struct AntiCounts {
    /// Pods that it keeps away, by domain.
    pub(super) matching: Counts,
    /// Pods that carry it, by domain.
    pub(super) carriers: Counts,
}

/// All affinity terms of a pod together: only pods that match every one of them count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct AffinityGroup {
    /// Each term's pods and topology key, in the order of the spec.
    pub(super) terms: Vec<(Who, usize)>,
}

/// Pods that match every term of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct AffinityCounts {
    /// By term and domain.
    by_term: Vec<Counts>,
    /// In all domains of all terms.
    total: u64,
}

/// What a group says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Satisfied,
    /// The node lacks the label of this term.
    NoDomain(usize),
    /// No pod of this term is near.
    NotNear(usize),
}

impl AffinityCounts {
    /// Whether no pod is anywhere that counts.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// A pod that matches every term has come (`true`) or gone, as far as terms over certain keys go.
    pub(super) fn change(
        &mut self,
        group: &AffinityGroup,
        domains: &Domains,
        node: usize,
        come: bool,
        counted: impl Fn(&str) -> bool,
    ) {
        self.by_term.resize_with(group.terms.len(), Counts::default);
        for ((_, key), counts) in group.terms.iter().zip(&mut self.by_term) {
            let domain = domains.of(*key, node);
            if domain == NONE || !counted(domains.name(*key)) {
                continue;
            }
            counts.change(domain, come);
            self.total = if come { self.total + 1 } else { self.total.saturating_sub(1) };
        }
    }

    /// Where no pod in the cluster matches, one that matches its own terms may be the first. Only terms over certain keys
    /// are asked.
    pub(super) fn verdict(
        &self,
        group: &AffinityGroup,
        own: bool,
        domains: &Domains,
        node: usize,
        asked: impl Fn(usize) -> bool,
    ) -> Affinity {
        let mut far = None;
        for (term, (_, key)) in group.terms.iter().enumerate().filter(|(_, (_, key))| asked(*key)) {
            let domain = domains.of(*key, node);
            if domain == NONE {
                return Affinity::NoDomain(term);
            }
            if self.by_term.get(term).is_none_or(|counts| counts.get(domain) == 0) {
                far = far.or(Some(term));
            }
        }
        match far {
            Some(term) if self.total > 0 || !own => Affinity::NotNear(term),
            _ => Affinity::Satisfied,
        }
    }
}
