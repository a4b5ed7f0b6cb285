//! What a pod may exchange one node for another by, or a node be launched otherwise, without a rule noticing that counts pods
//! elsewhere.

use super::class::{ClassId, SeenBy};
use super::simulation::{NodeId, Simulation};
use super::target::Target;
use crate::model::key;

impl Simulation {
    /// What the rules about one node look at.
    #[must_use]
    pub fn target(&self, node: NodeId) -> Target<'_> {
        self.nodes[node.0].target()
    }

    /// Whether the rules that count pods find the same wherever of these two nodes a pod of the class is: its own and
    /// those of others, but for anti-affinity by host. Whoever moves from one to the other then changes for nobody else
    /// but those who ask for either of the two hosts.
    #[must_use]
    pub fn counts_alike(&self, class: ClassId, one: NodeId, other: NodeId) -> bool {
        let rules = &self.classes.class(class).rules;
        let SeenBy { spread, affinity, anti_affinity, kept_away } =
            &self.classes.seen_by[self.classes.class(class).seen_by];
        let same = |key: usize| self.domains.of(key, one.0) == self.domains.of(key, other.0);
        let same_spread = |group: usize| {
            let eligibility = &self.classes.eligibilities[self.classes.spread[group].eligibility];
            same(eligibility.key) && self.counts(eligibility, one) == self.counts(eligibility, other)
        };
        let same_affinity = |group: usize| self.classes.affinity[group].terms.iter().all(|(_, key)| same(*key));
        let same_area = |term: &usize| {
            let key = self.classes.anti_affinity[*term].key;
            self.domains.name(key) == key::HOSTNAME || same(key)
        };
        rules.spread.iter().map(|rule| rule.group).chain(spread.iter().copied()).all(same_spread)
            && rules.affinity.iter().map(|(group, _)| *group).chain(affinity.iter().copied()).all(same_affinity)
            && rules.anti_affinity.iter().chain(anti_affinity).chain(kept_away).all(same_area)
    }

    /// Whether the pods that two nodes hold room for are the same to the rules that count pods, and count alike on both.
    #[must_use]
    pub fn held_count_alike(&self, one: NodeId, other: NodeId) -> bool {
        self.hold_alike(one, other) && self.held[one.0].iter().all(|class| self.counts_alike(*class, one, other))
    }

    /// Whether every spread constraint finds the same of two nodes: whether they count, and in which domain.
    #[must_use]
    pub fn in_same_domains(&self, one: NodeId, other: NodeId) -> bool {
        let same = |key: usize| self.domains.of(key, one.0) == self.domains.of(key, other.0);
        self.eligible_alike(one, other) && self.classes.eligibilities.iter().all(|each| same(each.key))
    }

    /// Whether a pod of the class has volumes or devices, which go with it in ways of their own.
    #[must_use]
    pub fn carries_more_than_room(&self, class: ClassId) -> bool {
        self.classes.has_volumes(class) || self.classes.class(class).claims_devices
    }
}
