//! Which nodes are near each other: by the value of each node label that some rule speaks of.

use std::collections::BTreeMap;

use super::interner::Interner;
use super::target::Target;
use crate::model::key;
use crate::units::FastMap;

/// The domain of a node without the label.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers the values of topology keys, and knows each node's.
#[derive(Clone, Debug, Default)]
pub(super) struct Domains {
    keys: Interner<String>,
    /// By key.
    of_key: Vec<DomainsOfKey>,
}

#[derive(Clone, Debug, Default)]
struct DomainsOfKey {
    by_value: FastMap<String, u32>,
    /// How many domains there are: the values, and one for each new node where every node has its own.
    count: u32,
    /// By node.
    of_node: Vec<u32>,
}

impl DomainsOfKey {
    fn number(&mut self, value: Option<&str>) -> u32 {
        let Some(value) = value else { return NONE };
        let next = self.count;
        let domain = *self.by_value.entry(value.to_owned()).or_insert(next);
        self.count = self.count.max(domain + 1);
        domain
    }
}

impl Domains {
    /// The number of a topology key. Only before the first node.
    pub(super) fn key(&mut self, key: &str) -> usize {
        let number = self.keys.number_of(key);
        self.of_key.resize_with(self.keys.values().len(), DomainsOfKey::default);
        number
    }

    /// How many topology keys there are.
    pub(super) fn count(&self) -> usize {
        self.of_key.len()
    }

    /// Name of a key.
    pub(super) fn name(&self, key: usize) -> &str {
        &self.keys.values()[key]
    }

    /// The value of each key on a node.
    pub(super) fn values(&self, target: &Target<'_>) -> Vec<Option<String>> {
        self.keys.values().iter().map(|key| target.label(key).map(str::to_owned)).collect()
    }

    /// The next node.
    pub(super) fn add(&mut self, target: &Target<'_>) {
        for (name, domains) in self.keys.values().iter().zip(&mut self.of_key) {
            let domain = domains.number(target.label(name));
            domains.of_node.push(domain);
        }
    }

    /// A node has other labels from now on, but the same host name.
    pub(super) fn relabel(&mut self, node: usize, target: &Target<'_>) {
        for (name, domains) in
            self.keys.values().iter().zip(&mut self.of_key).filter(|(name, _)| *name != key::HOSTNAME)
        {
            domains.of_node[node] = domains.number(target.label(name));
        }
    }

    /// The next node, like another one but for its host name.
    pub(super) fn add_like(&mut self, other: usize) {
        for (name, domains) in self.keys.values().iter().zip(&mut self.of_key) {
            let like = domains.of_node[other];
            let domain = if name == key::HOSTNAME && like != NONE {
                domains.count += 1;
                domains.count - 1
            } else {
                like
            };
            domains.of_node.push(domain);
        }
    }

    /// The domain of a node, or [`NONE`].
    pub(super) fn of(&self, key: usize, node: usize) -> u32 {
        self.of_key[key].of_node[node]
    }
}

/// A count for each domain of a key; 0 where nothing is counted. Most terms have pods in few domains.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<u32, u32>);

impl Counts {
    pub(super) fn get(&self, domain: u32) -> u32 {
        self.0.get(&domain).copied().unwrap_or(0)
    }

    /// One more, or one less; nothing at [`NONE`]. Returns the count before.
    pub(super) fn change(&mut self, domain: u32, more: bool) -> u32 {
        let before = self.get(domain);
        let after = if more { before + 1 } else { before.saturating_sub(1) };
        if domain == NONE {
            return 0;
        }
        if after == 0 {
            self.0.remove(&domain);
        } else {
            self.0.insert(domain, after);
        }
        before
    }
}
