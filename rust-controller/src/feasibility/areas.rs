//! Rules about other pods, over everything wider than a host.
//!
//! Nodes that have the same value of each topology key but the host name are in one area. Where pods are spread over
//! zones, or must be near each other in one, that is decided area by area, before anybody knows the nodes.

use super::class::{ClassId, SeenBy};
use super::simulation::{NodeId, Simulation};
use crate::model::key;

/// The value of each topology key that some rule speaks of, by number; host names left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area(Vec<u32>);

impl Simulation {
    /// Where a node is.
    #[must_use]
    pub fn area(&self, node: NodeId) -> Area {
        let wide = (0..self.domains.count()).filter(|key| self.is_wide(*key));
        Area(wide.map(|key| self.domains.of(key, node.0)).collect())
    }

    /// Whether a class has rules that an area decides, or is what such a rule of others waits for.
    #[must_use]
    pub fn depends_on_area(&self, class: ClassId) -> bool {
        let asked = self.classes.class(class);
        let SeenBy { affinity, kept_away, .. } = &self.classes.seen_by[asked.seen_by];
        let wide_group = |group: usize| self.classes.affinity[group].terms.iter().any(|(_, key)| self.is_wide(*key));
        let wide_term = |term: &usize| self.is_wide(self.classes.anti_affinity[*term].key);
        asked.rules.spread.iter().any(|rule| self.is_wide(self.classes.spread_key(rule.group)))
            || asked.rules.affinity.iter().any(|(group, _)| wide_group(*group))
            || asked.rules.anti_affinity.iter().chain(kept_away).any(wide_term)
            || affinity.iter().any(|group| wide_group(*group))
    }

    /// Whether a pod of the class may run in the area of a node, as far as rules about other pods decide that.
    #[must_use]
    pub fn may_be_in_area(&self, class: ClassId, node: NodeId) -> bool {
        let wide = |key: usize| self.is_wide(key);
        self.may_spread(class, node, wide) && self.may_be_near(class, node, wide)
    }

    /// A pod of the class comes to the area of a node (`true`), or leaves it, whatever its host.
    pub fn count_in_area(&mut self, class: ClassId, node: NodeId, come: bool) {
        self.count_pod(class, node, come, |key| key != key::HOSTNAME);
    }

    /// Whether two nodes count alike for every spread constraint, domains aside.
    #[must_use]
    pub fn eligible_alike(&self, one: NodeId, other: NodeId) -> bool {
        let alike = |eligibility| self.counts(eligibility, one) == self.counts(eligibility, other);
        self.classes.eligibilities.iter().all(alike)
    }

    /// Classes of one number are the same to the rules of all other pods.
    #[must_use]
    pub fn look(&self, class: ClassId) -> usize {
        self.classes.class(class).seen_by
    }

    /// The number of the affinity group by which pods of a class must run on the host of others, and whether they may be the
    /// first themselves, since none of those runs yet.
    #[must_use]
    pub fn host_group(&self, class: ClassId) -> Option<(usize, bool)> {
        let (group, own) = self.classes.class(class).rules.affinity?;
        self.is_on_host(group).then(|| (group, own && self.affinity[group].is_empty()))
    }

    /// Numbers of the affinity groups that look for pods of a class on their host.
    pub fn host_groups_finding(&self, class: ClassId) -> impl Iterator<Item = usize> {
        self.groups_finding(class).filter(|group| self.is_on_host(*group))
    }

    /// The number of the affinity group by which pods of a class must be near others in something wider than a host, and
    /// whether no such pod runs anywhere.
    #[must_use]
    pub fn wide_group(&self, class: ClassId) -> Option<(usize, bool)> {
        let (group, _) = self.classes.class(class).rules.affinity?;
        let is_wide = self.classes.affinity[group].terms.iter().any(|(_, key)| self.is_wide(*key));
        is_wide.then(|| (group, self.affinity[group].is_empty()))
    }

    /// Numbers of the affinity groups that look for pods of a class.
    pub fn groups_finding(&self, class: ClassId) -> impl Iterator<Item = usize> {
        self.classes.seen_by[self.classes.class(class).seen_by].affinity.iter().copied()
    }

    /// Whether no anti-affinity keeps pods of two classes off each other's host.
    #[must_use]
    pub fn may_share_host(&self, one: ClassId, other: ClassId) -> bool {
        let keeps_off = |carrier: ClassId, other: ClassId| {
            let seen_by = &self.classes.seen_by[self.classes.class(other).seen_by];
            let terms = self.classes.class(carrier).rules.anti_affinity.iter();
            let mut on_host = terms.filter(|term| !self.is_wide(self.classes.anti_affinity[**term].key));
            on_host.any(|term| seen_by.anti_affinity.contains(term) || seen_by.kept_away.contains(term))
        };
        !keeps_off(one, other) && !keeps_off(other, one)
    }

    /// Whether pods of a class must be near others of which pods of another class are some.
    #[must_use]
    pub fn awaits(&self, class: ClassId, other: ClassId) -> bool {
        let group = self.classes.class(class).rules.affinity;
        group.is_some_and(|(group, _)| self.groups_finding(other).any(|finding| finding == group))
    }

    fn is_on_host(&self, group: usize) -> bool {
        self.classes.affinity[group].terms.iter().any(|(_, key)| !self.is_wide(*key))
    }

    fn is_wide(&self, key: usize) -> bool {
        self.domains.name(key) != key::HOSTNAME
    }
}
