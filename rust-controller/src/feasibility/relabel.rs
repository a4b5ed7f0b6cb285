//! Soft rules, when a planned node is launched otherwise: with other labels, and the host name that it has.

use std::collections::{BTreeMap, BTreeSet};

use super::target::Target;
use super::wishes::Wishes;
use crate::model::key;

/// What spread constraints notice of a node that has other labels: by number of the eligibility that finds it in another
/// domain, or counts it where it did not, whether there are other domains than before.
pub type Noticed = BTreeMap<usize, bool>;

/// Which soft rules look at which pods, by the number of those rules ([`Wishes::number`]).
#[derive(Debug)]
pub struct Watchers {
    /// By term; none for terms over host names, which see no other labels.
    terms: Vec<Vec<usize>>,
    /// By spread group.
    groups: Vec<Vec<usize>>,
    /// By eligibility.
    eligibilities: Vec<Vec<usize>>,
}

impl Wishes {
    /// A new node on which no pod is has other labels from now on. O(topology keys + eligibilities).
    pub fn relabel(&mut self, node: usize, target: &Target<'_>) -> Noticed {
        let before: Vec<u32> = self.eligibilities.iter().map(|each| self.domains.of(each.key, node)).collect();
        self.domains.relabel(node, target);
        let mut noticed = Noticed::new();
        for (number, before) in before.into_iter().enumerate() {
            let after = self.domains.of(self.eligibilities[number].key, node);
            let counts = self.is_eligible(number, node, target);
            let (eligible, domains) = &mut self.eligible[number];
            let counted = std::mem::replace(&mut eligible[node], counts);
            if (counted, before) == (counts, after) {
                continue;
            }
            if counted {
                domains.change(before, false);
            }
            let vanished = counted && !domains.has(before);
            let appeared = counts && !domains.has(after);
            if counts {
                domains.change(after, true);
            }
            noticed.insert(number, vanished || appeared);
        }
        noticed
    }

    /// Which soft rules look at which pods.
    #[must_use]
    pub fn watchers(&self) -> Watchers {
        let mut watchers = Watchers {
            terms: vec![Vec::new(); self.terms.len()],
            groups: vec![Vec::new(); self.spread.len()],
            eligibilities: vec![Vec::new(); self.eligibilities.len()],
        };
        for (number, wish) in self.all.iter().enumerate() {
            let terms = wish.affinity.iter().chain(&wish.anti_affinity);
            for (term, _) in terms.filter(|(term, _)| self.domains.name(self.terms[*term].0) != key::HOSTNAME) {
                watchers.terms[*term].push(number);
            }
            for rule in &wish.spread {
                watchers.groups[rule.group].push(number);
                watchers.eligibilities[self.spread[rule.group].0].push(number);
            }
        }
        watchers
    }

    /// The soft rules for which something changes where a node with pods at these positions has other labels.
    pub fn watching(
        &self,
        watchers: &Watchers,
        pods: impl Iterator<Item = usize>,
        noticed: &Noticed,
    ) -> BTreeSet<usize> {
        let found: BTreeSet<usize> = pods.map(|pod| self.found[pod]).collect();
        let mut watching = BTreeSet::new();
        for found in found.into_iter().map(|found| &self.found_by[found]) {
            watching.extend(found.terms.iter().flat_map(|term| &watchers.terms[*term]));
            let counting = found.spread.iter().filter(|group| noticed.contains_key(&self.spread[**group].0));
            watching.extend(counting.flat_map(|group| &watchers.groups[*group]));
        }
        let other_domains = noticed.iter().filter(|(_, other_domains)| **other_domains);
        watching.extend(other_domains.flat_map(|(eligibility, _)| &watchers.eligibilities[*eligibility]));
        watching
    }
}
