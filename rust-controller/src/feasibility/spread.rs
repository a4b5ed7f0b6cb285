//! Topology spread: pods counted in each domain, and the emptiest domain known at any time.
//!
//! Source of the rules: the plugin `podtopologyspread` of kube-scheduler 1.36. Domains are counted by how many pods they
//! have, so that the fewest is known without looking at every domain. Which domains there are is counted once for all
//! constraints that ask the same of nodes.

use std::collections::BTreeMap;

use super::domains::{Counts, Domains, NONE};

/// Which nodes count for a constraint. A domain is the value of the key on some of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Eligibility {
    /// Topology key.
    pub(super) key: usize,
    /// Every key of the same pod's constraints: a node without one of them does not count.
    pub(super) all_keys: Vec<usize>,
    /// Number of the pod's placement, where node affinity or taints are honoured.
    pub(super) placement: Option<usize>,
    /// Only nodes that the placement's node selector and affinity allow count.
    pub(super) honors_node_affinity: bool,
    /// Only nodes whose taints the placement tolerates count.
    pub(super) honors_node_taints: bool,
}

/// Which pods are counted on which nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpreadGroup {
    /// Number of the eligibility.
    pub(super) eligibility: usize,
    /// Namespace of the pods that count, by number.
    pub(super) namespace: usize,
    /// Selector of the pods that count, by number.
    pub(super) selector: usize,
}

/// One constraint as a class of pods has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SpreadRule {
    /// Number of the group.
    pub(super) group: usize,
    pub(super) max_skew: u32,
    pub(super) min_domains: u32,
    /// 1 where the pods count themselves, else 0.
    pub(super) own: u32,
}

/// Nodes that count, by domain: a domain without any is none.
#[derive(Clone, Debug, Default)]
pub(super) struct SpreadDomains {
    nodes: Counts,
    count: u32,
}

impl SpreadDomains {
    /// A node that counts has come, or gone, its pods before it.
    pub(super) fn change(&mut self, domain: u32, come: bool) {
        let before = self.nodes.change(domain, come);
        match (before, come) {
            (0, true) => self.count += 1,
            (1, false) => self.count -= 1,
            _ => {}
        }
    }

    /// Whether there are nodes of this domain.
    pub(super) fn has(&self, domain: u32) -> bool {
        self.nodes.get(domain) > 0
    }

    /// Whether there are nodes of others, and none of this one.
    pub(super) fn are_without(&self, domain: u32) -> bool {
        self.count > 0 && !self.has(domain)
    }

    /// Whether there are fewer than the constraint asks for.
    pub(super) fn are_too_few(&self, rule: &SpreadRule) -> bool {
        self.count < rule.min_domains
    }
}

/// Pods of one group, by domain.
#[derive(Clone, Debug, Default)]
pub(super) struct SpreadCounts {
    pods: Counts,
    /// How many domains have 1, 2 … pods; those with none are the rest.
    domains_with: BTreeMap<u32, u32>,
    /// How many domains have any.
    filled: u32,
}

impl SpreadCounts {
    /// A pod that counts has come, or gone.
    pub(super) fn change(&mut self, domain: u32, come: bool) {
        let before = self.pods.change(domain, come);
        let after = if come { before + 1 } else { before.saturating_sub(1) };
        if before > 0 {
            self.filled -= 1;
            self.fewer_with(before);
        }
        if after > 0 {
            self.filled += 1;
            *self.domains_with.entry(after).or_default() += 1;
        }
    }

    fn fewer_with(&mut self, pods: u32) {
        if let Some(domains) = self.domains_with.get_mut(&pods) {
            *domains -= 1;
            if *domains == 0 {
                self.domains_with.remove(&pods);
            }
        }
    }

    /// How many pods the domain would have.
    pub(super) fn would_be(&self, rule: &SpreadRule, domain: u32) -> u32 {
        self.pods.get(domain) + rule.own
    }

    /// The fewest pods of a domain that count against it: none where there are fewer domains than the constraint asks for.
    pub(super) fn fewest(&self, rule: &SpreadRule, domains: &SpreadDomains) -> u32 {
        if domains.count < rule.min_domains || self.filled < domains.count {
            return 0;
        }
        self.domains_with.first_key_value().map_or(0, |(pods, _)| *pods)
    }

    pub(super) fn allows(&self, rule: &SpreadRule, domain: u32, domains: &SpreadDomains) -> bool {
        self.would_be(rule, domain) <= self.fewest(rule, domains).saturating_add(rule.max_skew)
    }
}

impl Eligibility {
    /// Whether a node has every label that the constraints of the same pod speak of.
    pub(super) fn has_all_keys(&self, domains: &Domains, node: usize) -> bool {
        self.all_keys.iter().all(|key| domains.of(*key, node) != NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SpreadRule = SpreadRule { group: 0, max_skew: 1, min_domains: 1, own: 1 };

    #[test]
    fn the_fewest_follows_every_change() {
        let (mut counts, mut domains) = (SpreadCounts::default(), SpreadDomains::default());
        domains.change(0, true);
        counts.change(0, true);
        counts.change(0, true);
        assert_eq!(
            (counts.would_be(&RULE, 0), counts.fewest(&RULE, &domains)),
            (3, 2),
            "the only domain is the emptiest"
        );
        domains.change(1, true);
        assert_eq!(counts.fewest(&RULE, &domains), 0);
        assert!(!counts.allows(&RULE, 0, &domains) && counts.allows(&RULE, 1, &domains));
        counts.change(1, true);
        assert_eq!(counts.fewest(&RULE, &domains), 1);
        counts.change(0, false);
        counts.change(0, false);
        assert_eq!((counts.would_be(&RULE, 1), counts.fewest(&RULE, &domains)), (2, 0));
        domains.change(0, false);
        assert!(domains.has(1) && !domains.has(0));
        assert_eq!(counts.fewest(&RULE, &domains), 1);
        assert_eq!(counts.fewest(&SpreadRule { min_domains: 2, ..RULE }, &domains), 0);
    }
}
