//! Domains: nodes with the same value of a label.

use std::rc::Rc;

use super::site::Site;
use crate::units::FastMap;

/// Number of a domain, among those of one topology key.
pub(super) type Domain = usize;

/// The domain of each node, by its position; `None` for a node without the label.
pub(super) type DomainsOfSites = Rc<Vec<Option<Domain>>>;

/// Numbers the domains of each topology key that is asked for.
#[derive(Debug, Default)]
pub(super) struct Topology<'a> {
    by_key: FastMap<&'a str, DomainsOfSites>,
}

impl<'a> Topology<'a> {
    pub(super) fn domains(&mut self, topology_key: &'a str, sites: &[Site<'a>]) -> DomainsOfSites {
        let number = || {
            let mut numbers: FastMap<&str, Domain> = FastMap::default();
            let mut domain = |site: &Site<'a>| {
                let next = numbers.len();
                Some(*numbers.entry(site.domain(topology_key)?).or_insert(next))
            };
            Rc::new(sites.iter().map(&mut domain).collect())
        };
        Rc::clone(self.by_key.entry(topology_key).or_insert_with(number))
    }
}

/// How many of something there are in each domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    of_domain: FastMap<Domain, u32>,
}

impl Counts {
    pub(super) fn get(&self, domain: Domain) -> u32 {
        self.of_domain.get(&domain).copied().unwrap_or(0)
    }

    pub(super) fn change(&mut self, domain: Domain, change: Change) {
        change.apply(self.of_domain.entry(domain).or_default());
    }
}

/// One more, or one less.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Comes,
    Goes,
}

impl Change {
    pub(super) fn apply(self, count: &mut u32) {
        *count = match self {
            Self::Comes => count.saturating_add(1),
            Self::Goes => count.saturating_sub(1),
        };
    }
}
