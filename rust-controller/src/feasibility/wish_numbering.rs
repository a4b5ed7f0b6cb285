//! Soft rules, numbered once, and which of them find which pods.

use std::sync::Arc;

use super::affinity::{AntiTerm, Who};
use super::domains::Domains;
use super::interner::Interner;
use super::selector::{LabelSpace, SeenLabels, Selectors};
use super::sights::{NamespaceSet, holds_for_present};
use super::spread::{Eligibility, SpreadGroup, SpreadRule};
use super::wishes::{FoundBy, Wish};
use crate::model::{AffinityTerm, LabelSelector, Placement, Pod, Preferences, SpreadConstraint, Weighted};
use crate::snapshot::{Extras, Snapshot};

/// What [`number`] makes of a snapshot.
pub(super) struct Numbered {
    /// By pod, the number of its soft rules.
    pub(super) of_pod: Vec<Option<usize>>,
    pub(super) all: Vec<Wish>,
    /// By pod, the number of what finds it.
    pub(super) found: Vec<usize>,
    pub(super) found_by: Vec<FoundBy>,
    /// Every topology key, and no node yet.
    pub(super) domains: Domains,
    /// Topology key of each term.
    pub(super) terms: Vec<usize>,
    /// Eligibility of each spread group.
    pub(super) spread: Vec<usize>,
    pub(super) eligibilities: Vec<Eligibility>,
    pub(super) placements: Vec<Placement>,
}

/// The soft rules of the pods at these positions, and which of them find each pod of the snapshot, and each of those given on
/// top.
pub(super) fn number(snapshot: &Snapshot, positions: &[usize], more_pods: &[Arc<Pod>]) -> Numbered {
    let pods = snapshot.pods();
    let mut numbering = Numbering::default();
    let mut distinct: Interner<(&str, &Preferences, &Placement)> = Interner::default();
    let mut drafts: Vec<Wish> = Vec::new();
    let mut asked: Vec<(usize, usize)> = Vec::new();
    for position in positions {
        let pod = &*pods[*position];
        let Some(preferences) = &pod.preferences else { continue };
        let number = distinct.number((&pod.name.namespace, preferences, &pod.placement));
        if number == drafts.len() {
            drafts.push(numbering.wish(pod, preferences));
        }
        asked.push((*position, number));
    }
    let sights = WishSights::of(&numbering);
    let mut finding = Finding { numbering: &numbering, sights, extras: snapshot.extras(), seen: Interner::default() };
    let mut found_by: Vec<FoundBy> = Vec::new();
    let found: Vec<usize> = pods.iter().chain(more_pods).map(|pod| finding.found(pod, &mut found_by)).collect();
    let mut all: Vec<Wish> = Vec::new();
    let mut numbers: Interner<(usize, usize)> = Interner::default();
    let mut of_pod = vec![None; pods.len()];
    for (position, draft) in asked {
        // Whether it finds itself depends on its labels.
        let number = numbers.number((draft, found[position]));
        if number == all.len() {
            all.push(with_own(&drafts[draft], &found_by[found[position]]));
        }
        of_pod[position] = Some(number);
    }
    let Numbering { domains, terms, spread, eligibilities, placements, .. } = numbering;
    Numbered {
        of_pod,
        all,
        found,
        found_by,
        domains,
        terms: terms.values().iter().map(|term| term.key).collect(),
        spread: spread.values().iter().map(|group| group.eligibility).collect(),
        eligibilities: eligibilities.into_values(),
        placements: placements.into_values().into_iter().cloned().collect(),
    }
}

/// The rules of a pod that these find.
fn with_own(draft: &Wish, found_by: &FoundBy) -> Wish {
    let mut wish = draft.clone();
    for rule in &mut wish.spread {
        rule.own = u32::from(found_by.spread.contains(&rule.group));
    }
    for (term, own) in wish.affinity.iter_mut().chain(&mut wish.anti_affinity) {
        *own = u32::from(found_by.terms.contains(term));
    }
    wish
}

#[derive(Default)]
struct Numbering<'p> {
    domains: Domains,
    terms: Interner<AntiTerm>,
    spread: Interner<SpreadGroup>,
    eligibilities: Interner<Eligibility>,
    placements: Interner<&'p Placement>,
    selectors: Interner<&'p LabelSelector>,
    namespace_sets: Interner<NamespaceSet<'p>>,
    namespaces: Interner<&'p str>,
}

impl<'p> Numbering<'p> {
    fn wish(&mut self, pod: &'p Pod, preferences: &'p Arc<Preferences>) -> Wish {
        let namespace = self.namespaces.number(&pod.name.namespace);
        let spread = &preferences.spread;
        let mut all_keys: Vec<usize> = spread.iter().map(|each| self.domains.key(&each.topology_key)).collect();
        all_keys.sort_unstable();
        all_keys.dedup();
        let rules = spread.iter().map(|constraint| self.spread(constraint, &all_keys, &pod.placement, namespace));
        let spread = rules.collect();
        Wish {
            preferences: Arc::clone(preferences),
            affinity: self.terms(&preferences.affinity),
            anti_affinity: self.terms(&preferences.anti_affinity),
            spread,
        }
    }

    fn terms(&mut self, terms: &'p [Weighted<AffinityTerm>]) -> Vec<(usize, u32)> {
        let number = |Weighted { term, .. }: &'p Weighted<AffinityTerm>| {
            let who = Who {
                selector: self.selectors.number(&term.selector),
                namespaces: self.namespace_sets.number((&term.namespaces, &term.namespace_selector)),
            };
            (self.terms.number(AntiTerm { who, key: self.domains.key(&term.topology_key) }), 0)
        };
        terms.iter().map(number).collect()
    }

    fn spread(
        &mut self,
        constraint: &'p SpreadConstraint,
        all_keys: &[usize],
        placement: &'p Placement,
        namespace: usize,
    ) -> SpreadRule {
        let SpreadConstraint { topology_key, max_skew, min_domains, selector, .. } = constraint;
        let SpreadConstraint { honors_node_affinity, honors_node_taints, .. } = *constraint;
        let asks = !placement.node_selector.is_empty() || placement.node_affinity.is_some();
        let looked_at = honors_node_taints || (honors_node_affinity && asks);
        let eligibility = Eligibility {
            key: self.domains.key(topology_key),
            all_keys: all_keys.to_vec(),
            placement: looked_at.then(|| self.placements.number(placement)),
            honors_node_affinity,
            honors_node_taints,
        };
        let group = SpreadGroup {
            eligibility: self.eligibilities.number(eligibility),
            namespace,
            selector: self.selectors.number(selector),
        };
        SpreadRule { group: self.spread.number(group), max_skew: *max_skew, min_domains: *min_domains, own: 0 }
    }
}

/// Terms and groups by the selector that they have.
struct WishSights {
    labels: LabelSpace,
    selectors: Selectors,
    terms: Vec<Vec<usize>>,
    spread: Vec<Vec<usize>>,
}

impl WishSights {
    fn of(numbering: &Numbering<'_>) -> Self {
        let mut labels = LabelSpace::default();
        let selectors = Selectors::of(numbering.selectors.values(), &mut labels);
        let mut terms = vec![Vec::new(); numbering.selectors.values().len()];
        let mut spread = terms.clone();
        for (number, term) in numbering.terms.values().iter().enumerate() {
            terms[term.who.selector].push(number);
        }
        for (number, group) in numbering.spread.values().iter().enumerate() {
            spread[group.selector].push(number);
        }
        Self { labels, selectors, terms, spread }
    }
}

/// Who finds whom. Pods of one namespace whose labels selectors see alike are found by the same.
struct Finding<'n, 'p> {
    numbering: &'n Numbering<'p>,
    sights: WishSights,
    extras: &'p Extras,
    /// Namespace, whether it is being deleted, and labels.
    seen: Interner<(&'p str, bool, SeenLabels)>,
}

impl<'p> Finding<'_, 'p> {
    /// The number, in `found_by`, of what finds a pod.
    fn found(&mut self, pod: &'p Pod, found_by: &mut Vec<FoundBy>) -> usize {
        let labels = self.sights.labels.seen(&pod.labels);
        let number = self.seen.number((&pod.name.namespace, pod.deleting, labels));
        if number == found_by.len() {
            let (namespace, deleting, labels) = &self.seen.values()[number];
            found_by.push(self.find(namespace, *deleting, labels));
        }
        number
    }

    fn find(&self, namespace: &str, deleting: bool, labels: &SeenLabels) -> FoundBy {
        let Numbering { terms, spread, namespace_sets, namespaces, .. } = self.numbering;
        let mut found = FoundBy::default();
        for selector in self.sights.selectors.matching(labels) {
            let holds = |term: &&usize| {
                let set = &namespace_sets.values()[terms.values()[**term].who.namespaces];
                holds_for_present(set, namespace, self.extras)
            };
            found.terms.extend(self.sights.terms[selector].iter().filter(holds));
            // As for hard rules: an empty selector finds no pod, and a pod that goes counts no more.
            if !self.sights.selectors.is_everything(selector) && !deleting {
                let own = |group: &&usize| namespaces.values()[spread.values()[**group].namespace] == namespace;
                found.spread.extend(self.sights.spread[selector].iter().filter(own));
            }
        }
        found.terms.sort_unstable();
        found.spread.sort_unstable();
        found
    }
}
